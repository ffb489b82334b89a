//! Moves a contact to the user's new address.

use shared::connector::SyncedContact;
use shared::http::ApiError;
use shared::personal::Personal;
use tracing::warn;

use crate::client::{Client, Contact, ContactKey};

pub enum Moved {
    /// The contact of this id has the new address.
    Done(u64),
    /// There is no contact to move.
    NotFound,
    /// The contact stays as it is: Rule has another one of the new address, or the
    /// publisher gave this one an address that Sesamy does not know.
    Stays,
    Refused {
        is_silenced: bool,
    },
}

/// Reads the contact first: its address shows whether it is still the same one.
pub async fn move_contact(
    client: &Client<'_>,
    earlier: SyncedContact<'_>,
    email: &str,
) -> Result<Moved, ApiError> {
    let Some((id, contact)) = find(client, earlier).await? else {
        return Ok(Moved::NotFound);
    };
    let current = contact.email.as_ref().map(Personal::expose);
    if current.is_some_and(|current| current.eq_ignore_ascii_case(email)) {
        // An earlier attempt moved it.
        return Ok(Moved::Done(id));
    }
    if !current.is_some_and(|current| earlier.had_address(current)) {
        return Ok(Moved::Stays);
    }
    if client.contact(ContactKey::Email(email)).await?.is_some() {
        return Ok(Moved::Stays);
    }
    match client.set_email(id, email).await {
        Ok(()) => Ok(Moved::Done(id)),
        Err(error) if error.is_transient() || error.is_refusal() => Err(error),
        Err(error) => {
            warn!(%error, "Rule refused a contact's new address.");
            let is_silenced = contact.is_silenced;
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
