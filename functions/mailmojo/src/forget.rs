//! Takes what a sync wrote off a contact: one call, once it is known to be there.
//!
//! Foreign tags and account fields are sent back as they were read, as in a sync.

use serde_json::Value;
use shared::consumer::{Trail, Whom, is_ours};
use shared::http::ApiError;

use crate::client::{Client, ContactWrite};
use crate::mapping;

/// Forgets a reader.
///
/// # Errors
/// The call that failed.
pub async fn forget(client: &Client<'_>, whom: Whom<'_>, trail: &Trail) -> Result<(), ApiError> {
    let steps = trail.contact(None);
    let done = async {
        let Some(contact) = client.contact(whom.email).await? else {
            return Ok(());
        };
        let owner = contact.custom.get(mapping::OWNER).and_then(Value::as_str);
        if !whom.owns(owner.filter(|owner| !owner.is_empty())) {
            steps.is_anothers();
            return Ok(());
        }
        let (ours, foreign): (Vec<String>, Vec<String>) =
            contact.tags.into_iter().partition(|tag| is_ours(tag));
        let mut custom = contact.custom;
        let mut fields = Vec::new();
        for cleared in mapping::cleared_fields() {
            let held = custom.get_mut(cleared.name);
            if let Some(held) = held.filter(|held| !held.is_null() && **held != "") {
                *held = cleared.value;
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
            client.update(whom.email, &write).await?;
            steps.removed_all();
            steps.cleared_all();
        }
        Ok(())
    };
    done.await.inspect_err(|error| steps.failed(error))
}
