//! Moves a contact to the user's new address.

use serde_json::Value;
use shared::connector::SyncedContact;
use shared::http::ApiError;
use shared::personal::Personal;
use tracing::warn;

use crate::client::{Client, Contact, ContactKey};
use crate::mapping;

pub enum Moved {
    /// The contact of this id has the new address.
    Done(u64),
    /// There is no contact to move.
    NotFound,
    /// Rule has another contact of the new address.
    Taken,
    /// The contact stays where it is.
    Refused { is_silenced: bool },
}

/// Reads the contact first: its address and its owner show whether it is still the
/// same one.
pub async fn move_contact(
    client: &Client<'_>,
    earlier: SyncedContact<'_>,
    email: &str,
) -> Result<Moved, ApiError> {
    let Some((id, contact)) = find(client, earlier).await? else {
        return Ok(Moved::NotFound);
    };
    let values = client.fields(ContactKey::Id(id)).await?;
    let owner = values.get(mapping::OWNER).and_then(Value::as_str);
    if !earlier.may_belong_to(owner) {
        return Ok(Moved::NotFound);
    }
    let current = contact.email.as_ref().map(Personal::expose);
    if current.is_some_and(|current| current.eq_ignore_ascii_case(email)) {
        // An earlier attempt moved it.
        return Ok(Moved::Done(id));
    }
    if client.contact(ContactKey::Email(email)).await?.is_some() {
        return Ok(Moved::Taken);
    }
    let is_silenced = contact.is_silenced;
    if !current.is_some_and(|current| earlier.had_address(current)) {
        // The publisher gave it an address that Sesamy does not know.
        return Ok(Moved::Refused { is_silenced });
    }
    match client.set_email(id, email).await {
        Ok(()) => Ok(Moved::Done(id)),
        Err(error) if error.is_transient() || error.is_refusal() => Err(error),
        Err(error) => {
            warn!(%error, "Rule refused a contact's new address.");
            Ok(Moved::Refused { is_silenced })
        }
    }
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
