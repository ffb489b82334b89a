//! Removes what syncs wrote to a member: our tags by one call, then our merge fields.
//!
//! The fields come last, because one of them names the user that the member belongs to.

use serde_json::{Map, Value};
use shared::connector::{ContactLookup, ForgetProgress, LookupKey, is_our_tag};
use shared::http::ApiError;

use crate::client::{Client, hash};
use crate::mapping;
use crate::sync::is_blank;

/// Mailchimp has no call that removes them.
const STAYS: &str = "events in the member's activity";

pub async fn forget(
    client: &Client<'_>,
    lookup: ContactLookup<'_>,
    progress: &ForgetProgress,
) -> Result<(), ApiError> {
    let steps = progress.contact(None);
    let work = async {
        let id = match lookup.by {
            LookupKey::Email(email) => hash(email),
            LookupKey::Reference(reference) => reference.as_str().to_owned(),
        };
        let Some(member) = client.member(&id).await? else {
            return Ok(());
        };
        let owner = member.merge_fields.get(mapping::OWNER);
        let owner = owner.and_then(Value::as_str);
        if !lookup.owns(owner.filter(|owner| !owner.is_empty())) {
            steps.belongs_to_another_user();
            return Ok(());
        }
        let is_filled = |tag: &str| {
            let value = member.merge_fields.get(tag);
            value.is_some_and(|value| !is_blank(value))
        };
        let fields: Vec<_> = mapping::cleared_fields()
            .filter(|field| is_filled(field.tag))
            .collect();
        let tags = member.tags.iter().filter(|tag| is_our_tag(tag));
        let tags: Vec<&str> = tags.map(String::as_str).collect();
        let names = tags.iter().map(|&tag| tag.to_owned());
        steps.found(names, fields.iter().map(|field| field.tag));
        steps.stays(STAYS);
        if !tags.is_empty() {
            client.change_tags(&member.id, &[], &tags, true).await?;
            steps.removed_all();
        }
        if !fields.is_empty() {
            let fields = fields.into_iter();
            let fields: Map<String, Value> = fields
                .map(|field| (field.tag.to_owned(), field.value))
                .collect();
            client.update(&member.id, &fields).await?;
            steps.cleared_all();
        }
        Ok(())
    };
    work.await.inspect_err(|error| steps.failed(error))
}
