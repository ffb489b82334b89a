//! The order of a sync's calls: define account fields, once per account; read
//! the contact; move it if the user's address has changed; then make only the writes
//! that change something.
//!
//! Foreign tags and account fields are sent back as they were read. Assumed:
//! Mailmojo replaces them and does not merge.

use serde_json::{Map, Value};
use shared::cache::Once;
use shared::check::CheckItem;
use shared::connector::{
    Account, Changes, Connector, ContactChanges, ContactLookup, ContactReference, FieldChange,
    ForgetProgress, Job, SyncedContact, TagChanges,
};
use shared::derivation::{TagDiff, diff_tags};
use shared::http::ApiError;
use shared::sesamy::Reads;
use tracing::warn;

use crate::client::{Client, Contact, ContactWrite, fields_are_unavailable};
use crate::credentials::MailmojoCredentials;
use crate::mapping;
use crate::{check, forget};

#[derive(Debug, Default)]
pub struct Mailmojo {
    defined: Once,
}

impl Connector for Mailmojo {
    const NAME: &'static str = "mailmojo";

    type Credentials = MailmojoCredentials;

    /// Bills give the date of the last payment.
    fn reads(_: &MailmojoCredentials) -> Reads {
        Reads { bills: true }
    }

    fn reference_at(email: &str) -> Option<ContactReference> {
        Some(ContactReference::new(email))
    }

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let client = Client::new(job.http, job.vendor, job.credentials);
        job.once(&self.defined, define(&client)).await?;

        let email = job.desired.email.lookup();
        let list_id = &job.credentials.list_id;
        let mut changes = Changes {
            reference: Some(ContactReference::new(&*email)),
            ..Changes::default()
        };
        let mut contact = client.contact(&email).await?;
        let mut is_moved = false;
        if let Some(earlier) = job.earlier {
            match move_contact(&client, earlier, contact.is_some(), &email, list_id).await? {
                Moved::Done(moved) => {
                    contact = Some(moved);
                    is_moved = true;
                    changes.writes += 1;
                }
                Moved::NotFound => {}
                Moved::Taken(left) => changes.left_behind = Some(left),
                Moved::Refused { left, has_left } => {
                    changes.refused_writes += 1;
                    changes.left_behind = Some(left);
                    if has_left {
                        // A new contact would be mailed without consent.
                        changes.keeps_earlier = true;
                        return Ok(changes);
                    }
                }
            }
        }
        let Some(contact) = contact else {
            let target = TargetContact::new(&Contact::default(), &job);
            join(&client, list_id, &email, &target.full_write(), &mut changes).await?;
            if changes.refused_writes == 0 {
                changes.contacts.push(ContactChanges {
                    is_new: true,
                    ..target.changes(&Contact::default())
                });
            }
            return Ok(changes);
        };

        let target = TargetContact::new(&contact, &job);
        for write in target.updates(&contact) {
            client.update(&email, &write).await?;
            changes.writes += 1;
        }
        changes.contacts.push(ContactChanges {
            is_moved,
            ..target.changes(&contact)
        });
        // Contacts that unsubscribed, bounced or were deleted keep their membership.
        if contact.active && !contact.lists.contains(list_id) {
            let write = ContactWrite {
                // The update above has written them.
                personal: Vec::new(),
                ..target.full_write()
            };
            join(&client, list_id, &email, &write, &mut changes).await?;
        }
        Ok(changes)
    }

    async fn check(&self, account: Account<'_, Self>) -> Vec<CheckItem> {
        check::check(&client(&account), &account.credentials.list_id).await
    }

    async fn forget(
        &self,
        account: Account<'_, Self>,
        lookup: ContactLookup<'_>,
        progress: &ForgetProgress,
    ) -> Result<(), ApiError> {
        forget::forget(&client(&account), lookup, progress).await
    }
}

fn client<'a>(account: &Account<'a, Mailmojo>) -> Client<'a> {
    Client::new(account.http, account.vendor, account.credentials)
}

enum Moved {
    /// The contact, which has the new address now.
    Done(Contact),
    NotFound,
    /// Mailmojo has another contact of the new address.
    Taken(ContactReference),
    Refused {
        left: ContactReference,
        /// Of the list, or of all mails.
        has_left: bool,
    },
}

async fn move_contact(
    client: &Client<'_>,
    earlier: SyncedContact<'_>,
    is_taken: bool,
    email: &str,
    list_id: &str,
) -> Result<Moved, ApiError> {
    // An attempt that did not complete may have moved it already.
    let references = [Some(earlier.reference), earlier.moved_reference()];
    for reference in references.into_iter().flatten() {
        if reference.as_str() == email {
            continue;
        }
        let Some(contact) = client.contact(reference.as_str()).await? else {
            continue;
        };
        let owner = contact.custom.get(mapping::OWNER).and_then(Value::as_str);
        if !earlier.may_belong_to(owner) {
            continue;
        }
        let left = reference.clone();
        if is_taken {
            return Ok(Moved::Taken(left));
        }
        return match client.set_email(reference.as_str(), email).await {
            Ok(()) => Ok(Moved::Done(contact)),
            Err(error) if error.is_transient() || error.is_refusal() => Err(error),
            Err(error) => {
                warn!(%error, "Mailmojo refused a contact's new address.");
                let has_left = !contact.active || contact.left_lists.contains(list_id);
                Ok(Moved::Refused { left, has_left })
            }
        };
    }
    Ok(Moved::NotFound)
}

/// Adds a contact to the list. Assumed: a 400 means that Mailmojo blocks the
/// address, after a complaint for example. A retry would not change that.
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

/// The endpoint is only assumed, so an account whose fields cannot be defined is
/// still synced.
async fn define(client: &Client<'_>) -> Result<(), ApiError> {
    match define_missing(client).await {
        Err(error) if fields_are_unavailable(&error) => {
            warn!(%error, "Account fields cannot be defined; values are sent all the same.");
            Ok(())
        }
        result => result,
    }
}

async fn define_missing(client: &Client<'_>) -> Result<(), ApiError> {
    let defined = client.fields().await?;
    for (name, kind) in mapping::DEFINITIONS {
        if !defined.contains(name)
            && let Err(error) = client.define(name, kind).await
        {
            // Another instance may have defined the field already; that is not an error.
            let refused = !error.is_transient() && !error.is_refusal();
            if !(refused && client.fields().await?.contains(name)) {
                return Err(error);
            }
        }
    }
    Ok(())
}

/// What a contact should contain, including the publisher's own data.
struct TargetContact {
    diff: TagDiff,
    /// Complete lists of tags, to write one after the other.
    tags: Vec<Vec<String>>,
    custom: Map<String, Value>,
    /// Name and phone by key, if the contact has none.
    personal: Vec<(&'static str, String)>,
}

impl TargetContact {
    fn new(contact: &Contact, job: &Job<'_, Mailmojo>) -> Self {
        let desired = job.desired;
        let diff = diff_tags(&contact.tags, &desired.tags, &[]);
        let mut custom = contact.custom.clone();
        for field in mapping::fields(desired) {
            custom.insert(field.name.to_owned(), field.value);
        }
        let has = |key: &str| match key {
            "first_name" => contact.has_first_name,
            "last_name" => contact.has_last_name,
            _ => contact.has_phone,
        };
        let personal = mapping::personal(desired)
            .filter(|(key, _)| !has(key))
            .map(|(key, value)| (key, value.expose().to_owned()))
            .collect();
        Self {
            tags: diff.replacements(&contact.tags),
            diff,
            custom,
            personal,
        }
    }

    fn full_write(&self) -> ContactWrite {
        ContactWrite {
            personal: self.personal.clone(),
            tags: self.tags.last().cloned(),
            custom: Some(self.custom.clone()),
        }
    }

    fn changes(&self, contact: &Contact) -> ContactChanges {
        let personal = self.personal.iter();
        let personal =
            personal.map(|(key, value)| FieldChange::set(key, value.as_str().into(), true));
        let own = mapping::DEFINITIONS.iter().filter_map(|(name, _)| {
            let value = self.custom.get(*name)?;
            differs(contact, name, value).then(|| match value {
                Value::Null => FieldChange::cleared(name),
                value => FieldChange::set(name, value.clone(), false),
            })
        });
        ContactChanges {
            tags: TagChanges::new(&self.diff, &contact.tags),
            fields: personal.chain(own).collect(),
            ..ContactChanges::default()
        }
    }

    /// The writes that change something, in order.
    fn updates(&self, contact: &Contact) -> Vec<ContactWrite> {
        let changed = |(name, value): (&String, &Value)| differs(contact, name, value);
        let mut tags = self.tags.iter().cloned();
        let first = ContactWrite {
            personal: self.personal.clone(),
            tags: tags.next(),
            custom: self.custom.iter().any(changed).then(|| self.custom.clone()),
        };
        let others = tags.map(|tags| ContactWrite {
            tags: Some(tags),
            ..ContactWrite::default()
        });
        std::iter::once(first)
            .filter(|write| *write != ContactWrite::default())
            .chain(others)
            .collect()
    }
}

/// Whether the contact's account field needs a write.
fn differs(contact: &Contact, name: &str, desired: &Value) -> bool {
    !agrees(contact.custom.get(name).unwrap_or(&Value::Null), desired)
}

/// Assumed: Mailmojo may return numbers as texts or with other digits after the
/// point, and a cleared field as an empty text.
fn agrees(current: &Value, desired: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match desired {
        Value::Number(_) => number(current) == number(desired),
        Value::Null => current.is_null() || current == "",
        _ => current == desired,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_agree_in_each_form_mailmojo_may_return() {
        let agreeing = [
            (json!(1), json!(1)),
            (json!(1.0), json!(1)),
            (json!("1"), json!(1)),
            (json!(null), json!(null)),
            (json!(""), json!(null)),
            (json!(true), json!(true)),
            (json!("2026-01-01"), json!("2026-01-01")),
        ];
        let differing = [
            (json!(2), json!(1)),
            (json!(null), json!(1)),
            (json!(0), json!(null)),
            (json!(null), json!(false)),
        ];
        for (current, desired) in agreeing {
            assert!(agrees(&current, &desired), "{current} {desired}");
        }
        for (current, desired) in differing {
            assert!(!agrees(&current, &desired), "{current} {desired}");
        }
    }
}
