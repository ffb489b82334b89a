//! What a sync changes about the tags that a CRM holds.

use serde::Deserialize;
use shared::derivation::{Tag, Tags, reconcile};

use crate::files::{self, Failures};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    present: Vec<String>,
    wanted: Vec<String>,
    #[serde(default)]
    kept: Vec<String>,
    #[serde(default)]
    add: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    restore: Vec<String>,
    /// The tags afterwards, where they are written as a whole.
    then: Vec<String>,
    /// What is written before that, where it takes two writes.
    #[serde(default)]
    first: Option<Vec<String>>,
}

#[test]
fn every_reconciliation_is_as_the_cases_say() {
    let mut failures = Failures::default();
    let cases: Vec<Case> = files::read("reconciliations.json");
    for case in &cases {
        let wanted: Tags = case
            .wanted
            .iter()
            .map(|name| (Tag::parse(name).expect(name), Vec::new()))
            .collect();
        let kept: Vec<&str> = case.kept.iter().map(String::as_str).collect();
        let changes = reconcile(&case.present, &wanted, &kept);
        failures.check(&case.name, "add", &names(&changes.add), &case.add);
        failures.check(&case.name, "remove", &changes.remove, &case.remove);
        failures.check(
            &case.name,
            "restore",
            &names(&changes.restore),
            &case.restore,
        );
        failures.check(
            &case.name,
            "then",
            &changes.apply(&case.present),
            &case.then,
        );
        let added = case.add.len() + case.restore.len();
        failures.check(&case.name, "added", &(changes.added() as usize), &added);
        let removed = changes.removed() as usize;
        failures.check(&case.name, "removed", &removed, &case.remove.len());
        let agrees = case.add.is_empty() && case.remove.is_empty() && case.restore.is_empty();
        failures.check(&case.name, "agrees already", &changes.is_empty(), &agrees);
        let mut writes: Vec<Vec<String>> = case.first.iter().cloned().collect();
        if !agrees {
            writes.push(case.then.clone());
        }
        let replacements = changes.replacements(&case.present);
        failures.check(&case.name, "replacements", &replacements, &writes);
    }
    failures.report(cases.len());
}

fn names(tags: &[Tag]) -> Vec<String> {
    tags.iter().map(|tag| tag.as_str().to_owned()).collect()
}
