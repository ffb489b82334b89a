//! Mailmojo, version 1.

mod account;
mod contacts;
mod fields;
mod handle;
mod lists;
mod moves;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

pub(crate) use account::Account;
pub use account::{
    Contact, FieldKind, FieldsEndpoint, ListAssociation, ListSeed, MailmojoAccountSeed,
    MailmojoSettings, Status, WriteMode,
};
pub use handle::{Mailmojo, MailmojoAccount};

use crate::{
    accounts::{CrmAccount, replace},
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::ApiResponse,
    violations::{Reporter, ViolationKind},
};

impl CrmAccount for Account {
    type Seed = MailmojoAccountSeed;

    fn name(seed: &MailmojoAccountSeed) -> &str {
        &seed.name
    }

    fn apply(&mut self, seed: MailmojoAccountSeed) {
        replace(&mut self.token, seed.token);
        replace(&mut self.scopes, seed.scopes);
        replace(&mut self.settings, seed.settings);
        for list in seed.lists {
            self.lists.insert(list.id, list.name);
        }
        for (name, kind) in seed.fields {
            self.define(&name, kind);
        }
        for contact in seed.contacts {
            self.put(contact);
        }
        for email in seed.kept_out {
            self.keep_out(&email);
        }
    }

    fn reset(&mut self) {
        self.fields.clear();
        self.contacts.clear();
        self.kept_out.clear();
    }

    fn to_json(&self) -> Value {
        json!({
            "lists": self.lists,
            "fields": self.definitions(),
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
        const READ_CONTACTS: [&str; 2] = ["contacts", "contacts:read"];
        const READ_LISTS: [&str; 2] = ["lists", "lists:read"];
        const FIELDS: [&str; 2] = ["account", "account_settings"];
        // Every documented path ends in a slash.
        let ["v1", path @ .., ""] = path else {
            return Err(Rejection::NOT_FOUND);
        };
        let known: &[&str] = match path {
            ["lists", _, "subscribers"] if request.method == "GET" => &["limit"],
            _ => &[],
        };
        reporter.unknown_parameters(query, known);
        // Assumed: account fields can be defined, but the path for it is not documented.
        // Tests can close it.
        if let (["fields"], FieldsEndpoint::Refused(status)) = (path, self.settings.fields) {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND);
            return Err(Rejection::Status(status));
        }
        match (request.method.as_str(), path) {
            ("GET", ["contacts", email]) => {
                self.require_scope(&READ_CONTACTS)?;
                self.get_contact(email)
            }
            ("PATCH", ["contacts", email]) => {
                self.require_scope(&["contacts"])?;
                self.patch_contact(request, email, reporter)
            }
            ("GET", ["lists", list]) => {
                self.require_scope(&READ_LISTS)?;
                self.get_list(list)
            }
            ("GET", ["lists", list, "subscribers"]) => {
                self.require_scope(&READ_LISTS)?;
                self.list_members(list, query)
            }
            ("POST", ["lists", list, "subscribers"]) => {
                self.require_scope(&["subscribe"])?;
                self.subscribe(request, list, reporter)
            }
            ("DELETE", ["lists", _, "subscribers", _]) => Err(reporter.reject(
                ViolationKind::ConsentChanged,
                "a contact would be unsubscribed",
                "unsubscribing",
            )),
            ("POST", ["lists", _, "subscribers", "import"]) => Err(reporter.reject(
                ViolationKind::ConsentChanged,
                "an import subscribes every address in it",
                "importing subscribers",
            )),
            ("GET", ["fields"]) => {
                self.require_scope(&FIELDS)?;
                Ok(self.list_fields())
            }
            ("POST", ["fields"]) => {
                self.require_scope(&FIELDS)?;
                self.define_field(request)
            }
            _ => Err(Rejection::NOT_FOUND),
        }
    }

    fn rejected(rejection: Rejection) -> ApiResponse {
        match rejection {
            Rejection::Status(status) => ApiResponse::json(status, error_body(status)),
            Rejection::Message {
                status, message, ..
            } => ApiResponse::json(status, json!({"detail": message})),
            Rejection::Invalid(errors) => ApiResponse::json(
                StatusCode::BAD_REQUEST,
                json!({"title": "Invalid data", "errors": errors.to_map()}),
            ),
        }
    }
}

impl Account {
    /// Rejects the request unless the token has one of these scopes.
    fn require_scope(&self, scopes: &[&str]) -> Result<(), Rejection> {
        let has = |scope: &&str| self.scopes.iter().any(|granted| granted == scope);
        if scopes.iter().any(has) {
            return Ok(());
        }
        let message = format!("The token lacks the scope {}.", scopes.join(" or "));
        Err(Rejection::new(StatusCode::FORBIDDEN, "", message))
    }
}

/// The body that Mailmojo sends with a status. Mailmojo documents only that a 400 has "an
/// object". Its own plugin reads `detail` and `errors`.
pub(crate) fn error_body(status: StatusCode) -> Value {
    let detail = match status {
        StatusCode::UNAUTHORIZED => "Invalid or missing access token.",
        StatusCode::NOT_FOUND => "Not found.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "Content-Type must be application/json.",
        other => other.canonical_reason().unwrap_or("Error"),
    };
    json!({"detail": detail})
}

fn object(request: &ApiRequest<'_>) -> Result<Map<String, Value>, Rejection> {
    request.object(Rejection::bad_request("The body must be a JSON object."))
}
