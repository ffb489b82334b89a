//! Removes what syncs wrote to a member: our tags by one call, then our merge fields.
//!
//! The fields come last, because one of them names the user that the member belongs to.

use shared::connector::{Field, ForgetJob, LookupKey};
use shared::derivation::TagDiff;
use shared::http::ApiError;

use crate::client::{Client, Member, hash};
use crate::mapping::FIELDS;
use crate::sync::Mailchimp;

/// Mailchimp has no call that removes them.
const STAYS: &str = "events in the member's activity";

pub async fn forget(job: ForgetJob<'_, Mailchimp>) -> Result<(), ApiError> {
    let client = Client::new(&job.account);
    let steps = job.progress.contact(None);
    let id = match job.by {
        LookupKey::Email(email) => hash(email),
        LookupKey::Reference(reference) => reference.as_str().to_owned(),
    };
    let found = client.member(&id).await?;
    let Some(member) = job.admit(steps, found, Member::owner) else {
        return Ok(());
    };
    let tags = TagDiff::removal(&member.tags);
    let fields = Field::cleared(FIELDS).filter(|field| field.differs(member.value(field.name)));
    let fields: Vec<Field> = fields.collect();
    steps.found(&tags.remove, fields.iter().map(|field| field.name));
    steps.stays(STAYS);
    if !tags.is_empty() {
        client.change_tags(&member.id, &tags, true).await?;
        steps.removed_tags();
    }
    if !fields.is_empty() {
        client.update(&member.id, &fields).await?;
        steps.cleared_fields();
    }
    Ok(())
}
