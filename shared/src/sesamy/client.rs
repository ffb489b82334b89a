//! Reading a reader's present state.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::SesamyCredentials;
use super::model::{Bill, Contract, Dropped, Entitlement, Profile, UserState};
use super::pages::{self, Follow, MAX_ITEMS, MAX_PAGES, Page, names_another};
use super::token::{Token, Tokens};
use super::users::UsersPage;
use crate::cache::Cache;
use crate::http::{Api, ApiDescription, ApiError, Authorization, Call, Fault, Http, Reply};
use crate::identity::{UserId, VendorId};

/// The Management API: 100 requests a minute by credentials, bursts of 200
/// (documented). A 429 says in its body how long to wait.
pub(super) const MANAGEMENT_API: ApiDescription = ApiDescription {
    name: "sesamy",
    wall_clock: None,
};

/// How long it is remembered that credentials see users.
const SEES_USERS_FOR: Duration = Duration::from_secs(5 * 60);

/// The heaviest profile, in bytes of memory: ten thousand tags. A tag in it
/// becomes several times as much until it is written.
const HEAVIEST_PROFILE: usize = 2 * 1024 * 1024;

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
    /// When credentials, by fingerprint, were last seen to see users.
    sees_users: Cache<Instant>,
}

impl Sesamy {
    /// Calls by this HTTP client. Once per function instance: tokens are kept here.
    pub fn new(http: Arc<Http>) -> Self {
        Self {
            http,
            tokens: Tokens::default(),
            sees_users: Cache::default(),
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

    /// Whether the credentials see any user at all. A yes is remembered for
    /// [`SEES_USERS_FOR`].
    ///
    /// # Errors
    /// As [`Self::user_state`].
    pub async fn sees_users(
        &self,
        vendor: &VendorId,
        credentials: &SesamyCredentials,
        fingerprint: &str,
    ) -> Result<bool, ApiError> {
        let mut seen = self.sees_users.lock(fingerprint).await;
        if seen.is_some_and(|at| at.elapsed() < SEES_USERS_FOR) {
            return Ok(true);
        }
        let (api, _) = self.api(vendor, credentials, fingerprint, None).await?;
        let sees = has_users(&api).await?;
        *seen = sees.then(Instant::now);
        Ok(sees)
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
    let (reply, page) = page(api, pages::call("/users", offset), "users").await?;
    let users = UsersPage::new(&page);
    if !users.ids().is_empty() && users.ids().iter().all(Option::is_none) {
        return Err(reply.malformed("no item of the list has a usable id"));
    }
    Ok(users)
}

/// What the answers for one reader weigh together. Nothing of them is kept but
/// what they say, and that must fit into memory.
#[derive(Debug, Default)]
struct Weight(AtomicUsize);

impl Weight {
    fn add(&self, reply: &Reply) -> Result<(), ApiError> {
        let before = self.0.fetch_add(reply.weight(), Ordering::Relaxed);
        reply.check_sum(before.saturating_add(reply.weight()))
    }
}

/// Reads everything in one parallel round.
async fn read_state(
    api: &Api<'_>,
    user: &UserId,
    reads: Reads,
) -> Result<Option<(UserState, Dropped)>, ApiError> {
    let weight = &Weight::default();
    let bills = async {
        if reads.bills {
            list(api, "/bills", "bills", user, weight, Bill::read)
                .await
                .map(Some)
        } else {
            Ok(None)
        }
    };
    let (profile, contracts, entitlements, bills) = tokio::join!(
        profile(api, user),
        list(api, "/contracts", "contracts", user, weight, Contract::read),
        list(
            api,
            "/entitlements",
            "entitlements",
            user,
            weight,
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
    let (mut bills, in_bills) = bills?.unwrap_or_default();
    for part in [in_contracts, in_entitlements, in_bills] {
        dropped.merge(part);
    }
    drop_foreign_bills(&mut bills, &contracts, &mut dropped);
    let state = UserState {
        profile,
        contracts,
        entitlements,
        bills,
    };
    Ok(Some((state, dropped)))
}

/// Whether Sesamy itself says that it has no such user. Documented:
/// `{"error": {"code": "resource_not_found"}}` with a 404.
fn is_unknown(error: &ApiError) -> bool {
    matches!(&error.fault, Fault::Status { status: 404, code: Some(code), .. } if code == "resource_not_found")
}

/// Makes a call. Any web server answers 404; one that is not in Sesamy's own
/// form means a wrong `apiUrl`, so that no user is done, or taken for gone, on
/// account of that.
async fn read(api: &Api<'_>, call: Call<'_>) -> Result<Reply, ApiError> {
    match api.read(call).await {
        Err(error) if error.status() == Some(404) && !is_unknown(&error) => Err(ApiError {
            fault: Fault::WrongAddress,
            ..error
        }),
        reply => reply,
    }
}

/// Reads a page of the list called `name`.
async fn page(
    api: &Api<'_>,
    call: Call<'_>,
    name: &'static str,
) -> Result<(Reply, Page), ApiError> {
    let reply = read(api, call).await?;
    let page = Page::read(reply.json()?, name)
        .ok_or_else(|| reply.malformed("it is no list in any known envelope"))?;
    Ok((reply, page))
}

/// Whether the vendor's list of users has any.
async fn has_users(api: &Api<'_>) -> Result<bool, ApiError> {
    let call = Call::new(Method::GET, "/users", &[]).query("limit", "1");
    let (_, page) = page(api, call, "users").await?;
    Ok(!page.items.is_empty())
}

async fn profile(api: &Api<'_>, user: &UserId) -> Result<Option<(Profile, Dropped)>, ApiError> {
    let call = Call::new(Method::GET, "/users/{userId}", &[user.as_str()]);
    let reply = match read(api, call).await {
        Err(error) if is_unknown(&error) => return Ok(None),
        reply => reply?,
    };
    if reply.weight() > HEAVIEST_PROFILE {
        return Err(reply.malformed("it is too large for the profile of a user"));
    }
    let json: Value = reply.json()?;
    let mut dropped = Dropped::default();
    let bare = json
        .get("data")
        .filter(|data| data.is_object())
        .unwrap_or(&json);
    if names_another(bare, &["id", "userId"], user) {
        return Err(reply.malformed("it is the profile of another user"));
    }
    let profile = Profile::read(bare, &mut dropped)
        .ok_or_else(|| reply.malformed("it is no profile of a user"))?;
    Ok(Some((profile, dropped)))
}

/// Drops bills of contracts that the user does not have. Assumed: Sesamy may
/// ignore the filter by user, which only its SDK's types name for bills.
fn drop_foreign_bills(bills: &mut Vec<Bill>, contracts: &[Contract], dropped: &mut Dropped) {
    let before = bills.len();
    bills.retain(|bill| {
        let contract = bill.contract_id.as_ref();
        contract.is_none_or(|id| contracts.iter().any(|contract| contract.id == *id))
    });
    for _ in bills.len()..before {
        dropped.add("bills[]", "contractId");
    }
}

/// Reads a list to its end. Items that were seen before, because the list
/// moved between two pages, count once. Items of another user mean that the
/// filter was ignored, and a list that does not move on is a part: no sync is
/// better than one with a stranger's or half of the user's data.
async fn list<T>(
    api: &Api<'_>,
    endpoint: &'static str,
    name: &'static str,
    user: &UserId,
    weight: &Weight,
    read_item: fn(&Value, &mut Dropped) -> Option<T>,
) -> Result<(Vec<T>, Dropped), ApiError> {
    let mut items = Vec::new();
    let mut dropped = Dropped::default();
    let mut seen = HashSet::new();
    let mut first_page = None;
    let (mut offset, mut distinct) = (0, 0);
    for _ in 0..MAX_PAGES {
        let call = pages::call(endpoint, offset).query("userId", user.as_str());
        let (reply, page) = page(api, call, name).await?;
        weight.add(&reply)?;
        offset += page.items.len();
        if offset > MAX_ITEMS {
            return Err(reply.malformed("the list has more than 10,000 items"));
        }
        let foreign = |item| names_another(item, &["userId"], user);
        if page.items.iter().any(foreign) {
            return Err(reply.malformed("an item of the list is another user's"));
        }
        let identities = page.identities();
        let mut fresh = 0;
        for (item, identity) in page.items.iter().zip(&identities) {
            if seen.insert(identity.clone()) {
                fresh += 1;
                items.extend(read_item(item, &mut dropped));
            }
        }
        distinct += fresh;
        let is_first_again = first_page.as_ref() == Some(&identities);
        first_page.get_or_insert(identities);
        match page.follow(distinct, fresh, is_first_again) {
            Follow::Next => continue,
            Follow::Stuck => return Err(reply.malformed("the list does not move on")),
            Follow::Unpaged => dropped.add("unpaged", name),
            Follow::End => {}
        }
        // One odd item is left out; nothing but odd items is another API, and
        // must not take a user's tags away.
        return if items.is_empty() && distinct > 0 {
            Err(reply.malformed("no item of the list could be read"))
        } else {
            Ok((items, dropped))
        };
    }
    // Half a list would give wrong tags; better none.
    Err(ApiError {
        api: MANAGEMENT_API.name,
        endpoint,
        fault: Fault::Malformed("the list has more than 100 pages"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bill_of_no_contract_of_the_user_is_dropped_and_counted() {
        let mut dropped = Dropped::default();
        let contract = Contract::read(&json!({ "id": "mine" }), &mut dropped).unwrap();
        let bills = [Some("mine"), Some("theirs"), None].map(|contract| {
            Bill::read(&json!({ "id": "b", "contractId": contract }), &mut dropped).unwrap()
        });
        let mut kept = bills.to_vec();
        drop_foreign_bills(&mut kept, &[contract], &mut dropped);
        assert_eq!(kept, [bills[0].clone(), bills[2].clone()]);
        assert_eq!(dropped.values().to_string(), "bills[].contractId: 1");
    }
}
