//! The order of a sync's calls.
//!
//! Definitions once per account; the upsert, which makes sure of the wanted
//! tags; the groups of fields that it could not clear, if any; what stale tags
//! there are, and their removal; the phone number; at last the events. Nothing
//! is looked up before the upsert: an unknown address answers 404, and Rule
//! blocks a key when half of its calls fail. Only a preview, whose upsert is
//! withheld, looks the subscriber up instead.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use shared::cache::Once;
use shared::check::Finding;
use shared::consumer::{
    Account, Changes, Connector, ContactChanges, FieldChange, Job, TagChanges, Trail, Whom,
};
use shared::derivation::{Reconciliation, Tag, reconcile};
use shared::http::ApiError;
use shared::personal::Personal;
use shared::sesamy::Reads;
use tracing::{debug, warn};

use crate::clearing::Clearings;
use crate::client::{Client, Flows, Subscriber, Upserted};
use crate::credentials::RuleCredentials;
use crate::mapping::{self, Field};
use crate::{check, forget};

/// How many refused phone numbers are remembered at most.
const MAX_REFUSED_PHONES: usize = 10_000;

/// The Rule connector of a function instance.
#[derive(Debug, Default)]
pub struct Rule {
    /// Accounts whose fields are defined.
    defined: Once,
    /// How each account lets fields be cleared.
    clearings: Clearings,
    /// Digests of phone numbers that Rule refused, so that they are not sent
    /// again with every sync: refused calls count against the key.
    refused_phones: Mutex<HashSet<u64>>,
}

impl Connector for Rule {
    const NAME: &'static str = "rule";

    type Credentials = RuleCredentials;

    /// Bills give the receipt fields, which go with the events.
    fn reads(credentials: &RuleCredentials) -> Reads {
        Reads {
            bills: credentials.events,
        }
    }

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let client = Client::new(job.http, job.vendor, job.credentials);
        job.once(&self.defined, client.define(mapping::DEFINITIONS))
            .await?;

        let email = job.subscriber.email.lookup();
        let wanted: Vec<&str> = std::iter::once(mapping::BASE_TAG)
            .chain(job.subscriber.tags.keys().map(Tag::as_str))
            .collect();
        let fields = mapping::fields(job.subscriber);
        let mut changes = Changes {
            writes: 1,
            ..Changes::default()
        };
        let mut contact = ContactChanges::default();
        // A backfill must not send a welcome mail to everybody.
        let flows = if job.events.is_empty() {
            Flows::Silent
        } else {
            Flows::Start
        };
        let (upserted, left_out) = loop {
            let attempt = self.clearings.attempt(job.account, &fields).await;
            let upserted = client.upsert(&email, &wanted, &attempt.sent, flows).await;
            match upserted {
                Ok(withheld @ Upserted::Withheld(_)) => break (withheld, attempt.left_out),
                Ok(upserted) => break (upserted, attempt.was_taken()),
                Err(refusal) => attempt.was_refused(refusal).await?,
            }
        };
        let mut held = None;
        let subscriber = match upserted {
            Upserted::Subscriber(subscriber) => Some(subscriber),
            Upserted::Suppressed => {
                // The publisher keeps this address out of the account, so there
                // is nobody to tag.
                changes.refused_writes = 1;
                return Ok(changes);
            }
            Upserted::Withheld(subscriber) => {
                let held = held.insert(match subscriber {
                    Some(_) => client.fields(&email).await?,
                    None => BTreeMap::new(),
                });
                let change = |field: &Field| field.change(held.get(field.key));
                contact.fields = fields.iter().filter_map(change).collect();
                contact.is_new = subscriber.is_none();
                subscriber
            }
        };

        let id = subscriber.as_ref().and_then(|subscriber| subscriber.id);
        if !left_out.is_empty() {
            let held = match held {
                Some(held) => held,
                None => client.fields(&email).await?,
            };
            let groups = clear_groups(&client, id, &left_out, &held, &mut changes).await?;
            // The values that went with their groups are written again.
            let went = |field: &&Field| !field.is_cleared() && groups.contains(field.group());
            let went: Vec<&Field> = fields.iter().filter(went).collect();
            if !went.is_empty() {
                client.set_fields(id, &went).await?;
                changes.writes += 1;
            }
        }
        let tags = self
            .reconcile(&client, &email, &job, &mut contact, &mut changes)
            .await?;
        let is_silenced = subscriber.as_ref().is_some_and(|s| s.is_silenced);
        self.set_phone(&client, &job, subscriber, &mut contact, &mut changes)
            .await?;
        changes.contacts.push(contact);
        if is_silenced && !job.events.is_empty() {
            debug!("The subscriber is suppressed, blocked or not opted in: no event is delivered.");
        } else if job.credentials.events {
            self.deliver(&client, &email, id, &job, tags, &mut changes)
                .await?;
        }
        Ok(changes)
    }

    async fn check(&self, account: Account<'_, Self>) -> Vec<Finding> {
        check::check(&client(&account)).await
    }

    async fn forget(
        &self,
        account: Account<'_, Self>,
        whom: Whom<'_>,
        trail: &Trail,
    ) -> Result<(), ApiError> {
        forget::forget(&client(&account), whom, trail).await
    }
}

fn client<'a>(account: &Account<'a, Rule>) -> Client<'a> {
    Client::new(account.http, account.vendor, account.credentials)
}

impl Rule {
    /// Takes stale tags off, and gives the tags that were there and stay. The
    /// wanted ones are there since the upsert.
    async fn reconcile(
        &self,
        client: &Client<'_>,
        email: &str,
        job: &Job<'_, Self>,
        contact: &mut ContactChanges,
        changes: &mut Changes,
    ) -> Result<Vec<String>, ApiError> {
        let mut present = if contact.is_new {
            Vec::new()
        } else {
            client.tags(email).await?
        };
        let wanted = &job.subscriber.tags;
        let mut plan = reconcile(&present, wanted, &[mapping::EVENT_TAG_PREFIX]);
        if !job.http.is_read_only() {
            set_hidden_right(&mut plan, &present);
        }
        for stale in &plan.remove {
            client.remove_tag(email, stale).await?;
            changes.writes += 1;
        }
        // Where Rule takes two spellings for one tag, the wanted one went with the other.
        let restored: Vec<&str> = plan.restore.iter().map(Tag::as_str).collect();
        if !restored.is_empty() {
            client.restore_tags(email, &restored).await?;
            changes.writes += 1;
        }
        contact.tags = TagChanges::of(&plan, &present);
        if !present.iter().any(|tag| tag == mapping::BASE_TAG) {
            contact.tags.added.insert(0, mapping::BASE_TAG.to_owned());
        }
        present.retain(|tag| !plan.remove.contains(tag));
        Ok(present)
    }

    /// Delivers each event by one upsert of its own, oldest first, so that each
    /// flow finds the fields of the event that started it.
    ///
    /// A flow starts when its tag is new to the subscriber, so the tag of an
    /// earlier event of the same type is removed first.
    async fn deliver(
        &self,
        client: &Client<'_>,
        email: &str,
        id: Option<u64>,
        job: &Job<'_, Self>,
        mut tags: Vec<String>,
        changes: &mut Changes,
    ) -> Result<(), ApiError> {
        for event in job.events.pending() {
            let tag = mapping::event_tag(event.event_type);
            for present in tags.extract_if(.., |present| present.eq_ignore_ascii_case(tag)) {
                client.remove_tag(email, &present).await?;
                changes.writes += 1;
            }
            let fields = mapping::event_fields(event, job.subscriber);
            loop {
                let attempt = self.clearings.attempt(job.account, &fields).await;
                if !attempt.left_out.is_empty() {
                    // Before the flow starts. The call itself carries all of the group.
                    let held = client.fields(email).await?;
                    clear_groups(client, id, &attempt.left_out, &held, changes).await?;
                }
                match client.deliver(email, tag, &attempt.sent).await {
                    Ok(()) => {
                        attempt.was_taken();
                        break;
                    }
                    Err(refusal) => attempt.was_refused(refusal).await?,
                }
            }
            job.events.mark_delivered();
            changes.writes += 1;
            tags.push(tag.to_owned());
        }
        Ok(())
    }

    /// Makes Rule's own phone number agree. A refusal is counted, never fatal:
    /// the number stands in a field already.
    async fn set_phone(
        &self,
        client: &Client<'_>,
        job: &Job<'_, Self>,
        subscriber: Option<Subscriber>,
        contact: &mut ContactChanges,
        changes: &mut Changes,
    ) -> Result<(), ApiError> {
        let Some(wanted) = job.subscriber.phone.as_ref().map(Personal::expose) else {
            return Ok(());
        };
        let (id, present) = match subscriber {
            // Rule did not say who it is.
            Some(Subscriber { id: None, .. }) => return Ok(()),
            Some(Subscriber {
                id, phone_number, ..
            }) => (id, phone_number),
            None => (None, None),
        };
        if present.is_some_and(|present| dialled(present.expose()) == dialled(wanted)) {
            return Ok(());
        }
        let digest = {
            let mut hasher = DefaultHasher::new();
            (job.account, id, wanted).hash(&mut hasher);
            hasher.finish()
        };
        // A poisoned lock holds a set that is whole: nothing here panics half-way.
        let refused = || {
            self.refused_phones
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if refused().contains(&digest) {
            changes.refused_writes += 1;
            return Ok(());
        }
        match client.set_phone(id, wanted).await {
            Ok(()) => {
                changes.writes += 1;
                let phone = FieldChange::set("phone_number", wanted.into(), true);
                contact.fields.push(phone);
            }
            Err(error) if error.is_passing() || error.is_refusal() => return Err(error),
            Err(error) => {
                warn!(%error, "Rule refused a phone number; it stands in the field alone.");
                changes.refused_writes += 1;
                let mut refused = refused();
                if refused.len() >= MAX_REFUSED_PHONES {
                    refused.clear();
                }
                refused.insert(digest);
            }
        }
        Ok(())
    }
}

/// A wanted tag that is missing right after the upsert added it may stand
/// there with a prefix in other letters, which Rule then takes for the same
/// tag. Where both are there, the other one is the publisher's and stays.
fn set_hidden_right(plan: &mut Reconciliation, present: &[String]) {
    for tag in std::mem::take(&mut plan.add) {
        let is_hiding = |present: &&String| present.to_lowercase() == tag.as_str();
        let hiding: Vec<_> = present.iter().filter(is_hiding).cloned().collect();
        if hiding.is_empty() {
            plan.add.push(tag);
        } else {
            plan.remove.extend(hiding);
            plan.restore.push(tag);
        }
    }
}

/// Takes away each group in which a field that is to be cleared still has a
/// value, and gives these groups.
async fn clear_groups(
    client: &Client<'_>,
    id: Option<u64>,
    to_clear: &[&Field],
    held: &BTreeMap<String, Value>,
    changes: &mut Changes,
) -> Result<BTreeSet<&'static str>, ApiError> {
    let stale = to_clear
        .iter()
        .filter(|field| field.change(held.get(field.key)).is_some());
    let groups: BTreeSet<_> = stale.map(|field| field.group()).collect();
    for group in &groups {
        client.clear_group(id, group).await?;
        changes.writes += 1;
    }
    Ok(groups)
}

/// A phone number as it is dialled, so that two spellings of one number agree.
///
/// Assumed: Rule reads a number without country code as Swedish (seen in its
/// WooCommerce plugin) and answers in international form.
fn dialled(number: &str) -> String {
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
    fn two_spellings_of_one_number_agree() {
        let same = [
            ("+46701234567", "070-123 45 67"),
            ("+46701234567", "0046 70 123 45 67"),
            ("+4790000000", "+47 900 00 000"),
        ];
        for (one, other) in same {
            assert_eq!(dialled(one), dialled(other));
        }
        assert_ne!(dialled("+46701234567"), dialled("+46701234568"));
    }
}
