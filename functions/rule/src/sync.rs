//! The order of a sync's calls:
//!
//! 1. define the fields, once per account
//! 2. move the contact, if the user's address has changed
//! 3. upsert the contact with the desired tags and fields
//! 4. delete groups of fields that the upsert could not clear
//! 5. read the tags, and remove stale ones
//! 6. set the phone number
//! 7. deliver the events
//!
//! Otherwise nothing is looked up before the upsert: an unknown address is a 404,
//! and Rule blocks a key when half of its calls fail. Only a dry run, which sends no
//! upsert, looks the contact up.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use shared::cache::Once;
use shared::check::CheckItem;
use shared::connector::{
    Account, Changes, Connector, ContactChanges, ContactReference, Delivery, EventStream,
    FieldChange, ForgetJob, Job, TagChanges,
};
use shared::derivation::{DesiredContact, Tag, TagDiff, diff_tags};
use shared::http::ApiError;
use shared::personal::Personal;
use shared::sesamy::Reads;
use tracing::debug;

use crate::clearing::ClearingMethods;
use crate::client::{Client, Contact, ContactKey, Flows, UpsertOutcome};
use crate::credentials::RuleCredentials;
use crate::mapping::{self, Field};
use crate::{check, forget, moving};

const MAX_REFUSED_PHONES: usize = 10_000;

#[derive(Debug, Default)]
pub struct Rule {
    defined: Once,
    clearing_methods: ClearingMethods,
    /// Digests of refused phone numbers. They are not sent again, because refused
    /// calls count against the key.
    refused_phones: Mutex<HashSet<u64>>,
}

impl Connector for Rule {
    const NAME: &'static str = "rule";

    type Credentials = RuleCredentials;

    /// Events need bills for their receipt fields.
    fn reads(credentials: &RuleCredentials) -> Reads {
        Reads {
            bills: credentials.events,
        }
    }

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let (account, client) = (&job.account, Client::new(&job.account));
        let define = client.define(mapping::DEFINITIONS);
        account.once(&self.defined, define).await?;

        let email = job.desired.email.lookup();
        let desired_tags: Vec<&str> = std::iter::once(mapping::BASE_TAG)
            .chain(job.desired.tags.keys().map(Tag::as_str))
            .collect();
        let fields = mapping::fields(job.desired);
        let mut changes = Changes::default();
        let mut contact_changes = ContactChanges::default();
        let mut key = ContactKey::Email(&email);
        if let Some(earlier) = job.earlier {
            let moved = moving::move_contact(&client, earlier, &email, &mut changes).await?;
            if changes.keeps_earlier {
                return Ok(changes);
            }
            // A dry run finds the contact at its earlier address.
            if let Some(id) = moved.filter(|_| account.http.is_read_only()) {
                key = ContactKey::Id(id);
            }
        }
        changes.writes += 1;
        // A resync of all users must not send each of them a welcome mail.
        let flows = if job.events.is_empty() {
            Flows::Silent
        } else {
            Flows::Start
        };
        let (upserted, left_out) = loop {
            let attempt = self.clearing_methods.attempt(account.id, &fields).await;
            let upserted = client.upsert(&email, &desired_tags, &attempt.sent, flows, key);
            match upserted.await {
                // A dry run does not show how the account clears fields.
                Ok(dry_run @ UpsertOutcome::DryRun(_)) => break (dry_run, attempt.left_out),
                Ok(upserted) => break (upserted, attempt.succeeded()),
                Err(error) => attempt.failed(error).await?,
            }
        };
        let mut known_values = None;
        let contact = match upserted {
            UpsertOutcome::Contact(contact) => Some(contact),
            UpsertOutcome::Suppressed => {
                // A suppressed address has no contact to tag.
                changes.refused_writes += 1;
                return Ok(changes);
            }
            UpsertOutcome::DryRun(contact) => {
                let values = known_values.insert(match contact {
                    Some(_) => client.fields(key).await?,
                    None => BTreeMap::new(),
                });
                let change = |field: &Field| field.change(values.get(field.key));
                contact_changes.fields = fields.iter().filter_map(change).collect();
                contact_changes.is_new = contact.is_none();
                contact
            }
        };

        let id = contact.as_ref().and_then(|contact| contact.id);
        changes.reference = id.map(|id| ContactReference::new(id.to_string()));
        if !left_out.is_empty() {
            let values = match known_values {
                Some(values) => values,
                None => client.fields(key).await?,
            };
            let groups = clear_groups(&client, id, &left_out, &values, &mut changes).await?;
            // Deleting a group also deleted the values that should stay.
            let is_lost = |field: &&Field| !field.is_cleared() && groups.contains(field.group());
            let lost: Vec<&Field> = fields.iter().filter(is_lost).collect();
            if !lost.is_empty() {
                client.set_fields(id, &lost).await?;
                changes.writes += 1;
            }
        }
        let tags = sync_tags(
            &client,
            &email,
            key,
            &job,
            &mut contact_changes,
            &mut changes,
        )
        .await?;
        let is_silenced = contact.as_ref().is_some_and(|c| c.is_silenced);
        self.set_phone(&client, &job, contact, &mut contact_changes, &mut changes)
            .await?;
        changes.push(contact_changes);
        if is_silenced && !job.events.is_empty() {
            debug!("The contact is suppressed, blocked or not opted in: no event is delivered.");
        } else if account.credentials.events {
            let recipient = Recipient {
                client: &client,
                account: account.id,
                email: &email,
                id,
                desired: Some(job.desired),
            };
            changes.writes += self.deliver_all(recipient, job.events, tags).await?;
        }
        Ok(changes)
    }

    fn delivers(credentials: &RuleCredentials) -> bool {
        credentials.events
    }

    /// Reads the contact by its id, because only that is remembered.
    async fn deliver(&self, delivery: Delivery<'_, Self>) -> Result<bool, ApiError> {
        let (client, synced) = (Client::new(&delivery.account), delivery.contact);
        let Some((id, contact)) = moving::find(&client, synced).await? else {
            return Ok(false);
        };
        let Some(email) = contact
            .email
            .filter(|email| synced.had_address(email.expose()))
        else {
            return Ok(false);
        };
        if !contact.is_silenced {
            let tags = client.tags(ContactKey::Id(id)).await?;
            let recipient = Recipient {
                client: &client,
                account: delivery.account.id,
                email: email.expose(),
                id: Some(id),
                desired: None,
            };
            self.deliver_all(recipient, delivery.events, tags).await?;
        }
        Ok(true)
    }

    async fn check(&self, account: Account<'_, Self>) -> Vec<CheckItem> {
        check::check(&Client::new(&account)).await
    }

    async fn forget(&self, job: ForgetJob<'_, Self>) -> Result<(), ApiError> {
        forget::forget(job).await
    }
}

/// The contact that events are delivered to.
#[derive(Clone, Copy)]
struct Recipient<'a> {
    client: &'a Client<'a>,
    account: &'a str,
    email: &'a str,
    id: Option<u64>,
    /// Has the payments. `None` if the user's state was not read.
    desired: Option<&'a DesiredContact>,
}

impl Rule {
    /// Delivers each event in a separate upsert, oldest first, so that each flow
    /// finds the fields of its event. A flow starts only when its tag is new to the
    /// contact, so the tag of an earlier event is removed first. Returns the number
    /// of writes.
    async fn deliver_all(
        &self,
        recipient: Recipient<'_>,
        events: &EventStream,
        mut tags: Vec<String>,
    ) -> Result<u32, ApiError> {
        let Recipient {
            client,
            account,
            email,
            id,
            desired,
        } = recipient;
        let key = ContactKey::Email(email);
        let mut changes = Changes::default();
        for event in events.pending() {
            let tag = mapping::event_tag(event.event_type);
            for earlier in tags.extract_if(.., |earlier| earlier.eq_ignore_ascii_case(tag)) {
                client.remove_tag(key, &earlier).await?;
                changes.writes += 1;
            }
            let mut fields = mapping::event_fields(event).to_vec();
            if let Some(desired) = desired {
                fields.extend(mapping::payment_fields(event, desired));
            }
            loop {
                let attempt = self.clearing_methods.attempt(account, &fields).await;
                if !attempt.left_out.is_empty() {
                    // Before the flow starts. The delivery writes the rest of the group.
                    let values = client.fields(key).await?;
                    clear_groups(client, id, &attempt.left_out, &values, &mut changes).await?;
                }
                match client.deliver(email, tag, &attempt.sent).await {
                    Ok(()) => {
                        attempt.succeeded();
                        break;
                    }
                    Err(error) => attempt.failed(error).await?,
                }
            }
            events.mark_delivered();
            changes.writes += 1;
            tags.push(tag.to_owned());
        }
        Ok(changes.writes)
    }

    /// Sets Rule's own phone number. A refusal is counted but not fatal, because a
    /// field holds the number already.
    async fn set_phone(
        &self,
        client: &Client<'_>,
        job: &Job<'_, Self>,
        contact: Option<Contact>,
        contact_changes: &mut ContactChanges,
        changes: &mut Changes,
    ) -> Result<(), ApiError> {
        let Some(desired) = job.desired.phone.as_ref().map(Personal::expose) else {
            return Ok(());
        };
        let (id, current) = match contact {
            // Without an id the number cannot be set.
            Some(Contact { id: None, .. }) => return Ok(()),
            Some(Contact {
                id, phone_number, ..
            }) => (id, phone_number),
            None => (None, None),
        };
        if current.is_some_and(|current| international(current.expose()) == international(desired))
        {
            return Ok(());
        }
        let digest = {
            let mut hasher = DefaultHasher::new();
            (job.account.id, id, desired).hash(&mut hasher);
            hasher.finish()
        };
        // The set is valid even if the lock is poisoned: no change to it can panic.
        let refused = || {
            self.refused_phones
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if refused().contains(&digest) {
            changes.refused_writes += 1;
            return Ok(());
        }
        const REFUSED: &str = "Rule refused a phone number; it stands in the field alone.";
        let set = client.set_phone(id, desired).await;
        if changes.count(set, REFUSED)?.is_some() {
            let phone = FieldChange::set("phone_number", desired.into(), true);
            contact_changes.fields.push(phone);
        } else {
            let mut refused = refused();
            if refused.len() >= MAX_REFUSED_PHONES {
                refused.clear();
            }
            refused.insert(digest);
        }
        Ok(())
    }
}

/// Removes stale tags, and returns the tags that stay. The upsert has already
/// added the desired ones.
async fn sync_tags(
    client: &Client<'_>,
    email: &str,
    key: ContactKey<'_>,
    job: &Job<'_, Rule>,
    contact_changes: &mut ContactChanges,
    changes: &mut Changes,
) -> Result<Vec<String>, ApiError> {
    let mut tags = if contact_changes.is_new {
        Vec::new()
    } else {
        client.tags(key).await?
    };
    let desired = &job.desired.tags;
    let mut diff = diff_tags(&tags, desired, &[mapping::EVENT_TAG_PREFIX]);
    // A dry run has not added the missing tags, so nothing hides them.
    if !job.account.http.is_read_only() {
        replace_hiding_tags(&mut diff, &tags);
    }
    for stale in &diff.remove {
        client.remove_tag(key, stale).await?;
        changes.writes += 1;
    }
    // If Rule ignores case, the removal took the desired spelling as well.
    let restored: Vec<&str> = diff.restore.iter().map(Tag::as_str).collect();
    if !restored.is_empty() {
        client.restore_tags(email, &restored).await?;
        changes.writes += 1;
    }
    contact_changes.tags = TagChanges {
        added_unseen: !job.account.http.is_read_only(),
        ..TagChanges::new(&diff, &tags)
    };
    if !tags.iter().any(|tag| tag == mapping::BASE_TAG) {
        contact_changes
            .tags
            .added
            .insert(0, mapping::BASE_TAG.to_owned());
    }
    tags.retain(|tag| !diff.remove.contains(tag));
    Ok(tags)
}

/// Replaces tags that hide a desired one. If a desired tag is missing right after
/// the upsert added it, Rule may ignore case and keep a spelling with another
/// prefix, such as `SESAMY_`. If the contact has both, the other tag is the
/// publisher's.
fn replace_hiding_tags(diff: &mut TagDiff, tags: &[String]) {
    for tag in std::mem::take(&mut diff.add) {
        let is_hiding = |other: &&String| other.to_lowercase() == tag.as_str();
        let hiding: Vec<_> = tags.iter().filter(is_hiding).cloned().collect();
        if hiding.is_empty() {
            diff.add.push(tag);
        } else {
            diff.remove.extend(hiding);
            diff.restore.push(tag);
        }
    }
}

/// Deletes each group in which a field to clear still has a value, and returns the
/// deleted groups.
async fn clear_groups(
    client: &Client<'_>,
    id: Option<u64>,
    to_clear: &[&Field],
    values: &BTreeMap<String, Value>,
    changes: &mut Changes,
) -> Result<BTreeSet<&'static str>, ApiError> {
    let stale = to_clear
        .iter()
        .filter(|field| field.change(values.get(field.key)).is_some());
    let groups: BTreeSet<_> = stale.map(|field| field.group()).collect();
    for group in &groups {
        client.clear_group(id, group).await?;
        changes.writes += 1;
    }
    Ok(groups)
}

/// A phone number in international form.
///
/// Assumed: Rule reads a number without country code as Swedish (seen in its
/// WooCommerce plugin) and answers in international form.
fn international(number: &str) -> String {
    let digits: String = number
        .chars()
        .filter(|c| c.is_ascii_digit() || *c == '+')
        .collect();
    if let Some(international) = digits.strip_prefix("00") {
        format!("+{international}")
    } else if let Some(national) = digits.strip_prefix('0') {
        format!("+46{national}")
    } else {
        digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_number_agree() {
        let same = [
            ("+46701234567", "070-123 45 67"),
            ("+46701234567", "0046 70 123 45 67"),
            ("+4790000000", "+47 900 00 000"),
        ];
        for (one, other) in same {
            assert_eq!(international(one), international(other));
        }
        assert_ne!(international("+46701234567"), international("+46701234568"));
    }
}
