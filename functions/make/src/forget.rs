//! Removes what syncs wrote to a contact, on every list of the vendor, with one
//! call per list if the contact exists.
//!
//! As in a sync, foreign tags are sent back as they were read.

use futures_util::future::join_all;
use serde_json::{Map, Value};
use shared::connector::{ContactLookup, ContactProgress, ForgetProgress, LookupKey, is_our_tag};
use shared::http::ApiError;

use crate::client::{Client, Contact};
use crate::credentials::MalformedSet;
use crate::lists::collect_results;
use crate::mapping;
use crate::references::References;

const STAYS: &str = "the user's subscriptions, and the products of the catalogue: Make.as has no known call that deletes them";

/// Forgets a user on all lists concurrently. A failing list does not stop the others.
pub async fn forget(
    clients: Vec<Client<'_>>,
    malformed: &[MalformedSet],
    lookup: ContactLookup<'_>,
    progress: &ForgetProgress,
) -> Result<(), ApiError> {
    let lists = clients.iter().map(|client| async move {
        let steps = progress.contact(Some(client.list_id()));
        let result = forget_on_list(client, lookup, steps).await;
        result.inspect_err(|error| steps.failed(error))
    });
    let mut results = join_all(lists).await;
    results.extend(malformed.iter().map(|set| {
        let error = set.error();
        progress.contact(Some(&set.name())).failed(&error);
        Err(error)
    }));
    collect_results(results).map(drop)
}

async fn forget_on_list(
    client: &Client<'_>,
    lookup: ContactLookup<'_>,
    steps: ContactProgress<'_>,
) -> Result<(), ApiError> {
    let contact = match lookup.by {
        LookupKey::Email(email) => client.contact(email).await?,
        LookupKey::Reference(reference) => match References::read(reference).id(client.list_id()) {
            Some(id) => client.contact_by_id(id).await?,
            None => None,
        },
    };
    let Some(contact) = contact else {
        return Ok(());
    };
    let owner = contact.owner(lookup.user);
    if !lookup.owns(owner) {
        steps.belongs_to_another_user();
        return Ok(());
    }
    // The publisher may store an id of another system here.
    let owner_is_ours = owner == Some(lookup.user.as_str());
    let Contact { id, tags, .. } = contact;
    let (ours, foreign): (Vec<String>, Vec<String>) =
        tags.into_iter().partition(|tag| is_our_tag(tag));
    let has_our_data = !ours.is_empty() || owner_is_ours;
    // Always with the foreign tags: the call replaces tags, and its effect without
    // any is not documented.
    let mut body = Map::from_iter([("tags".to_owned(), foreign.into())]);
    if owner_is_ours {
        body.insert(mapping::OWNER.to_owned(), cleared());
    }
    steps.found(ours, owner_is_ours.then_some(mapping::OWNER));
    steps.stays(STAYS);
    if has_our_data {
        client.change(&id, body).await?;
        steps.removed_all();
        steps.cleared_all();
    }
    Ok(())
}

/// Assumed: an empty text. No page documents how to clear a field.
fn cleared() -> Value {
    "".into()
}
