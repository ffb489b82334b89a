//! Maps a [`DesiredContact`] to the bodies of Make.as's calls. Pure.
//!
//! The address is in lower case everywhere: it is the key that connects contact
//! and subscriptions.

use jiff::civil::Date;
use serde_json::{Map, Value, json};
use shared::derivation::{CatalogueProduct, DesiredContact, SubscriptionRecord};
use shared::personal::Personal;

/// Names the Sesamy user that the contact belongs to.
pub const OWNER: &str = "external_id";

/// The fields that a sync may change, and whether their values are personal. A new
/// address is a call of its own.
pub const FIELDS: [(&str, bool); 4] = [
    ("firstname", true),
    ("lastname", true),
    ("company", true),
    ("external_id", false),
];

/// The body that creates a contact.
pub fn contact(desired: &DesiredContact, tags: &[String]) -> Value {
    let mut body = change(desired, tags);
    body.insert("email".to_owned(), desired.email.lookup().into());
    Value::Object(body)
}

/// The body that changes a contact by id, so without the address.
///
/// Decided. Known: the fields. Assumed: name and company belong to the publisher
/// as well, so they are left out if Sesamy has none, and stay.
pub fn change(desired: &DesiredContact, tags: &[String]) -> Map<String, Value> {
    let mut body = Map::new();
    for (key, value) in personal(desired) {
        body.insert(key.to_owned(), value.expose().into());
    }
    body.insert("external_id".to_owned(), desired.user_id.as_str().into());
    body.insert("tags".to_owned(), tags.into());
    body
}

/// The parts that Sesamy has.
fn personal(desired: &DesiredContact) -> impl Iterator<Item = (&'static str, &Personal)> {
    [
        ("firstname", desired.first_name.as_ref()),
        ("lastname", desired.last_name.as_ref()),
        ("company", desired.company.as_ref()),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
}

pub fn products(desired: &DesiredContact) -> Vec<Value> {
    desired.catalogue.iter().map(product).collect()
}

fn product(product: &CatalogueProduct) -> Value {
    json!({ "external_id": product.external_id, "name": product.name })
}

/// One subscription per contract.
pub fn subscriptions(desired: &DesiredContact) -> Vec<Value> {
    let email = desired.email.lookup();
    desired
        .subscriptions
        .iter()
        .map(|record| subscription(&email, record))
        .collect()
}

fn subscription(email: &str, record: &SubscriptionRecord) -> Value {
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    set("email", email.into());
    set("external_id", record.contract_id.as_str().into());
    set(
        "product_external_id",
        record.product_external_id.as_str().into(),
    );
    set("name", record.name.as_str().into());
    set("status", status(record).into());
    if let Some(start) = record.start_date {
        set("start_date", date(start));
    }
    set("end_date", record.end_date.map_or_else(no_end, date));
    Value::Object(body)
}

/// Known: only ended subscriptions have an end. Assumed: null clears the end of a
/// contract that is active again.
fn no_end() -> Value {
    Value::Null
}

/// Known: `active` for contracts whose status is ACTIVE, `cancelled` for all
/// others, including overdue ones.
fn status(record: &SubscriptionRecord) -> &'static str {
    if record.active { "active" } else { "cancelled" }
}

/// Assumed: `YYYY-MM-DD`, as Sesamy writes dates elsewhere. No page documents the
/// fields of a subscription.
fn date(date: Date) -> Value {
    date.to_string().into()
}
