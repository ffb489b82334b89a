//! The merge fields of an audience: which exist, which have room, which can be written.

use std::collections::BTreeSet;

use serde_json::Map;
use shared::connector::unless_refused;
use shared::derivation::Attribute;
use shared::http::ApiError;
use tracing::warn;

use crate::client::{Client, MergeField, MergeFields};
use crate::mapping::{FIELDS, type_name};

/// Creates the merge fields that are missing, and returns those that can be written. If
/// there is no room for all, a sync writes those that exist.
pub async fn define(
    client: &Client<'_>,
    is_dry_run: bool,
) -> Result<BTreeSet<&'static str>, ApiError> {
    let mut audience = client.merge_fields().await?;
    let mut has_created = false;
    for (attribute, tag) in FIELDS {
        if audience.find(tag).is_some() {
            continue;
        }
        if audience.room() == Some(0) {
            warn!("A Mailchimp audience has no room for all merge fields.");
            break;
        }
        let defined = client.define(attribute, tag).await;
        if unless_refused(defined, "Mailchimp refused a merge field.")?.is_some() {
            has_created = true;
            audience.fields.push(MergeField {
                tag: tag.to_owned(),
                kind: type_name(attribute).to_owned(),
                options: Map::new(),
            });
        } else {
            // Another instance may have created the field already.
            audience = client.merge_fields().await?;
            if audience.find(tag).is_none() {
                break;
            }
        }
    }
    // Above its limit, an audience may leave out a field without an error (seen).
    if has_created && !is_dry_run {
        audience = client.merge_fields().await?;
    }
    Ok(audience.writable(true))
}

impl MergeFields {
    fn find(&self, tag: &str) -> Option<&MergeField> {
        self.fields.iter().find(|field| field.tag == tag)
    }

    /// `None` if the audience does not say how many fields it may have.
    fn room(&self) -> Option<usize> {
        Some(self.limit?.saturating_sub(self.fields.len()))
    }

    /// Whether there is room for those of ours that are missing, if it is known.
    pub fn has_room(&self) -> Option<bool> {
        let missing = FIELDS.iter().filter(|(_, tag)| self.find(tag).is_none());
        match missing.count() {
            0 => Some(true),
            missing => Some(self.room()? >= missing),
        }
    }

    /// Those of ours that exist and can be written, or that exist and cannot. Mailchimp
    /// ignores values of other fields without an error, so they are never sent.
    pub fn writable(&self, is_writable: bool) -> BTreeSet<&'static str> {
        let takes = |(attribute, tag)| Some((tag, self.find(tag)?.takes(attribute)));
        let existing = FIELDS.into_iter().filter_map(takes);
        let wanted = existing.filter(|(_, takes)| *takes == is_writable);
        wanted.map(|(tag, _)| tag).collect()
    }
}

impl MergeField {
    /// Decided: a phone number goes into a text field too, and never into a field for
    /// numbers of the United States, which would refuse nearly every one.
    fn takes(&self, attribute: Attribute) -> bool {
        let is_american = self.options.get("phone_format") == Some(&"US".into());
        self.kind == type_name(attribute) && !is_american
            || attribute == Attribute::Phone && self.kind == "text"
    }
}
