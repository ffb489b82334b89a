//! Products and subscriptions.
//!
//! The paths are known; the fields are those of the Sesamy integration's
//! description. Assumed: how a subscription names its subscriber, that dates
//! are `YYYY-MM-DD`, that an item sent again takes the place of the old one,
//! but for a date that it leaves out, that an `end_date` of null is none, that
//! the limit of subscribers per call holds here too, that unknown
//! products and subscribers are refused, and the form of the answer.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    account::{Account, Product, Subscription},
    refusal::{Refusal, array},
};
use crate::{
    answer::Answer,
    call::Call,
    shape::{self, Problems},
};

/// Items in one call.
const CALL_LIMIT: usize = 1_000;

/// How a subscription names its subscriber.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Email,
    ExternalId,
}

impl Owner {
    const fn key(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::ExternalId => "subscriber_external_id",
        }
    }
}

/// The items of a call: between one and the limit, all objects.
fn items(call: &Call<'_>) -> Result<Vec<Map<String, Value>>, Refusal> {
    let items = array(call)?;
    if items.is_empty() {
        return Err(Refusal::unprocessable("body", "is empty"));
    }
    if items.len() > CALL_LIMIT {
        let message = format!("holds more than {CALL_LIMIT} items");
        return Err(Refusal::unprocessable("body", message));
    }
    let object = |item| match item {
        Value::Object(item) => Ok(item),
        _ => Err(Refusal::unprocessable("body", "must hold objects")),
    };
    items.into_iter().map(object).collect()
}

/// Faults of one item, to be listed with its place.
struct Item<'a> {
    fields: &'a Map<String, Value>,
    problems: Problems,
}

impl<'a> Item<'a> {
    fn new(fields: &'a Map<String, Value>, known: &[&str]) -> Self {
        let mut problems = Problems::default();
        shape::only(fields, known, &mut problems);
        Self { fields, problems }
    }

    fn text(&mut self, key: &str) -> String {
        let text = shape::required_text(self.fields, key, &mut self.problems);
        text.unwrap_or_default().to_owned()
    }

    fn date(&mut self, key: &str) -> Option<String> {
        let date = shape::text(self.fields, key, &mut self.problems)?;
        if !shape::is_date(date) {
            self.problems.add(key, "must be a date, YYYY-MM-DD");
        }
        Some(date.to_owned())
    }

    /// A date that null clears: what it becomes, or `None` where it is left out.
    fn clearable_date(&mut self, key: &str) -> Option<Option<String>> {
        match self.fields.get(key)? {
            Value::Null => Some(None),
            _ => self.date(key).map(Some),
        }
    }

    fn finish(self, index: usize, all: &mut Problems) {
        for (field, message) in self.problems.0 {
            all.add(format!("{index}.{field}"), message);
        }
    }
}

impl Account {
    pub fn put_products(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let items = items(call)?;
        let mut problems = Problems::default();
        let mut seen = BTreeSet::new();
        let mut products = Vec::new();
        for (index, fields) in items.iter().enumerate() {
            let mut item = Item::new(fields, &["external_id", "name"]);
            let product = Product {
                external_id: item.text("external_id"),
                name: item.text("name"),
            };
            if !seen.insert(product.external_id.clone()) {
                item.problems.add("external_id", "is there twice");
            }
            item.finish(index, &mut problems);
            products.push(product);
        }
        if !problems.is_empty() {
            return Err(Refusal::Unprocessable(problems));
        }
        for product in products {
            self.products.insert(product.external_id.clone(), product);
        }
        Ok(done())
    }

    pub fn put_subscriptions(&mut self, call: &Call<'_>, owner: Owner) -> Result<Answer, Refusal> {
        let items = items(call)?;
        let known = [
            owner.key(),
            "external_id",
            "product_external_id",
            "start_date",
            "end_date",
            "name",
            "status",
        ];
        let mut problems = Problems::default();
        let mut seen = BTreeSet::new();
        let mut subscriptions = Vec::new();
        for (index, fields) in items.iter().enumerate() {
            let mut item = Item::new(fields, &known);
            let named = item.text(owner.key());
            let subscriber = match owner {
                Owner::Email => self.by_email(&named),
                Owner::ExternalId => self
                    .subscribers
                    .values()
                    .find(|known| known.external_id.as_deref() == Some(named.as_str())),
            };
            if subscriber.is_none() && !named.is_empty() {
                item.problems.add(owner.key(), "no such subscriber");
            }
            let external_id = item.text("external_id");
            let old = self.subscriptions.get(&external_id);
            let old = old.filter(|_| !self.settings.omitted_dates_clear);
            let subscription = Subscription {
                email: subscriber.map(|s| s.email.clone()).unwrap_or_default(),
                product_external_id: item.text("product_external_id"),
                start_date: item.date("start_date").or_else(|| old?.start_date.clone()),
                end_date: item
                    .clearable_date("end_date")
                    .unwrap_or_else(|| old?.end_date.clone()),
                external_id,
                name: item.text("name"),
                status: item.text("status"),
            };
            let product = &subscription.product_external_id;
            let unknown = !product.is_empty() && !self.products.contains_key(product);
            if unknown && self.settings.refuse_unknown_products {
                let message = format!("no product \"{product}\"");
                item.problems.add("product_external_id", message);
            }
            if !matches!(subscription.status.as_str(), "" | "active" | "cancelled") {
                item.problems.add("status", "must be active or cancelled");
            }
            if !seen.insert(subscription.external_id.clone()) {
                item.problems.add("external_id", "is there twice");
            }
            item.finish(index, &mut problems);
            subscriptions.push(subscription);
        }
        if !problems.is_empty() {
            return Err(Refusal::Unprocessable(problems));
        }
        for subscription in subscriptions {
            let id = subscription.external_id.clone();
            self.subscriptions.insert(id, subscription);
        }
        Ok(done())
    }
}

fn done() -> Answer {
    Answer::ok(json!({"status": "200 Success"}))
}
