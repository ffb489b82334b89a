//! Checks a HubSpot account by reading only.

use shared::check::{CheckItem, UNUSED_ADDRESS};
use shared::connector::Account;

use crate::client::{Client, ContactKey, Definition};
use crate::mapping::{Form, PROPERTIES, USER_ID};
use crate::sync::HubSpot;

/// Reading cannot verify these.
const UNVERIFIABLE: [&str; 6] = [
    "the permission to write contacts (crm.objects.contacts.write)",
    "the permission to define properties (crm.schemas.contacts.write)",
    "assumption: HubSpot creates a multi-select without options",
    "assumption: a refusal of a new contact that names no property is its address's",
    "assumption: an empty text clears a property",
    "assumption: opt-outs belong to the address and not to the contact",
];

pub async fn check(account: &Account<'_, HubSpot>) -> Vec<CheckItem> {
    const DEFINITIONS: &str = "HubSpot: read the definitions of properties";
    const CONTACTS: &str = "HubSpot: look up a contact";
    let client = Client::new(account);
    let found = client.definitions().await;
    let permission = "read definitions (crm.schemas.contacts.read)";
    let definitions = CheckItem::call(DEFINITIONS, &found, permission);
    if definitions.is_refused() {
        return vec![definitions];
    }
    let mut items = vec![definitions];
    items.extend(
        found
            .iter()
            .flat_map(|found| [types(found), uniqueness(found)]),
    );
    let contact = client.contact(ContactKey::Email(UNUSED_ADDRESS)).await;
    let permission = "read contacts (crm.objects.contacts.read)";
    items.push(CheckItem::call(CONTACTS, &contact, permission));
    items.extend(UNVERIFIABLE.map(CheckItem::unverifiable));
    items
}

/// A property of a type that cannot hold its value is left alone.
fn types(found: &[Definition]) -> CheckItem {
    const WHAT: &str = "assumption: the account's properties have types that this system can write";
    let is_wrong = |(attribute, name): &(_, &str)| {
        let mut found = found.iter().filter(|definition| definition.name == *name);
        found.any(|definition| Form::new(*attribute, definition).is_none())
    };
    let wrong = PROPERTIES.into_iter().filter(is_wrong);
    let wrong: Vec<&str> = wrong.map(|(_, name)| name).collect();
    let remedy = "delete these properties at HubSpot; the next sync creates them";
    CheckItem::types(WHAT, !found.is_empty(), &wrong, remedy)
}

fn uniqueness(found: &[Definition]) -> CheckItem {
    const WHAT: &str = "HubSpot: find contacts by their Sesamy user";
    let user_id = found.iter().find(|definition| definition.name == USER_ID);
    if user_id.is_some_and(|user_id| !user_id.has_unique_value) {
        let say = "sesamy_user_id does not have unique values, which cannot be changed later; contacts are found by id and address";
        CheckItem::assumption(WHAT, None, say)
    } else {
        CheckItem::works(WHAT)
    }
}
