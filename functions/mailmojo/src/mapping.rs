//! What Mailmojo should hold of a reader: account fields, and name and phone.
//!
//! Pure: from a [`Subscriber`] to Mailmojo's own words.

use std::fmt;

use jiff::civil::Date;
use serde_json::{Number, Value};
use shared::derivation::Subscriber;
use shared::personal::Personal;

/// The type of an account field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// Any text.
    Text,
    /// Yes or no.
    Boolean,
    /// A number.
    Number,
    /// A date, `YYYY-MM-DD`.
    Date,
}

impl FieldType {
    /// The type's name at Mailmojo.
    ///
    /// Assumed: the words in which Sesamy lists the fields.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::Date => "date",
        }
    }
}

/// An account field and its value for one contact.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    /// The name as Mailmojo displays it, which is also the key.
    pub name: &'static str,
    /// The type.
    pub kind: FieldType,
    /// The value; null where none applies, which clears the field.
    pub value: Value,
}

/// Without the value, which may be personal.
impl fmt::Debug for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.name, self.kind.name())
    }
}

type Definition = (&'static str, FieldType);

const USER_ID: Definition = ("Sesamy User ID", FieldType::Text);
const HAS_ACTIVE: Definition = ("Has Active Subscription", FieldType::Boolean);
const ARTICLES: Definition = ("Articles Purchased", FieldType::Number);
const ACTIVE: Definition = ("Active Subscriptions", FieldType::Number);
const CANCELED: Definition = ("Canceled Subscriptions", FieldType::Number);
const EXPIRED: Definition = ("Expired Subscriptions", FieldType::Number);
const ENDED: Definition = ("Ended Subscriptions Total", FieldType::Number);
const ISSUES: Definition = ("Issues Remaining", FieldType::Number);
const EXPIRES_AT: Definition = ("Subscription Expires At", FieldType::Date);
const DURATION: Definition = ("Contract Duration Type", FieldType::Text);
const LAST_PAYMENT: Definition = ("Last Payment Date", FieldType::Date);
const NEXT_PAYMENT: Definition = ("Next Payment Date", FieldType::Date);
const WILL_CANCEL_AT: Definition = ("Will Cancel At", FieldType::Date);

/// The thirteen account fields with their types, as Sesamy documents them.
pub const DEFINITIONS: [(&str, FieldType); 13] = [
    USER_ID,
    HAS_ACTIVE,
    ARTICLES,
    ACTIVE,
    CANCELED,
    EXPIRED,
    ENDED,
    ISSUES,
    EXPIRES_AT,
    DURATION,
    LAST_PAYMENT,
    NEXT_PAYMENT,
    WILL_CANCEL_AT,
];

/// The account fields of a contact, in the order of [`DEFINITIONS`]. All of
/// them every time, so that what no longer applies is cleared.
pub fn fields(subscriber: &Subscriber) -> [Field; 13] {
    let account = &subscriber.account;
    [
        field(USER_ID, Some(subscriber.user_id.as_str().into())),
        field(HAS_ACTIVE, Some(account.has_active_subscription.into())),
        field(ARTICLES, Some(account.articles_purchased.into())),
        field(ACTIVE, Some(account.active_subscriptions.into())),
        field(CANCELED, Some(account.canceled_subscriptions.into())),
        field(EXPIRED, Some(account.expired_subscriptions.into())),
        field(ENDED, Some(account.ended_subscriptions.into())),
        field(ISSUES, account.issues_remaining.map(number)),
        date(EXPIRES_AT, account.subscription_expires_at),
        field(DURATION, account.contract_duration.clone().map(Value::from)),
        date(LAST_PAYMENT, account.last_payment_date),
        date(NEXT_PAYMENT, account.next_payment_date),
        date(WILL_CANCEL_AT, account.will_cancel_at),
    ]
}

/// The field in which a contact says which Sesamy user it is.
pub const OWNER: &str = USER_ID.0;

/// Each account field, cleared.
pub fn cleared_fields() -> [Field; 13] {
    DEFINITIONS.map(|definition| field(definition, None))
}

/// Name and phone by Mailmojo's keys, as far as Sesamy has them. They are
/// written only where the contact has none, so that what was entered in
/// Mailmojo stays.
pub fn personal(subscriber: &Subscriber) -> impl Iterator<Item = (&'static str, &Personal)> {
    [
        ("first_name", subscriber.first_name.as_ref()),
        ("last_name", subscriber.last_name.as_ref()),
        ("phone", subscriber.phone.as_ref()),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
}

fn field((name, kind): Definition, value: Option<Value>) -> Field {
    let value = value.unwrap_or_else(cleared);
    Field { name, kind, value }
}

/// What clears an account field.
///
/// Assumed: null. Known is only that fields are cleared when a value no longer
/// applies, not how.
fn cleared() -> Value {
    Value::Null
}

fn date(definition: Definition, date: Option<Date>) -> Field {
    field(definition, date.map(|date| date.to_string().into()))
}

/// A number without a fraction where it has none: `3`, not `3.0`.
fn number(number: f64) -> Value {
    /// Up to here every whole number has a form of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        (number as i64).into()
    } else {
        Number::from_f64(number).map_or_else(cleared, Value::Number)
    }
}
