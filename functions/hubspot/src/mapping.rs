//! Maps a [`DesiredContact`] to HubSpot's properties. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;
use shared::connector::Field;
use shared::derivation::{Attribute, DesiredContact, Tags, ValueKind, diff_tags};

use crate::client::Definition;

/// Names the Sesamy user that the contact belongs to.
pub const USER_ID: &str = "sesamy_user_id";
pub const TAGS: &str = "sesamy_tags";
pub const EMAIL: &str = "email";

/// Source: Sesamy's documentation of its own integration, for the names that do not
/// begin with `sesamy_`. "Canceled" counts every ended subscription there.
pub const PROPERTIES: [(Attribute, &str); 12] = [
    (Attribute::UserId, USER_ID),
    (Attribute::Tags, TAGS),
    (Attribute::HasActiveSubscription, "has_active_subscription"),
    (Attribute::ActiveSubscriptions, "active_subscription_count"),
    (
        Attribute::EndedSubscriptions,
        "canceled_subscriptions_count",
    ),
    (Attribute::ActiveProducts, "subscription_type"),
    (
        Attribute::SubscriptionExpiresAt,
        "sesamy_subscription_expires_at",
    ),
    (Attribute::LastPaymentDate, "sesamy_last_payment_date"),
    (Attribute::NextPaymentDate, "sesamy_next_payment_date"),
    (Attribute::WillCancelAt, "sesamy_will_cancel_at"),
    (Attribute::ArticlesPurchased, "sesamy_articles_purchased"),
    (Attribute::IssuesRemaining, "sesamy_issues_remaining"),
];

/// The first options of the tags: a marketer can build segments on them before a
/// contact has them.
pub const FIRST_TAGS: [&str; 5] = [
    "sesamy_active_subscriber",
    "sesamy_has_external_access",
    "sesamy_has_gifted_subscription",
    "sesamy_made_single_purchase",
    "sesamy_overdue_contract",
];

/// HubSpot allows no longer value of an option.
const MAX_OPTION: usize = 3_000;

/// The name and phone that Sesamy has. Only a new contact gets them: later they are
/// the publisher's.
pub fn personal(desired: &DesiredContact) -> impl Iterator<Item = Field> {
    let personal = [
        (Attribute::FirstName, "firstname"),
        (Attribute::LastName, "lastname"),
        (Attribute::Phone, "phone"),
    ];
    let field = |(attribute, name)| Field::text(name, attribute, text(desired.value(attribute)));
    let fields = personal.map(field).into_iter();
    fields.filter(|field| !field.is_cleared())
}

/// The value of the tags, with the publisher's own.
pub fn tags(current: &str, desired: &Tags) -> String {
    let tags = split(current);
    let diff = diff_tags(&tags, desired, &[]);
    match diff.is_empty() {
        true => current.to_owned(),
        false => diff.apply(&tags).join(";"),
    }
}

/// Semicolons separate the values of a multi-select.
pub fn split(value: &str) -> Vec<String> {
    let parts = value.split(';').map(str::trim);
    let parts = parts.filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// Empty for an attribute without a value.
pub fn text(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        Value::Array(texts) => {
            let options: BTreeSet<String> = texts.iter().filter_map(option).collect();
            Vec::from_iter(options).join(";")
        }
        other => other.to_string(),
    }
}

fn option(text: &Value) -> Option<String> {
    let text: String = text.as_str()?.trim().chars().take(MAX_OPTION).collect();
    let option = text.replace(';', ",").trim().to_owned();
    Some(option).filter(|option| !option.is_empty())
}

/// How a property of an account takes a value. The publisher or another integration
/// may have created it with another type than a sync would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    Number,
    Date,
    DateTime,
    MultiSelect,
}

impl Form {
    /// `None` if the property cannot hold what it should say.
    pub fn new(attribute: Attribute, definition: &Definition) -> Option<Self> {
        let types = (definition.kind.as_str(), definition.field_type.as_str());
        match (attribute.kind(), types) {
            (_, ("string", _)) | (ValueKind::Boolean, ("bool", _)) => Some(Self::Text),
            (ValueKind::Number, ("number", _)) => Some(Self::Number),
            (ValueKind::Date, ("date", _)) => Some(Self::Date),
            (ValueKind::Date, ("datetime", _)) => Some(Self::DateTime),
            (ValueKind::Texts, ("enumeration", "checkbox")) => Some(Self::MultiSelect),
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
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let set = |text| BTreeSet::from_iter(split(text));
        current == desired
            || match self {
                Self::Text => false,
                Self::Number => number(current).is_some_and(|n| Some(n) == number(desired)),
                Self::Date | Self::DateTime => {
                    day(current).is_some_and(|d| Some(d) == day(desired))
                }
                Self::MultiSelect => set(current) == set(desired),
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
    use serde_json::json;

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
            case(Form::Text, "", "false", false),
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
        assert_eq!(text(json!(titles)), ",;A, B;The Daily");
        let long = text(json!(["å".repeat(4_000)]));
        assert_eq!(long.chars().count(), MAX_OPTION);
    }

    #[test]
    fn a_property_of_another_type_is_written_in_its_form_or_not_at_all() {
        struct Case {
            attribute: Attribute,
            found: (&'static str, &'static str),
            form: Option<Form>,
        }
        let case = |attribute, found, form| Case {
            attribute,
            found,
            form,
        };
        use Attribute::{HasActiveSubscription, IssuesRemaining, Tags, UserId, WillCancelAt};
        for case in [
            case(IssuesRemaining, ("string", "text"), Some(Form::Text)),
            case(Tags, ("string", "textarea"), Some(Form::Text)),
            case(HasActiveSubscription, ("string", "text"), Some(Form::Text)),
            case(WillCancelAt, ("datetime", "date"), Some(Form::DateTime)),
            case(Tags, ("enumeration", "select"), None),
            case(IssuesRemaining, ("enumeration", "checkbox"), None),
            case(WillCancelAt, ("number", "number"), None),
            case(UserId, ("number", "number"), None),
            case(HasActiveSubscription, ("enumeration", "select"), None),
        ] {
            let mut definition = Definition::new(case.attribute, "x");
            definition.kind = case.found.0.to_owned();
            definition.field_type = case.found.1.to_owned();
            let form = Form::new(case.attribute, &definition);
            assert_eq!(
                form,
                case.form,
                "{} {:?}",
                case.attribute.label(),
                case.found
            );
        }
        for (attribute, name) in PROPERTIES {
            let form = Form::new(attribute, &Definition::new(attribute, name));
            assert!(form.is_some(), "{name}");
        }
    }
}
