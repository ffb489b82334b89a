//! Moves a contact to the user's new address.

use serde_json::Value;
use shared::connector::{Changes, Moved, SyncedContact, unless_refused};
use shared::http::ApiError;
use shared::personal::Personal;

use crate::client::{Client, Contact, ContactKey};
use crate::mapping;

/// Returns the id of a contact that was moved. Reads it first: its address and its
/// owner show whether it is still the same one.
pub async fn move_contact(
    client: &Client<'_>,
    earlier: SyncedContact<'_>,
    email: &str,
    changes: &mut Changes,
) -> Result<Option<u64>, ApiError> {
    let Some((id, contact)) = find(client, earlier).await? else {
        return Ok(None);
    };
    let values = client.fields(ContactKey::Id(id)).await?;
    let owner = values.get(mapping::OWNER).and_then(Value::as_str);
    let current = contact.email.as_ref().map(Personal::expose);
    let is_taken = async {
        let other = client.contact(ContactKey::Email(email)).await?;
        Ok(other.is_some())
    };
    let set_email = async {
        let set = client.set_email(id, email).await;
        unless_refused(set, "Rule refused a contact's new address.")
    };
    let moved = earlier.move_to(email, owner, current, is_taken, set_email);
    let moved = moved.await?;
    changes.record_move(moved, earlier.reference, contact.is_silenced);
    Ok((moved == Moved::Done).then_some(id))
}

pub async fn find(
    client: &Client<'_>,
    synced: SyncedContact<'_>,
) -> Result<Option<(u64, Contact)>, ApiError> {
    let Some(key @ ContactKey::Id(id)) = ContactKey::from_reference(synced.reference) else {
        return Ok(None);
    };
    Ok(client.contact(key).await?.map(|contact| (id, contact)))
}
