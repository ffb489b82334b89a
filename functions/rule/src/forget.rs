//! Removes what syncs wrote to a contact: our tags one by one, then our fields.
//!
//! Looks the contact up first and uses only calls that need an existing one, so
//! that none is created.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::connector::{ContactLookup, ForgetProgress, LookupKey, is_our_tag};
use shared::http::ApiError;

use crate::client::{Client, Contact, ContactKey};
use crate::mapping::{self, Field};

pub async fn forget(
    client: &Client<'_>,
    lookup: ContactLookup<'_>,
    progress: &ForgetProgress,
) -> Result<(), ApiError> {
    let steps = progress.contact(None);
    let work = async {
        let key = match lookup.by {
            LookupKey::Email(email) => ContactKey::Email(email),
            LookupKey::Reference(reference) => match ContactKey::from_reference(reference) {
                Some(key) => key,
                None => return Ok(()),
            },
        };
        let Some(Contact { id, .. }) = client.contact(key).await? else {
            return Ok(());
        };
        let values = client.fields(key).await?;
        if !lookup.owns(values.get(mapping::OWNER).and_then(Value::as_str)) {
            steps.belongs_to_another_user();
            return Ok(());
        }
        let mut tags = client.tags(key).await?;
        tags.retain(|tag| is_our_tag(tag) || tag == mapping::BASE_TAG);
        let fields: Vec<Field> = mapping::cleared_fields()
            .filter(|field| field.change(values.get(field.key)).is_some())
            .collect();
        steps.found(tags.iter().cloned(), fields.iter().map(|field| field.key));
        for tag in &tags {
            client.remove_tag(key, tag).await?;
            steps.removed(tag);
        }
        if !fields.is_empty() {
            clear(client, id, &fields).await?;
            steps.cleared_all();
        }
        Ok(())
    };
    work.await.inspect_err(|error| steps.failed(error))
}

/// Deletes whole groups if the account refuses empty texts: our groups hold no
/// foreign fields.
async fn clear(client: &Client<'_>, id: Option<u64>, fields: &[Field]) -> Result<(), ApiError> {
    let fields: Vec<&Field> = fields.iter().collect();
    match client.set_fields(id, &fields).await {
        Err(error) if !error.cleared.is_empty() => {
            let groups: BTreeSet<_> = fields.iter().map(|field| field.group()).collect();
            for group in groups {
                client.clear_group(id, group).await?;
            }
            Ok(())
        }
        cleared => Ok(cleared?),
    }
}
