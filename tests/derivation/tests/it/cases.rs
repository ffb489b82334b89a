//! Whole readers: what Sesamy says of them, and what every CRM should hold.

use std::collections::{BTreeMap, BTreeSet};

use derivation_tests::read_state;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::derivation::{Derivation, Policy, Skip, Subscriber, Tag, derive};
use shared::identity::UserId;

use crate::baseline;
use crate::files::{self, Failures};

const USER: &str = "email|anna";
const EMAIL: &str = "anna@example.se";

/// One reader. `README.md` beside the files says how a case is read.
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
fn every_reader_is_derived_as_the_cases_say() {
    let mut failures = Failures::default();
    let mut names = BTreeSet::new();
    for file in files::of_readers() {
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
    let (state, dropped) = read_state(
        &Value::Object(profile),
        &case.contracts,
        &case.entitlements,
        &case.bills,
    );
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
    let (skipped, subscriber) = match derive(&user, &state, policy, now) {
        Derivation::Skipped(Skip::Guest) => (Some("guest".to_owned()), None),
        Derivation::Skipped(Skip::Unconfirmed) => (Some("unconfirmed".to_owned()), None),
        Derivation::Skipped(Skip::NoEmail) => (Some("no email".to_owned()), None),
        Derivation::Subscriber(subscriber) => (None, Some(subscriber)),
    };
    failures.check(name, "skipped", &skipped, &case.skipped);
    if let Some(subscriber) = subscriber {
        check_subscriber(case, &subscriber, name, failures);
    }
}

fn check_subscriber(case: &Case, subscriber: &Subscriber, name: &str, failures: &mut Failures) {
    let tags: Vec<String> = subscriber
        .tags
        .keys()
        .map(|tag| tag.as_str().to_owned())
        .collect();
    failures.check(name, "tags", &tags, &case.tags);
    for (tag, expected) in &case.reasons {
        let reasons = Tag::parse(tag).and_then(|tag| subscriber.tags.get(&tag));
        let reasons = reasons.into_iter().flatten().map(|reason| {
            let source = reason.source.as_deref().unwrap_or("-");
            format!("{source}: {}", reason.rule)
        });
        failures.check(name, tag, &reasons.collect(), expected);
    }

    if let Some(differences) = &case.rule {
        let fields = rule::mapping::fields(subscriber);
        let fields = fields.into_iter().map(|field| (field.key, field.value));
        let expected = over(baseline::rule(&case.user), differences);
        check_fields(name, "rule", fields, &expected, failures);
    }
    if let Some(differences) = &case.mailmojo {
        let fields = mailmojo::mapping::fields(subscriber);
        let fields = fields.into_iter().map(|field| (field.name, field.value));
        let personal = mailmojo::mapping::personal(subscriber)
            .map(|(key, value)| (key, Value::from(value.expose())));
        let expected = over(baseline::mailmojo(&case.user), differences);
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
            ("subscriber", make::mapping::subscriber(subscriber, &tags)),
            ("products", make::mapping::products(subscriber).into()),
            (
                "subscriptions",
                make::mapping::subscriptions(subscriber).into(),
            ),
        ];
        let mut expected = over(baseline::make(&case.user, EMAIL, &tags), differences);
        let subscriptions = expected.get_mut("subscriptions");
        for subscription in subscriptions
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            baseline::open_ended(subscription);
        }
        check_fields(name, "make", bodies, &expected, failures);
    }
}

/// The baseline with a case's differences laid over it, into objects too.
fn over(mut baseline: Map<String, Value>, differences: &Map<String, Value>) -> Map<String, Value> {
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
