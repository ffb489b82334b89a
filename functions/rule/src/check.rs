//! What can be seen of a Rule account without writing to it.
//!
//! No subscriber is looked up: an unknown address answers 404, which counts
//! against the key.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::check::{Code, Finding};

use crate::client::Client;
use crate::mapping;

/// What only a write would show, and where it is assumed.
const UNSEEN: [&str; 7] = [
    "the permission to write",
    "assumption: Rule's wall-clock times are Stockholm's",
    "assumption: Rule takes 100 tags in a call",
    "assumption: an empty text clears a field, or is refused by a 400 that names the field",
    "assumption: version 3 takes away a group of fields by its name",
    "assumption: a tag's flows start with the fields of the same call",
    "assumption: Rule reads a phone number without country code as Swedish",
];

/// Looks at what a sync needs.
pub async fn check(client: &Client<'_>) -> Vec<Finding> {
    const DEFINITIONS: &str = "Rule: read the definitions of fields";
    const TAGS: &str = "Rule: read tags";
    let mut findings = Vec::new();
    match client.definitions().await {
        Ok(definitions) => {
            findings.push(Finding::works(DEFINITIONS));
            findings.push(field_types(&definitions));
        }
        Err(error) => {
            let failed = Finding::failed(DEFINITIONS, &error, "read custom fields");
            let refused = failed.code == Code::CredentialsRefused;
            findings.push(failed);
            if refused {
                return findings;
            }
        }
    }
    findings.push(match client.any_tag().await {
        Ok(()) => Finding::works(TAGS),
        Err(error) => Finding::failed(TAGS, &error, "read tags"),
    });
    findings.extend(UNSEEN.map(Finding::unseen));
    findings
}

/// A field that somebody defined with another type would make Rule refuse every sync.
fn field_types(definitions: &BTreeMap<String, Value>) -> Finding {
    const WHAT: &str = "assumption: the account's Sesamy fields have the types this system writes";
    let defined = || {
        let known = mapping::DEFINITIONS.iter();
        known.filter_map(|(key, kind)| Some((*key, *kind, definitions.get(*key)?)))
    };
    let others: Vec<&str> = defined()
        .filter(|(_, kind, found)| **found != kind.name())
        .map(|(key, ..)| key)
        .collect();
    if !others.is_empty() {
        let say = format!("defined with another type: {}", others.join(", "));
        Finding::assumption(WHAT, Some(false), say)
            .with_remedy("delete these fields at Rule; the first sync defines them anew")
    } else if defined().next().is_none() {
        Finding::assumption(
            WHAT,
            None,
            "none is defined yet; the first sync defines them",
        )
    } else {
        Finding::assumption(WHAT, Some(true), "those that are defined have them")
    }
}
