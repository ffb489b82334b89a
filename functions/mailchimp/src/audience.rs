//! The merge fields of an audience: which exist, which have room, which can be written.

use std::collections::BTreeSet;
use std::sync::Arc;

use shared::cache::Cache;
use shared::connector::Job;
use shared::http::ApiError;
use tracing::warn;

use crate::client::{Client, MergeField, MergeFields};
use crate::mapping::{DEFINITIONS, Definition};
use crate::sync::Mailchimp;

/// Tags of our merge fields that exist with the right type. Mailchimp ignores values
/// of others without an error, so they are never sent.
pub type WritableFields = BTreeSet<&'static str>;

/// Per account, found out once per function instance.
#[derive(Debug, Default)]
pub struct Audiences(Cache<Arc<WritableFields>>);

impl Audiences {
    pub async fn writable_fields(
        &self,
        client: &Client<'_>,
        job: &Job<'_, Mailchimp>,
    ) -> Result<Arc<WritableFields>, ApiError> {
        let mut entry = self.0.lock(job.account).await;
        if let Some(known) = &*entry {
            return Ok(known.clone());
        }
        if job.http.is_read_only() {
            // A dry run creates nothing, so nothing is known for the next sync.
            drop(entry);
            return define(client, true).await.map(Arc::new);
        }
        let fields = Arc::new(define(client, false).await?);
        *entry = Some(fields.clone());
        Ok(fields)
    }
}

/// Creates the merge fields that are missing. If there is no room for all, a sync
/// writes those that exist.
async fn define(client: &Client<'_>, is_dry_run: bool) -> Result<WritableFields, ApiError> {
    let mut audience = client.merge_fields().await?;
    let mut has_created = false;
    for definition in DEFINITIONS {
        if audience.find(definition).is_some() {
            continue;
        }
        if audience.room() == Some(0) {
            warn!("A Mailchimp audience has no room for all merge fields.");
            break;
        }
        match client.define(definition).await {
            Ok(()) => {
                has_created = true;
                audience.fields.push(MergeField::new(definition));
            }
            Err(error) if error.is_transient() || error.is_refusal() => return Err(error),
            Err(error) => {
                // Another instance may have created the field already.
                audience = client.merge_fields().await?;
                if audience.find(definition).is_none() {
                    warn!(%error, "Mailchimp refused a merge field.");
                    break;
                }
            }
        }
    }
    // Above its limit, an audience may leave out a field without an error (seen).
    if has_created && !is_dry_run {
        audience = client.merge_fields().await?;
    }
    let writable = DEFINITIONS.iter().filter(|d| audience.can_write(d));
    Ok(writable.map(|definition| definition.tag).collect())
}

impl MergeField {
    fn new(definition: &Definition) -> Self {
        Self {
            tag: definition.tag.to_owned(),
            kind: definition.kind.to_owned(),
            is_us_phone: false,
        }
    }
}

impl MergeFields {
    fn find(&self, definition: &Definition) -> Option<&MergeField> {
        self.fields.iter().find(|field| field.tag == definition.tag)
    }

    pub fn missing(&self) -> usize {
        let missing = DEFINITIONS.iter().filter(|d| self.find(d).is_none());
        missing.count()
    }

    /// `None` if the audience does not say how many fields it may have.
    pub fn room(&self) -> Option<usize> {
        Some(self.limit?.saturating_sub(self.fields.len()))
    }

    /// Decided: a phone number goes into a text field too, and never into a field for
    /// numbers of the United States, which would refuse nearly every one.
    fn can_write(&self, definition: &Definition) -> bool {
        self.find(definition).is_some_and(|field| {
            field.kind == definition.kind && !field.is_us_phone
                || definition.kind == "phone" && field.kind == "text"
        })
    }

    /// Those that exist and cannot be written.
    pub fn unusable(&self) -> Vec<&'static str> {
        let exists = |d: &&Definition| self.find(d).is_some();
        let unusable = DEFINITIONS.iter().filter(exists);
        let unusable = unusable.filter(|d| !self.can_write(d));
        unusable.map(|definition| definition.tag).collect()
    }
}
