//! Takes what a sync wrote off a subscriber.
//!
//! Looked up first, so that none is created; then tag by tag, as a sync removes
//! them; at last our fields, by a call that reaches only who is there.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::consumer::{Trail, Whom, is_ours};
use shared::http::ApiError;

use crate::client::{Client, Subscriber};
use crate::mapping::{self, Field};

/// Where the subscriber says which Sesamy user it is.
const OWNER: &str = "Sesamy_User.ID";

/// Forgets a reader.
///
/// # Errors
/// The call that failed.
pub async fn forget(client: &Client<'_>, whom: Whom<'_>, trail: &Trail) -> Result<(), ApiError> {
    let steps = trail.contact(None);
    let done = async {
        let Some(Subscriber { id, .. }) = client.subscriber(whom.email).await? else {
            return Ok(());
        };
        let held = client.fields(whom.email).await?;
        if !whom.owns(held.get(OWNER).and_then(Value::as_str)) {
            steps.is_anothers();
            return Ok(());
        }
        let mut tags = client.tags(whom.email).await?;
        tags.retain(|tag| is_ours(tag) || tag == mapping::BASE_TAG);
        let fields: Vec<Field> = mapping::cleared_fields()
            .filter(|field| field.change(held.get(field.key)).is_some())
            .collect();
        steps.found(tags.iter().cloned(), fields.iter().map(|field| field.key));
        for tag in &tags {
            client.remove_tag(whom.email, tag).await?;
            steps.removed(tag);
        }
        if !fields.is_empty() {
            clear(client, id, &fields).await?;
            steps.cleared_all();
        }
        Ok(())
    };
    done.await.inspect_err(|error| steps.failed(error))
}

/// Clears fields, which are all that a group of ours holds. An account that
/// refuses an empty text has the groups taken away.
async fn clear(client: &Client<'_>, id: Option<u64>, fields: &[Field]) -> Result<(), ApiError> {
    let fields: Vec<&Field> = fields.iter().collect();
    match client.set_fields(id, &fields).await {
        Err(refusal) if !refusal.cleared.is_empty() => {
            let groups: BTreeSet<_> = fields.iter().map(|field| field.group()).collect();
            for group in groups {
                client.clear_group(id, group).await?;
            }
            Ok(())
        }
        cleared => Ok(cleared?),
    }
}
