//! Products and subscriptions.
//!
//! The paths are known, and the fields come from the description of the Sesamy
//! integration.
//!
//! Assumed:
//! - A subscription names its subscriber by e-mail.
//! - Dates are `YYYY-MM-DD`.
//! - An item that is sent again replaces the old one, except for dates that it omits.
//! - An `end_date` of null clears the date.
//! - The limit of subscribers per call also applies here.
//! - Unknown subscribers are rejected.
//! - The response has only a status.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::account::{Account, Product, Subscription};
use crate::{
    rejection::Rejection,
    request::ApiRequest,
    response::ApiResponse,
    validation::{self, FieldErrors},
};

/// Per call.
const MAX_ITEMS: usize = 1_000;

/// The body must be a bare array. An older client of the vendor wrapped it in an object by
/// mistake.
fn items(request: &ApiRequest<'_>) -> Result<Vec<Map<String, Value>>, Rejection> {
    let invalid = |message: &str| Rejection::field("body", message);
    let items = match request.json()? {
        Value::Array(items) => items,
        _ => return Err(invalid("must be a bare array")),
    };
    if items.is_empty() {
        return Err(invalid("is empty"));
    }
    if items.len() > MAX_ITEMS {
        return Err(invalid(&format!("holds more than {MAX_ITEMS} items")));
    }
    let object = |item| match item {
        Value::Object(item) => Ok(item),
        _ => Err(invalid("must hold objects")),
    };
    items.into_iter().map(object).collect()
}

struct Item<'a> {
    fields: &'a Map<String, Value>,
    errors: FieldErrors,
}

impl<'a> Item<'a> {
    fn new(fields: &'a Map<String, Value>, known: &[&str]) -> Self {
        let mut errors = FieldErrors::default();
        validation::only(fields, known, &mut errors);
        Self { fields, errors }
    }

    fn text(&mut self, key: &str) -> String {
        validation::required_text(self.fields, key, &mut self.errors).to_owned()
    }

    fn date(&mut self, key: &str) -> Option<String> {
        let date = validation::text(self.fields, key, &mut self.errors)?;
        if !validation::is_date(date) {
            self.errors.add(key, "must be a date, YYYY-MM-DD");
        }
        Some(date.to_owned())
    }

    /// `None` if the key is absent, `Some(None)` if the value is null.
    fn clearable_date(&mut self, key: &str) -> Option<Option<String>> {
        match self.fields.get(key)? {
            Value::Null => Some(None),
            _ => self.date(key).map(Some),
        }
    }
}

/// Reads the items of a call by their external id.
fn read_items<T>(
    request: &ApiRequest<'_>,
    known: &[&str],
    read: impl Fn(&mut Item<'_>, String) -> T,
) -> Result<BTreeMap<String, T>, Rejection> {
    let mut errors = FieldErrors::default();
    let mut all = BTreeMap::new();
    for (index, fields) in items(request)?.iter().enumerate() {
        let mut item = Item::new(fields, known);
        let id = item.text("external_id");
        let value = read(&mut item, id.clone());
        if all.insert(id, value).is_some() {
            item.errors.add("external_id", "is there twice");
        }
        for (field, message) in item.errors.0 {
            errors.add(format!("{index}.{field}"), message);
        }
    }
    errors.into_result()?;
    Ok(all)
}

impl Account {
    pub fn put_products(&mut self, request: &ApiRequest<'_>) -> Result<ApiResponse, Rejection> {
        let read = |item: &mut Item<'_>, external_id| Product {
            external_id,
            name: item.text("name"),
        };
        let products = read_items(request, &["external_id", "name"], read)?;
        self.products.extend(products);
        Ok(done())
    }

    pub fn put_subscriptions(
        &mut self,
        request: &ApiRequest<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let known = [
            "email",
            "external_id",
            "product_external_id",
            "start_date",
            "end_date",
            "name",
            "status",
        ];
        let read = |item: &mut Item<'_>, id| self.read_subscription(item, id);
        let subscriptions = read_items(request, &known, read)?;
        self.subscriptions.extend(subscriptions);
        Ok(done())
    }

    fn read_subscription(&self, item: &mut Item<'_>, external_id: String) -> Subscription {
        let email = item.text("email");
        let subscriber = self.by_email(&email);
        if subscriber.is_none() && !email.is_empty() {
            item.errors.add("email", "no such subscriber");
        }
        let old = self.subscriptions.get(&external_id);
        let old = old.filter(|_| !self.settings.omitted_dates_clear);
        let product = item.text("product_external_id");
        let unknown = !product.is_empty() && !self.products.contains_key(&product);
        if unknown && self.settings.refuse_unknown_products {
            let message = format!("no product \"{product}\"");
            item.errors.add("product_external_id", message);
        }
        let status = item.text("status");
        if !matches!(status.as_str(), "" | "active" | "cancelled") {
            item.errors.add("status", "must be active or cancelled");
        }
        Subscription {
            external_id,
            email: subscriber.map(|s| s.email.clone()).unwrap_or_default(),
            product_external_id: product,
            start_date: item.date("start_date").or_else(|| old?.start_date.clone()),
            end_date: item
                .clearable_date("end_date")
                .unwrap_or_else(|| old?.end_date.clone()),
            name: item.text("name"),
            status,
        }
    }
}

fn done() -> ApiResponse {
    ApiResponse::ok(json!({"status": "200 Success"}))
}
