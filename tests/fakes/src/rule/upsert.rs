//! `POST /v2/subscribers`: create or update.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    account::{Account, Subscriber},
    conflict, object, phone,
    tags::Automation,
    values::{FieldType, split_key},
};
use crate::{
    rejection::Rejection,
    request::ApiRequest,
    response::ApiResponse,
    validation::{self, FieldErrors},
    violations::{Reporter, ViolationKind},
};

/// Per call.
const MAX_SUBSCRIBERS: usize = 1_000;
/// From this number of subscribers, automations start only on request.
const MIN_BULK: usize = 20;
/// In bytes, for a subscriber's values in one group of fields.
const MAX_GROUP_SIZE: usize = 65 * 1_024;

const TOP_KEYS: [&str; 8] = [
    "update_on_duplicate",
    "automation",
    "sync_subscribers",
    "fields_clear",
    "require_opt_in",
    "language",
    "tags",
    "subscribers",
];

pub(crate) const ENTRY_KEYS: [&str; 4] = ["email", "phone_number", "language", "fields"];

/// Keys that could change a status or an opt-in.
const CONSENT_KEYS: [&str; 9] = [
    "status",
    "opted_in",
    "opt_in",
    "optin",
    "suppressed",
    "subscribed",
    "unsubscribed",
    "active",
    "blocked",
];

/// Reports a status or opt-in flag for an existing subscriber.
pub(crate) fn report_consent(
    object: &Map<String, Value>,
    existing: Option<&Subscriber>,
    reporter: &mut Reporter<'_>,
) {
    for key in CONSENT_KEYS {
        if existing.is_some() && object.contains_key(key) {
            let message = format!("\"{key}\" sent for an existing subscriber");
            reporter.report(ViolationKind::ConsentChanged, message);
        }
    }
}

/// One valid subscriber of a call.
pub(crate) struct Entry {
    pub email: Option<String>,
    pub phone_number: Option<String>,
    pub language: Option<String>,
    pub fields: BTreeMap<String, Value>,
}

impl Entry {
    pub fn read(account: &Account, object: &Map<String, Value>, errors: &mut FieldErrors) -> Self {
        let email = validation::text(object, "email", errors);
        if email.is_some_and(|email| !validation::is_email(email)) {
            errors.add("email", "is not an e-mail address");
        }
        let phone_number = validation::text(object, "phone_number", errors).and_then(|text| {
            let number = phone::normalize(text);
            if number.is_none() {
                errors.add("phone_number", "is not a phone number");
            }
            number
        });
        Self {
            email: email.map(Into::into),
            phone_number,
            language: language(object, errors),
            fields: account.read_fields(object, errors),
        }
    }
}

fn language(object: &Map<String, Value>, errors: &mut FieldErrors) -> Option<String> {
    let code = validation::text(object, "language", errors)?;
    if code.len() != 2 || !code.bytes().all(|b| b.is_ascii_lowercase()) {
        errors.add("language", "must be a two-character code");
    }
    Some(code.to_owned())
}

impl Account {
    /// Reads `[{"key", "value", "type"?}]` and checks it against the definitions.
    fn read_fields(
        &self,
        object: &Map<String, Value>,
        errors: &mut FieldErrors,
    ) -> BTreeMap<String, Value> {
        let mut values = BTreeMap::new();
        let list = match object.get("fields") {
            None => return values,
            Some(Value::Array(list)) => list,
            Some(_) => {
                errors.add("fields", "must be a list");
                return values;
            }
        };
        for (index, field) in list.iter().enumerate() {
            let path = format!("fields.{index}");
            let Value::Object(field) = field else {
                errors.add(path, "must be an object");
                continue;
            };
            validation::only(field, &["key", "value", "type"], errors);
            let Some(key) = field.get("key").and_then(Value::as_str) else {
                errors.add(path, "key is required");
                continue;
            };
            let Some(value) = field.get("value") else {
                errors.add(key, "value is required");
                continue;
            };
            match self.field_error(key, field.get("type"), value) {
                Some(message) => errors.add(key, message),
                None if values.contains_key(key) => errors.add(key, "is given twice"),
                None => {
                    values.insert(key.to_owned(), value.clone());
                }
            }
        }
        values
    }

    fn field_error(&self, key: &str, named: Option<&Value>, value: &Value) -> Option<String> {
        if let Err(message) = split_key(key) {
            return Some(message.into());
        }
        // Assumed: an upsert does not define fields. It is not documented.
        let Some(definition) = self.definition(key) else {
            return Some("is not defined".into());
        };
        let kind = match named {
            None => definition.kind,
            Some(named) => match named.as_str().and_then(FieldType::from_name) {
                None => return Some(format!("unknown type {named}")),
                Some(FieldType::Single) => {
                    return Some("single is a type of definitions only".into());
                }
                Some(kind) if kind != definition.kind => {
                    return Some(format!("is defined as {}", definition.kind.name()));
                }
                Some(kind) => kind,
            },
        };
        if kind != FieldType::Text && value == "" && self.settings.empty_clears_text_alone {
            return Some(format!("is no {}", kind.name()));
        }
        kind.error(value).map(Into::into)
    }

    pub fn upsert(
        &mut self,
        request: &ApiRequest<'_>,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let body = object(request)?;
        let mut errors = FieldErrors::default();
        if body.contains_key("apikey") {
            reporter.report(ViolationKind::SecretExposed, "the API key is in the body");
        }
        validation::only(&body, &TOP_KEYS, &mut errors);
        let update = validation::flag(&body, "update_on_duplicate", &mut errors).unwrap_or(false);
        let sync = validation::flag(&body, "sync_subscribers", &mut errors);
        let opt_in = validation::flag(&body, "require_opt_in", &mut errors).unwrap_or(false);
        if validation::flag(&body, "fields_clear", &mut errors).unwrap_or(false) {
            let message = "every custom field would be cleared, the publisher's too";
            let kind = ViolationKind::ForeignDataChanged;
            return Err(reporter.reject(kind, message, "fields_clear"));
        }
        let automation = Automation::read(&body, true, &mut errors);
        let default_language = language(&body, &mut errors);
        let tags = self.read_tags(&body, &mut errors)?;
        let (list, single) = match body.get("subscribers") {
            Some(Value::Array(list)) => (list.as_slice(), false),
            Some(one @ Value::Object(_)) => (std::slice::from_ref(one), true),
            _ => {
                errors.add("subscribers", "must be an object or a list of objects");
                (&[] as &[Value], true)
            }
        };
        if list.len() > MAX_SUBSCRIBERS {
            let message = format!("more than {MAX_SUBSCRIBERS} subscribers");
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Err(Rejection::new(status, "TooManySubscribers", message));
        }
        let mut entries = Vec::new();
        for one in list {
            let Value::Object(one) = one else {
                errors.add("subscribers", "must hold objects");
                continue;
            };
            let email = one.get("email").and_then(Value::as_str);
            let existing = email
                .and_then(|email| self.by_email(email))
                .and_then(|id| self.subscribers.get(&id));
            report_consent(one, existing, reporter);
            report_consent(&body, existing, reporter);
            validation::only(one, &ENTRY_KEYS, &mut errors);
            let mut entry = Entry::read(self, one, &mut errors);
            if !one.contains_key("email") && !one.contains_key("phone_number") {
                errors.add("email", "is required, or phone_number");
            }
            entry.language = entry.language.or_else(|| default_language.clone());
            entries.push(entry);
        }
        errors.into_result()?;
        let matched: Vec<_> = entries
            .iter()
            .map(|entry| self.matching(entry, reporter))
            .collect();
        if matched.iter().flatten().next().is_some() {
            if opt_in {
                let what = "require_opt_in for an existing subscriber";
                return Err(reporter.reject(ViolationKind::ConsentChanged, what, what));
            }
            if !update {
                return Err(conflict("the subscriber exists already"));
            }
        }
        for (entry, existing) in entries.iter().zip(&matched) {
            check_size(&self.merged(*existing, entry))?;
        }
        let starts_flows = sync.unwrap_or(entries.len() < MIN_BULK);
        let (mut created, mut updated, mut last) = (0_u32, 0_u32, 0);
        for (entry, existing) in entries.into_iter().zip(matched) {
            let id = match existing {
                Some(id) => {
                    updated += 1;
                    id
                }
                None => {
                    created += 1;
                    let email = entry.email.clone().unwrap_or_default();
                    let mut subscriber = Subscriber::new(&email);
                    subscriber.created_at = reporter.at;
                    subscriber.opted_in = !opt_in;
                    self.put(subscriber)
                }
            };
            self.write(id, entry, reporter);
            self.put_tags(id, &tags, automation, starts_flows, reporter);
            last = id;
        }
        if !single {
            return Ok(ApiResponse::ok(json!({
                "success": true,
                "message": "Success",
                "subscribers_created": created,
                "subscribers_updated": updated,
                "subscribers_suppressed": 0,
            })));
        }
        let subscriber = self.subscribers.get(&last);
        Ok(ApiResponse::ok(json!({
            "message": "Success",
            "subscriber": subscriber.map(|subscriber| self.subscriber_json(subscriber)),
            "suppressed": subscriber.map(|subscriber| &subscriber.suppressed),
        })))
    }

    /// The existing subscriber with the entry's e-mail, or else with its phone number.
    fn matching(&self, entry: &Entry, reporter: &mut Reporter<'_>) -> Option<u64> {
        let email = entry.email.as_deref();
        let by_email = email.and_then(|email| self.by_email(email));
        let phone = entry.phone_number.as_deref();
        let by_phone = phone.and_then(|number| self.by_phone(number));
        if entry.email.is_some() && by_phone.is_some() && by_phone != by_email {
            reporter.report(
                ViolationKind::WrongContact,
                "the phone number belongs to another subscriber, who might be matched",
            );
        }
        by_email.or(by_phone)
    }

    /// A subscriber's fields after the entry is written. An empty value clears a field.
    pub fn merged(&self, id: Option<u64>, entry: &Entry) -> BTreeMap<String, Value> {
        let existing = id.and_then(|id| self.subscribers.get(&id));
        let mut fields = existing.map_or_else(BTreeMap::new, |s| s.fields.clone());
        for (key, value) in &entry.fields {
            if value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty) {
                fields.remove(key);
            } else {
                fields.insert(key.clone(), value.clone());
            }
        }
        fields
    }

    pub fn write(&mut self, id: u64, entry: Entry, reporter: &mut Reporter<'_>) {
        let fields = self.merged(Some(id), &entry);
        let phone_taken = entry
            .phone_number
            .as_deref()
            .and_then(|number| self.by_phone(number))
            .is_some_and(|owner| owner != id);
        let new_address = entry
            .email
            .filter(|email| self.by_email(email).is_none() && reporter.method == "PUT");
        let Some(subscriber) = self.subscribers.get_mut(&id) else {
            return;
        };
        for (key, value) in &entry.fields {
            let old = subscriber.fields.get(key).filter(|old| *old != value);
            if let Some(old) = old
                && is_foreign_field(key, value)
            {
                let message = format!("{key} was {old} and would become {value}");
                reporter.report(ViolationKind::ForeignDataChanged, message);
            }
        }
        subscriber.fields = fields;
        subscriber.updated_at = reporter.at;
        if entry.phone_number.is_some() && !phone_taken {
            subscriber.phone_number = entry.phone_number;
        }
        if entry.language.is_some() {
            subscriber.language = entry.language;
        }
        // Only a change by id sets a new address: after a match by phone number it is unclear
        // which subscriber the address belongs to.
        if let Some(email) = new_address {
            self.by_email.remove(&subscriber.email.to_lowercase());
            self.by_email.insert(email.to_lowercase(), id);
            subscriber.email = email;
        }
    }
}

/// Whether this value changes the publisher's data. A sync may change names but not clear
/// them.
fn is_foreign_field(key: &str, value: &Value) -> bool {
    match key.split_once('.') {
        Some(("Subscriber", _)) => value.as_str() == Some(""),
        Some((group, _)) => !group.starts_with("Sesamy_"),
        None => true,
    }
}

pub(crate) fn check_size(fields: &BTreeMap<String, Value>) -> Result<(), Rejection> {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, value) in fields {
        let group = key.split_once('.').map_or(key.as_str(), |(group, _)| group);
        *sizes.entry(group).or_default() += value.to_string().len();
    }
    let mut errors = FieldErrors::default();
    for (group, _) in sizes.into_iter().filter(|(_, size)| *size > MAX_GROUP_SIZE) {
        errors.add(group, "holds more than 65 KiB");
    }
    errors.into_result()
}
