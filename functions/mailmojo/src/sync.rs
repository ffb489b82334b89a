//! The order of a sync's calls.
//!
//! Account fields once per account; the contact as it is; then only the writes
//! that change something. Foreign tags and foreign account fields are sent back
//! as they were read, because whether Mailmojo merges or replaces is assumed.

use serde_json::{Map, Value};
use shared::cache::Once;
use shared::check::Finding;
use shared::consumer::{
    Account, Changes, Connector, ContactChanges, FieldChange, Job, TagChanges, Trail, Whom,
};
use shared::derivation::{Reconciliation, reconcile};
use shared::http::ApiError;
use shared::sesamy::Reads;
use tracing::warn;

use crate::client::{Client, Contact, ContactWrite, is_closed};
use crate::credentials::MailmojoCredentials;
use crate::mapping;
use crate::{check, forget};

/// The Mailmojo connector of a function instance.
#[derive(Debug, Default)]
pub struct Mailmojo {
    /// Accounts whose fields are defined.
    defined: Once,
}

impl Connector for Mailmojo {
    const NAME: &'static str = "mailmojo";

    type Credentials = MailmojoCredentials;

    /// Bills give the date of the last payment.
    fn reads(_: &MailmojoCredentials) -> Reads {
        Reads { bills: true }
    }

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let client = Client::new(job.http, job.vendor, job.credentials);
        job.once(&self.defined, define(&client)).await?;

        let email = job.subscriber.email.lookup();
        let list_id = &job.credentials.list_id;
        let mut changes = Changes::default();
        let Some(contact) = client.contact(&email).await? else {
            let wanted = Wanted::of(&Contact::default(), &job);
            join(&client, list_id, &email, &wanted.whole(), &mut changes).await?;
            if changes.refused_writes == 0 {
                changes.contacts.push(ContactChanges {
                    is_new: true,
                    ..wanted.changes(&Contact::default())
                });
            }
            return Ok(changes);
        };

        let wanted = Wanted::of(&contact, &job);
        for write in wanted.differences(&contact) {
            client.update(&email, &write).await?;
            changes.writes += 1;
        }
        changes.contacts.push(wanted.changes(&contact));
        // Who unsubscribed, bounced or was deleted, there or as a whole, is left alone.
        if contact.active && !contact.lists.contains(list_id) {
            let write = ContactWrite {
                // What was missing is written by now.
                personal: Vec::new(),
                ..wanted.whole()
            };
            join(&client, list_id, &email, &write, &mut changes).await?;
        }
        Ok(changes)
    }

    async fn check(&self, account: Account<'_, Self>) -> Vec<Finding> {
        check::check(&client(&account), &account.credentials.list_id).await
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

fn client<'a>(account: &Account<'a, Mailmojo>) -> Client<'a> {
    Client::new(account.http, account.vendor, account.credentials)
}

/// Puts a contact on the list. A 400 is the address's own, such as that of
/// somebody who complained: Mailmojo keeps it out, known or not, which no
/// other try would change.
async fn join(
    client: &Client<'_>,
    list_id: &str,
    email: &str,
    write: &ContactWrite,
    changes: &mut Changes,
) -> Result<(), ApiError> {
    match client.subscribe(list_id, email, write).await {
        Ok(()) => changes.writes += 1,
        Err(error) if error.status() == Some(400) => {
            warn!(%error, "Mailmojo keeps an address off the list; a known contact's data is synced all the same.");
            changes.refused_writes += 1;
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Makes sure that the account has every field. How is assumed, so that an
/// account that does not let fields be defined is synced without.
async fn define(client: &Client<'_>) -> Result<(), ApiError> {
    match define_missing(client).await {
        Err(error) if is_closed(&error) => {
            warn!(%error, "Account fields cannot be defined; values are sent all the same.");
            Ok(())
        }
        done => done,
    }
}

async fn define_missing(client: &Client<'_>) -> Result<(), ApiError> {
    let present = client.fields().await?;
    for (name, kind) in mapping::DEFINITIONS {
        if !present.contains(name)
            && let Err(error) = client.define(name, kind).await
        {
            // Another instance may have created the field already; that is not an error.
            let refused = !error.is_passing() && !error.is_refusal();
            if !(refused && client.fields().await?.contains(name)) {
                return Err(error);
            }
        }
    }
    Ok(())
}

/// What a contact should hold, the publisher's own included.
struct Wanted {
    plan: Reconciliation,
    /// All tags, as they are to be written one after the other.
    tags: Vec<Vec<String>>,
    custom: Map<String, Value>,
    /// Names and phone by key, where the contact has none.
    personal: Vec<(&'static str, String)>,
}

impl Wanted {
    fn of(contact: &Contact, job: &Job<'_, Mailmojo>) -> Self {
        let subscriber = job.subscriber;
        let plan = reconcile(&contact.tags, &subscriber.tags, &[]);
        let mut custom = contact.custom.clone();
        for field in mapping::fields(subscriber) {
            custom.insert(field.name.to_owned(), field.value);
        }
        let held = |key: &str| match key {
            "first_name" => contact.has_first_name,
            "last_name" => contact.has_last_name,
            _ => contact.has_phone,
        };
        let personal = mapping::personal(subscriber)
            .filter(|(key, _)| !held(key))
            .map(|(key, value)| (key, value.expose().to_owned()))
            .collect();
        Self {
            tags: plan.replacements(&contact.tags),
            plan,
            custom,
            personal,
        }
    }

    /// Everything, for a contact that comes to the list.
    fn whole(&self) -> ContactWrite {
        ContactWrite {
            personal: self.personal.clone(),
            tags: self.tags.last().cloned(),
            custom: Some(self.custom.clone()),
        }
    }

    /// What changes about the contact.
    fn changes(&self, contact: &Contact) -> ContactChanges {
        let personal = self.personal.iter();
        let personal =
            personal.map(|(key, value)| FieldChange::set(key, value.as_str().into(), true));
        let own = mapping::DEFINITIONS.iter().filter_map(|(name, _)| {
            let value = self.custom.get(*name)?;
            let change = match value {
                Value::Null => FieldChange::cleared(name),
                value => FieldChange::set(name, value.clone(), false),
            };
            (!agrees(contact.custom.get(*name).unwrap_or(&Value::Null), value)).then_some(change)
        });
        ContactChanges {
            tags: TagChanges::of(&self.plan, &contact.tags),
            fields: personal.chain(own).collect(),
            ..ContactChanges::default()
        }
    }

    /// The writes that change something about the contact, in order.
    fn differences(&self, contact: &Contact) -> Vec<ContactWrite> {
        let changed = |(name, value): (&String, &Value)| {
            !agrees(contact.custom.get(name).unwrap_or(&Value::Null), value)
        };
        let mut tags = self.tags.iter().cloned();
        let first = ContactWrite {
            personal: self.personal.clone(),
            tags: tags.next(),
            custom: self.custom.iter().any(changed).then(|| self.custom.clone()),
        };
        let further = tags.map(|tags| ContactWrite {
            tags: Some(tags),
            ..ContactWrite::default()
        });
        std::iter::once(first)
            .filter(|write| *write != ContactWrite::default())
            .chain(further)
            .collect()
    }
}

/// Whether a value that Mailmojo holds is the wanted one. Numbers may come back
/// as texts and with other digits after the point (assumed).
fn agrees(present: &Value, wanted: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match wanted {
        Value::Number(_) => number(present) == number(wanted),
        // What was cleared may come back as an empty text.
        Value::Null => matches!(present, Value::Null) || present == "",
        _ => present == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_agrees_in_whatever_form_mailmojo_sends_it_back() {
        let cases = [
            (json!(1), json!(1), true),
            (json!(1.0), json!(1), true),
            (json!("1"), json!(1), true),
            (json!(2), json!(1), false),
            (json!(null), json!(1), false),
            (json!(null), json!(null), true),
            (json!(""), json!(null), true),
            (json!(0), json!(null), false),
            (json!(true), json!(true), true),
            (json!(null), json!(false), false),
            (json!("2026-01-01"), json!("2026-01-01"), true),
        ];
        for (present, wanted, expected) in cases {
            assert_eq!(agrees(&present, &wanted), expected, "{present} {wanted}");
        }
    }
}
