//! Checks a Rule account by reading only.
//!
//! Looks up no contact: an unknown address is a 404, and Rule counts errors
//! against the key.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::check::CheckItem;

use crate::client::Client;
use crate::mapping;

/// Reading cannot verify these.
const UNVERIFIABLE: [&str; 7] = [
    "the permission to write",
    "assumption: Rule's wall-clock times are Stockholm's",
    "assumption: Rule accepts 100 tags in one call",
    "assumption: an empty text clears a field, or is refused by a 400 that names the field",
    "assumption: version 3 deletes a group of fields by its name",
    "assumption: a tag's flows start with the fields of the same call",
    "assumption: Rule reads a phone number without country code as Swedish",
];

pub async fn check(client: &Client<'_>) -> Vec<CheckItem> {
    const DEFINITIONS: &str = "Rule: read the definitions of fields";
    const TAGS: &str = "Rule: read tags";
    let found = client.definitions().await;
    let definitions = CheckItem::call(DEFINITIONS, &found, "read custom fields");
    if definitions.is_refused() {
        return vec![definitions];
    }
    let mut items = vec![definitions];
    items.extend(found.iter().map(field_types));
    items.push(CheckItem::call(TAGS, &client.any_tag().await, "read tags"));
    items.extend(UNVERIFIABLE.map(CheckItem::unverifiable));
    items
}

/// Rule refuses every sync if one of these fields has another type.
fn field_types(found: &BTreeMap<String, Value>) -> CheckItem {
    const WHAT: &str = "assumption: the account's Sesamy fields have the types this system writes";
    let defined: Vec<_> = mapping::DEFINITIONS
        .iter()
        .filter_map(|(key, kind)| Some((*key, *kind, found.get(*key)?)))
        .collect();
    let wrong = defined
        .iter()
        .filter(|(_, kind, found)| **found != kind.name());
    let wrong: Vec<&str> = wrong.map(|(key, ..)| *key).collect();
    let remedy = "delete these fields at Rule; the first sync defines them again";
    CheckItem::types(WHAT, !defined.is_empty(), &wrong, remedy)
}
