//! Checks a Rule account by reading only.
//!
//! Looks up no contact: an unknown address is a 404, and Rule counts errors
//! against the key.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::check::{CheckCode, CheckItem};

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
    let mut items = Vec::new();
    match client.definitions().await {
        Ok(definitions) => {
            items.push(CheckItem::works(DEFINITIONS));
            items.push(field_types(&definitions));
        }
        Err(error) => {
            let failed = CheckItem::failed(DEFINITIONS, &error, "read custom fields");
            let refused = failed.code == CheckCode::CredentialsRefused;
            items.push(failed);
            if refused {
                return items;
            }
        }
    }
    items.push(match client.any_tag().await {
        Ok(()) => CheckItem::works(TAGS),
        Err(error) => CheckItem::failed(TAGS, &error, "read tags"),
    });
    items.extend(UNVERIFIABLE.map(CheckItem::unverifiable));
    items
}

/// Rule refuses every sync if one of these fields has another type.
fn field_types(definitions: &BTreeMap<String, Value>) -> CheckItem {
    const WHAT: &str = "assumption: the account's Sesamy fields have the types this system writes";
    let defined: Vec<_> = mapping::DEFINITIONS
        .iter()
        .filter_map(|(key, kind)| Some((*key, *kind, definitions.get(*key)?)))
        .collect();
    let wrong: Vec<&str> = defined
        .iter()
        .filter(|(_, kind, found)| **found != kind.name())
        .map(|(key, ..)| *key)
        .collect();
    if !wrong.is_empty() {
        let say = format!("defined with another type: {}", wrong.join(", "));
        CheckItem::assumption(WHAT, Some(false), say)
            .with_remedy("delete these fields at Rule; the first sync defines them again")
    } else if defined.is_empty() {
        CheckItem::assumption(
            WHAT,
            None,
            "none is defined yet; the first sync defines them",
        )
    } else {
        CheckItem::assumption(
            WHAT,
            Some(true),
            "all fields that are defined have the right type",
        )
    }
}
