//! The order of a sync's calls, concurrently for each list: read the contact;
//! write it if it differs; write products and subscriptions, which cannot be read
//! and so are always sent.
//!
//! Every write can be repeated, so a failing list repeats the whole sync.
//!
//! Syncs never change consent: an existing contact is changed by id, without a list.
//! Only a contact that is new, or that may join, is written together with the list.

use futures_util::future::join_all;
use serde_json::{Map, Value};
use shared::check::CheckItem;
use shared::connector::{
    Account, Changes, Connector, ContactChanges, ContactLookup, FieldChange, ForgetProgress, Job,
    TagChanges,
};
use shared::derivation::diff_tags;
use shared::http::ApiError;
use shared::sesamy::Reads;

use crate::client::{Client, Contact};
use crate::credentials::{CredentialSet, MakeCredentials};
use crate::lists::collect_results;
use crate::{check, forget, mapping};

#[derive(Debug, Default)]
pub struct Make;

impl Connector for Make {
    const NAME: &'static str = "make";

    type Credentials = MakeCredentials;

    fn reads(_: &MakeCredentials) -> Reads {
        Reads::default()
    }

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let MakeCredentials { sets, malformed } = job.credentials;
        let mut results = join_all(sets.iter().map(|set| sync_list(&job, set))).await;
        results.extend(malformed.iter().map(|set| Err(set.error())));
        let mut changes = Changes::default();
        for list in collect_results(results)? {
            changes += list;
        }
        Ok(changes)
    }

    async fn check(&self, account: Account<'_, Self>) -> Vec<CheckItem> {
        check::check(clients(&account), &account.credentials.malformed).await
    }

    async fn forget(
        &self,
        account: Account<'_, Self>,
        lookup: ContactLookup<'_>,
        progress: &ForgetProgress,
    ) -> Result<(), ApiError> {
        let malformed = &account.credentials.malformed;
        forget::forget(clients(&account), malformed, lookup, progress).await
    }
}

fn clients<'a>(account: &Account<'a, Make>) -> Vec<Client<'a>> {
    let sets = account.credentials.sets.iter();
    sets.map(|set| Client::new(account.http, account.vendor, set))
        .collect()
}

async fn sync_list(job: &Job<'_, Make>, set: &CredentialSet) -> Result<Changes, ApiError> {
    let client = Client::new(job.http, job.vendor, set);
    let email = job.desired.email.lookup();
    let contact = client.contact(&email).await?;
    let mut changes = Changes::default();

    let tags = contact.as_ref().map_or(&[][..], |contact| &contact.tags);
    let diff = diff_tags(tags, &job.desired.tags, &[]);
    let mut writes = diff.replacements(tags);
    let body = mapping::change(job.desired, tags);
    let joins = contact
        .as_ref()
        .is_none_or(|contact| !contact.lists.contains(&set.list_id) && contact.may_join());
    let agrees = contact
        .as_ref()
        .is_some_and(|contact| agrees(contact, &body));
    if writes.is_empty() && (joins || !agrees) {
        writes.push(tags.to_vec());
    }
    for (n, tags) in (1..).zip(&writes) {
        match &contact {
            // A contact joins with the last write; an earlier one only removes a tag
            // in another case.
            Some(contact) if !joins || n < writes.len() => {
                let body = mapping::change(job.desired, tags);
                client.change(&contact.id, body).await?;
            }
            _ => {
                let body = mapping::contact(job.desired, tags);
                client.join(body).await?;
            }
        }
        changes.writes += 1;
    }
    changes.contacts.push(ContactChanges {
        list: Some(set.list_id.clone()),
        is_new: contact.is_none(),
        tags: TagChanges::new(&diff, tags),
        fields: field_changes(contact.as_ref(), &body),
    });
    changes.writes += client
        .write_products(&mapping::products(job.desired))
        .await?;
    changes.writes += client
        .write_subscriptions(&mapping::subscriptions(job.desired))
        .await?;
    Ok(changes)
}

/// Whether a contact has all values of the body, except the tags.
fn agrees(contact: &Contact, body: &Map<String, Value>) -> bool {
    body.iter()
        .all(|(key, desired)| key == "tags" || contact.fields.get(key) == Some(desired))
}

fn field_changes(contact: Option<&Contact>, body: &Map<String, Value>) -> Vec<FieldChange> {
    let changed = |(key, personal): (&'static str, bool)| {
        let desired = body.get(key)?;
        let same = contact.is_some_and(|contact| contact.fields.get(key) == Some(desired));
        (!same).then(|| FieldChange::set(key, desired.clone(), personal))
    };
    mapping::FIELDS.into_iter().filter_map(changed).collect()
}
