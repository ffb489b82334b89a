//! Removes what syncs wrote to a contact, with one call if the contact exists.
//!
//! As in a sync, foreign tags and account fields are sent back as they were read.

use serde_json::Value;
use shared::connector::{ForgetJob, LookupKey, is_blank};
use shared::derivation::TagDiff;
use shared::http::ApiError;

use crate::client::{Client, Contact, ContactWrite};
use crate::mapping::FIELDS;
use crate::sync::Mailmojo;

pub async fn forget(job: ForgetJob<'_, Mailmojo>) -> Result<(), ApiError> {
    let client = Client::new(&job.account);
    let steps = job.progress.contact(None);
    let email = match job.by {
        LookupKey::Email(email) => email,
        LookupKey::Reference(reference) => reference.as_str(),
    };
    let found = client.contact(email).await?;
    let Some(contact) = job.admit(steps, found, Contact::owner) else {
        return Ok(());
    };
    let tags = TagDiff::removal(&contact.tags);
    let mut custom = contact.custom;
    let mut fields = Vec::new();
    for name in FIELDS.map(|field| field.label()) {
        if let Some(value) = custom.get_mut(name).filter(|value| !is_blank(value)) {
            *value = Value::Null;
            fields.push(name);
        }
    }
    let write = ContactWrite {
        personal: Vec::new(),
        tags: (!tags.is_empty()).then(|| tags.apply(&contact.tags)),
        custom: (!fields.is_empty()).then_some(custom),
    };
    steps.found(&tags.remove, fields);
    if write != ContactWrite::default() {
        client.update(email, &write).await?;
        steps.removed_all();
    }
    Ok(())
}
