//! The order of a sync's calls: read the contact of the user's address; move the
//! earlier one there if the address has changed; then write what differs.

use serde_json::{Map, Value};
use shared::check::CheckItem;
use shared::connector::{
    Account, Changes, Connector, ContactChanges, ContactReference, FieldChange, ForgetJob, Job,
    SyncedContact, TagChanges,
};
use shared::derivation::{DesiredContact, diff_tags};
use shared::http::ApiError;
use shared::sesamy::Reads;

use super::client::{Client, Contact, ContactWrite};
use super::credentials::ToyCredentials;
use super::{check, forget, mapping};

#[derive(Debug, Default)]
pub struct Toy;

impl Connector for Toy {
    const NAME: &'static str = "toy";

    type Credentials = ToyCredentials;

    fn reads(_: &ToyCredentials) -> Reads {
        Reads::default()
    }

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let client = Client::new(&job.account);
        let email = job.desired.email.lookup();
        let mut changes = Changes::default();
        let mut contact = client.contact(&email).await?;
        let mut is_moved = false;
        if let Some(earlier) = job.earlier {
            match move_contact(&client, earlier, contact.as_ref(), &email).await? {
                Moved::Done(moved) => {
                    contact = Some(moved);
                    is_moved = true;
                    changes.writes += 1;
                }
                Moved::NotFound => {}
                Moved::Stays(old) => changes.left_behind = Some(ContactReference::new(old.id)),
                Moved::Refused(old) => {
                    changes.refused_writes += 1;
                    changes.left_behind = Some(ContactReference::new(old.id));
                    if !old.subscribed {
                        // A new contact would be mailed without consent.
                        changes.keeps_earlier = true;
                        return Ok(changes);
                    }
                }
            }
        }

        let tags = contact.as_ref().map_or(&[][..], |contact| &contact.tags);
        let diff = diff_tags(tags, &job.desired.tags, &[]);
        let fields = differing_fields(contact.as_ref(), job.desired);
        let mut tag_sets = diff.replacements(tags).into_iter();
        let first = ContactWrite {
            tags: tag_sets.next(),
            fields: fields.clone(),
        };
        let others = tag_sets.map(|tags| ContactWrite {
            tags: Some(tags),
            ..ContactWrite::default()
        });
        let id = match &contact {
            None => {
                changes.writes += 1;
                client.create(&email, &first).await?
            }
            Some(contact) => {
                let writes = std::iter::once(first).chain(others);
                for write in writes.filter(|write| *write != ContactWrite::default()) {
                    client.update(&contact.id, &write).await?;
                    changes.writes += 1;
                }
                Some(contact.id.clone())
            }
        };
        changes.reference = id.map(ContactReference::new);
        changes.contacts.push(ContactChanges {
            is_new: contact.is_none(),
            is_moved,
            tags: TagChanges::new(&diff, tags),
            fields: fields.into_iter().map(field_change).collect(),
            ..ContactChanges::default()
        });
        Ok(changes)
    }

    async fn check(&self, account: Account<'_, Self>) -> Vec<CheckItem> {
        check::check(&Client::new(&account)).await
    }

    async fn forget(&self, job: ForgetJob<'_, Self>) -> Result<(), ApiError> {
        forget::forget(job).await
    }
}

enum Moved {
    /// The contact, which has the new address now.
    Done(Contact),
    /// There is none to move, or an earlier attempt moved it.
    NotFound,
    /// Toy has another contact of the new address, or the publisher gave this one an
    /// address that Sesamy does not know.
    Stays(Contact),
    Refused(Contact),
}

async fn move_contact(
    client: &Client<'_>,
    earlier: SyncedContact<'_>,
    known: Option<&Contact>,
    email: &str,
) -> Result<Moved, ApiError> {
    let Some(old) = client.contact(earlier.reference.as_str()).await? else {
        return Ok(Moved::NotFound);
    };
    if !earlier.may_belong_to(old.owner()) || old.email == email {
        return Ok(Moved::NotFound);
    }
    if known.is_some() {
        return Ok(Moved::Stays(old));
    }
    if !earlier.had_address(&old.email) {
        return Ok(Moved::Refused(old));
    }
    match client.set_email(&old.id, email).await {
        Ok(()) => Ok(Moved::Done(old)),
        Err(error) if error.is_transient() || error.is_refusal() => Err(error),
        Err(_) => Ok(Moved::Refused(old)),
    }
}

fn differing_fields(contact: Option<&Contact>, desired: &DesiredContact) -> Map<String, Value> {
    let current = |name| contact.and_then(|contact| contact.fields.get(name));
    let name = mapping::name(desired).filter(|_| current(mapping::NAME).is_none());
    let name = name.map(|name| (mapping::NAME, name.into()));
    let own = mapping::fields(desired).into_iter();
    let own = own.filter(|(name, value)| current(name).unwrap_or(&Value::Null) != value);
    own.chain(name)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn field_change((name, value): (String, Value)) -> FieldChange {
    match value {
        Value::Null => FieldChange::cleared(&name),
        value => FieldChange::set(&name, value, name == mapping::NAME),
    }
}
