//! The order of a sync's calls.
//!
//! Definitions once per account; the upsert, which makes sure of the wanted
//! tags; what stale tags there are, and their removal; the phone number; at
//! last the events. Nothing is looked up before the upsert: an unknown address
//! answers 404, and Rule blocks a key when half of its calls fail. Only a
//! preview, whose upsert is withheld, looks the subscriber up instead.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use shared::cache::Once;
use shared::check::Finding;
use shared::consumer::{
    Account, Changes, Connector, ContactChanges, FieldChange, Job, TagChanges, Trail, Whom,
};
use shared::derivation::{Tag, reconcile};
use shared::http::ApiError;
use shared::personal::Personal;
use shared::sesamy::Reads;
use tracing::warn;

use crate::client::{Automation, Client, Subscriber, Upserted};
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
        let mut fields = mapping::fields(job.subscriber);
        if job.credentials.events {
            fields.extend(mapping::event_fields(
                job.events.all(),
                job.subscriber.last_payment.as_ref(),
            ));
        }
        let mut changes = Changes {
            writes: 1,
            ..Changes::default()
        };
        let mut contact = ContactChanges::default();
        let subscriber = match client.upsert(&email, &wanted, &fields).await? {
            Upserted::Subscriber(subscriber) => Some(subscriber),
            Upserted::Suppressed => {
                // The publisher keeps this address out of the account, so there
                // is nobody to tag.
                changes.refused_writes = 1;
                return Ok(changes);
            }
            Upserted::Withheld(subscriber) => {
                let held = match subscriber {
                    Some(_) => client.fields(&email).await?,
                    None => BTreeMap::new(),
                };
                let change = |field: &Field| field.change(held.get(field.key));
                contact.fields = fields.iter().filter_map(change).collect();
                contact.is_new = subscriber.is_none();
                subscriber
            }
        };

        self.reconcile(&client, &email, &job, &mut contact, &mut changes)
            .await?;
        self.set_phone(&client, &job, subscriber, &mut contact, &mut changes)
            .await?;
        changes.contacts.push(contact);
        if job.credentials.events {
            for event in job.events.pending() {
                let tag = mapping::event_tag(event.event_type);
                client.add_tags(&email, &[tag], Automation::Force).await?;
                job.events.mark_delivered();
                changes.writes += 1;
            }
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
    /// Takes stale tags off. The wanted ones are there since the upsert.
    async fn reconcile(
        &self,
        client: &Client<'_>,
        email: &str,
        job: &Job<'_, Self>,
        contact: &mut ContactChanges,
        changes: &mut Changes,
    ) -> Result<(), ApiError> {
        let present = if contact.is_new {
            Vec::new()
        } else {
            client.tags(email).await?
        };
        let wanted = &job.subscriber.tags;
        let plan = reconcile(&present, wanted, &[mapping::EVENT_TAG_PREFIX]);
        for stale in &plan.remove {
            client.remove_tag(email, stale).await?;
            changes.writes += 1;
        }
        // Where Rule takes two spellings for one tag, the wanted one went with the other.
        let restored: Vec<&str> = plan.restore.iter().map(Tag::as_str).collect();
        if !restored.is_empty() {
            client.add_tags(email, &restored, Automation::Unset).await?;
            changes.writes += 1;
        }
        contact.tags = TagChanges::of(&plan, &present);
        if !present.iter().any(|tag| tag == mapping::BASE_TAG) {
            contact.tags.added.insert(0, mapping::BASE_TAG.to_owned());
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
            Some(Subscriber { id, phone_number }) => (id, phone_number),
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
