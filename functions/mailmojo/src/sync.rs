//! The order of a sync's calls: define account fields, once per account; read
//! the contact; move it if the user's address has changed; then make only the writes
//! that change something.
//!
//! Foreign tags and account fields are sent back as they were read. Assumed:
//! Mailmojo replaces them and does not merge.

use std::future::ready;

use serde_json::{Map, Value};
use shared::cache::Once;
use shared::check::CheckItem;
use shared::connector::{
    Account, Changes, Connector, ContactChanges, ContactReference, Field, FieldChange, ForgetJob,
    Job, Moved, SyncedContact, TagChanges, field_values, unless_refused,
};
use shared::derivation::{TagDiff, diff_tags};
use shared::http::ApiError;
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

    fn reference_at(email: &str) -> Option<ContactReference> {
        Some(ContactReference::new(email))
    }

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let client = Client::new(&job.account);
        job.account.once(&self.defined, define(&client)).await?;

        let email = job.desired.email.lookup();
        let list_id = &job.account.credentials.list_id;
        let mut changes = Changes {
            reference: Some(ContactReference::new(&*email)),
            ..Changes::default()
        };
        let mut contact = client.contact(&email).await?;
        if let Some(earlier) = job.earlier {
            let moving = move_contact(&client, earlier, &mut contact, &email, list_id);
            changes += moving.await?;
            if changes.keeps_earlier {
                return Ok(changes);
            }
        }
        let Some(contact) = contact else {
            let target = TargetContact::new(&Contact::default(), &job);
            join(&client, list_id, &email, &target.full_write(), &mut changes).await?;
            if changes.refused_writes == 0 {
                changes.push(ContactChanges {
                    is_new: true,
                    ..target.changes(&Contact::default())
                });
            }
            return Ok(changes);
        };

        let target = TargetContact::new(&contact, &job);
        for write in target.updates() {
            client.update(&email, &write).await?;
            changes.writes += 1;
        }
        changes.push(target.changes(&contact));
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
        check::check(&account).await
    }

    async fn forget(&self, job: ForgetJob<'_, Self>) -> Result<(), ApiError> {
        forget::forget(job).await
    }
}

/// Moves the contact of an earlier address, which becomes the `known` one.
async fn move_contact(
    client: &Client<'_>,
    earlier: SyncedContact<'_>,
    known: &mut Option<Contact>,
    email: &str,
    list_id: &str,
) -> Result<Changes, ApiError> {
    let mut changes = Changes::default();
    // An attempt that did not complete may have moved it already.
    let references = [Some(earlier.reference), earlier.moved_reference()];
    for reference in references.into_iter().flatten() {
        let old = reference.as_str();
        if old == email {
            continue;
        }
        let Some(contact) = client.contact(old).await? else {
            continue;
        };
        let is_taken = ready(Ok(known.is_some()));
        let set_email = async {
            let set = client.set_email(old, email).await;
            unless_refused(set, "Mailmojo refused a contact's new address.")
        };
        let moved = earlier.move_to(email, contact.owner(), Some(old), is_taken, set_email);
        let moved = moved.await?;
        let has_left = !contact.active || contact.left_lists.contains(list_id);
        changes.record_move(moved, reference, has_left);
        if moved == Moved::Done {
            *known = Some(contact);
        }
        if moved != Moved::Nothing {
            break;
        }
    }
    Ok(changes)
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
    for field in mapping::FIELDS {
        if !defined.contains(field.label())
            && let Err(error) = client.define(field).await
        {
            // Another instance may have defined the field already; that is not an error.
            let refused = !error.is_transient() && !error.is_refusal();
            if !(refused && client.fields().await?.contains(field.label())) {
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
    /// Of the account fields, those that differ.
    differing: Vec<Field>,
    /// Name and phone by key, if the contact has none.
    personal: Vec<(&'static str, String)>,
}

impl TargetContact {
    fn new(contact: &Contact, job: &Job<'_, Mailmojo>) -> Self {
        let desired = job.desired;
        let diff = diff_tags(&contact.tags, &desired.tags, &[]);
        let fields = mapping::fields(desired);
        let mut custom = contact.custom.clone();
        custom.extend(field_values(&fields, &Value::Null));
        let current = |name: &str| contact.custom.get(name).unwrap_or(&Value::Null);
        let mut differing = Vec::from(fields);
        differing.retain(|field| field.differs(current(field.name)));
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
            differing,
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
        ContactChanges {
            tags: TagChanges::new(&self.diff, &contact.tags),
            fields: personal
                .chain(self.differing.iter().map(Field::change))
                .collect(),
            ..ContactChanges::default()
        }
    }

    /// The writes that change something, in order.
    fn updates(&self) -> Vec<ContactWrite> {
        let mut tags = self.tags.iter().cloned();
        let first = ContactWrite {
            personal: self.personal.clone(),
            tags: tags.next(),
            custom: (!self.differing.is_empty()).then(|| self.custom.clone()),
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
