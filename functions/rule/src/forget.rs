//! Removes what syncs wrote to a contact: our tags one by one, then our fields.
//!
//! Looks the contact up first and uses only calls that need an existing one, so
//! that none is created.

use std::collections::BTreeSet;

use shared::connector::{ForgetJob, LookupKey, is_our_tag};
use shared::http::ApiError;

use crate::client::{Client, ContactKey};
use crate::mapping::{self, Field};
use crate::sync::Rule;

pub async fn forget(job: ForgetJob<'_, Rule>) -> Result<(), ApiError> {
    let client = Client::new(&job.account);
    let steps = job.progress.contact(None);
    let key = match job.by {
        LookupKey::Email(email) => Some(ContactKey::Email(email)),
        LookupKey::Reference(reference) => ContactKey::from_reference(reference),
    };
    let Some(key) = key else {
        return Ok(());
    };
    let Some(contact) = client.contact(key).await? else {
        return Ok(());
    };
    let found = Some((contact, client.fields(key).await?));
    let admitted = job.admit(steps, found, |(_, values)| {
        values.get(mapping::OWNER)?.as_str()
    });
    let Some((contact, values)) = admitted else {
        return Ok(());
    };
    let mut tags = client.tags(key).await?;
    tags.retain(|tag| is_our_tag(tag) || tag == mapping::BASE_TAG);
    let fields: Vec<Field> = mapping::cleared_fields()
        .filter(|field| field.change(values.get(field.key)).is_some())
        .collect();
    steps.found(&tags, fields.iter().map(|field| field.key));
    for tag in &tags {
        client.remove_tag(key, tag).await?;
        steps.removed(tag);
    }
    if !fields.is_empty() {
        clear(&client, contact.id, &fields).await?;
        steps.cleared_fields();
    }
    Ok(())
}

/// Deletes whole groups if the account refuses empty texts: our groups hold no
/// foreign fields.
async fn clear(client: &Client<'_>, id: Option<u64>, fields: &[Field]) -> Result<(), ApiError> {
    let fields: Vec<&Field> = fields.iter().collect();
    match client.set_fields(id, &fields).await {
        Err(error) if !error.refusal.is_empty() => {
            let groups: BTreeSet<_> = fields.iter().map(|field| field.group()).collect();
            for group in groups {
                client.clear_group(id, group).await?;
            }
            Ok(())
        }
        cleared => Ok(cleared?),
    }
}
