//! The Management API, as far as it is read.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::state::{Envelope, ListFault, Resource, State, VendorState};
use crate::{
    answer::Answer,
    call::{Call, Query},
    violations::{Harm, Watch},
};

/// The body the Management API sends with a status.
pub(crate) fn error_body(status: StatusCode) -> Value {
    let message = match status {
        StatusCode::BAD_REQUEST => "The request is not valid",
        StatusCode::UNAUTHORIZED => "Authentication required",
        StatusCode::FORBIDDEN => "Insufficient permissions",
        StatusCode::NOT_FOUND => "Resource not found",
        StatusCode::TOO_MANY_REQUESTS => return rate_limited(60),
        StatusCode::SERVICE_UNAVAILABLE => "Service unavailable",
        _ => "An error occurred",
    };
    body(status, message, None, 0)
}

/// The documented body of a 429.
pub(crate) fn rate_limited(seconds: u64) -> Value {
    json!({"error": {
        "code": "rate_limit_exceeded",
        "message": format!("Rate limit exceeded. Please retry after {seconds} seconds."),
        "retry_after": seconds,
    }})
}

fn body(status: StatusCode, message: &str, details: Option<Value>, request: u64) -> Value {
    let code = match status {
        StatusCode::BAD_REQUEST => "validation_error",
        StatusCode::UNAUTHORIZED => "authentication_required",
        StatusCode::FORBIDDEN => "insufficient_permissions",
        StatusCode::NOT_FOUND => "resource_not_found",
        StatusCode::SERVICE_UNAVAILABLE => "service_unavailable",
        _ => "internal_error",
    };
    let mut error = json!({
        "code": code,
        "message": message,
        "request_id": format!("req_{request:06}"),
    });
    if let (Some(details), Some(error)) = (details, error.as_object_mut()) {
        error.insert("details".into(), details);
    }
    json!({"error": error})
}

/// A refusal, before the request's number is known.
struct Refusal {
    status: StatusCode,
    message: String,
    details: Option<Value>,
}

impl Refusal {
    fn invalid(field: &str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            status: StatusCode::BAD_REQUEST,
            message: format!("Invalid {field}: {reason}"),
            details: Some(json!({"field": field, "reason": reason})),
        }
    }

    fn plain(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            details: None,
        }
    }
}

impl State {
    pub fn answer(&mut self, call: &Call<'_>, watch: &mut Watch<'_>) -> Answer {
        self.requests_seen += 1;
        let number = self.requests_seen;
        let vendor = self.account(call).and_then(|id| self.vendors.get_mut(&id));
        let Some(vendor) = vendor else {
            let status = StatusCode::UNAUTHORIZED;
            let message = "The access token is missing, unknown or expired";
            return Answer::json(status, body(status, message, None, number));
        };
        let verdict = vendor
            .settings
            .rate_limit
            .map(|limit| vendor.bucket.take(limit, call.now));
        let answer = match verdict.as_ref().and_then(|verdict| verdict.retry_after) {
            Some(seconds) => Answer::json(StatusCode::TOO_MANY_REQUESTS, rate_limited(seconds)),
            None => vendor.read(call, watch).unwrap_or_else(|refusal| {
                let Refusal {
                    status,
                    message,
                    details,
                } = refusal;
                Answer::json(status, body(status, &message, details, number))
            }),
        };
        match verdict {
            None => answer,
            Some(verdict) => answer
                .with("x-ratelimit-limit", verdict.limit.to_string())
                .with("x-ratelimit-remaining", verdict.remaining.to_string())
                .with("x-ratelimit-reset", verdict.reset.to_string()),
        }
    }
}

impl VendorState {
    fn read(&mut self, call: &Call<'_>, watch: &mut Watch<'_>) -> Result<Answer, Refusal> {
        let segments = call
            .segments()
            .map_err(|why| Refusal::invalid("path", why))?;
        let query = call.query().map_err(|why| Refusal::invalid("query", why))?;
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        if call.method != Method::GET {
            watch.report(Harm::SesamyWritten, format!("{} request", call.method));
            return Err(Refusal::plain(
                StatusCode::FORBIDDEN,
                "Insufficient permissions",
            ));
        }
        match segments.as_slice() {
            ["users"] => {
                watch.unknown_parameters(&query, &["limit", "offset", "search"]);
                self.users_page(&query)
            }
            ["users", id] => {
                watch.unknown_parameters(&query, &[]);
                self.user(call, id)
            }
            ["contracts"] => {
                watch.unknown_parameters(&query, &["limit", "offset", "userId", "status"]);
                self.list("contracts", Resource::Contracts, &query)
            }
            ["entitlements"] => {
                watch.unknown_parameters(&query, &["limit", "offset", "userId", "type", "sku"]);
                self.list("entitlements", Resource::Entitlements, &query)
            }
            ["bills"] => {
                let known = [
                    "limit",
                    "offset",
                    "from",
                    "userId",
                    "status",
                    "contractId",
                    "q",
                ];
                watch.unknown_parameters(&query, &known);
                self.list("bills", Resource::Bills, &query)
            }
            ["contracts", id] => self.single(call, Resource::Contracts, id),
            ["bills", id] => self.single(call, Resource::Bills, id),
            _ => Err(Refusal::plain(StatusCode::NOT_FOUND, "Resource not found")),
        }
    }

    fn user(&mut self, call: &Call<'_>, id: &str) -> Result<Answer, Refusal> {
        let profile = self
            .users
            .get(id)
            .map(|user| user.profile.clone())
            .filter(|profile| !profile.is_null());
        self.was_read(Resource::User, id);
        profile
            .map(|profile| self.object(call, profile))
            .ok_or_else(|| Refusal::plain(StatusCode::NOT_FOUND, "User not found"))
    }

    fn users_page(&self, query: &Query) -> Result<Answer, Refusal> {
        let search = query.get("search").map(str::to_lowercase);
        let items = self
            .users
            .values()
            .filter(|user| !user.profile.is_null())
            .map(super::model::User::listed)
            .filter(|user| {
                let has = |text: &str| {
                    ["email", "name", "id"].iter().any(|key| {
                        let value = user.get(*key).and_then(Value::as_str);
                        value.is_some_and(|value| value.to_lowercase().contains(text))
                    })
                };
                search.as_deref().is_none_or(has)
            })
            .collect();
        self.page("users", items, query)
    }

    fn list(&mut self, name: &str, resource: Resource, query: &Query) -> Result<Answer, Refusal> {
        let one = query.get("userId");
        let users = self.users.values().filter(|user| {
            let ignored = self.settings.list_fault == ListFault::IgnoresUser;
            ignored || one.is_none_or(|id| user.id == id)
        });
        let mut items = Vec::new();
        let mut odd = None;
        for user in users {
            match user.resource(resource) {
                Value::Array(list) => items.extend(list.iter().cloned()),
                other => odd = Some(other.clone()),
            }
        }
        for filter in ["status", "type", "sku", "contractId"] {
            let Some(wanted) = query.get(filter) else {
                continue;
            };
            items.retain(|item| {
                let value = item.get(filter).and_then(Value::as_str);
                value.is_some_and(|value| value.eq_ignore_ascii_case(wanted))
            });
        }
        let answer = match odd {
            // A test has put something else in the list's place: it is the answer.
            Some(odd) => Ok(Answer::ok(odd)),
            None => self.page(name, items, query),
        };
        if let (Some(id), Ok(_)) = (one, &answer) {
            self.was_read(resource, id);
        }
        answer
    }

    fn single(&self, call: &Call<'_>, resource: Resource, id: &str) -> Result<Answer, Refusal> {
        self.users
            .values()
            .filter_map(|user| user.resource(resource).as_array())
            .flatten()
            .find(|item| item.get("id").and_then(Value::as_str) == Some(id))
            .map(|item| self.object(call, item.clone()))
            .ok_or_else(|| Refusal::plain(StatusCode::NOT_FOUND, "Resource not found"))
    }

    fn object(&self, call: &Call<'_>, object: Value) -> Answer {
        Answer::ok(match self.settings.envelope {
            Envelope::Data => {
                json!({"data": object, "meta": {"timestamp": call.now.to_string()}})
            }
            Envelope::Bare | Envelope::Named => object,
        })
    }

    fn page(&self, name: &str, items: Vec<Value>, query: &Query) -> Result<Answer, Refusal> {
        let number = |key: &str| query.number(key).map_err(|why| Refusal::invalid(key, why));
        let limit = number("limit")?.unwrap_or(self.settings.default_page);
        if limit == 0 {
            return Err(Refusal::invalid("limit", "must be at least 1"));
        }
        let limit = limit.min(self.settings.page_cap.max(1));
        // Bills are documented with `from`, everything else with `offset`.
        let offset = match number("offset")? {
            Some(offset) => offset,
            None => number("from")?.unwrap_or(0),
        };
        let total = items.len();
        let (limit, offset) = match self.settings.list_fault {
            ListFault::IgnoresOffset => (limit, 0),
            ListFault::IgnoresLimit => (self.settings.page_cap.max(1), offset),
            ListFault::IgnoresPaging => (total, 0),
            ListFault::None | ListFault::IgnoresUser => (limit, offset),
        };
        let page: Vec<_> = items.into_iter().skip(offset).take(limit).collect();
        let has_more = offset.saturating_add(page.len()) < total && !page.is_empty();
        Ok(Answer::ok(match self.settings.envelope {
            Envelope::Bare => Value::Array(page),
            Envelope::Named => json!({name: page}),
            Envelope::Data => json!({
                "data": page,
                "pagination": {
                    "total": total,
                    "limit": limit,
                    "offset": offset,
                    "hasMore": has_more,
                },
            }),
        }))
    }
}
