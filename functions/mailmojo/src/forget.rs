//! Removes what syncs wrote to a contact, with one call if the contact exists.
//!
//! As in a sync, foreign tags and account fields are sent back as they were read.

use serde_json::Value;
use shared::connector::{ContactLookup, ForgetProgress, LookupKey, is_our_tag};
use shared::http::ApiError;

use crate::client::{Client, ContactWrite};
use crate::mapping;

pub async fn forget(
    client: &Client<'_>,
    lookup: ContactLookup<'_>,
    progress: &ForgetProgress,
) -> Result<(), ApiError> {
    let steps = progress.contact(None);
    let work = async {
        let email = match lookup.by {
            LookupKey::Email(email) => email,
            LookupKey::Reference(reference) => reference.as_str(),
        };
        let Some(contact) = client.contact(email).await? else {
            return Ok(());
        };
        let owner = contact.custom.get(mapping::OWNER).and_then(Value::as_str);
        if !lookup.owns(owner.filter(|owner| !owner.is_empty())) {
            steps.belongs_to_another_user();
            return Ok(());
        }
        let (ours, foreign): (Vec<String>, Vec<String>) =
            contact.tags.into_iter().partition(|tag| is_our_tag(tag));
        let mut custom = contact.custom;
        let mut fields = Vec::new();
        for cleared in mapping::cleared_fields() {
            let value = custom.get_mut(cleared.name);
            if let Some(value) = value.filter(|value| !value.is_null() && **value != "") {
                *value = cleared.value;
                fields.push(cleared.name);
            }
        }
        let write = ContactWrite {
            personal: Vec::new(),
            tags: (!ours.is_empty()).then_some(foreign),
            custom: (!fields.is_empty()).then_some(custom),
        };
        steps.found(ours, fields);
        if write != ContactWrite::default() {
            client.update(email, &write).await?;
            steps.removed_all();
            steps.cleared_all();
        }
        Ok(())
    };
    work.await.inspect_err(|error| steps.failed(error))
}
