//! Checks a HubSpot account by reading only.

use serde_json::Value;
use shared::check::{CheckCode, CheckItem};

use crate::client::{Client, ContactKey};
use crate::mapping::{DEFINITIONS, Form, USER_ID};

/// No contact has this address: the domain `.invalid` is reserved.
const UNUSED_ADDRESS: &str = "unused@sesamy-crm-sync.invalid";

/// Reading cannot verify these.
const UNVERIFIABLE: [&str; 6] = [
    "the permission to write contacts (crm.objects.contacts.write)",
    "the permission to define properties (crm.schemas.contacts.write)",
    "assumption: HubSpot creates a multi-select without options",
    "assumption: a refusal of a new contact that names no property is its address's",
    "assumption: an empty text clears a property",
    "assumption: opt-outs belong to the address and not to the contact",
];

pub async fn check(client: &Client<'_>) -> Vec<CheckItem> {
    const READ_DEFINITIONS: &str = "HubSpot: read the definitions of properties";
    const CONTACTS: &str = "HubSpot: look up a contact";
    let mut items = Vec::new();
    match client.definitions().await {
        Ok(definitions) => {
            items.push(CheckItem::works(READ_DEFINITIONS));
            items.push(types(&definitions));
            items.push(uniqueness(&definitions));
        }
        Err(error) => {
            let permission = "read definitions (crm.schemas.contacts.read)";
            let failed = CheckItem::failed(READ_DEFINITIONS, &error, permission);
            let refused = failed.code == CheckCode::CredentialsRefused;
            items.push(failed);
            if refused {
                return items;
            }
        }
    }
    items.push(
        match client.contact(ContactKey::Email(UNUSED_ADDRESS)).await {
            Ok(_) => CheckItem::works(CONTACTS),
            Err(error) => CheckItem::failed(
                CONTACTS,
                &error,
                "read contacts (crm.objects.contacts.read)",
            ),
        },
    );
    items.extend(UNVERIFIABLE.map(CheckItem::unverifiable));
    items
}

fn find<'a>(definitions: &'a [Value], name: &str) -> Option<&'a Value> {
    let mut definitions = definitions.iter();
    definitions.find(|definition| definition.get("name") == Some(&name.into()))
}

/// A property of a type that cannot hold its value is left alone.
fn types(found: &[Value]) -> CheckItem {
    const WHAT: &str = "assumption: the account's properties have types that this system can write";
    let wrong = DEFINITIONS.iter().filter(|(name, kind)| {
        let definition = find(found, name);
        definition.is_some_and(|definition| Form::new(*kind, definition).is_none())
    });
    let wrong: Vec<&str> = wrong.map(|(name, _)| *name).collect();
    if found.is_empty() {
        let say = "none exists yet; the first sync creates them";
        CheckItem::assumption(WHAT, None, say)
    } else if wrong.is_empty() {
        CheckItem::assumption(WHAT, Some(true), "all that exist have such a type")
    } else {
        let say = format!("not written, because of their types: {}", wrong.join(", "));
        CheckItem::assumption(WHAT, Some(false), say)
            .with_remedy("delete these properties at HubSpot; the next sync creates them")
    }
}

fn uniqueness(found: &[Value]) -> CheckItem {
    const WHAT: &str = "HubSpot: find contacts by their Sesamy user";
    let is_plain = |user_id: &Value| user_id.get("hasUniqueValue") != Some(&true.into());
    if find(found, USER_ID).is_some_and(is_plain) {
        let say = "sesamy_user_id does not have unique values, which cannot be changed later; contacts are found by id and address";
        CheckItem::assumption(WHAT, None, say)
    } else {
        CheckItem::works(WHAT)
    }
}
