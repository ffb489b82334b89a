//! Maps a [`DesiredContact`] to Rule's fields, and events to Rule's tags. Pure.
//!
//! A field is named `Group.Field`. Rule has no numbers and no booleans.

use std::fmt;

use jiff::civil::Date;
use serde_json::Value;
use shared::connector::FieldChange;
use shared::derivation::{BillingAddress, DesiredContact, PrimarySubscription};
use shared::identity::{CheckoutId, ContractId};
use shared::message::{Event, EventType};
use shared::personal::Personal;

/// The tag of every contact that was synced from Sesamy. Never removed by a sync.
///
/// Known: "a base tag that is always added".
pub const BASE_TAG: &str = "sesamy";

/// Names the Sesamy user that the contact belongs to.
pub const OWNER: &str = "Sesamy_User.ID";

/// Tags with this prefix are never stale.
pub const EVENT_TAG_PREFIX: &str = "sesamy_event_";

/// The field types of Rule that this connector uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    Text,
    /// `YYYY-MM-DD`.
    Date,
    /// A list of texts.
    Multiple,
}

impl FieldType {
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Date => "date",
            Self::Multiple => "multiple",
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    /// `Group.Field`.
    pub key: &'static str,
    pub kind: FieldType,
    /// A text, a list of texts, or the value that clears the field.
    pub value: Value,
    pub personal: bool,
}

impl Field {
    pub fn group(&self) -> &'static str {
        self.key
            .split_once('.')
            .map_or(self.key, |(group, _)| group)
    }

    pub fn is_cleared(&self) -> bool {
        self.value == cleared()
    }

    /// How a sync changes the field from its current value; `None` if it does not.
    pub fn change(&self, current: Option<&Value>) -> Option<FieldChange> {
        let cleared = cleared();
        let current = current.filter(|value| !is_blank(value));
        if *current.unwrap_or(&cleared) == self.value {
            None
        } else if self.is_cleared() {
            Some(FieldChange::cleared(self.key))
        } else {
            Some(FieldChange::set(
                self.key,
                self.value.clone(),
                self.personal,
            ))
        }
    }
}

/// Omits the value, which may be personal.
impl fmt::Debug for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.key, self.kind.name())
    }
}

macro_rules! keys {
    ($($name:ident = $key:literal as $kind:ident),+ $(,)?) => {
        $(const $name: (&str, FieldType) = ($key, FieldType::$kind);)+

        /// Every field that a sync may write.
        pub const DEFINITIONS: &[(&str, FieldType)] = &[$($name),+];
    };
}

keys! {
    // Rule's own.
    FIRST_NAME = "Subscriber.FirstName" as Text,
    LAST_NAME = "Subscriber.LastName" as Text,
    PHONE = "Subscriber.Phone" as Text,
    // Documented by Rule and Sesamy.
    USER_FIRST_NAME = "Sesamy_User.FirstName" as Text,
    USER_LAST_NAME = "Sesamy_User.LastName" as Text,
    USER_ID = "Sesamy_User.ID" as Text,
    USER_CREATED = "Sesamy_User.Created" as Date,
    BILLING_FIRST_NAME = "Sesamy_BillingAddress.FirstName" as Text,
    BILLING_LAST_NAME = "Sesamy_BillingAddress.LastName" as Text,
    BILLING_STREET = "Sesamy_BillingAddress.Street" as Text,
    BILLING_CITY = "Sesamy_BillingAddress.City" as Text,
    BILLING_ZIP = "Sesamy_BillingAddress.Zip" as Text,
    BILLING_CO = "Sesamy_BillingAddress.Co" as Text,
    BILLING_COUNTRY = "Sesamy_BillingAddress.Country" as Text,
    BILLING_DEPARTMENT = "Sesamy_BillingAddress.Department" as Text,
    PRODUCT_SKUS = "Sesamy_ActiveProducts.SKU" as Multiple,
    PRODUCT_TITLES = "Sesamy_ActiveProducts.Titles" as Multiple,
    PRODUCT_OPTION_TITLES = "Sesamy_ActiveProducts.OptionTitles" as Multiple,
    SUBSCRIPTION_STATUS = "Sesamy_Subscription.Status" as Text,
    SUBSCRIPTION_EXPIRES_AT = "Sesamy_Subscription.ExpiresAt" as Date,
    SUBSCRIPTION_CANCELED_AT = "Sesamy_Subscription.CanceledAt" as Date,
    SUBSCRIPTION_CREATED_AT = "Sesamy_Subscription.CreatedAt" as Date,
    // This system's own, for journeys and receipts. The time is a text because
    // Rule's type for times has no zone.
    EVENT_TYPE = "Sesamy_Event.Type" as Text,
    EVENT_OCCURRED_AT = "Sesamy_Event.OccurredAt" as Text,
    EVENT_CONTRACT_ID = "Sesamy_Event.ContractID" as Text,
    EVENT_CHECKOUT_ID = "Sesamy_Event.CheckoutID" as Text,
    PAYMENT_AMOUNT = "Sesamy_LastPayment.Amount" as Text,
    PAYMENT_CURRENCY = "Sesamy_LastPayment.Currency" as Text,
    PAYMENT_DATE = "Sesamy_LastPayment.Date" as Date,
    PAYMENT_RECEIPT_URL = "Sesamy_LastPayment.ReceiptUrl" as Text,
}

/// Decided. Known: the fields, and that the billing address is sent "when a
/// billing address exists". Assumed: the `Sesamy_` fields are ours and always
/// sent, so that values that no longer apply are cleared, including an old address.
/// Rule's own name and phone belong to the publisher as well, and stay if Sesamy
/// has none.
pub fn fields(desired: &DesiredContact) -> Vec<Field> {
    let first_name = desired.first_name.as_ref();
    let last_name = desired.last_name.as_ref();
    let own = [
        (FIRST_NAME, first_name),
        (LAST_NAME, last_name),
        (PHONE, desired.phone.as_ref()),
    ];
    let mut fields: Vec<Field> = own
        .into_iter()
        .filter_map(|(key, value)| Some(personal(key, Some(value?))))
        .collect();
    fields.extend([
        personal(USER_FIRST_NAME, first_name),
        personal(USER_LAST_NAME, last_name),
        text(USER_ID, Some(desired.user_id.as_str())),
        date(USER_CREATED, desired.created),
    ]);
    fields.extend(billing_address(desired.billing_address.as_ref()));
    let products = &desired.active_products;
    fields.extend([
        multiple(PRODUCT_SKUS, &products.skus),
        multiple(PRODUCT_TITLES, &products.titles),
        multiple(PRODUCT_OPTION_TITLES, &products.option_titles),
    ]);
    fields.extend(subscription(desired.primary_subscription.as_ref()));
    fields
}

fn billing_address(address: Option<&BillingAddress>) -> [Field; 8] {
    let line = |key, part: fn(&BillingAddress) -> &Option<Personal>| {
        personal(key, address.and_then(|address| part(address).as_ref()))
    };
    [
        line(BILLING_FIRST_NAME, |address| &address.first_name),
        line(BILLING_LAST_NAME, |address| &address.last_name),
        line(BILLING_STREET, |address| &address.street),
        line(BILLING_CITY, |address| &address.city),
        line(BILLING_ZIP, |address| &address.zip),
        line(BILLING_CO, |address| &address.co),
        line(BILLING_COUNTRY, |address| &address.country),
        line(BILLING_DEPARTMENT, |address| &address.department),
    ]
}

fn subscription(primary: Option<&PrimarySubscription>) -> [Field; 4] {
    let status = primary.and_then(|primary| primary.status.as_deref());
    [
        text(SUBSCRIPTION_STATUS, status),
        date(SUBSCRIPTION_EXPIRES_AT, primary.and_then(|p| p.expires_at)),
        date(
            SUBSCRIPTION_CANCELED_AT,
            primary.and_then(|p| p.canceled_at),
        ),
        date(SUBSCRIPTION_CREATED_AT, primary.and_then(|p| p.created_at)),
    ]
}

/// The event, for the mails of flows. Ids that the event lacks are
/// cleared, so that no flow uses those of another event.
///
/// Decided. Known: receipts and "event streams" are promised; no field is named.
/// Assumed: a mail about an event or a payment needs these fields.
pub fn event_fields(event: &Event) -> [Field; 4] {
    let occurred_at = event.occurred_at.to_string();
    let contract_id = event.contract_id.as_ref();
    let checkout_id = event.checkout_id.as_ref();
    [
        text(EVENT_TYPE, Some(event.event_type.name())),
        text(EVENT_OCCURRED_AT, Some(&occurred_at)),
        text(EVENT_CONTRACT_ID, contract_id.map(ContractId::as_str)),
        text(EVENT_CHECKOUT_ID, checkout_id.map(CheckoutId::as_str)),
    ]
}

/// The newest payment of the event's contract, for receipts.
pub fn payment_fields(event: &Event, desired: &DesiredContact) -> [Field; 4] {
    let payment = desired.payment_for(event.contract_id.as_ref());
    let receipt_url = payment.and_then(|payment| payment.receipt_url.as_ref());
    [
        text(PAYMENT_AMOUNT, payment.and_then(|p| p.amount.as_deref())),
        text(
            PAYMENT_CURRENCY,
            payment.and_then(|p| p.currency.as_deref()),
        ),
        date(PAYMENT_DATE, payment.and_then(|p| p.date)),
        personal(PAYMENT_RECEIPT_URL, receipt_url),
    ]
}

/// The tag that starts the flows of an event.
///
/// Decided. Known: "event streams" start flows; their form is not documented.
/// Assumed: one tag per event type, because flows at Rule start from tags, and the
/// flow sees the fields of the call that adds the tag.
pub fn event_tag(event: EventType) -> &'static str {
    match event {
        EventType::UserVendorNew => "sesamy_event_uservendor-new",
        EventType::UserVendorUpdate => "sesamy_event_uservendor-update",
        EventType::ContractPurchased => "sesamy_event_contract-purchased",
        EventType::ContractUpdate => "sesamy_event_contract-update",
        EventType::ContractCancelRequest => "sesamy_event_contract-cancelrequest",
        EventType::CheckoutConfirm => "sesamy_event_checkout-confirm",
        EventType::EntitlementNew => "sesamy_event_entitlement-new",
        EventType::EntitlementUpdate => "sesamy_event_entitlement-update",
    }
}

/// All but Rule's own name and phone, which belong to the publisher as well.
pub fn cleared_fields() -> impl Iterator<Item = Field> {
    let own = DEFINITIONS
        .iter()
        .filter(|(key, _)| key.starts_with("Sesamy_"));
    own.map(|definition| field(*definition, None))
}

type Key = (&'static str, FieldType);

fn field((key, kind): Key, value: Option<Value>) -> Field {
    Field {
        key,
        kind,
        value: value.unwrap_or_else(cleared),
        personal: false,
    }
}

/// Clears a field of any type, unless the account refuses it ([`crate::clearing`]).
///
/// Assumed: an empty text. Rule's own client library sends it for "no value"; no
/// page documents its effect.
fn cleared() -> Value {
    Value::from("")
}

/// Whether Rule may return this value for a field without one.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn text(key: Key, text: Option<&str>) -> Field {
    field(key, text.map(Value::from))
}

fn personal(key: Key, personal: Option<&Personal>) -> Field {
    Field {
        personal: true,
        ..text(key, personal.map(Personal::expose))
    }
}

fn date(key: Key, date: Option<Date>) -> Field {
    field(key, date.map(|date| date.to_string().into()))
}

fn multiple(key: Key, list: &[String]) -> Field {
    field(key, (!list.is_empty()).then(|| list.into()))
}
