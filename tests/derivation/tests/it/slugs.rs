use serde::Deserialize;
use shared::derivation::{Tag, slug};

use crate::files::{self, Failures};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    rule: String,
    name: String,
    slug: String,
}

#[test]
fn slugs_are_as_the_cases_say() {
    let mut failures = Failures::default();
    let cases: Vec<Case> = files::read("slugs.json");
    for case in &cases {
        let what = format!("{:?}", case.name);
        failures.check(&case.rule, &what, &slug(&case.name), &case.slug);
    }
    failures.report(cases.len());
}

#[test]
fn tag_is_the_prefix_and_at_most_99_allowed_characters() {
    let longest = format!("sesamy_{}", "x".repeat(92));
    for name in ["sesamy_a", "sesamy_tag_a-1", "sesamy__-", &longest] {
        let tag = Tag::parse(name);
        assert_eq!(tag.as_ref().map(Tag::as_str), Some(name));
    }
    let too_long = format!("{longest}x");
    for name in [
        "",
        "sesamy",
        "sesamy_",
        "Sesamy_a",
        "vip",
        "sesamy_A",
        "sesamy_a b",
        "sesamy_å",
        "sesamy_a.b",
        &too_long,
    ] {
        assert_eq!(Tag::parse(name), None, "{name}");
    }
}
