//! Maps a [`DesiredContact`] to Mailmojo's account fields, name and phone. Pure.

use std::fmt;

use jiff::civil::Date;
use serde_json::{Number, Value};
use shared::derivation::DesiredContact;
use shared::personal::Personal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    Text,
    Boolean,
    Number,
    /// `YYYY-MM-DD`.
    Date,
}

impl FieldType {
    /// Assumed: Mailmojo names the types as Sesamy's list of fields does.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::Date => "date",
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    /// The display name, which is also the key.
    pub name: &'static str,
    pub kind: FieldType,
    /// Null clears the field.
    pub value: Value,
}

/// Omits the value, which may be personal.
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

/// Source: Sesamy's documentation.
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

/// Always all account fields, so that values that no longer apply are cleared.
pub fn fields(desired: &DesiredContact) -> [Field; 13] {
    let account = &desired.account;
    [
        field(USER_ID, Some(desired.user_id.as_str().into())),
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

/// Names the Sesamy user that the contact belongs to.
pub const OWNER: &str = USER_ID.0;

pub fn cleared_fields() -> [Field; 13] {
    DEFINITIONS.map(|definition| field(definition, None))
}

/// The name and phone that Sesamy has, by Mailmojo's keys. A sync writes them only
/// if the contact has none, so that values entered in Mailmojo stay.
pub fn personal(desired: &DesiredContact) -> impl Iterator<Item = (&'static str, &Personal)> {
    [
        ("first_name", desired.first_name.as_ref()),
        ("last_name", desired.last_name.as_ref()),
        ("phone", desired.phone.as_ref()),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
}

fn field((name, kind): Definition, value: Option<Value>) -> Field {
    let value = value.unwrap_or_else(cleared);
    Field { name, kind, value }
}

/// Assumed: null. Sesamy documents that fields are cleared when a value no longer
/// applies, not how.
fn cleared() -> Value {
    Value::Null
}

fn date(definition: Definition, date: Option<Date>) -> Field {
    field(definition, date.map(|date| date.to_string().into()))
}

/// Writes whole numbers without a fraction: `3`, not `3.0`.
fn number(number: f64) -> Value {
    /// 2^53: up to here an `f64` holds every whole number exactly.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        (number as i64).into()
    } else {
        Number::from_f64(number).map_or_else(cleared, Value::Number)
    }
}
