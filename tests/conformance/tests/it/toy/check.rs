//! Checks a Toy account by reading only.

use shared::check::CheckItem;

use super::client::Client;

pub const CONTACTS: &str = "Toy: look up a contact";

/// No contact has this address: the domain `.invalid` is reserved.
const UNUSED_ADDRESS: &str = "unused@sesamy-crm-sync.invalid";

pub async fn check(client: &Client<'_>) -> Vec<CheckItem> {
    let contacts = match client.contact(UNUSED_ADDRESS).await {
        Ok(_) => CheckItem::works(CONTACTS),
        Err(error) => CheckItem::failed(CONTACTS, &error, "read contacts"),
    };
    vec![contacts, CheckItem::unverifiable("the permission to write")]
}
