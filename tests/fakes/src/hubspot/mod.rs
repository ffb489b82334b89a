//! HubSpot, contacts and their properties, version 3.

mod account;
mod contacts;
mod definitions;
mod handle;
mod limits;
mod values;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

pub(crate) use account::Account;
pub use account::{Contact, HubSpotAccountSeed, HubSpotSettings};
pub use definitions::{Definition, Kind, PropertyOption};
pub use handle::{HubSpot, HubSpotAccount};

use crate::{
    accounts::{CrmAccount, replace},
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::ApiResponse,
    violations::{Reporter, ViolationKind},
};

/// Every answer names its request.
const CORRELATION_ID: &str = "aeb5f871-7f07-4993-9211-075dc63e7cbf";

const READ_CONTACTS: [&str; 1] = ["crm.objects.contacts.read"];
const WRITE_CONTACTS: [&str; 1] = ["crm.objects.contacts.write"];
const READ_DEFINITIONS: [&str; 3] = [
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.schemas.contacts.read",
];
const WRITE_DEFINITIONS: [&str; 1] = ["crm.schemas.contacts.write"];

impl CrmAccount for Account {
    type Seed = HubSpotAccountSeed;

    fn name(seed: &HubSpotAccountSeed) -> &str {
        &seed.name
    }

    fn apply(&mut self, seed: HubSpotAccountSeed) {
        replace(&mut self.token, seed.token);
        replace(&mut self.scopes, seed.scopes);
        replace(&mut self.settings, seed.settings);
        for definition in seed.definitions {
            self.definitions.insert(definition.name.clone(), definition);
        }
        for contact in seed.contacts {
            self.put(contact);
        }
        for email in seed.erased {
            self.erase(&email);
        }
    }

    fn reset(&mut self) {
        *self = Self {
            token: std::mem::take(&mut self.token),
            scopes: std::mem::take(&mut self.scopes),
            settings: self.settings,
            ..Self::default()
        };
    }

    fn to_json(&self) -> Value {
        let custom = self.definitions.values().filter(|d| !d.built_in);
        json!({
            "groups": self.groups,
            "definitions": custom.collect::<Vec<_>>(),
            "contacts": self.contacts.values().collect::<Vec<_>>(),
        })
    }

    fn authorizes(&self, request: &ApiRequest<'_>) -> bool {
        request.bearer() == Some(&self.token)
    }

    fn route(
        &mut self,
        request: &ApiRequest<'_>,
        path: &[&str],
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let response = match path {
            ["crm", "v3", "objects", "contacts", path @ ..] => {
                self.route_contacts(request, path, query, reporter)
            }
            [
                "crm",
                "v3",
                "properties",
                "contacts" | "contact" | "0-1",
                path @ ..,
            ] => self.route_definitions(request, path, query, reporter),
            _ => Err(Rejection::NOT_FOUND),
        }?;
        Ok(self.with_limits(response, request.now))
    }

    fn rejected(rejection: Rejection) -> ApiResponse {
        match rejection {
            Rejection::Status(status) => ApiResponse::json(status, error_body(status)),
            Rejection::Message {
                status,
                code,
                message,
            } => ApiResponse::json(status, error_json(code, &message)),
            Rejection::Invalid(errors) => {
                let message = format!("Invalid input JSON: {}", errors.summary());
                let mut body = error_json("VALIDATION_ERROR", &message);
                let details = errors.0.iter().map(|(field, message)| {
                    json!({"in": field, "message": format!("{field} {message}")})
                });
                let details = details.collect::<Vec<_>>();
                if let Value::Object(body) = &mut body {
                    body.insert("errors".into(), details.into());
                }
                ApiResponse::json(StatusCode::BAD_REQUEST, body)
            }
        }
    }

    fn blocked(&self, now: jiff::Timestamp) -> Option<ApiResponse> {
        self.limit_reached(now)
    }

    fn count(&mut self, _: StatusCode, now: jiff::Timestamp) {
        self.count_call(now);
    }
}

impl Account {
    fn route_contacts(
        &mut self,
        request: &ApiRequest<'_>,
        path: &[&str],
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let method = request.method.as_str();
        let known: &[&str] = match (method, path) {
            ("GET", [_]) => &["properties", "idProperty", "archived"],
            ("PATCH", [_]) => &["idProperty"],
            _ => &[],
        };
        reporter.unknown_parameters(query, known);
        match (method, path) {
            ("GET", [key]) => {
                self.require_scope(&READ_CONTACTS)?;
                self.get_contact(key, query)
            }
            ("PATCH", [key]) => {
                self.require_scope(&WRITE_CONTACTS)?;
                self.change_contact(request, key, query, reporter)
            }
            ("POST", []) => {
                self.require_scope(&WRITE_CONTACTS)?;
                self.create_contact(request, reporter)
            }
            ("DELETE", [_]) | ("POST", ["gdpr-delete"] | ["batch", "archive"]) => {
                let message = "a contact would be deleted";
                Err(reporter.reject(ViolationKind::Deleted, message, "deleting"))
            }
            ("POST", ["merge"]) => {
                let message = "contacts would be merged, which cannot be undone";
                Err(reporter.reject(ViolationKind::Deleted, message, "merging"))
            }
            ("POST", ["batch", "upsert"]) => {
                let message = "an upsert by address may clear what it does not name";
                Err(reporter.reject(ViolationKind::Undocumented, message, "an upsert"))
            }
            ("POST", ["search"]) => {
                let message = "the search lags behind writes";
                Err(reporter.reject(ViolationKind::Undocumented, message, "the search"))
            }
            _ => Err(Rejection::NOT_FOUND),
        }
    }

    fn route_definitions(
        &mut self,
        request: &ApiRequest<'_>,
        path: &[&str],
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let method = request.method.as_str();
        reporter.unknown_parameters(query, &[]);
        match method {
            "GET" => self.require_scope(&READ_DEFINITIONS)?,
            _ if path == ["batch", "read"] => self.require_scope(&READ_DEFINITIONS)?,
            _ => self.require_scope(&WRITE_DEFINITIONS)?,
        }
        match (method, path) {
            ("GET", []) => Ok(self.list_definitions()),
            ("POST", []) => self.define(request, reporter),
            ("POST", ["batch", "read"]) => self.read_definitions(request),
            ("GET", ["groups", name]) => self.get_group(name),
            ("POST", ["groups"]) => self.define_group(request),
            ("GET", [name]) => self.get_definition(name),
            ("PATCH", [name]) => self.change_definition(request, name, reporter),
            ("DELETE", _) => {
                let message = "a property or group would be archived with all its values";
                Err(reporter.reject(ViolationKind::Deleted, message, "archiving"))
            }
            _ => Err(Rejection::NOT_FOUND),
        }
    }

    /// Rejects the request unless the token has one of these scopes.
    fn require_scope(&self, scopes: &[&str]) -> Result<(), Rejection> {
        let has = |scope: &&str| self.scopes.iter().any(|granted| granted == scope);
        if scopes.iter().any(has) {
            return Ok(());
        }
        let message = format!(
            "This app hasn't been granted all required scopes to make this call: {}.",
            scopes.join(" or ")
        );
        Err(Rejection::new(
            StatusCode::FORBIDDEN,
            "MISSING_SCOPES",
            message,
        ))
    }
}

fn error_json(category: &str, message: &str) -> Value {
    json!({
        "status": "error",
        "message": message,
        "correlationId": CORRELATION_ID,
        "category": category,
    })
}

/// The body that HubSpot sends with a status.
pub(crate) fn error_body(status: StatusCode) -> Value {
    match status.as_u16() {
        401 => error_json(
            "INVALID_AUTHENTICATION",
            "Authentication credentials not found.",
        ),
        403 => error_json(
            "MISSING_SCOPES",
            "This app hasn't been granted all required scopes.",
        ),
        404 => error_json("OBJECT_NOT_FOUND", "resource not found"),
        429 => limits::error_body("TEN_SECONDLY_ROLLING"),
        code if code < 500 => error_json("VALIDATION_ERROR", "Invalid input"),
        _ => error_json("INTERNAL_ERROR", "internal error"),
    }
}

fn object(request: &ApiRequest<'_>) -> Result<Map<String, Value>, Rejection> {
    let otherwise = "Invalid input JSON: the body must be an object.";
    request.object(Rejection::new(
        StatusCode::BAD_REQUEST,
        "VALIDATION_ERROR",
        otherwise,
    ))
}
