use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::SesamyCredentials;
use super::model::{Bill, Contract, Dropped, Entitlement, Profile, UserState};
use super::pages::{
    self, MAX_ITEMS, MAX_PAGES, NextStep, Page, RawItem, names_other_user, without_envelope,
};
use super::token::{Token, TokenCache};
use super::users::UsersPage;
use crate::cache::Cache;
use crate::http::{
    ApiCall, ApiClient, ApiDescription, ApiError, ApiErrorKind, ApiResponse, Authorization, Http,
};
use crate::identity::{UserId, VendorId};

/// Documented: 100 requests a minute per credentials, bursts of 200. The body of
/// a 429 says how long to wait.
pub(super) const MANAGEMENT_API: ApiDescription = ApiDescription {
    name: "sesamy",
    wall_clock: None,
};

/// How long a positive answer of [`Sesamy::sees_users`] is cached.
const SEES_USERS_TTL: Duration = Duration::from_secs(5 * 60);

/// In bytes of memory: about ten thousand tags. A tag takes several times as much
/// memory until it is written.
const MAX_PROFILE_SIZE: usize = 2 * 1024 * 1024;

/// What to read besides profile, contracts and entitlements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads {
    pub bills: bool,
}

/// Create once per function instance, because it caches tokens.
#[derive(Debug)]
pub struct Sesamy {
    http: Arc<Http>,
    tokens: TokenCache,
    /// When credentials (by fingerprint) last saw a user.
    sees_users: Cache<Instant>,
}

impl Sesamy {
    pub fn new(http: Arc<Http>) -> Self {
        Self {
            http,
            tokens: TokenCache::default(),
            sees_users: Cache::default(),
        }
    }

    /// `None` if Sesamy knows no such user.
    pub async fn user_state(
        &self,
        vendor: &VendorId,
        credentials: &SesamyCredentials,
        fingerprint: &str,
        user: &UserId,
        reads: Reads,
    ) -> Result<Option<(UserState, Dropped)>, ApiError> {
        self.with_token(vendor, credentials, fingerprint, |api| async move {
            read_state(&api, user, reads).await
        })
        .await
    }

    /// Whether the credentials see any user at all.
    pub async fn sees_users(
        &self,
        vendor: &VendorId,
        credentials: &SesamyCredentials,
        fingerprint: &str,
    ) -> Result<bool, ApiError> {
        let mut seen = self.sees_users.lock(fingerprint).await;
        if seen.is_some_and(|at| at.elapsed() < SEES_USERS_TTL) {
            return Ok(true);
        }
        let (api, _) = self.api(vendor, credentials, fingerprint, None).await?;
        let sees = has_users(&api).await?;
        *seen = sees.then(Instant::now);
        Ok(sees)
    }

    /// A page of the vendor's users. Sesamy does not document their order.
    pub async fn users(
        &self,
        vendor: &VendorId,
        credentials: &SesamyCredentials,
        fingerprint: &str,
        offset: usize,
    ) -> Result<UsersPage, ApiError> {
        self.with_token(vendor, credentials, fingerprint, |api| async move {
            read_users(&api, offset).await
        })
        .await
    }

    /// Runs `work`, and once more with a new token if it is refused.
    async fn with_token<'a, T, W: Future<Output = Result<T, ApiError>>>(
        &'a self,
        vendor: &'a VendorId,
        credentials: &'a SesamyCredentials,
        fingerprint: &str,
        work: impl Fn(ApiClient<'a>) -> W,
    ) -> Result<T, ApiError> {
        let (api, refused) = self.api(vendor, credentials, fingerprint, None).await?;
        match work(api).await {
            Err(error) if error.is_refusal() => {
                let refused = Some(&refused);
                let (api, _) = self.api(vendor, credentials, fingerprint, refused).await?;
                work(api).await
            }
            done => done,
        }
    }

    async fn api<'a>(
        &'a self,
        vendor: &'a VendorId,
        credentials: &'a SesamyCredentials,
        fingerprint: &str,
        refused: Option<&Token>,
    ) -> Result<(ApiClient<'a>, Token), ApiError> {
        let token = self
            .tokens
            .get(&self.http, vendor, credentials, fingerprint, refused)
            .await?;
        let api = ApiClient::new(
            &self.http,
            vendor,
            MANAGEMENT_API,
            &credentials.api_url,
            Authorization::Bearer(token.value.clone()),
        );
        Ok((api, token))
    }
}

async fn read_users(api: &ApiClient<'_>, offset: usize) -> Result<UsersPage, ApiError> {
    let (response, page) = page(api, pages::call("/users", offset), "/users").await?;
    let users = UsersPage::new(&page);
    if !users.ids().is_empty() && users.ids().iter().all(Option::is_none) {
        return Err(response.malformed("no item of the list has a usable id"));
    }
    Ok(users)
}

/// Limits the memory that all responses about one user take.
#[derive(Debug, Default)]
struct TotalSize(AtomicUsize);

impl TotalSize {
    fn add(&self, response: &ApiResponse) -> Result<(), ApiError> {
        let size = response.parsed_size();
        let before = self.0.fetch_add(size, Ordering::Relaxed);
        response.check_total_size(before.saturating_add(size))
    }
}

async fn read_state(
    api: &ApiClient<'_>,
    user: &UserId,
    reads: Reads,
) -> Result<Option<(UserState, Dropped)>, ApiError> {
    let size = &TotalSize::default();
    let bills = async {
        if reads.bills {
            list(api, "/bills", user, size, Bill::read).await
        } else {
            Ok((Vec::new(), Dropped::default()))
        }
    };
    let (profile, contracts, entitlements, bills) = tokio::join!(
        profile(api, user),
        list(api, "/contracts", user, size, Contract::read),
        list(api, "/entitlements", user, size, Entitlement::read),
        bills,
    );
    // Checked first, because the lists of an unknown user mean nothing.
    let Some((profile, mut dropped)) = profile? else {
        return Ok(None);
    };
    let (contracts, in_contracts) = contracts?;
    let (entitlements, in_entitlements) = entitlements?;
    let (mut bills, in_bills) = bills?;
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

/// Documented: a 404 with `{"error": {"code": "resource_not_found"}}`.
fn is_unknown_user(error: &ApiError) -> bool {
    matches!(&error.kind, ApiErrorKind::Status { status: 404, code: Some(code), .. } if code == "resource_not_found")
}

/// A 404 without Sesamy's own error code means a wrong `apiUrl`, because any web
/// server answers 404. It must not count as an unknown user.
async fn read(api: &ApiClient<'_>, call: ApiCall<'_>) -> Result<ApiResponse, ApiError> {
    match api.read(call).await {
        Err(error) if error.status() == Some(404) && !is_unknown_user(&error) => Err(ApiError {
            kind: ApiErrorKind::WrongAddress,
            ..error
        }),
        response => response,
    }
}

async fn page(
    api: &ApiClient<'_>,
    call: ApiCall<'_>,
    endpoint: &'static str,
) -> Result<(ApiResponse, Page), ApiError> {
    let response = read(api, call).await?;
    let page = Page::read(&response, endpoint)?;
    Ok((response, page))
}

async fn has_users(api: &ApiClient<'_>) -> Result<bool, ApiError> {
    let call = ApiCall::new(Method::GET, "/users", &[]).query("limit", "1");
    let (_, page) = page(api, call, "/users").await?;
    Ok(!page.items.is_empty())
}

async fn profile(
    api: &ApiClient<'_>,
    user: &UserId,
) -> Result<Option<(Profile, Dropped)>, ApiError> {
    let call = ApiCall::new(Method::GET, "/users/{userId}", &[user.as_str()]);
    let response = match read(api, call).await {
        Err(error) if is_unknown_user(&error) => return Ok(None),
        response => response?,
    };
    if response.parsed_size() > MAX_PROFILE_SIZE {
        return Err(response.malformed("it is too large for a user's profile"));
    }
    let json: Box<RawValue> = response.json()?;
    let item = RawItem::new(without_envelope(&json).to_owned());
    if names_other_user(&[&item.id, &item.user_id], user) {
        return Err(response.malformed("it is the profile of another user"));
    }
    let mut dropped = Dropped::default();
    let profile = Profile::read(&item.json, &mut dropped)
        .ok_or_else(|| response.malformed("it is not a user's profile"))?;
    Ok(Some((profile, dropped)))
}

/// Drops bills of contracts that the user does not have. Assumed: Sesamy may
/// ignore the user filter for bills, which only its SDK's types mention.
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

/// Reads all pages of a list. Repeated items count once, because the list may
/// shift between two calls. Items of another user (the filter was ignored) and
/// an incomplete list are errors: wrong data is worse than no sync.
async fn list<T>(
    api: &ApiClient<'_>,
    endpoint: &'static str,
    user: &UserId,
    size: &TotalSize,
    read_item: fn(&RawValue, &mut Dropped) -> Option<T>,
) -> Result<(Vec<T>, Dropped), ApiError> {
    let mut items = Vec::new();
    let mut dropped = Dropped::default();
    let mut seen = HashSet::new();
    let mut first_page = None;
    let (mut offset, mut distinct) = (0, 0);
    for _ in 0..MAX_PAGES {
        let call = pages::call(endpoint, offset).query("userId", user.as_str());
        let (response, page) = page(api, call, endpoint).await?;
        size.add(&response)?;
        offset += page.items.len();
        if offset > MAX_ITEMS {
            return Err(response.malformed("the list has more than 10,000 items"));
        }
        let is_foreign = |item: &RawItem| names_other_user(&[&item.user_id], user);
        if page.items.iter().any(is_foreign) {
            return Err(response.malformed("an item of the list belongs to another user"));
        }
        let keys = page.keys();
        let mut fresh = 0;
        for (item, key) in page.items.iter().zip(&keys) {
            if seen.insert(key.clone()) {
                fresh += 1;
                items.extend(read_item(&item.json, &mut dropped));
            }
        }
        distinct += fresh;
        let repeats_first = first_page.as_ref() == Some(&keys);
        first_page.get_or_insert(keys);
        match page.next_step(distinct, fresh, repeats_first) {
            NextStep::ReadNext => continue,
            NextStep::Stalled => return Err(response.malformed("the list is incomplete")),
            NextStep::Unpaged => dropped.add("unpaged", pages::list_name(endpoint)),
            NextStep::Complete => {}
        }
        // One unreadable item is dropped. If all items are unreadable, the API has
        // changed, and that must not remove the user's tags.
        return if items.is_empty() && distinct > 0 {
            Err(response.malformed("no item of the list could be read"))
        } else {
            Ok((items, dropped))
        };
    }
    Err(ApiError {
        api: MANAGEMENT_API.name,
        endpoint,
        kind: ApiErrorKind::Malformed("the list has more than 100 pages"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::json::raw;
    use super::*;

    #[test]
    fn bill_of_a_foreign_contract_is_dropped_and_counted() {
        let mut dropped = Dropped::default();
        let contract = Contract::read(&raw(&json!({ "id": "mine" })), &mut dropped).unwrap();
        let bills = [Some("mine"), Some("theirs"), None].map(|contract| {
            let bill = raw(&json!({ "id": "b", "contractId": contract }));
            Bill::read(&bill, &mut dropped).unwrap()
        });
        let mut kept = bills.to_vec();
        drop_foreign_bills(&mut kept, &[contract], &mut dropped);
        assert_eq!(kept, [bills[0].clone(), bills[2].clone()]);
        assert_eq!(dropped.values().to_string(), "bills[].contractId: 1");
    }
}
