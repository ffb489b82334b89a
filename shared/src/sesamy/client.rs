//! Reading a reader's present state.

use std::collections::HashSet;
use std::sync::Arc;

use reqwest::Method;
use serde_json::Value;

use super::SesamyCredentials;
use super::model::{Bill, Contract, Dropped, Entitlement, Profile, UserState};
use super::pages::{MAX_PAGES, PAGE_ITEMS, Page};
use super::token::{Token, Tokens};
use super::users::UsersPage;
use crate::http::{Api, ApiDescription, ApiError, Authorization, Call, Http};
use crate::identity::{UserId, VendorId};

/// The Management API: 100 requests a minute by credentials, bursts of 200
/// (documented). A 429 says in its body how long to wait.
pub(super) const MANAGEMENT_API: ApiDescription = ApiDescription {
    name: "sesamy",
    wall_clock: None,
};

/// Which lists of a reader are read beside profile, contracts and entitlements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads {
    /// The bills too.
    pub bills: bool,
}

/// Sesamy's Management API, as one function instance uses it.
#[derive(Debug)]
pub struct Sesamy {
    http: Arc<Http>,
    tokens: Tokens,
}

impl Sesamy {
    /// Calls by this HTTP client. Once per function instance: tokens are kept here.
    pub fn new(http: Arc<Http>) -> Self {
        Self {
            http,
            tokens: Tokens::default(),
        }
    }

    /// The reader's present state; `None` where Sesamy knows no such reader.
    ///
    /// Odd values that were dropped on the way are counted in `dropped`.
    ///
    /// # Errors
    /// The first call that failed. A refusal is returned only after a new token
    /// was refused too.
    pub async fn user_state(
        &self,
        vendor: &VendorId,
        credentials: &SesamyCredentials,
        fingerprint: &str,
        user: &UserId,
        reads: Reads,
    ) -> Result<Option<(UserState, Dropped)>, ApiError> {
        let mut refused = None;
        loop {
            let (api, token) = self
                .api(vendor, credentials, fingerprint, refused.as_ref())
                .await?;
            match read_state(&api, user, reads).await {
                Err(error) if error.is_refusal() && refused.is_none() => refused = Some(token),
                outcome => return outcome,
            }
        }
    }

    /// A page of all the vendor's users, from the `offset`th on, in the order
    /// that Sesamy lists them in (which is not documented).
    ///
    /// # Errors
    /// As [`Self::user_state`].
    pub async fn users(
        &self,
        vendor: &VendorId,
        credentials: &SesamyCredentials,
        fingerprint: &str,
        offset: usize,
    ) -> Result<UsersPage, ApiError> {
        let mut refused = None;
        loop {
            let (api, token) = self
                .api(vendor, credentials, fingerprint, refused.as_ref())
                .await?;
            match read_users(&api, offset).await {
                Err(error) if error.is_refusal() && refused.is_none() => refused = Some(token),
                outcome => return outcome,
            }
        }
    }

    /// The API with a token that is good now and is not `refused`.
    async fn api<'a>(
        &'a self,
        vendor: &'a VendorId,
        credentials: &'a SesamyCredentials,
        fingerprint: &str,
        refused: Option<&Token>,
    ) -> Result<(Api<'a>, Token), ApiError> {
        let token = self
            .tokens
            .get(&self.http, vendor, credentials, fingerprint, refused)
            .await?;
        let api = Api::new(
            &self.http,
            vendor,
            MANAGEMENT_API,
            &credentials.api_url,
            Authorization::Bearer(token.value.clone()),
        );
        Ok((api, token))
    }
}

async fn read_users(api: &Api<'_>, offset: usize) -> Result<UsersPage, ApiError> {
    let call = Call::new(Method::GET, "/users", &[])
        .query("limit", PAGE_ITEMS.to_string())
        .query("offset", offset.to_string());
    let reply = api.read(call).await?;
    let page = Page::read(reply.json()?, "users")
        .ok_or_else(|| reply.malformed("it is no list in any known envelope"))?;
    let users = UsersPage::new(&page);
    if !users.ids().is_empty() && users.ids().iter().all(Option::is_none) {
        return Err(reply.malformed("no item of the list has a usable id"));
    }
    Ok(users)
}

/// Reads everything in one parallel round.
async fn read_state(
    api: &Api<'_>,
    user: &UserId,
    reads: Reads,
) -> Result<Option<(UserState, Dropped)>, ApiError> {
    let bills = async {
        if reads.bills {
            list(api, "/bills", "bills", user, Bill::read).await
        } else {
            Ok((Vec::new(), Dropped::default()))
        }
    };
    let (profile, contracts, entitlements, bills) = tokio::join!(
        profile(api, user),
        list(api, "/contracts", "contracts", user, Contract::read),
        list(
            api,
            "/entitlements",
            "entitlements",
            user,
            Entitlement::read
        ),
        bills,
    );
    // First: whatever the lists of an unknown reader answer says nothing.
    let Some((profile, mut dropped)) = profile? else {
        return Ok(None);
    };
    let (contracts, in_contracts) = contracts?;
    let (entitlements, in_entitlements) = entitlements?;
    let (bills, in_bills) = bills?;
    for part in [in_contracts, in_entitlements, in_bills] {
        dropped.merge(part);
    }
    let state = UserState {
        profile,
        contracts,
        entitlements,
        bills,
    };
    Ok(Some((state, dropped)))
}

async fn profile(api: &Api<'_>, user: &UserId) -> Result<Option<(Profile, Dropped)>, ApiError> {
    let reply = match api
        .read(Call::new(Method::GET, "/users/{userId}", &[user.as_str()]))
        .await
    {
        Err(error) if error.status() == Some(404) => return Ok(None),
        reply => reply?,
    };
    let json: Value = reply.json()?;
    let mut dropped = Dropped::default();
    let bare = json
        .get("data")
        .filter(|data| data.is_object())
        .unwrap_or(&json);
    let profile = Profile::read(bare, &mut dropped)
        .ok_or_else(|| reply.malformed("it is no profile of a user"))?;
    Ok(Some((profile, dropped)))
}

/// Reads a list to its end. Items that were seen before, because the list
/// moved between two pages, count once.
async fn list<T>(
    api: &Api<'_>,
    endpoint: &'static str,
    name: &'static str,
    user: &UserId,
    read_item: fn(&Value, &mut Dropped) -> Option<T>,
) -> Result<(Vec<T>, Dropped), ApiError> {
    let mut items = Vec::new();
    let mut dropped = Dropped::default();
    let mut seen = HashSet::new();
    let mut offset = 0;
    for _ in 0..MAX_PAGES {
        let call = Call::new(Method::GET, endpoint, &[])
            .query("userId", user.as_str())
            .query("limit", PAGE_ITEMS.to_string())
            .query("offset", offset.to_string());
        let reply = api.read(call).await?;
        let page = Page::read(reply.json()?, name)
            .ok_or_else(|| reply.malformed("it is no list in any known envelope"))?;
        offset += page.items.len();
        let mut fresh = 0;
        for item in &page.items {
            let id = item.get("id").and_then(Value::as_str);
            if id.is_none_or(|id| seen.insert(id.to_owned())) {
                fresh += 1;
                items.extend(read_item(item, &mut dropped));
            }
        }
        if page.is_last(offset, fresh) {
            // One odd item is left out; nothing but odd items is another API,
            // and must not take a reader's tags away.
            return if items.is_empty() && offset > 0 {
                Err(reply.malformed("no item of the list could be read"))
            } else {
                Ok((items, dropped))
            };
        }
    }
    // Half a list would give wrong tags; better none.
    Err(ApiError {
        api: MANAGEMENT_API.name,
        endpoint,
        fault: crate::http::Fault::Malformed("the list has more than 100 pages"),
    })
}
