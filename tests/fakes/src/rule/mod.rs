//! Rule, version 2, and the version 3 call that clears a group of fields.

mod account;
mod customizations;
mod error_rate;
mod handle;
mod phone;
mod subscribers;
mod tags;
mod upsert;
mod values;

use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub(crate) use account::Account;
pub use account::{Flow, FlowCause, RuleAccountSeed, RuleSettings, Subscriber};
pub(crate) use error_rate::continue_at;
pub use handle::{Rule, RuleAccount};
pub use values::FieldType;

use crate::{
    accounts::{CrmAccount, replace},
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::ApiResponse,
    violations::{Reporter, ViolationKind},
};

impl CrmAccount for Account {
    type Seed = RuleAccountSeed;

    fn name(seed: &RuleAccountSeed) -> &str {
        &seed.name
    }

    fn apply(&mut self, seed: RuleAccountSeed) {
        replace(&mut self.api_key, seed.api_key);
        replace(&mut self.settings, seed.settings);
        for (key, kind) in seed.fields {
            self.define(&key, kind);
        }
        for subscriber in seed.subscribers {
            self.put(subscriber);
        }
    }

    fn reset(&mut self) {
        *self = Self {
            api_key: std::mem::take(&mut self.api_key),
            settings: self.settings,
            ..Self::default()
        };
    }

    fn to_json(&self) -> Value {
        let tags: Vec<_> = self.tags.iter().map(|tag| &tag.name).collect();
        json!({
            "fields": self.definitions(),
            "tags": tags,
            "subscribers": self.subscribers.values().collect::<Vec<_>>(),
            "flows": self.flows,
        })
    }

    fn authorizes(&self, request: &ApiRequest<'_>) -> bool {
        request.bearer() == Some(&self.api_key)
    }

    fn blocked(&self, now: Timestamp) -> Option<ApiResponse> {
        self.errors.blocked(now)
    }

    fn count(&mut self, status: StatusCode, now: Timestamp) {
        let limit = self.settings.error_percent_limit;
        self.errors.count(status, limit, now);
    }

    fn route(
        &mut self,
        request: &ApiRequest<'_>,
        path: &[&str],
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        if query.get("apikey").is_some() {
            // Rule accepts it, but the key ends up in logs and in `meta.next`.
            let message = "the API key is in the URL";
            reporter.report(ViolationKind::SecretExposed, message);
        }
        let path = match path {
            ["v2", path @ ..] => path,
            ["v3", "custom-field-data", id, "group", group] if request.method == Method::DELETE => {
                reporter.unknown_parameters(query, &[]);
                return self.clear_group(id, group, reporter);
            }
            _ => return Err(no_such_path()),
        };
        let known: &[&str] = match path {
            ["subscribers"] => &[],
            ["tags"] | ["customizations"] if request.method == Method::GET => &["limit", "page"],
            ["tags" | "customizations"] => &[],
            _ => &["identified_by"],
        };
        reporter.unknown_parameters(query, known);
        match (request.method.as_str(), path) {
            ("POST", ["subscribers"]) => self.upsert(request, reporter),
            ("GET", ["subscribers", id]) => self.get_subscriber(id, query),
            ("PUT", ["subscribers", id]) => self.put_subscriber(request, id, query, reporter),
            ("DELETE", ["subscribers", _]) => Err(reporter.reject(
                ViolationKind::Deleted,
                "a subscriber would be deleted",
                "deleting subscribers",
            )),
            // Rule's path is singular here, unlike all others.
            ("GET", ["subscriber", id, "fields"]) => self.get_fields(id, query),
            ("GET", ["subscribers", id, "tags"]) => self.get_tags(id, query),
            ("POST", ["subscribers", id, "tags"]) => self.add_tags(request, id, query, reporter),
            ("DELETE", ["subscribers", _, "tags", "clear"]) => Err(reporter.reject(
                ViolationKind::ForeignTagDropped,
                "every tag of a subscriber would be removed",
                "clearing all tags",
            )),
            ("DELETE", ["subscribers", id, "tags", tag]) => {
                self.remove_tag(id, tag, query, reporter)
            }
            ("GET", ["tags"]) => self.list_tags(request, query),
            ("PUT" | "DELETE", ["tags", tag]) => Err(reporter.reject(
                ViolationKind::Deleted,
                format!("tag \"{tag}\" would change for everyone"),
                "changing a tag for everyone",
            )),
            ("POST", ["customizations"]) => self.define_fields(request),
            ("GET", ["customizations"]) => self.list_groups(request, query),
            _ => Err(no_such_path()),
        }
    }

    fn rejected(rejection: Rejection) -> ApiResponse {
        match rejection {
            Rejection::Status(status) => ApiResponse::json(status, error_body(status)),
            Rejection::Message {
                status,
                code,
                message,
            } => ApiResponse::json(status, json!({"error": code, "message": message})),
            Rejection::Invalid(errors) => ApiResponse::json(
                StatusCode::BAD_REQUEST,
                json!({
                    "error": "ValidationError",
                    "message": errors.summary(),
                    "fields": errors.to_map(),
                }),
            ),
        }
    }
}

fn no_such_path() -> Rejection {
    Rejection::not_found("NotFound", "no such path or method")
}

fn no_such_subscriber() -> Rejection {
    Rejection::not_found("SubscriberNotFound", "no such subscriber")
}

fn conflict(message: &str) -> Rejection {
    Rejection::new(StatusCode::CONFLICT, "DuplicateSubscriber", message)
}

fn object(request: &ApiRequest<'_>) -> Result<Map<String, Value>, Rejection> {
    let not_object = Rejection::bad_request("body must be a JSON object");
    request
        .object(not_object)
        .map_err(|rejection| match rejection {
            // Rule has no 415.
            Rejection::Status(_) => Rejection::bad_request("Content-Type must be application/json"),
            other => other,
        })
}

/// The body that Rule sends with a status.
pub(crate) fn error_body(status: StatusCode) -> Value {
    match status {
        StatusCode::UNAUTHORIZED => json!({"error": "NotAuthorized"}),
        StatusCode::NOT_FOUND => {
            json!({"error": "SubscriberNotFound", "message": "no such subscriber"})
        }
        StatusCode::TOO_MANY_REQUESTS => {
            json!({"error": "TooManyRequests", "message": "Too Many Requests."})
        }
        status if status.is_server_error() => json!({
            "error": "UnexpectedError",
            "message": "An unexpected error occurred. Contact support if the error persists.",
        }),
        _ => json!({"error": "BadRequest", "message": "The request is not valid."}),
    }
}
