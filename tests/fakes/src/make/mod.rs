//! Make.as, the subscriber API, version 2.

mod account;
mod catalogue;
mod handle;
mod lists;
mod moves;
mod subscribers;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

pub(crate) use account::Account;
pub use account::{
    ListSeed, MakeAccountSeed, MakeSettings, Product, Subscriber, Subscription, TagForm,
};
pub use handle::{Make, MakeAccount};

use crate::{
    accounts::{CrmAccount, replace},
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::ApiResponse,
    violations::{Reporter, ViolationKind},
};

impl CrmAccount for Account {
    type Seed = MakeAccountSeed;

    fn name(seed: &MakeAccountSeed) -> &str {
        &seed.name
    }

    fn apply(&mut self, seed: MakeAccountSeed) {
        replace(&mut self.user_id, seed.user_id);
        replace(&mut self.api_key, seed.api_key);
        replace(&mut self.settings, seed.settings);
        for list in seed.lists {
            self.lists.insert(list.id, list.title);
        }
        for key in seed.custom_fields {
            self.define(&key);
        }
        for subscriber in seed.subscribers {
            self.put(subscriber);
        }
        for product in seed.products {
            self.products.insert(product.external_id.clone(), product);
        }
        for subscription in seed.subscriptions {
            let id = subscription.external_id.clone();
            self.subscriptions.insert(id, subscription);
        }
    }

    fn reset(&mut self) {
        *self = Self {
            user_id: std::mem::take(&mut self.user_id),
            api_key: std::mem::take(&mut self.api_key),
            settings: self.settings,
            lists: std::mem::take(&mut self.lists),
            ..Self::default()
        };
    }

    fn to_json(&self) -> Value {
        json!({
            "lists": self.lists,
            "tags": self.tags,
            "subscribers": self.subscribers.values().collect::<Vec<_>>(),
            "products": self.products.values().collect::<Vec<_>>(),
            "subscriptions": self.subscriptions.values().collect::<Vec<_>>(),
        })
    }

    fn authorizes(&self, request: &ApiRequest<'_>) -> bool {
        request
            .basic()
            .is_some_and(|(user, key)| self.user_id == user && self.api_key == key)
    }

    fn route(
        &mut self,
        request: &ApiRequest<'_>,
        path: &[&str],
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let known: &[&str] = match (request.method.as_str(), path) {
            ("POST", ["subscribers"]) | ("PATCH", ["subscribers", _]) => &[
                "subscriber_list_id[]",
                "subscriber_list_id",
                "tag",
                "status",
                "status_mobile",
            ],
            ("GET", ["subscribers", "by_list"]) => &[
                "list_id",
                "page",
                "per_page",
                "status",
                "status_mobile",
                "updated_after",
            ],
            ("GET", ["subscribers", _]) => &["external_id"],
            _ => &[],
        };
        reporter.unknown_parameters(query, known);
        match (request.method.as_str(), path) {
            ("POST", ["subscribers"]) => self.upsert(request, query, reporter),
            ("POST", ["subscribers", "by_email"]) => self.get_by_email(request),
            ("GET", ["subscribers", "by_list"]) => self.list_subscribers(query),
            ("GET", ["subscribers", id]) => self.get_by_id(id, query, reporter),
            ("PATCH", ["subscribers", id]) => self.patch(request, id, query, reporter),
            ("DELETE", ["subscribers", _]) | ("POST", ["subscribers", "bulkremove"]) => {
                Err(reporter.reject(
                    ViolationKind::Deleted,
                    "subscribers would be deleted",
                    "deleting subscribers",
                ))
            }
            (
                "POST",
                ["subscribers", "unsubscribe_email"] | ["subscribers", _, "unsubscribe_email"],
            )
            | ("DELETE", ["subscribers", _, "subscriberlists", _]) => Err(reporter.reject(
                ViolationKind::ConsentChanged,
                "a subscriber would be unsubscribed",
                "unsubscribing",
            )),
            ("POST", ["subscribers", "subscriptions", "products", "bulkinsert"]) => {
                self.put_products(request)
            }
            ("POST", ["subscribers", "subscriptions", "bulkinsert"]) => {
                self.put_subscriptions(request)
            }
            ("GET", ["subscriberlists"]) => Ok(self.list_lists()),
            ("DELETE", ["subscriberlists" | "subscriber_tags" | "custom_fields", _]) => {
                Err(reporter.reject(
                    ViolationKind::Deleted,
                    "the item would be deleted for everyone",
                    "deleting for everyone",
                ))
            }
            ("GET", ["subscriber_tags"]) => Ok(self.list_tags()),
            _ => Err(Rejection::NOT_FOUND),
        }
    }

    fn rejected(rejection: Rejection) -> ApiResponse {
        let (status, message) = match rejection {
            Rejection::Status(status) => return ApiResponse::json(status, error_body(status)),
            Rejection::Message {
                status, message, ..
            } => (status, message),
            Rejection::Invalid(errors) => (StatusCode::UNPROCESSABLE_ENTITY, errors.summary()),
        };
        ApiResponse::json(status, error(status, &message))
    }
}

fn error(status: StatusCode, message: &str) -> Value {
    json!({"status": status.to_string(), "message": message})
}

/// The body that Make.as sends with a status.
pub(crate) fn error_body(status: StatusCode) -> Value {
    let message = match status {
        StatusCode::UNAUTHORIZED => "Wrong user id or API key",
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "Content-Type must be application/json",
        other => other.canonical_reason().unwrap_or("Error"),
    };
    error(status, message)
}

fn object(request: &ApiRequest<'_>) -> Result<Map<String, Value>, Rejection> {
    request.object(Rejection::field("body", "must be an object"))
}
