//! Whether a contact gets the user's address.
//!
//! A contact keeps its id when its address changes. Assumed, after HubSpot's knowledge
//! base: opt-outs do not move along, because they belong to the address. So a contact
//! whose address has opted out of anything keeps that address.

use shared::http::ApiError;

use crate::client::{Client, Contact, ContactKey};

pub enum Address {
    /// It is one of the contact's addresses.
    Agrees,
    /// The contact gets it.
    Changes,
    /// HubSpot has another contact of it.
    Taken(Contact),
    /// A new address would be mailed although the user has left.
    OptedOut,
}

pub async fn compare(
    client: &Client<'_>,
    contact: &Contact,
    email: &str,
) -> Result<Address, ApiError> {
    if contact.has_address(email) {
        return Ok(Address::Agrees);
    }
    if let Some(other) = client.contact(ContactKey::Email(email)).await? {
        return Ok(if other.id == contact.id {
            Address::Agrees
        } else {
            Address::Taken(other)
        });
    }
    Ok(if client.has_opted_out(&contact.id).await? {
        Address::OptedOut
    } else {
        Address::Changes
    })
}
