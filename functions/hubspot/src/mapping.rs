//! Maps a [`DesiredContact`] to HubSpot's properties. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use shared::derivation::DesiredContact;
use shared::personal::Personal;

/// HubSpot allows no longer value of an option.
const MAX_OPTION: usize = 3_000;

/// What a property says, and so the type that it is created with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Boolean,
    Number,
    Date,
    MultiSelect,
}

impl Kind {
    /// HubSpot's `type` and `fieldType`.
    pub fn types(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("string", "text"),
            Self::Boolean => ("bool", "booleancheckbox"),
            Self::Number => ("number", "number"),
            Self::Date => ("date", "date"),
            Self::MultiSelect => ("enumeration", "checkbox"),
        }
    }
}

/// Names the Sesamy user that the contact belongs to.
pub const USER_ID: &str = "sesamy_user_id";
pub const TAGS: &str = "sesamy_tags";
pub const EMAIL: &str = "email";

/// Source: Sesamy's documentation of its own integration, for the names that do not
/// begin with `sesamy_`.
pub const DEFINITIONS: [(&str, Kind); 12] = [
    (USER_ID, Kind::Text),
    (TAGS, Kind::MultiSelect),
    ("has_active_subscription", Kind::Boolean),
    ("active_subscription_count", Kind::Number),
    ("canceled_subscriptions_count", Kind::Number),
    ("subscription_type", Kind::MultiSelect),
    ("sesamy_subscription_expires_at", Kind::Date),
    ("sesamy_last_payment_date", Kind::Date),
    ("sesamy_next_payment_date", Kind::Date),
    ("sesamy_will_cancel_at", Kind::Date),
    ("sesamy_articles_purchased", Kind::Number),
    ("sesamy_issues_remaining", Kind::Number),
];

/// The first options of the tags: a marketer can build segments on them before a
/// contact has them.
const FIRST_TAGS: [&str; 5] = [
    "sesamy_active_subscriber",
    "sesamy_has_external_access",
    "sesamy_has_gifted_subscription",
    "sesamy_made_single_purchase",
    "sesamy_overdue_contract",
];

/// Assumed: HubSpot creates a multi-select without options, and refuses no empty list
/// for a property of another type.
pub fn first_options(name: &str, kind: Kind) -> Vec<Value> {
    match kind {
        Kind::Boolean => vec![option("true", "Yes"), option("false", "No")],
        Kind::MultiSelect if name == TAGS => FIRST_TAGS.map(|tag| option(tag, tag)).into(),
        _ => Vec::new(),
    }
}

/// An option that is shown after the present ones.
pub fn option(value: &str, label: &str) -> Value {
    json!({ "value": value, "label": label, "hidden": false, "displayOrder": -1 })
}

/// Every property but the tags, as text. An empty one clears the property. "Canceled"
/// counts every ended subscription, as Sesamy's own integration does.
pub fn properties(desired: &DesiredContact) -> [(&'static str, String); 11] {
    let account = &desired.account;
    let date = |date: Option<Date>| date.map(|date| date.to_string()).unwrap_or_default();
    // Without a fraction for whole numbers: `3`, not `3.0`.
    let issues = account.issues_remaining.map(|issues| issues.to_string());
    let has_active = account.has_active_subscription.to_string();
    let (active, ended) = (account.active_subscriptions, account.ended_subscriptions);
    let expires = date(account.subscription_expires_at);
    let articles = account.articles_purchased.to_string();
    [
        (USER_ID, desired.user_id.as_str().to_owned()),
        ("has_active_subscription", has_active),
        ("active_subscription_count", active.to_string()),
        ("canceled_subscriptions_count", ended.to_string()),
        (
            "subscription_type",
            options(&desired.active_products.titles),
        ),
        ("sesamy_subscription_expires_at", expires),
        ("sesamy_last_payment_date", date(account.last_payment_date)),
        ("sesamy_next_payment_date", date(account.next_payment_date)),
        ("sesamy_will_cancel_at", date(account.will_cancel_at)),
        ("sesamy_articles_purchased", articles),
        ("sesamy_issues_remaining", issues.unwrap_or_default()),
    ]
}

/// The name and phone that Sesamy has. Only a new contact gets them: later they are
/// the publisher's.
pub fn personal(desired: &DesiredContact) -> impl Iterator<Item = (&'static str, &Personal)> {
    [
        ("firstname", desired.first_name.as_ref()),
        ("lastname", desired.last_name.as_ref()),
        ("phone", desired.phone.as_ref()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

/// Texts as the values of a multi-select, in which semicolons separate them.
fn options(texts: &[String]) -> String {
    let option = |text: &String| {
        let text: String = text.trim().chars().take(MAX_OPTION).collect();
        text.replace(';', ",").trim().to_owned()
    };
    let options: BTreeSet<String> = texts.iter().map(option).collect();
    let options = options.into_iter().filter(|option| !option.is_empty());
    options.collect::<Vec<_>>().join(";")
}

pub fn split(value: &str) -> Vec<String> {
    let parts = value.split(';').map(str::trim);
    let parts = parts.filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// How a property of an account takes a value. The publisher or another integration
/// may have created it with another type than a sync would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    Boolean,
    Number,
    Date,
    DateTime,
    MultiSelect,
}

impl Form {
    /// `None` if the property cannot hold what it should say.
    pub fn new(kind: Kind, definition: &Value) -> Option<Self> {
        let text = |key: &str| definition.get(key).and_then(Value::as_str);
        let is_read_only = definition.pointer("/modificationMetadata/readOnlyValue");
        if is_read_only == Some(&Value::Bool(true)) {
            return None;
        }
        match (kind, text("type")?, text("fieldType")?) {
            (_, "string", _) => Some(Self::Text),
            (Kind::Boolean, "bool", _) => Some(Self::Boolean),
            (Kind::Number, "number", _) => Some(Self::Number),
            (Kind::Date, "date", _) => Some(Self::Date),
            (Kind::Date, "datetime", _) => Some(Self::DateTime),
            (Kind::MultiSelect, "enumeration", "checkbox") => Some(Self::MultiSelect),
            _ => None,
        }
    }

    pub fn encode(self, text: String) -> String {
        match self {
            Self::DateTime if !text.is_empty() => format!("{text}T00:00:00Z"),
            _ => text,
        }
    }

    /// Whether a contact needs no write.
    ///
    /// Assumed: HubSpot may return a date as milliseconds and a number with other
    /// digits, and it promises no order of the values of a multi-select.
    pub fn agrees(self, current: &str, desired: &str) -> bool {
        if current.is_empty() || desired.is_empty() {
            return current == desired;
        }
        match self {
            Self::Text => current == desired,
            Self::Boolean => current.eq_ignore_ascii_case(desired),
            Self::Number => current.trim().parse::<f64>() == desired.parse(),
            Self::Date | Self::DateTime => day(current) == day(desired),
            Self::MultiSelect => {
                let set = |value| BTreeSet::from_iter(split(value));
                set(current) == set(desired)
            }
        }
    }
}

fn day(text: &str) -> Option<Date> {
    match text.parse() {
        Ok(milliseconds) => {
            let at = Timestamp::from_millisecond(milliseconds).ok()?;
            Some(at.to_zoned(TimeZone::UTC).date())
        }
        Err(_) => text.get(..10)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_agree_in_each_form_hubspot_may_return() {
        struct Case {
            form: Form,
            current: &'static str,
            desired: &'static str,
            agrees: bool,
        }
        let case = |form, current, desired, agrees| Case {
            form,
            current,
            desired,
            agrees,
        };
        for case in [
            case(Form::Text, "email|1", "email|1", true),
            case(Form::Text, "Email|1", "email|1", false),
            case(Form::Text, "", "", true),
            case(Form::Number, "3", "3", true),
            case(Form::Number, "3.0", "3", true),
            case(Form::Number, "0", "", false),
            case(Form::Number, "", "0", false),
            case(Form::Number, "three", "3", false),
            case(Form::Boolean, "TRUE", "true", true),
            case(Form::Boolean, "", "false", false),
            case(Form::Date, "2026-05-01", "2026-05-01", true),
            case(Form::Date, "1777593600000", "2026-05-01", true),
            case(Form::Date, "2026-05-02", "2026-05-01", false),
            case(Form::Date, "soon", "2026-05-01", false),
            case(
                Form::DateTime,
                "2026-05-01T00:00:00.000Z",
                "2026-05-01T00:00:00Z",
                true,
            ),
            case(Form::MultiSelect, "b;a", "a;b", true),
            case(Form::MultiSelect, "a; b", "a;b", true),
            case(Form::MultiSelect, "a", "a;b", false),
            case(Form::MultiSelect, "A", "a", false),
        ] {
            let agrees = case.form.agrees(case.current, case.desired);
            assert_eq!(
                agrees, case.agrees,
                "{:?} {} {}",
                case.form, case.current, case.desired
            );
        }
    }

    #[test]
    fn titles_become_options_without_semicolons_blanks_and_repetitions() {
        let titles = ["The Daily", " The Daily ", "A; B", ";", "", "  "].map(str::to_owned);
        assert_eq!(options(&titles), ",;A, B;The Daily");
        assert_eq!(options(&["å".repeat(4_000)]).chars().count(), MAX_OPTION);
    }

    #[test]
    fn a_property_of_another_type_is_written_in_its_form_or_not_at_all() {
        struct Case {
            kind: Kind,
            found: (&'static str, &'static str),
            form: Option<Form>,
        }
        let form = |kind, (found, field): (&str, &str)| {
            Form::new(kind, &json!({ "type": found, "fieldType": field }))
        };
        let case = |kind, found, form| Case { kind, found, form };
        for case in [
            case(Kind::Number, ("string", "text"), Some(Form::Text)),
            case(Kind::MultiSelect, ("string", "textarea"), Some(Form::Text)),
            case(Kind::Boolean, ("string", "text"), Some(Form::Text)),
            case(Kind::Date, ("datetime", "date"), Some(Form::DateTime)),
            case(Kind::MultiSelect, ("enumeration", "select"), None),
            case(Kind::Number, ("enumeration", "checkbox"), None),
            case(Kind::Date, ("number", "number"), None),
            case(Kind::Text, ("number", "number"), None),
            case(Kind::Boolean, ("enumeration", "select"), None),
        ] {
            let name = format!("{:?} {:?}", case.kind, case.found);
            assert_eq!(form(case.kind, case.found), case.form, "{name}");
        }
        for (name, kind) in DEFINITIONS {
            assert!(form(kind, kind.types()).is_some(), "{name}");
        }
        let computed = json!({
            "type": "number",
            "fieldType": "number",
            "modificationMetadata": { "readOnlyValue": true },
        });
        assert_eq!(Form::new(Kind::Number, &computed), None);
    }
}
