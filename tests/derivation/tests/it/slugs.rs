//! How names are spelt in tags.

use serde::Deserialize;
use shared::derivation::slug;

use crate::files::{self, Failures};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    rule: String,
    name: String,
    slug: String,
}

#[test]
fn every_name_is_spelt_as_the_cases_say() {
    let mut failures = Failures::default();
    let cases: Vec<Case> = files::read("slugs.json");
    for case in &cases {
        let what = format!("{:?}", case.name);
        failures.check(&case.rule, &what, &slug(&case.name), &case.slug);
    }
    failures.report(cases.len());
}
