//! Removes what syncs wrote to a contact, on every list of the vendor, with one
//! call per list if the contact exists.
//!
//! As in a sync, foreign tags are sent back as they were read.

use futures_util::future::join_all;
use serde_json::{Map, Value};
use shared::connector::{ContactProgress, ForgetJob, LookupKey};
use shared::derivation::TagDiff;
use shared::http::ApiError;

use crate::client::Client;
use crate::lists::collect_results;
use crate::mapping;
use crate::references::References;
use crate::sync::{Make, clients};

const STAYS: &str = "the user's subscriptions, and the products of the catalogue: Make.as has no known call that deletes them";

/// Forgets a user on all lists concurrently. A failing list does not stop the others.
pub async fn forget(job: ForgetJob<'_, Make>) -> Result<(), ApiError> {
    let clients = clients(&job.account);
    let lists = clients.iter().map(async |client| {
        let steps = job.progress.contact(Some(client.list_id()));
        let result = forget_on_list(&job, client, steps).await;
        result.inspect_err(|error| steps.failed(error))
    });
    let mut results = join_all(lists).await;
    results.extend(job.account.credentials.malformed.iter().map(|set| {
        let error = set.error();
        job.progress.contact(Some(&set.name())).failed(&error);
        Err(error)
    }));
    collect_results(results).map(drop)
}

async fn forget_on_list(
    job: &ForgetJob<'_, Make>,
    client: &Client<'_>,
    steps: ContactProgress<'_>,
) -> Result<(), ApiError> {
    let found = match job.by {
        LookupKey::Email(email) => client.contact(email).await?,
        LookupKey::Reference(reference) => match References::read(reference).id(client.list_id()) {
            Some(id) => client.contact_by_id(id).await?,
            None => None,
        },
    };
    let Some(contact) = job.admit(steps, found, |contact| contact.owner(job.user)) else {
        return Ok(());
    };
    // The publisher may store an id of another system here.
    let owner_is_ours = contact.owner(job.user) == Some(job.user.as_str());
    let tags = TagDiff::removal(&contact.tags);
    // Always with the foreign tags: the call replaces tags, and its effect without
    // any is not documented.
    let foreign = tags.apply(&contact.tags);
    let mut body = Map::from_iter([("tags".to_owned(), foreign.into())]);
    if owner_is_ours {
        body.insert(mapping::OWNER.to_owned(), cleared());
    }
    steps.found(&tags.remove, owner_is_ours.then_some(mapping::OWNER));
    steps.stays(STAYS);
    if !tags.is_empty() || owner_is_ours {
        client.change(&contact.id, body).await?;
        steps.removed_all();
    }
    Ok(())
}

/// Assumed: an empty text. No page documents how to clear a field.
fn cleared() -> Value {
    "".into()
}
