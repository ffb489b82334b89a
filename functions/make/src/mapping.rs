//! What Make.as should hold of a reader: the subscriber, products, subscriptions.
//!
//! Pure: from a [`Subscriber`] to the bodies of Make.as's calls. The address
//! goes out in lower case everywhere, since it is the key by which one call
//! finds what another wrote.

use jiff::civil::Date;
use serde_json::{Map, Value, json};
use shared::derivation::{CatalogueProduct, Subscriber, SubscriptionRecord};
use shared::personal::Personal;

/// The fields of a subscriber that a sync may change, and whether their values
/// are about a person. The address is the key, so it never changes.
pub const FIELDS: [(&str, bool); 4] = [
    ("firstname", true),
    ("lastname", true),
    ("company", true),
    ("external_id", false),
];

/// The subscriber with all the tags that they will have.
pub fn subscriber(subscriber: &Subscriber, tags: &[String]) -> Value {
    let mut body = change(subscriber, tags);
    body.insert("email".to_owned(), subscriber.email.lookup().into());
    Value::Object(body)
}

/// The same of a subscriber who is there: all but the address, since a change
/// names its subscriber by id.
///
/// Decided. Known: the fields. Assumed: name and company are the publisher's
/// as well as ours, so they are left out, and thereby left alone, where Sesamy
/// has none.
pub fn change(subscriber: &Subscriber, tags: &[String]) -> Map<String, Value> {
    let mut body = Map::new();
    for (key, value) in personal(subscriber) {
        body.insert(key.to_owned(), value.expose().into());
    }
    body.insert("external_id".to_owned(), subscriber.user_id.as_str().into());
    body.insert("tags".to_owned(), tags.into());
    body
}

/// Name and company by Make.as's keys, as far as Sesamy has them.
fn personal(subscriber: &Subscriber) -> impl Iterator<Item = (&'static str, &Personal)> {
    [
        ("firstname", subscriber.first_name.as_ref()),
        ("lastname", subscriber.last_name.as_ref()),
        ("company", subscriber.company.as_ref()),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
}

/// The products of the catalogue.
pub fn products(subscriber: &Subscriber) -> Vec<Value> {
    subscriber.catalogue.iter().map(product).collect()
}

fn product(product: &CatalogueProduct) -> Value {
    json!({ "external_id": product.external_id, "name": product.name })
}

/// One subscription per contract, each naming the subscriber by address.
pub fn subscriptions(subscriber: &Subscriber) -> Vec<Value> {
    let email = subscriber.email.lookup();
    subscriber
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

/// The end of a subscription that has none.
///
/// Assumed: null, which clears the end of a contract that is active again.
/// Known is only that ended subscriptions alone have one.
fn no_end() -> Value {
    Value::Null
}

/// Known: `active` for contracts whose status is ACTIVE, `cancelled` for all
/// others, overdue ones included.
fn status(record: &SubscriptionRecord) -> &'static str {
    if record.active { "active" } else { "cancelled" }
}

/// A date as Make.as reads it.
///
/// Assumed: `YYYY-MM-DD`, as Sesamy writes dates elsewhere. No page shows the
/// fields of a subscription.
fn date(date: Date) -> Value {
    date.to_string().into()
}
