//! Mailchimp, the Marketing API, version 3.0.

mod account;
mod activity;
mod handle;
mod members;
mod merge_fields;
mod moves;
mod paging;

use axum::http::{StatusCode, header};
use serde_json::{Map, Value, json};

pub(crate) use account::Account;
pub use account::{AudienceSeed, Event, MailchimpAccountSeed, MailchimpSettings, Member, Status};
pub use handle::{AudienceHandle, Mailchimp, MailchimpAccount};
pub use merge_fields::{FieldKind, MergeField};

use crate::{
    accounts::{CrmAccount, replace},
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::ApiResponse,
    violations::{Reporter, ViolationKind},
};
use account::Audience;

const INVALID: &str = "Invalid Resource";

impl CrmAccount for Account {
    type Seed = MailchimpAccountSeed;

    fn name(seed: &MailchimpAccountSeed) -> &str {
        &seed.name
    }

    fn apply(&mut self, seed: MailchimpAccountSeed) {
        replace(&mut self.api_key, seed.api_key);
        replace(&mut self.settings, seed.settings);
        for seeded in seed.audiences {
            let new = Audience::new(&seeded.id, &seeded.name);
            let audience = self.audiences.entry(seeded.id.clone()).or_insert(new);
            for field in seeded.merge_fields {
                audience.merge_fields.retain(|known| known.tag != field.tag);
                audience.merge_fields.push(field);
            }
            let forgotten = seeded.forgotten.iter();
            audience
                .forgotten
                .extend(forgotten.map(|email| account::key(email)));
            for member in seeded.members {
                self.put(&seeded.id, member);
            }
        }
    }

    fn reset(&mut self) {
        for audience in self.audiences.values_mut() {
            *audience = Audience::new(&audience.id, &audience.name);
        }
    }

    fn to_json(&self) -> Value {
        let audiences = self.audiences.iter();
        let audiences: Map<_, _> = audiences
            .map(|(id, audience)| (id.clone(), audience.to_json()))
            .collect();
        json!({ "audiences": audiences })
    }

    /// A key is a Bearer token, or the password of any user.
    fn authorizes(&self, request: &ApiRequest<'_>) -> bool {
        let is_key = |key: &str| key == self.api_key;
        request.bearer().is_some_and(is_key)
            || request
                .basic()
                .is_some_and(|(_, password)| is_key(&password))
    }

    fn route(
        &mut self,
        request: &ApiRequest<'_>,
        path: &[&str],
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        const SELECTION: [&str; 2] = ["fields", "exclude_fields"];
        const PAGE: [&str; 4] = ["fields", "exclude_fields", "count", "offset"];
        let known: &[&str] = match (request.method.as_str(), path) {
            ("GET", ["lists", _] | ["lists", _, "members", _]) => &SELECTION,
            ("GET", ["lists", ..]) => &PAGE,
            ("PUT" | "PATCH", ["lists", _, "members", _]) => &["skip_merge_validation"],
            _ => &[],
        };
        reporter.unknown_parameters(query, known);
        if request.headers.contains_key(header::ACCEPT_LANGUAGE) {
            let message = "Accept-Language is taken for the member's language";
            reporter.report(ViolationKind::Undocumented, message);
        }
        match (request.method.as_str(), path) {
            ("GET", ["ping"]) => Ok(ApiResponse::ok(
                json!({"health_status": "Everything's Chimpy!"}),
            )),
            ("GET", ["lists", list]) => self.get_list(list, query),
            ("GET", ["lists", list, "merge-fields"]) => self.list_merge_fields(list, query),
            ("POST", ["lists", list, "merge-fields"]) => self.create_merge_field(request, list),
            ("GET", ["lists", list, "members"]) => self.list_members(list, query),
            ("GET", ["lists", list, "members", member]) => self.get_member(list, member, query),
            ("PUT", ["lists", list, "members", member]) => {
                self.put_member(request, list, member, query, reporter)
            }
            ("PATCH", ["lists", list, "members", member]) => {
                self.patch_member(request, list, member, query, reporter)
            }
            ("GET", ["lists", list, "members", member, "tags"]) => {
                self.list_tags(list, member, query)
            }
            ("POST", ["lists", list, "members", member, "tags"]) => {
                self.change_tags(request, list, member, reporter)
            }
            ("GET", ["lists", list, "members", member, "events"]) => {
                self.list_events(list, member, query)
            }
            ("POST", ["lists", list, "members", member, "events"]) => {
                self.add_event(request, list, member)
            }
            ("DELETE", ["lists", _, "members", _])
            | ("POST", ["lists", _, "members", _, "actions", "delete-permanent"]) => Err(reporter
                .reject(
                    ViolationKind::Deleted,
                    "a member would be archived or deleted for ever",
                    "deleting members",
                )),
            ("DELETE", ["lists", ..]) => Err(reporter.reject(
                ViolationKind::Deleted,
                "the item would be deleted for everyone",
                "deleting for everyone",
            )),
            _ => Err(Rejection::NOT_FOUND),
        }
    }

    fn rejected(rejection: Rejection) -> ApiResponse {
        let (status, body) = match rejection {
            Rejection::Status(status) => (status, error_body(status)),
            // The code is Mailchimp's title.
            Rejection::Message {
                status,
                code,
                message,
            } => (status, problem(status, code, &message)),
            Rejection::Invalid(errors) => {
                let status = StatusCode::BAD_REQUEST;
                let mut body = problem(
                    status,
                    INVALID,
                    "The resource submitted could not be validated. For field-specific details, see the 'errors' array.",
                );
                let errors = errors.0.into_iter();
                let errors: Vec<_> = errors
                    .map(|(field, message)| json!({"field": field, "message": message}))
                    .collect();
                if let Value::Object(body) = &mut body {
                    body.insert("errors".into(), errors.into());
                }
                (status, body)
            }
        };
        ApiResponse::text(
            status,
            "application/problem+json; charset=utf-8",
            body.to_string(),
        )
    }
}

impl Account {
    pub fn audience(&self, id: &str) -> Result<&Audience, Rejection> {
        self.audiences.get(id).ok_or(Rejection::NOT_FOUND)
    }

    pub fn audience_mut(&mut self, id: &str) -> Result<&mut Audience, Rejection> {
        self.audiences.get_mut(id).ok_or(Rejection::NOT_FOUND)
    }

    fn get_list(&self, id: &str, query: &Query) -> Result<ApiResponse, Rejection> {
        let audience = self.audience(id)?;
        let page = paging::Page::read(query)?;
        Ok(page.answer(json!({
            "id": id,
            "name": audience.name,
            "permission_reminder": "",
            "use_archive_bar": false,
            "email_type_option": false,
            "visibility": "prv",
            "double_optin": false,
            "has_welcome": false,
            "marketing_permissions": false,
            "stats": {
                "member_count": audience.members.len(),
                "merge_field_count": audience.merge_fields.len(),
            },
        })))
    }
}

/// A refusal that names no field.
fn invalid(detail: impl Into<String>) -> Rejection {
    Rejection::new(StatusCode::BAD_REQUEST, INVALID, detail)
}

fn problem(status: StatusCode, title: &str, detail: &str) -> Value {
    json!({
        "type": "https://mailchimp.com/developer/marketing/docs/errors/",
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
        "instance": "c0ffee00-0000-0000-0000-000000000000",
    })
}

/// The body that Mailchimp sends with a status.
pub(crate) fn error_body(status: StatusCode) -> Value {
    let (title, detail) = match status {
        StatusCode::UNAUTHORIZED => (
            "API Key Invalid",
            "Your API key may be invalid, or you've attempted to access the wrong datacenter.",
        ),
        StatusCode::FORBIDDEN => (
            "Forbidden",
            "You don't have permission to access the requested resource.",
        ),
        StatusCode::NOT_FOUND => (
            "Resource Not Found",
            "The requested resource could not be found.",
        ),
        StatusCode::TOO_MANY_REQUESTS => (
            "Too Many Requests",
            "You have exceeded the limit of 10 simultaneous connections.",
        ),
        other => (other.canonical_reason().unwrap_or("Error"), ""),
    };
    problem(status, title, detail)
}

fn object(request: &ApiRequest<'_>) -> Result<Map<String, Value>, Rejection> {
    request.object(Rejection::field(
        "",
        "Schema describes object, array found instead",
    ))
}
