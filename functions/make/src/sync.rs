//! The order of a sync's calls, concurrently for each list: read the contact; move
//! it if the user's address has changed; write it if it differs; write products and
//! subscriptions, which cannot be read and so are always sent.
//!
//! Every write can be repeated, so a failing list repeats the whole sync.
//!
//! Syncs never change consent: an existing contact is changed by id, without a list.
//! Only a contact that is new, or that may join, is written together with the list.

use std::future::ready;

use futures_util::future::join_all;
use serde_json::{Map, Value};
use shared::check::CheckItem;
use shared::connector::{
    Account, Changes, Connector, ContactChanges, ContactReference, FieldChange, ForgetJob, Job,
    Moved, SyncedContact, TagChanges, unless_refused,
};
use shared::derivation::diff_tags;
use shared::http::ApiError;
use shared::identity::UserId;
use shared::sesamy::Reads;

use crate::client::{Client, Contact};
use crate::credentials::{CredentialSet, MakeCredentials};
use crate::lists::collect_results;
use crate::references::References;
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
        let MakeCredentials { sets, malformed } = job.account.credentials;
        let mut results = join_all(sets.iter().map(|set| sync_list(&job, set))).await;
        results.extend(malformed.iter().map(|set| Err(set.error())));
        let mut changes = Changes::default();
        let (mut references, mut left_behind) = (References::default(), References::default());
        for list in collect_results(results)? {
            if let Some(id) = &list.contact {
                references.add(list.list_id, id);
            }
            if let Some(left) = &list.changes.left_behind {
                left_behind.add(list.list_id, left.as_str());
            }
            changes += list.changes;
        }
        changes.reference = references.write();
        changes.left_behind = left_behind.write();
        Ok(changes)
    }

    async fn check(&self, account: Account<'_, Self>) -> Vec<CheckItem> {
        check::check(clients(&account), &account.credentials.malformed).await
    }

    async fn forget(&self, job: ForgetJob<'_, Self>) -> Result<(), ApiError> {
        forget::forget(job).await
    }
}

pub fn clients<'a>(account: &Account<'a, Make>) -> Vec<Client<'a>> {
    let sets = account.credentials.sets.iter();
    sets.map(|set| Client::new(account, set)).collect()
}

/// What a sync did on one list.
struct SyncedList<'a> {
    list_id: &'a str,
    changes: Changes,
    /// The contact's id.
    contact: Option<String>,
}

async fn sync_list<'a>(
    job: &Job<'_, Make>,
    set: &'a CredentialSet,
) -> Result<SyncedList<'a>, ApiError> {
    let client = Client::new(&job.account, set);
    let email = job.desired.email.lookup();
    let mut contact = client.contact(&email).await?;
    let mut changes = Changes::default();
    if let Some(earlier) = job.earlier {
        let user = &job.desired.user_id;
        changes = move_contact(&client, user, earlier, &mut contact, &email).await?;
        if changes.keeps_earlier {
            return Ok(SyncedList {
                list_id: &set.list_id,
                changes,
                contact: None,
            });
        }
    }

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
    let mut id = contact.as_ref().map(|contact| contact.id.clone());
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
                id = client.join(body).await?.or(id);
            }
        }
        changes.writes += 1;
    }
    changes.push(ContactChanges {
        list: Some(set.list_id.clone()),
        is_new: contact.is_none(),
        tags: TagChanges::new(&diff, tags),
        fields: field_changes(contact.as_ref(), &body),
        ..ContactChanges::default()
    });
    changes.writes += client
        .write_products(&mapping::products(job.desired))
        .await?;
    changes.writes += client
        .write_subscriptions(&mapping::subscriptions(job.desired))
        .await?;
    Ok(SyncedList {
        list_id: &set.list_id,
        changes,
        contact: id,
    })
}

/// Moves the contact of an earlier address, which becomes the `known` one. Reads it
/// first: its address and its owner show whether it is still the same one.
async fn move_contact(
    client: &Client<'_>,
    user: &UserId,
    earlier: SyncedContact<'_>,
    known: &mut Option<Contact>,
    email: &str,
) -> Result<Changes, ApiError> {
    let mut changes = Changes::default();
    let references = References::read(earlier.reference);
    let Some(id) = references.id(client.list_id()) else {
        return Ok(changes);
    };
    let Some(contact) = client.contact_by_id(id).await? else {
        return Ok(changes);
    };
    let is_taken = ready(Ok(known.is_some()));
    let set_email = async {
        let set = client.set_email(&contact, email).await;
        unless_refused(set, "Make.as refused a contact's new address.")
    };
    let (owner, current) = (contact.owner(user), contact.email());
    let moved = earlier
        .move_to(email, owner, current, is_taken, set_email)
        .await?;
    let left = ContactReference::new(&*contact.id);
    changes.record_move(moved, &left, !contact.may_join());
    if moved == Moved::Done {
        *known = Some(contact);
    }
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
