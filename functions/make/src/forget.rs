//! Takes what a sync wrote off a subscriber, on every list of the vendor.
//!
//! Looked up first; then one call that reaches only who is there. Foreign tags
//! are sent back as they were read, as in a sync.

use futures_util::future::join_all;
use serde_json::{Map, Value};
use shared::consumer::{Steps, Trail, Whom, is_ours};
use shared::http::ApiError;

use crate::client::{Client, Subscriber};
use crate::credentials::MalformedSet;
use crate::sync::all;

/// The field in which a subscriber says which Sesamy user it is.
const OWNER: &str = "external_id";

/// What stays, as Make.as is not known to have a call for it.
const STAYS: &str = "the reader's subscriptions, and the products of the catalogue: Make.as has no known call that takes them away";

/// Forgets a reader on all lists, side by side: one that fails stops no other.
///
/// # Errors
/// The call that failed; of several, one that may pass. A malformed set counts
/// as one that is refused.
pub async fn forget(
    clients: Vec<Client<'_>>,
    malformed: &[MalformedSet],
    whom: Whom<'_>,
    trail: &Trail,
) -> Result<(), ApiError> {
    let lists = clients.iter().map(|client| async move {
        let steps = trail.contact(Some(client.list_id()));
        let done = forget_on_list(client, whom, steps).await;
        done.inspect_err(|error| steps.failed(error))
    });
    let mut done = join_all(lists).await;
    done.extend(malformed.iter().map(|set| {
        let error = set.error();
        trail.contact(Some(&set.name())).failed(&error);
        Err(error)
    }));
    all(done).map(drop)
}

async fn forget_on_list(
    client: &Client<'_>,
    whom: Whom<'_>,
    steps: Steps<'_>,
) -> Result<(), ApiError> {
    let Some(subscriber) = client.subscriber(whom.email).await? else {
        return Ok(());
    };
    let Subscriber {
        id, fields, tags, ..
    } = subscriber;
    let owner = fields.get(OWNER).and_then(Value::as_str);
    let owner = owner.filter(|owner| !owner.is_empty());
    if !whom.owns(owner) {
        steps.is_anothers();
        return Ok(());
    }
    let (ours, foreign): (Vec<String>, Vec<String>) =
        tags.into_iter().partition(|tag| is_ours(tag));
    // An id of another system is the publisher's.
    let named = owner == Some(whom.user.as_str());
    let nothing_of_ours = ours.is_empty() && !named;
    // Always with the foreign tags: the call replaces them, and what it does
    // where it names none is not documented.
    let mut body = Map::from_iter([("tags".to_owned(), foreign.into())]);
    if named {
        body.insert(OWNER.to_owned(), cleared());
    }
    steps.found(ours, named.then_some(OWNER));
    steps.stays(STAYS);
    if !nothing_of_ours {
        client.change(&id, body).await?;
        steps.removed_all();
        steps.cleared_all();
    }
    Ok(())
}

/// What clears a field.
///
/// Assumed: an empty text. Nothing says how Make.as forgets a value.
fn cleared() -> Value {
    "".into()
}
