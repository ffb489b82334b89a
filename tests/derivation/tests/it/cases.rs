//! Whole users: their state at Sesamy, and what every CRM should hold.

use std::collections::{BTreeMap, BTreeSet};

use derivation_tests::Answers;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::derivation::{Derivation, DesiredContact, Policy, Skip, Tag, derive};
use shared::identity::UserId;

use crate::baseline;
use crate::files::{self, Failures};

const USER: &str = "email|anna";
const EMAIL: &str = "anna@example.se";

/// `cases/README.md` explains the fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default = "noon")]
    now: String,
    #[serde(default = "anna")]
    user: String,
    #[serde(default, rename = "syncUnconfirmed")]
    sync_unconfirmed: bool,
    #[serde(default)]
    profile: Map<String, Value>,
    #[serde(default)]
    contracts: Vec<Value>,
    #[serde(default)]
    entitlements: Vec<Value>,
    #[serde(default)]
    bills: Vec<Value>,

    #[serde(default)]
    skipped: Option<String>,
    #[serde(default)]
    dropped: BTreeMap<String, usize>,
    #[serde(default)]
    unknown: BTreeMap<String, usize>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    reasons: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    rule: Option<Map<String, Value>>,
    #[serde(default)]
    mailmojo: Option<Map<String, Value>>,
    #[serde(default)]
    make: Option<Map<String, Value>>,
}

fn noon() -> String {
    "2026-06-15T12:00:00Z".to_owned()
}

fn anna() -> String {
    USER.to_owned()
}

#[test]
fn users_are_derived_as_the_cases_say() {
    let mut failures = Failures::default();
    let mut names = BTreeSet::new();
    for file in files::user_files() {
        for case in files::read::<Case>(&file) {
            let name = format!("{file}: {}", case.name);
            check(&case, &name, &mut failures);
            assert!(names.insert(name), "two cases are called {}", case.name);
        }
    }
    assert!(names.len() >= 120, "cases were lost: {}", names.len());
    failures.report(names.len());
}

fn check(case: &Case, name: &str, failures: &mut Failures) {
    let mut profile = Map::from_iter([("email".to_owned(), json!(EMAIL))]);
    profile.extend(case.profile.clone());
    let answers = Answers {
        profile: Value::Object(profile),
        contracts: case.contracts.clone(),
        entitlements: case.entitlements.clone(),
        bills: case.bills.clone(),
    };
    let (state, dropped) = answers.read();
    let unknown: BTreeMap<String, usize> = dropped.unknown().paths().collect();
    let dropped: BTreeMap<String, usize> = dropped.values().paths().collect();
    failures.check(name, "dropped", &dropped, &case.dropped);
    failures.check(name, "unknown", &unknown, &case.unknown);

    let user = UserId::try_from(case.user.as_str()).unwrap();
    let now = case.now.parse().unwrap();
    let state = state.expect("the profile is an object");
    let policy = Policy {
        sync_unconfirmed: case.sync_unconfirmed,
    };
    let (skipped, contact) = match derive(&user, &state, policy, now) {
        Derivation::Skipped(Skip::Guest) => (Some("guest".to_owned()), None),
        Derivation::Skipped(Skip::Unconfirmed) => (Some("unconfirmed".to_owned()), None),
        Derivation::Skipped(Skip::NoEmail) => (Some("no email".to_owned()), None),
        Derivation::Contact(contact) => (None, Some(contact)),
    };
    failures.check(name, "skipped", &skipped, &case.skipped);
    if let Some(contact) = contact {
        check_contact(case, &contact, name, failures);
    }
}

fn check_contact(case: &Case, contact: &DesiredContact, name: &str, failures: &mut Failures) {
    let tags: Vec<String> = contact
        .tags
        .keys()
        .map(|tag| tag.as_str().to_owned())
        .collect();
    failures.check(name, "tags", &tags, &case.tags);
    for (tag, expected) in &case.reasons {
        let reasons = Tag::parse(tag).and_then(|tag| contact.tags.get(&tag));
        let reasons = reasons.into_iter().flatten().map(|reason| {
            let source = reason.source.as_deref().unwrap_or("-");
            format!("{source}: {}", reason.rule)
        });
        failures.check(name, tag, &reasons.collect(), expected);
    }

    if let Some(differences) = &case.rule {
        let fields = rule::mapping::fields(contact);
        let fields = fields.into_iter().map(|field| (field.key, field.value));
        let expected = with_differences(baseline::rule(&case.user), differences);
        check_fields(name, "rule", fields, &expected, failures);
    }
    if let Some(differences) = &case.mailmojo {
        let fields = mailmojo::mapping::fields(contact);
        let fields = fields.into_iter().map(|field| (field.name, field.value));
        let personal = mailmojo::mapping::personal(contact)
            .map(|(key, value)| (key, Value::from(value.expose())));
        let expected = with_differences(baseline::mailmojo(&case.user), differences);
        check_fields(
            name,
            "mailmojo",
            fields.chain(personal),
            &expected,
            failures,
        );
    }
    if let Some(differences) = &case.make {
        let bodies = [
            ("subscriber", make::mapping::contact(contact, &tags)),
            ("products", make::mapping::products(contact).into()),
            (
                "subscriptions",
                make::mapping::subscriptions(contact).into(),
            ),
        ];
        let mut expected = with_differences(baseline::make(&case.user, EMAIL, &tags), differences);
        if let Some(Value::Array(subscriptions)) = expected.get_mut("subscriptions") {
            subscriptions
                .iter_mut()
                .for_each(baseline::default_end_date);
        }
        check_fields(name, "make", bodies, &expected, failures);
    }
}

/// Applies a case's differences to the baseline, one level into objects.
fn with_differences(
    mut baseline: Map<String, Value>,
    differences: &Map<String, Value>,
) -> Map<String, Value> {
    for (key, value) in differences {
        let entry = baseline.entry(key).or_insert(Value::Null);
        match (entry, value) {
            (Value::Object(inner), Value::Object(more)) => inner.extend(more.clone()),
            (entry, value) => *entry = value.clone(),
        }
    }
    baseline
}

fn check_fields<'a>(
    name: &str,
    crm: &str,
    actual: impl IntoIterator<Item = (&'a str, Value)>,
    expected: &Map<String, Value>,
    failures: &mut Failures,
) {
    let mut fields = BTreeMap::new();
    for (key, value) in actual {
        let before = fields.insert(key.to_owned(), value);
        failures.check(name, &format!("{crm} {key} twice"), &before, &None);
    }
    let keys: BTreeSet<&String> = fields.keys().chain(expected.keys()).collect();
    for key in keys {
        let what = format!("{crm} {key}");
        failures.check(name, &what, &fields.get(key), &expected.get(key));
    }
}
