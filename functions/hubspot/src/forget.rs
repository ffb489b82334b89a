//! Removes what syncs wrote to a contact, with one call if the contact exists.

use shared::connector::{ContactProgress, Field, ForgetJob, LookupKey};
use shared::derivation::{Attribute, TagDiff};
use shared::http::ApiError;

use crate::client::{Client, Contact, ContactKey};
use crate::mapping::{PROPERTIES, TAGS, split};
use crate::sync::HubSpot;

pub async fn forget(job: ForgetJob<'_, HubSpot>) -> Result<(), ApiError> {
    let client = Client::new(&job.account);
    let steps = job.progress.contact(None);
    let key = match job.by {
        LookupKey::Email(email) => ContactKey::Email(email),
        LookupKey::Reference(reference) => ContactKey::Id(reference.as_str()),
    };
    let found = client.contact(key).await?;
    match job.admit(steps, found, Contact::owner) {
        Some(contact) => remove(&client, &contact, steps).await,
        None => Ok(()),
    }
}

pub async fn remove(
    client: &Client<'_>,
    contact: &Contact,
    steps: ContactProgress<'_>,
) -> Result<(), ApiError> {
    let mut fields: Vec<Field> = Field::cleared(PROPERTIES)
        .filter(|field| field.name != TAGS && !contact.value(field.name).is_empty())
        .collect();
    let tags = split(contact.value(TAGS));
    let diff = TagDiff::removal(&tags);
    steps.found(&diff.remove, fields.iter().map(|field| field.name));
    if !diff.is_empty() {
        let foreign = diff.apply(&tags).join(";");
        fields.push(Field::text(TAGS, Attribute::Tags, foreign));
    }
    if !fields.is_empty() {
        client.write(Some(contact), None, &fields).await?;
        steps.removed_all();
    }
    Ok(())
}
