use serde::Deserialize;
use shared::connector::TagChanges;
use shared::derivation::{Tag, TagDiff, Tags, diff_tags};

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
    /// The resulting tags, for a CRM that receives the whole set in one write.
    then: Vec<String>,
    /// The set written before `then` if two writes are needed.
    #[serde(default)]
    first: Option<Vec<String>>,
}

#[test]
fn tag_diffs_are_as_the_cases_say() {
    let mut failures = Failures::default();
    let cases: Vec<Case> = files::read("tag_diffs.json");
    for case in &cases {
        let desired: Tags = case
            .wanted
            .iter()
            .map(|name| (Tag::parse(name).expect(name), Vec::new()))
            .collect();
        let kept: Vec<&str> = case.kept.iter().map(String::as_str).collect();
        let changes = diff_tags(&case.present, &desired, &kept);
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
        let reported = TagChanges::new(&changes, &case.present);
        let added: Vec<_> = case.add.iter().chain(&case.restore).cloned().collect();
        failures.check(&case.name, "reported as added", &reported.added, &added);
        failures.check(
            &case.name,
            "reported as removed",
            &reported.removed,
            &case.remove,
        );
        let is_unchanged = case.add.is_empty() && case.remove.is_empty() && case.restore.is_empty();
        failures.check(&case.name, "unchanged", &changes.is_empty(), &is_unchanged);
        let mut writes: Vec<Vec<String>> = case.first.iter().cloned().collect();
        if !is_unchanged {
            writes.push(case.then.clone());
        }
        let replacements = changes.replacements(&case.present);
        failures.check(&case.name, "replacements", &replacements, &writes);
    }
    failures.report(cases.len());
}

#[test]
fn spellings_of_one_tag_are_one_where_the_crm_ignores_case() {
    struct Case {
        current: &'static [&'static str],
        desired: &'static [&'static str],
        add: &'static [&'static str],
        remove: &'static [&'static str],
    }
    let case = |current, desired, add, remove| Case {
        current,
        desired,
        add,
        remove,
    };
    for case in [
        case(&["vip"], &["sesamy_a"], &["sesamy_a"], &[]),
        case(&["sesamy_A"], &["sesamy_a"], &[], &[]),
        case(&["Sesamy_A"], &["sesamy_a"], &[], &[]),
        case(&["sesamy_Old", "SESAMY_x"], &[], &[], &["sesamy_Old"]),
        case(&["sesamy_Made_Single_Purchase"], &[], &[], &[]),
    ] {
        let tag = |name: &&str| (Tag::parse(name).unwrap(), Vec::new());
        let desired: Tags = case.desired.iter().map(tag).collect();
        let current: Vec<String> = case.current.iter().map(|&tag| tag.to_owned()).collect();
        let diff = diff_tags(&current, &desired, &[]).ignoring_case(&current);
        assert_eq!(names(&diff.add), case.add, "{current:?}");
        assert_eq!(diff.remove, case.remove, "{current:?}");
        assert!(diff.restore.is_empty(), "{current:?}");
    }
}

#[test]
fn removal_takes_every_tag_of_ours_and_no_other() {
    let current = [
        "vip",
        "sesamy_made_single_purchase",
        "SESAMY_x",
        "sesamy_event_x",
    ];
    let current = current.map(str::to_owned);
    let removal = TagDiff::removal(&current);
    assert_eq!(
        removal.remove,
        ["sesamy_made_single_purchase", "sesamy_event_x"]
    );
    assert_eq!(removal.apply(&current), ["vip", "SESAMY_x"]);
}

fn names(tags: &[Tag]) -> Vec<String> {
    tags.iter().map(|tag| tag.as_str().to_owned()).collect()
}
