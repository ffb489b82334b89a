//! The read requests of the Management API.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    model::User,
    state::{Envelope, ListFault, Resource, SesamyState, VendorState},
};
use crate::{
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::ApiResponse,
    violations::{Reporter, ViolationKind},
};

/// The body that the Management API sends with a status.
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
    error(status, message, 0)
}

/// The documented body of a 429.
pub(crate) fn rate_limited(seconds: u64) -> Value {
    json!({"error": {
        "code": "rate_limit_exceeded",
        "message": format!("Rate limit exceeded. Please retry after {seconds} seconds."),
        "retry_after": seconds,
    }})
}

fn error(status: StatusCode, message: &str, request_number: u64) -> Value {
    let code = match status {
        StatusCode::BAD_REQUEST => "validation_error",
        StatusCode::UNAUTHORIZED => "authentication_required",
        StatusCode::FORBIDDEN => "insufficient_permissions",
        StatusCode::NOT_FOUND => "resource_not_found",
        StatusCode::SERVICE_UNAVAILABLE => "service_unavailable",
        _ => "internal_error",
    };
    json!({"error": {
        "code": code,
        "message": message,
        "request_id": format!("req_{request_number:06}"),
    }})
}

fn rejected(rejection: Rejection, request_number: u64) -> ApiResponse {
    match rejection {
        Rejection::Status(status) => ApiResponse::json(status, error_body(status)),
        Rejection::Message {
            status, message, ..
        } => ApiResponse::json(status, error(status, &message, request_number)),
        Rejection::Invalid(errors) => {
            let status = StatusCode::BAD_REQUEST;
            let (field, reason) = errors.0.into_iter().next().unwrap_or_default();
            let message = format!("Invalid {field}: {reason}");
            let mut body = error(status, &message, request_number);
            if let Some(error) = body.get_mut("error").and_then(Value::as_object_mut) {
                let details = json!({"field": field, "reason": reason});
                error.insert("details".into(), details);
            }
            ApiResponse::json(status, body)
        }
    }
}

fn not_found(message: &str) -> Rejection {
    Rejection::not_found("resource_not_found", message)
}

impl SesamyState {
    pub fn answer(&mut self, request: &ApiRequest<'_>, reporter: &mut Reporter<'_>) -> ApiResponse {
        self.requests_seen += 1;
        let number = self.requests_seen;
        let name = reporter.account.as_ref();
        let Some(vendor) = name.and_then(|name| self.vendors.get_mut(name)) else {
            let message = "The access token is missing, unknown or expired";
            let rejection = Rejection::new(StatusCode::UNAUTHORIZED, "", message);
            return rejected(rejection, number);
        };
        let rate = vendor
            .settings
            .rate_limit
            .map(|limit| vendor.bucket.take(limit, request.now));
        let response = match rate.as_ref().and_then(|rate| rate.retry_after) {
            Some(seconds) => {
                ApiResponse::json(StatusCode::TOO_MANY_REQUESTS, rate_limited(seconds))
            }
            None => vendor
                .read(request, reporter)
                .unwrap_or_else(|rejection| rejected(rejection, number)),
        };
        match rate {
            None => response,
            Some(rate) => response
                .with("x-ratelimit-limit", rate.limit.to_string())
                .with("x-ratelimit-remaining", rate.remaining.to_string())
                .with("x-ratelimit-reset", rate.reset.to_string()),
        }
    }
}

impl VendorState {
    fn read(
        &mut self,
        request: &ApiRequest<'_>,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let invalid = |field| move |reason: String| Rejection::field(field, reason);
        let path = request.segments().map_err(invalid("path"))?;
        let query = request.query().map_err(invalid("query"))?;
        if request.method != Method::GET {
            let message = format!("{} request", request.method);
            reporter.report(ViolationKind::SesamyWritten, message);
            let message = "Insufficient permissions";
            return Err(Rejection::new(StatusCode::FORBIDDEN, "", message));
        }
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        let (known, response): (&[&str], _) = match path.as_slice() {
            ["users"] => (&["limit", "offset", "search"], self.users_page(&query)),
            ["users", id] => (&[], self.user(request, id)),
            ["contracts"] => (
                &["limit", "offset", "userId", "status"],
                self.list("contracts", Resource::Contracts, &query),
            ),
            ["entitlements"] => (
                &["limit", "offset", "userId", "type", "sku"],
                self.list("entitlements", Resource::Entitlements, &query),
            ),
            ["bills"] => (
                &[
                    "limit",
                    "offset",
                    "from",
                    "userId",
                    "status",
                    "contractId",
                    "q",
                ],
                self.list("bills", Resource::Bills, &query),
            ),
            _ => return Err(not_found("Resource not found")),
        };
        reporter.unknown_parameters(&query, known);
        response
    }

    fn user(&mut self, request: &ApiRequest<'_>, id: &str) -> Result<ApiResponse, Rejection> {
        let profile = self
            .users
            .get(id)
            .map(|user| user.profile.clone())
            .filter(|profile| !profile.is_null());
        self.was_read(Resource::User, id);
        let profile = profile.ok_or_else(|| not_found("User not found"))?;
        Ok(ApiResponse::ok(match self.settings.envelope {
            Envelope::Data => {
                json!({"data": profile, "meta": {"timestamp": request.now.to_string()}})
            }
            Envelope::Bare | Envelope::Named => profile,
        }))
    }

    fn users_page(&self, query: &Query) -> Result<ApiResponse, Rejection> {
        let search = query.get("search").map(str::to_lowercase);
        let items = self
            .users
            .values()
            .filter(|user| !user.profile.is_null())
            .map(User::listed)
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

    fn list(
        &mut self,
        name: &str,
        resource: Resource,
        query: &Query,
    ) -> Result<ApiResponse, Rejection> {
        let user_id = query.get("userId");
        let users = self.users.values().filter(|user| {
            let ignored = self.settings.list_fault == ListFault::IgnoresUser;
            ignored || user_id.is_none_or(|id| user.id == id)
        });
        let mut items = Vec::new();
        let mut malformed = None;
        for user in users {
            match self.shown(user, resource) {
                Value::Array(list) => items.extend(list.iter().cloned()),
                other => malformed = Some(other.clone()),
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
        let response = match malformed {
            // A value that a test puts in place of a list is returned unchanged.
            Some(malformed) => ApiResponse::ok(malformed),
            None => self.page(name, items, query)?,
        };
        if let Some(id) = user_id {
            self.was_read(resource, id);
        }
        Ok(response)
    }

    fn page(&self, name: &str, items: Vec<Value>, query: &Query) -> Result<ApiResponse, Rejection> {
        let number = |key: &str| {
            let number = query.number(key);
            number.map_err(|reason| Rejection::field(key, reason))
        };
        let limit = number("limit")?.unwrap_or(self.settings.default_page);
        if limit == 0 {
            return Err(Rejection::field("limit", "must be at least 1"));
        }
        let limit = limit.min(self.settings.page_cap.max(1));
        // Sesamy documents `from` for bills and `offset` for everything else.
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
        Ok(ApiResponse::ok(match self.settings.envelope {
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
