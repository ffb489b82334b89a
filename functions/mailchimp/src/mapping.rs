//! Maps a [`DesiredContact`] to Mailchimp's merge fields, and events to activity. Pure.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Number, Value, json};
use shared::derivation::DesiredContact;
use shared::identity::{CheckoutId, ContractId, EntitlementId};
use shared::message::{Event, EventType};
use shared::personal::Personal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// The key, up to ten characters.
    pub tag: &'static str,
    /// What the publisher sees.
    pub name: &'static str,
    /// Mailchimp's type.
    pub kind: &'static str,
}

macro_rules! definitions {
    ($($constant:ident = $tag:literal $name:literal $kind:literal),+ $(,)?) => {
        $(const $constant: Definition = Definition {
            tag: $tag,
            name: $name,
            kind: $kind,
        };)+

        /// Every merge field that a sync may write, the most important ones first: an
        /// audience may lack room for all.
        pub const DEFINITIONS: &[Definition] = &[$($constant),+];
    };
}

definitions! {
    // Documented by Sesamy.
    USER_ID = "SESAMYUSR" "Sesamy User ID" "text",
    HAS_ACTIVE = "SMYSUBSC" "Has Active Subscription" "text",
    FIRST_NAME = "FNAME" "First Name" "text",
    LAST_NAME = "LNAME" "Last Name" "text",
    PHONE = "PHONE" "Phone Number" "phone",
    ARTICLES = "SMYARTPUR" "Articles Purchased" "number",
    ACTIVE = "SMYACTSUBS" "Active Subscriptions" "number",
    CANCELED = "SMYCANSUBS" "Canceled Subscriptions" "number",
    EXPIRED = "SMYEXPSUBS" "Expired Subscriptions" "number",
    ENDED = "SMYENDSUBS" "Ended Subscriptions Total" "number",
    ISSUES = "SMYISSREM" "Issues Remaining" "number",
    // This system's own.
    EXPIRES_AT = "SMYEXPIRES" "Subscription Expires At" "date",
    LAST_PAYMENT = "SMYLASTPAY" "Last Payment Date" "date",
    NEXT_PAYMENT = "SMYNEXTPAY" "Next Payment Date" "date",
    WILL_CANCEL_AT = "SMYCANCEL" "Will Cancel At" "date",
    DURATION = "SMYTYPE" "Contract Duration Type" "text",
}

/// Names the Sesamy user that the member belongs to.
pub const OWNER: &str = USER_ID.tag;

#[derive(Clone, PartialEq)]
pub struct Field {
    pub tag: &'static str,
    /// A text or a number; an empty text clears the field.
    pub value: Value,
}

impl Field {
    pub fn is_cleared(&self) -> bool {
        self.value == cleared()
    }
}

/// Omits the value, which may be personal.
impl fmt::Debug for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.tag)
    }
}

/// Always all of our merge fields, so that values that no longer apply are cleared.
///
/// Decided. Known: Sesamy's documentation has the first eight, and no field for the
/// dates and the type. Left out: `SMYLASTSEE`, the user's last visit, which Sesamy's
/// API does not tell.
pub fn fields(desired: &DesiredContact) -> [Field; 13] {
    let account = &desired.account;
    [
        field(USER_ID, Some(desired.user_id.as_str().into())),
        field(HAS_ACTIVE, Some(yes_or_no(account.has_active_subscription))),
        field(ARTICLES, Some(account.articles_purchased.into())),
        field(ACTIVE, Some(account.active_subscriptions.into())),
        field(CANCELED, Some(account.canceled_subscriptions.into())),
        field(EXPIRED, Some(account.expired_subscriptions.into())),
        field(ENDED, Some(account.ended_subscriptions.into())),
        field(ISSUES, account.issues_remaining.map(number)),
        date(EXPIRES_AT, account.subscription_expires_at),
        date(LAST_PAYMENT, account.last_payment_date),
        date(NEXT_PAYMENT, account.next_payment_date),
        date(WILL_CANCEL_AT, account.will_cancel_at),
        field(DURATION, account.contract_duration.clone().map(Value::from)),
    ]
}

/// All but name and phone, which belong to the publisher as well.
pub fn cleared_fields() -> impl Iterator<Item = Field> {
    let is_shared = |tag: &str| [FIRST_NAME, LAST_NAME, PHONE].iter().any(|f| f.tag == tag);
    let own = DEFINITIONS.iter().filter(move |own| !is_shared(own.tag));
    own.map(|definition| field(*definition, None))
}

/// The name and phone that Sesamy has. A sync writes them only if the member has
/// none, so that values entered in Mailchimp stay.
pub fn personal(desired: &DesiredContact) -> impl Iterator<Item = (&'static str, &Personal)> {
    [
        (FIRST_NAME.tag, desired.first_name.as_ref()),
        (LAST_NAME.tag, desired.last_name.as_ref()),
        (PHONE.tag, desired.phone.as_ref()),
    ]
    .into_iter()
    .filter_map(|(tag, value)| Some((tag, value?)))
}

/// The body of an event of a member's activity.
///
/// Decided. Known: Sesamy tracks activity at Mailchimp; no name of an event is
/// documented.
pub fn event(event: &Event) -> Value {
    // Assumed: Mailchimp reads whole seconds, as in its own examples.
    let occurred_at = Timestamp::from_second(event.occurred_at.as_second());
    let occurred_at = occurred_at.unwrap_or(event.occurred_at).to_string();
    let ids = [
        (
            "contract_id",
            event.contract_id.as_ref().map(ContractId::as_str),
        ),
        (
            "entitlement_id",
            event.entitlement_id.as_ref().map(EntitlementId::as_str),
        ),
        (
            "checkout_id",
            event.checkout_id.as_ref().map(CheckoutId::as_str),
        ),
        ("occurred_at", Some(&*occurred_at)),
    ];
    let properties = ids.into_iter();
    let properties: Map<String, Value> = properties
        .filter_map(|(name, text)| Some((name.to_owned(), text?.into())))
        .collect();
    json!({
        "name": event_name(event.event_type),
        "properties": properties,
        "occurred_at": occurred_at,
    })
}

/// Up to thirty characters.
fn event_name(event: EventType) -> &'static str {
    match event {
        EventType::UserVendorNew => "sesamy_user_vendor_new",
        EventType::UserVendorUpdate => "sesamy_user_vendor_update",
        EventType::ContractPurchased => "sesamy_contract_purchased",
        EventType::ContractUpdate => "sesamy_contract_update",
        EventType::ContractCancelRequest => "sesamy_contract_cancel_request",
        EventType::CheckoutConfirm => "sesamy_checkout_confirm",
        EventType::EntitlementNew => "sesamy_entitlement_new",
        EventType::EntitlementUpdate => "sesamy_entitlement_update",
    }
}

fn field(definition: Definition, value: Option<Value>) -> Field {
    Field {
        tag: definition.tag,
        value: value.unwrap_or_else(cleared),
    }
}

/// Clears a field of any type. Seen for texts and numbers, assumed for dates.
fn cleared() -> Value {
    "".into()
}

/// Mailchimp has no booleans. Known: Sesamy writes these words.
fn yes_or_no(value: bool) -> Value {
    if value { "True" } else { "False" }.into()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_into_mailchimps_limits() {
        for definition in DEFINITIONS {
            assert!(definition.tag.len() <= 10, "{}", definition.tag);
        }
        for event in EventType::ALL {
            assert!(event_name(event).len() <= 30, "{}", event.name());
        }
    }
}
