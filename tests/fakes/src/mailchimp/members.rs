//! Reading and changing members.

use std::fmt::Write as _;

use axum::http::StatusCode;
use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};

use super::{
    account::{Account, Audience, MailchimpSettings, Member, Status, key},
    invalid, merge_fields, object,
    paging::Page,
};
use crate::{
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::ApiResponse,
    validation::{self, FieldErrors},
    violations::{Reporter, ViolationKind},
};

/// The answer about a member shows no more tags.
const MAX_TAGS_SHOWN: usize = 50;

const KEYS: [&str; 12] = [
    "email_address",
    "status",
    "merge_fields",
    "email_type",
    "interests",
    "language",
    "vip",
    "location",
    "marketing_permissions",
    "ip_signup",
    "ip_opt",
    "tags",
];

/// Keys that could change a member's consent or the publisher's data.
const HARMFUL_KEYS: [(&str, ViolationKind); 8] = [
    ("status", ViolationKind::ConsentChanged),
    ("marketing_permissions", ViolationKind::ConsentChanged),
    ("ip_opt", ViolationKind::ConsentChanged),
    ("interests", ViolationKind::ForeignDataChanged),
    ("language", ViolationKind::ForeignDataChanged),
    ("vip", ViolationKind::ForeignDataChanged),
    // Third parties say that Mailchimp ignores them.
    ("tags", ViolationKind::Undocumented),
    ("location", ViolationKind::ForeignDataChanged),
];

/// Domains of addresses that Mailchimp takes for made up.
const FAKE_DOMAIN: &str = "@fake.example";

pub(super) fn hash(email: &str) -> String {
    let mut text = String::new();
    for byte in Md5::digest(key(email).as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl Audience {
    /// By hash, contact id or address.
    pub fn find(&self, id: &str) -> Option<&Member> {
        let mut members = self.members.values();
        members.find(|member| {
            hash(&member.email_address) == id
                || member.contact_id == id
                || key(&member.email_address) == key(id)
        })
    }

    pub fn found(&self, id: &str) -> Result<&Member, Rejection> {
        self.find(id).ok_or(Rejection::NOT_FOUND)
    }

    fn member_json(&self, member: &Member) -> Value {
        let tags = member.tags.iter().take(MAX_TAGS_SHOWN);
        let tags: Vec<_> = tags
            .map(|name| json!({"id": self.tag_id(name), "name": name}))
            .collect();
        // Every merge field of the audience.
        let fields = self.merge_fields.iter().map(|field| {
            let value = member.merge_fields.get(&field.tag);
            (
                field.tag.clone(),
                value.cloned().unwrap_or_else(|| "".into()),
            )
        });
        let name = ["FNAME", "LNAME"].map(|tag| {
            let name = member.merge_fields.get(tag).and_then(Value::as_str);
            name.unwrap_or_default()
        });
        json!({
            "id": hash(&member.email_address),
            "email_address": member.email_address,
            "unique_email_id": hash(&member.contact_id).get(..10),
            "contact_id": member.contact_id,
            "full_name": name.join(" ").trim(),
            "web_id": 1,
            "email_type": "html",
            "status": member.status,
            "consents_to_one_to_one_messaging": true,
            "merge_fields": fields.collect::<Map<_, _>>(),
            "stats": {"avg_open_rate": 0, "avg_click_rate": 0},
            "ip_signup": "",
            "member_rating": 2,
            "last_changed": "2026-01-01T00:00:00+00:00",
            "language": "",
            "vip": false,
            "email_client": "",
            "source": "API - Generic",
            "tags_count": member.tags.len(),
            "tags": tags,
            "list_id": self.id,
        })
    }
}

struct MemberWrite {
    email: Option<String>,
    merge_fields: Map<String, Value>,
}

impl MemberWrite {
    fn read(
        audience: &Audience,
        body: &Map<String, Value>,
        known_keys: &[&str],
        errors: &mut FieldErrors,
        reporter: &mut Reporter<'_>,
    ) -> Self {
        for (key, kind) in HARMFUL_KEYS {
            if body.contains_key(key) {
                reporter.report(kind, format!("\"{key}\" sent for a member"));
            }
        }
        validation::only(body, known_keys, errors);
        let email = validation::text(body, "email_address", errors);
        let merge_fields = match body.get("merge_fields") {
            None => Map::new(),
            Some(Value::Object(fields)) => fields.clone(),
            Some(_) => {
                errors.add(
                    "merge_fields",
                    "Schema describes object, array found instead",
                );
                Map::new()
            }
        };
        // One bad value refuses the whole write. Unknown tags are ignored.
        for (tag, value) in &merge_fields {
            let refusal = audience
                .definition(tag)
                .and_then(|field| field.refusal(value));
            if let Some(message) = refusal {
                errors.add(tag, message);
            }
        }
        Self {
            email: email.map(str::to_owned),
            merge_fields,
        }
    }
}

/// Required merge fields need a value, unless the call says otherwise.
fn check_required(
    audience: &Audience,
    write: &MemberWrite,
    query: &Query,
    errors: &mut FieldErrors,
) {
    if query.get("skip_merge_validation") == Some("true") {
        return;
    }
    for field in audience.merge_fields.iter().filter(|field| field.required) {
        if !write.merge_fields.contains_key(&field.tag) {
            errors.add(&field.tag, "This field is required.");
        }
    }
}

impl Account {
    pub fn get_member(
        &self,
        list: &str,
        id: &str,
        query: &Query,
    ) -> Result<ApiResponse, Rejection> {
        let audience = self.audience(list)?;
        let member = audience.found(id)?;
        Ok(Page::read(query)?.answer(audience.member_json(member)))
    }

    pub fn list_members(&self, list: &str, query: &Query) -> Result<ApiResponse, Rejection> {
        let audience = self.audience(list)?;
        let page = Page::read(query)?;
        let members = audience.members.values();
        let all: Vec<_> = members.map(|member| audience.member_json(member)).collect();
        let total = all.len();
        Ok(page.answer(json!({
            "members": page.of(&all),
            "list_id": list,
            "total_items": total,
        })))
    }

    pub fn put_member(
        &mut self,
        request: &ApiRequest<'_>,
        list: &str,
        id: &str,
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let settings = self.settings;
        let body = object(request)?;
        let audience = self.audience_mut(list)?;
        let keys: Vec<_> = KEYS.into_iter().chain(["status_if_new"]).collect();
        let mut errors = FieldErrors::default();
        let write = MemberWrite::read(audience, &body, &keys, &mut errors, reporter);
        let status = match body.get("status_if_new").cloned() {
            None => None,
            Some(status) => match serde_json::from_value(status) {
                Ok(status) if status != Status::Archived => Some(status),
                _ => {
                    errors.add("status_if_new", "Value is not one of the statuses");
                    None
                }
            },
        };
        let email = write.email.clone().unwrap_or_default();
        if email.is_empty() {
            errors.add("email_address", "This value should not be blank.");
        }
        let known = audience.find(id).map(|member| member.email_address.clone());
        if known.is_none() && status.is_none() {
            errors.add("status_if_new", "This value should not be blank.");
        }
        check_required(audience, &write, query, &mut errors);
        errors.into_result()?;
        if let Some(known) = known {
            if key(&known) != key(&email) {
                reporter.report(
                    ViolationKind::WrongContact,
                    "a PUT with another address may make a second member",
                );
            }
            audience.write(&known, &write.merge_fields, reporter);
            return audience.shown(&known);
        }
        audience.check_new_address(&email, settings)?;
        if id != hash(&email) && key(id) != key(&email) {
            reporter.report(
                ViolationKind::WrongContact,
                "the path names another address than the body",
            );
        }
        let member = Member::new(&email).status(status.unwrap_or_default());
        self.put(list, member);
        let audience = self.audience_mut(list)?;
        audience.write(&email, &write.merge_fields, reporter);
        audience.shown(&email)
    }

    pub fn patch_member(
        &mut self,
        request: &ApiRequest<'_>,
        list: &str,
        id: &str,
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let settings = self.settings;
        let body = object(request)?;
        let audience = self.audience_mut(list)?;
        let known = audience.found(id)?.clone();
        let mut errors = FieldErrors::default();
        let write = MemberWrite::read(audience, &body, &KEYS, &mut errors, reporter);
        check_required(audience, &write, query, &mut errors);
        errors.into_result()?;
        let mut email = known.email_address.clone();
        if let Some(new) = write.email.filter(|new| key(new) != key(&email)) {
            audience.check_move(&known, &new, settings)?;
            audience.move_member(&email, &new);
            email = new;
        }
        audience.write(&email, &write.merge_fields, reporter);
        audience.shown(&email)
    }
}

impl Audience {
    fn shown(&self, email: &str) -> Result<ApiResponse, Rejection> {
        let member = self.found(&key(email))?;
        Ok(ApiResponse::ok(self.member_json(member)))
    }

    fn check_new_address(&self, email: &str, settings: MailchimpSettings) -> Result<(), Rejection> {
        let refused =
            |title, detail: &str| Err(Rejection::new(StatusCode::BAD_REQUEST, title, detail));
        if self.members.contains_key(&key(email)) {
            return refused("Member Exists", "is already a list member. Use PUT.");
        }
        if self.forgotten.contains(&key(email)) {
            return refused(
                "Forgotten Email Not Subscribed",
                "was permanently deleted and cannot be re-imported.",
            );
        }
        let detail = if !validation::is_email(email) {
            "Please provide a valid email address."
        } else if key(email).ends_with(FAKE_DOMAIN) {
            "looks fake or invalid, please enter a real email address."
        } else {
            return Ok(());
        };
        Err(if settings.names_refused_address {
            Rejection::field("email_address", detail)
        } else {
            invalid(detail)
        })
    }

    fn write(&mut self, email: &str, fields: &Map<String, Value>, reporter: &mut Reporter<'_>) {
        let known: Vec<_> = self
            .merge_fields
            .iter()
            .map(|field| field.tag.clone())
            .collect();
        let Some(member) = self.members.get_mut(&key(email)) else {
            return;
        };
        for (tag, value) in fields.iter().filter(|(tag, _)| known.contains(tag)) {
            let old = member.merge_fields.get(tag);
            let overwrites = old.is_some_and(|old| old != value);
            let is_shared = ["FNAME", "LNAME", "PHONE"].contains(&tag.as_str());
            if !merge_fields::is_own(tag) && (overwrites || !is_shared) {
                let message = format!("merge field {tag} is the publisher's");
                reporter.report(ViolationKind::ForeignDataChanged, message);
            }
            if value == "" {
                member.merge_fields.remove(tag);
            } else {
                member.merge_fields.insert(tag.clone(), value.clone());
            }
        }
    }
}
