//! What a sync changes about the tags that a CRM holds.

use serde::Deserialize;
use shared::consumer::TagChanges;
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
        let told = TagChanges::of(&changes, &case.present);
        let added: Vec<_> = case.add.iter().chain(&case.restore).cloned().collect();
        failures.check(&case.name, "told as added", &told.added, &added);
        failures.check(&case.name, "told as removed", &told.removed, &case.remove);
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
