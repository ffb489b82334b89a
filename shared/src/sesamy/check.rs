//! Whether a vendor's Sesamy account can be read as a sync reads it.
//!
//! Reads alone, and few: a token, a page of users, one user's lists.

use serde_json::Value;

use super::client::MANAGEMENT_API;
use super::pages::{self, Page, SHORT_PAGE};
use super::token;
use super::{Reads, SesamyCredentials};
use crate::check::{Code, Finding};
use crate::http::{Api, ApiError, Authorization, Call, Http, Method};
use crate::identity::VendorId;

/// Looks at everything that a sync needs of a vendor's Sesamy account, with a
/// new token.
pub async fn check(
    http: &Http,
    vendor: &VendorId,
    credentials: &SesamyCredentials,
    reads: Reads,
) -> Vec<Finding> {
    const TOKEN: &str = "Sesamy: token";
    let token = match token::mint(http, vendor, credentials, "").await {
        Ok(token) => token,
        Err(error) => return vec![refused_token(TOKEN, &error)],
    };
    let mut findings = vec![Finding::works(TOKEN)];
    let api = Api::new(
        http,
        vendor,
        MANAGEMENT_API,
        &credentials.api_url,
        Authorization::Bearer(token.value),
    );
    let users = match page(&api, "/users", "users", None, 0).await {
        Ok(page) => {
            findings.push(Finding::works("Sesamy: list users"));
            findings.push(page_size(&api, &page).await);
            page.items
        }
        Err(error) => {
            let failed = Finding::failed("Sesamy: list users", &error, "read users");
            let refused = failed.code == Code::CredentialsRefused;
            findings.push(failed);
            if refused {
                return findings;
            }
            Vec::new()
        }
    };
    let user = users.iter().find_map(|user| {
        let id = user.get("id").or_else(|| user.get("userId"))?;
        id.as_str()
    });
    let (profile, contracts, entitlements, bills) = tokio::join!(
        profile(&api, user),
        page(&api, "/contracts", "contracts", user, 0),
        page(&api, "/entitlements", "entitlements", user, 0),
        async {
            match reads.bills {
                true => Some(page(&api, "/bills", "bills", user, 0).await),
                false => None,
            }
        },
    );
    match &profile {
        Some(Err(error)) => {
            findings.push(Finding::failed("Sesamy: read a user", error, "read users"));
        }
        Some(Ok(_)) => findings.push(Finding::works("Sesamy: read a user")),
        None => findings.push(Finding::assumption(
            "Sesamy: read a user",
            None,
            "there is no user to read",
        )),
    }
    let lists = [
        ("/contracts", "contracts", Some(&contracts)),
        ("/entitlements", "entitlements", Some(&entitlements)),
        ("/bills", "bills", bills.as_ref()),
    ];
    for (endpoint, name, list) in lists {
        let what = format!("Sesamy: list {name}");
        match list {
            Some(Ok(first)) if is_unpaged(&api, endpoint, name, user, first).await => {
                let say = "works; unpaged: whatever page is asked for, the whole list comes";
                findings.push(Finding::new(what, Code::Works, say));
            }
            Some(Ok(_)) => findings.push(Finding::works(what)),
            Some(Err(error)) => {
                findings.push(Finding::failed(what, error, &format!("read {name}")));
            }
            None => {}
        }
    }
    let seen = profile.and_then(Result::ok);
    findings.push(guest_mark(users.iter().chain(&seen)));
    findings.push(unconfirmed(
        &users,
        seen.as_ref(),
        credentials.sync_unconfirmed,
    ));
    findings.push(user_filter(user, contracts.as_ref().ok()));
    findings
}

/// The token endpoint answers 400, 401 or 403 to credentials that it does not know.
fn refused_token(what: &str, error: &ApiError) -> Finding {
    match error.status() {
        Some(400 | 401 | 403) => Finding::new(what, Code::CredentialsRefused, error.to_string())
            .with_remedy("store the clientId and clientSecret of an application of the type \"Management API\"; if they are right, try \"audience\": \"\""),
        _ => Finding::failed(what, error, "get a token"),
    }
}

async fn page(
    api: &Api<'_>,
    endpoint: &'static str,
    name: &'static str,
    user: Option<&str>,
    offset: usize,
) -> Result<Page, ApiError> {
    let mut call = pages::call(endpoint, offset);
    if let Some(user) = user {
        call = call.query("userId", user);
    }
    let reply = api.read(call).await?;
    Page::read(reply.json()?, name)
        .ok_or_else(|| reply.malformed("it is no list in any known envelope"))
}

/// Whether the API repeats the first page of a user's list when it is asked for
/// what follows. No paging is documented for some lists.
async fn is_unpaged(
    api: &Api<'_>,
    endpoint: &'static str,
    name: &'static str,
    user: Option<&str>,
    first: &Page,
) -> bool {
    if first.tells() || first.items.is_empty() {
        return false;
    }
    let next = page(api, endpoint, name, user, first.items.len()).await;
    next.is_ok_and(|next| next.identities() == first.identities())
}

async fn profile(api: &Api<'_>, user: Option<&str>) -> Option<Result<Value, ApiError>> {
    let read = async |user: &str| {
        let call = Call::new(Method::GET, "/users/{userId}", &[user]);
        let json: Value = api.read(call).await?.json()?;
        Ok(json.get("data").cloned().unwrap_or(json))
    };
    Some(read(user?).await)
}

/// A page that is shorter than the shortest cap assumed must be the last, where
/// no envelope tells.
async fn page_size(api: &Api<'_>, first: &Page) -> Finding {
    const WHAT: &str = "assumption: a short page of a list is its last";
    let length = first.items.len();
    if first.tells() {
        return Finding::assumption(WHAT, Some(true), "Sesamy's lists tell what follows");
    }
    if length >= SHORT_PAGE {
        let say = format!("pages hold at least {length} items");
        return Finding::assumption(WHAT, Some(true), say);
    }
    match page(api, "/users", "users", None, length).await {
        Ok(next) if next.items.is_empty() || length == 0 => {
            let say = format!("nothing follows a page of {length} items");
            Finding::assumption(WHAT, Some(true), say)
        }
        Ok(next) if next.identities() == first.identities() => {
            let say = "unpaged: whatever page is asked for, the whole list comes";
            Finding::assumption(WHAT, Some(true), say)
        }
        Ok(_) => {
            let say = format!("a page of {length} items is followed by more");
            Finding::assumption(WHAT, Some(false), say)
                .with_remedy("do not go live: long lists would be cut; the rule is in pages.rs")
        }
        Err(error) => Finding::assumption(WHAT, None, error.to_string()),
    }
}

fn guest_mark<'a>(mut users: impl Iterator<Item = &'a Value>) -> Finding {
    const WHAT: &str = "assumption: a guest's profile says isGuest or guest";
    let marked = |user: &Value| {
        ["isGuest", "guest"]
            .iter()
            .any(|key| user.get(key).is_some())
    };
    if users.any(marked) {
        Finding::assumption(WHAT, Some(true), "a profile has such a field")
    } else {
        let say = "no profile that was read has such a field; guests are known by their id alone";
        Finding::assumption(WHAT, None, say)
    }
}

/// How many users a sync leaves out because their address is not verified.
/// Sesamy's list of users may not say; then the one profile that was read does.
fn unconfirmed(users: &[Value], read: Option<&Value>, are_synced: bool) -> Finding {
    const WHAT: &str = "assumption: emailVerified false marks an account that is not confirmed";
    let verified = |user: &Value| user.get("emailVerified")?.as_bool();
    let listed: Vec<bool> = users.iter().filter_map(verified).collect();
    if listed.is_empty() {
        let say = match read.and_then(verified) {
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
        return Finding::assumption(WHAT, None, say);
    }
    // One who does not say counts as confirmed.
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
        Finding::assumption(WHAT, Some(true), share)
    } else if are_synced {
        let say = format!("{share} and {are} synced all the same, as \"syncUnconfirmed\" says");
        Finding::new(WHAT, Code::Works, say)
    } else {
        Finding::assumption(WHAT, None, format!("{share} and {are} not synced")).with_remedy(
            "if these accounts are confirmed, store \"syncUnconfirmed\": true in the Sesamy secret",
        )
    }
}

/// A filter that Sesamy ignored would give every reader everybody's contracts.
fn user_filter(user: Option<&str>, contracts: Option<&Page>) -> Finding {
    const WHAT: &str = "assumption: contracts are filtered by userId";
    let items = contracts
        .map(|page| page.items.as_slice())
        .unwrap_or_default();
    let mut owners = items.iter().filter_map(|item| item.get("userId")?.as_str());
    let Some(user) = user else {
        return Finding::assumption(WHAT, None, "there is no user to read");
    };
    if let Some(first) = owners.next() {
        let all = first == user && owners.all(|owner| owner == user);
        let say = if all {
            "one user's contracts are that user's alone"
        } else {
            "one user's contracts hold another's"
        };
        let finding = Finding::assumption(WHAT, Some(all), say);
        return match all {
            true => finding,
            false => finding.with_remedy("do not go live: readers would get each other's tags"),
        };
    }
    Finding::assumption(
        WHAT,
        None,
        "the user who was read has no contract that names its user",
    )
}
