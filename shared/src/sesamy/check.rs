//! Checks whether syncs could read a vendor's Sesamy account: a token, a page of
//! users and one user's lists.

use serde_json::value::RawValue;

use super::client::MANAGEMENT_API;
use super::json::{Fields, parse};
use super::pages::{self, Page, RawItem, SHORT_PAGE, without_envelope};
use super::token;
use super::{Reads, SesamyCredentials};
use crate::check::{CheckCode, CheckItem};
use crate::http::{ApiCall, ApiClient, ApiError, Authorization, Http, Method};
use crate::identity::VendorId;

/// Requests a new token, so that a cached one cannot hide refused credentials.
pub async fn check(
    http: &Http,
    vendor: &VendorId,
    credentials: &SesamyCredentials,
    reads: Reads,
) -> Vec<CheckItem> {
    const TOKEN: &str = "Sesamy: token";
    const PROFILE: &str = "Sesamy: read a user";
    let token = match token::request(http, vendor, credentials, "").await {
        Ok(token) => token,
        Err(error) => return vec![token_failure(TOKEN, &error)],
    };
    let api = ApiClient::new(
        http,
        vendor,
        MANAGEMENT_API,
        &credentials.api_url,
        Authorization::Bearer(token.value),
    );
    let users = page(&api, "/users", None, 0).await;
    let mut results = vec![
        CheckItem::works(TOKEN),
        read_result("Sesamy: list users", &users, "read users"),
    ];
    match &users {
        Ok(page) => results.push(page_size(&api, page).await),
        // All other calls would be refused too.
        Err(error) if error.status() == Some(401) => return results,
        Err(_) => {}
    }
    let users = users.map_or_else(|_| Vec::new(), |page| page.items);
    let user = users.iter().find_map(|user| {
        let id = user.id.as_ref().or(user.user_id.as_ref());
        id.map(String::as_str)
    });
    let (profile, contracts, entitlements, bills) = tokio::join!(
        profile(&api, user),
        page(&api, "/contracts", user, 0),
        page(&api, "/entitlements", user, 0),
        async {
            if reads.bills {
                Some(page(&api, "/bills", user, 0).await)
            } else {
                None
            }
        },
    );
    results.push(match &profile {
        Some(profile) => read_result(PROFILE, profile, "read users"),
        None => CheckItem::assumption(PROFILE, None, "there is no user to read"),
    });
    let lists = [
        ("/contracts", Some(&contracts)),
        ("/entitlements", Some(&entitlements)),
        ("/bills", bills.as_ref()),
    ];
    for (endpoint, list) in lists {
        let name = pages::list_name(endpoint);
        let what = format!("Sesamy: list {name}");
        match list {
            Some(Ok(first)) if is_unpaged(&api, endpoint, user, first).await => {
                let say = "works; unpaged: Sesamy ignores the offset and returns the whole list";
                results.push(CheckItem::new(what, CheckCode::Works, say));
            }
            Some(list) => results.push(read_result(what, list, &format!("read {name}"))),
            None => {}
        }
    }
    let profile = profile.and_then(Result::ok);
    results.push(guest_mark(users.iter().chain(&profile)));
    results.push(unconfirmed(
        &users,
        profile.as_ref(),
        credentials.sync_unconfirmed,
    ));
    results.push(user_filter(user, contracts.as_ref().ok()));
    results
}

fn read_result<T>(
    what: impl Into<String>,
    result: &Result<T, ApiError>,
    permission: &str,
) -> CheckItem {
    match result {
        Ok(_) => CheckItem::works(what),
        Err(error) => CheckItem::failed(what, error, permission),
    }
}

/// The token endpoint answers unknown credentials with 400, 401 or 403.
fn token_failure(what: &str, error: &ApiError) -> CheckItem {
    match error.status() {
        Some(400 | 401 | 403) => CheckItem::new(what, CheckCode::CredentialsRefused, error.to_string())
            .with_remedy("store the clientId and clientSecret of an application of the type \"Management API\"; if they are right, try \"audience\": \"\""),
        _ => CheckItem::failed(what, error, "get a token"),
    }
}

async fn page(
    api: &ApiClient<'_>,
    endpoint: &'static str,
    user: Option<&str>,
    offset: usize,
) -> Result<Page, ApiError> {
    let mut call = pages::call(endpoint, offset);
    if let Some(user) = user {
        call = call.query("userId", user);
    }
    Page::read(&api.read(call).await?, endpoint)
}

/// Whether the API ignores the offset. Some lists have no documented paging.
async fn is_unpaged(
    api: &ApiClient<'_>,
    endpoint: &'static str,
    user: Option<&str>,
    first: &Page,
) -> bool {
    if first.states_paging() || first.items.is_empty() {
        return false;
    }
    let next = page(api, endpoint, user, first.items.len()).await;
    next.is_ok_and(|next| next.keys() == first.keys())
}

async fn profile(api: &ApiClient<'_>, user: Option<&str>) -> Option<Result<RawItem, ApiError>> {
    let read = async |user: &str| {
        let call = ApiCall::new(Method::GET, "/users/{userId}", &[user]);
        let json: Box<RawValue> = api.read(call).await?.json()?;
        Ok(RawItem::new(without_envelope(&json).to_owned()))
    };
    Some(read(user?).await)
}

/// Without an envelope, a page shorter than [`SHORT_PAGE`] must be the last.
async fn page_size(api: &ApiClient<'_>, first: &Page) -> CheckItem {
    const WHAT: &str = "assumption: a short page of a list is its last";
    let length = first.items.len();
    if first.states_paging() {
        return CheckItem::assumption(WHAT, Some(true), "Sesamy's lists say if more follows");
    }
    if length >= SHORT_PAGE {
        let say = format!("pages hold at least {length} items");
        return CheckItem::assumption(WHAT, Some(true), say);
    }
    match page(api, "/users", None, length).await {
        Ok(next) if next.items.is_empty() || length == 0 => {
            let say = format!("nothing follows a page of {length} items");
            CheckItem::assumption(WHAT, Some(true), say)
        }
        Ok(next) if next.keys() == first.keys() => {
            let say = "unpaged: Sesamy ignores the offset and returns the whole list";
            CheckItem::assumption(WHAT, Some(true), say)
        }
        Ok(_) => {
            let say = format!("a page of {length} items is followed by more");
            CheckItem::assumption(WHAT, Some(false), say)
                .with_remedy("do not go live: long lists would be cut off; the rule is in pages.rs")
        }
        Err(error) => CheckItem::assumption(WHAT, None, error.to_string()),
    }
}

fn guest_mark<'a>(mut users: impl Iterator<Item = &'a RawItem>) -> CheckItem {
    const WHAT: &str = "assumption: a guest's profile says isGuest or guest";
    let is_marked = |user: &RawItem| {
        let marks = ["isGuest", "guest"];
        marks.into_iter().any(|mark| field(user, mark).is_some())
    };
    if users.any(is_marked) {
        CheckItem::assumption(WHAT, Some(true), "a profile has such a field")
    } else {
        let say = "no profile that was read has such a field; only their ids identify guests";
        CheckItem::assumption(WHAT, None, say)
    }
}

/// How many users syncs skip because their address is not verified. If the list
/// of users does not say, the one profile that was read may.
fn unconfirmed(users: &[RawItem], profile: Option<&RawItem>, are_synced: bool) -> CheckItem {
    const WHAT: &str = "assumption: emailVerified false marks an account that is not confirmed";
    let verified = |user: &RawItem| parse(field(user, "emailVerified")?).ok();
    let listed: Vec<bool> = users.iter().filter_map(verified).collect();
    if listed.is_empty() {
        let say = match profile.and_then(verified) {
            None => {
                "no profile that was read says whether its address is verified; all count as confirmed"
            }
            Some(true) => {
                "the list of users does not say; the address of the one user that was read is verified"
            }
            Some(false) => {
                "the list of users does not say; the address of the one user that was read is not verified"
            }
        };
        return CheckItem::assumption(WHAT, None, say);
    }
    // Users without the field count as confirmed.
    let unverified = listed.iter().filter(|verified| !**verified).count();
    let percent = unverified * 100 / users.len();
    let (have, are) = match unverified {
        1 => ("has", "is"),
        _ => ("have", "are"),
    };
    let share = format!(
        "{unverified} of {} users on the first page ({percent} %) {have} an unverified address",
        users.len(),
    );
    if unverified == 0 {
        CheckItem::assumption(WHAT, Some(true), share)
    } else if are_synced {
        let say = format!("{share} and {are} synced all the same, as \"syncUnconfirmed\" says");
        CheckItem::new(WHAT, CheckCode::Works, say)
    } else {
        CheckItem::assumption(WHAT, None, format!("{share} and {are} not synced")).with_remedy(
            "if these accounts are confirmed, store \"syncUnconfirmed\": true in the Sesamy secret",
        )
    }
}

/// If Sesamy ignored the filter, every user would get the contracts of all users.
fn user_filter(user: Option<&str>, contracts: Option<&Page>) -> CheckItem {
    const WHAT: &str = "assumption: contracts are filtered by userId";
    let items = contracts
        .map(|page| page.items.as_slice())
        .unwrap_or_default();
    let mut owners = items.iter().filter_map(|item| item.user_id.as_deref());
    let Some(user) = user else {
        return CheckItem::assumption(WHAT, None, "there is no user to read");
    };
    let Some(first) = owners.next() else {
        let say = "the user that was read has no contract that names a user";
        return CheckItem::assumption(WHAT, None, say);
    };
    if first == user && owners.all(|owner| owner == user) {
        CheckItem::assumption(
            WHAT,
            Some(true),
            "all contracts of a user belong to this user",
        )
    } else {
        CheckItem::assumption(WHAT, Some(false), "a user's contracts include another's")
            .with_remedy("do not go live: users would get each other's tags")
    }
}

fn field<'a>(user: &'a RawItem, key: &str) -> Option<&'a RawValue> {
    parse::<Fields>(&user.json).ok()?.remove(key)
}
