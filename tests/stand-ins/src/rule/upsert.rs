//! `POST /v2/subscribers`: create or update.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    account::{Account, Subscriber},
    phone,
    refusal::{Refusal, refused_on_purpose},
    tags::Automation,
    values::{FieldType, split_key},
};
use crate::{
    answer::Answer,
    call::Call,
    shape::{self, Problems},
    violations::{Harm, Watch},
};

/// Subscribers in one call.
const CALL_LIMIT: usize = 1_000;
/// From this many on automations begin only when asked for.
const QUIET_FROM: usize = 20;
/// Bytes of one group's values for one subscriber.
const GROUP_LIMIT: usize = 65 * 1_024;

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

/// What a subscriber's entry may hold.
pub(crate) const ENTRY_KEYS: [&str; 4] = ["email", "phone_number", "language", "fields"];

/// Names under which a status or an opt-in might be sent.
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

/// The body as a JSON object.
pub(crate) fn object(call: &Call<'_>) -> Result<Map<String, Value>, Refusal> {
    match call.json() {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(Refusal::bad_request("body must be a JSON object")),
        Err(fault) => Err(Refusal::bad_request(fault.message())),
    }
}

/// Reports a status or opt-in flag sent for somebody who is there already.
pub(crate) fn consent(
    object: &Map<String, Value>,
    existing: Option<&Subscriber>,
    watch: &mut Watch<'_>,
) {
    for key in CONSENT_KEYS {
        if existing.is_some() && object.contains_key(key) {
            let message = format!("\"{key}\" sent for an existing subscriber");
            watch.report(Harm::ConsentChanged, message);
        }
    }
}

/// One subscriber of a call, checked.
pub(crate) struct Entry {
    pub email: Option<String>,
    pub phone_number: Option<String>,
    pub language: Option<String>,
    pub fields: BTreeMap<String, Value>,
}

impl Entry {
    pub fn read(account: &Account, object: &Map<String, Value>, problems: &mut Problems) -> Self {
        let email = shape::text(object, "email", problems);
        if email.is_some_and(|email| !shape::is_email(email)) {
            problems.add("email", "is not an e-mail address");
        }
        let phone_number = shape::text(object, "phone_number", problems).and_then(|text| {
            let number = phone::normalize(text);
            if number.is_none() {
                problems.add("phone_number", "is not a phone number");
            }
            number
        });
        Self {
            email: email.map(Into::into),
            phone_number,
            language: language(object, problems),
            fields: account.read_fields(object, problems),
        }
    }
}

fn language(object: &Map<String, Value>, problems: &mut Problems) -> Option<String> {
    let code = shape::text(object, "language", problems)?;
    if code.len() != 2 || !code.bytes().all(|b| b.is_ascii_lowercase()) {
        problems.add("language", "must be a code of two letters");
    }
    Some(code.to_owned())
}

impl Account {
    /// Reads `[{"key", "value", "type"?}]` against the definitions.
    fn read_fields(
        &self,
        object: &Map<String, Value>,
        problems: &mut Problems,
    ) -> BTreeMap<String, Value> {
        let mut values = BTreeMap::new();
        let list = match object.get("fields") {
            None => return values,
            Some(Value::Array(list)) => list,
            Some(_) => {
                problems.add("fields", "must be a list");
                return values;
            }
        };
        for (index, field) in list.iter().enumerate() {
            let place = format!("fields.{index}");
            let Value::Object(field) = field else {
                problems.add(place, "must be an object");
                continue;
            };
            shape::only(field, &["key", "value", "type"], problems);
            let Some(key) = field.get("key").and_then(Value::as_str) else {
                problems.add(place, "key is required");
                continue;
            };
            let Some(value) = field.get("value") else {
                problems.add(key, "value is required");
                continue;
            };
            match self.field_fault(key, field.get("type"), value) {
                Some(why) => problems.add(key, why),
                None if values.contains_key(key) => problems.add(key, "is given twice"),
                None => {
                    values.insert(key.to_owned(), value.clone());
                }
            }
        }
        values
    }

    fn field_fault(&self, key: &str, named: Option<&Value>, value: &Value) -> Option<String> {
        if let Err(why) = split_key(key) {
            return Some(why.into());
        }
        // Assumed, and strict on purpose: whether the upsert makes fields by
        // itself is not documented, so a client has to define them first.
        let Some(definition) = self.definition(key) else {
            return Some("is not defined".into());
        };
        let kind = match named {
            None => definition.kind,
            Some(named) => match named.as_str().and_then(FieldType::of_name) {
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
        kind.fault(value).map(Into::into)
    }

    pub fn upsert(&mut self, call: &Call<'_>, watch: &mut Watch<'_>) -> Result<Answer, Refusal> {
        let body = object(call)?;
        let mut problems = Problems::default();
        if body.contains_key("apikey") {
            watch.report(Harm::SecretExposed, "the API key stands in the body");
        }
        shape::only(&body, &TOP_KEYS, &mut problems);
        let update = shape::flag(&body, "update_on_duplicate", &mut problems).unwrap_or(false);
        let sync = shape::flag(&body, "sync_subscribers", &mut problems);
        let opt_in = shape::flag(&body, "require_opt_in", &mut problems).unwrap_or(false);
        if shape::flag(&body, "fields_clear", &mut problems).unwrap_or(false) {
            let message = "every custom field would be cleared, the publisher's too";
            watch.report(Harm::ForeignDataChanged, message);
            return Err(refused_on_purpose("fields_clear"));
        }
        let automation = Automation::read(&body, true, &mut problems);
        let default_language = language(&body, &mut problems);
        let tags = self.read_tags(&body, &mut problems)?;
        let (list, single) = match body.get("subscribers") {
            Some(Value::Array(list)) => (list.as_slice(), false),
            Some(one @ Value::Object(_)) => (std::slice::from_ref(one), true),
            _ => {
                problems.add("subscribers", "must be an object or a list of objects");
                (&[] as &[Value], true)
            }
        };
        if list.len() > CALL_LIMIT {
            let message = format!("more than {CALL_LIMIT} subscribers");
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Err(Refusal::Plain(status, "TooManySubscribers", message));
        }
        let mut entries = Vec::new();
        for one in list {
            let Value::Object(one) = one else {
                problems.add("subscribers", "must hold objects");
                continue;
            };
            let email = one.get("email").and_then(Value::as_str);
            let existing = email
                .and_then(|email| self.by_email(email))
                .and_then(|id| self.subscribers.get(&id));
            consent(one, existing, watch);
            consent(&body, existing, watch);
            shape::only(one, &ENTRY_KEYS, &mut problems);
            let mut entry = Entry::read(self, one, &mut problems);
            if !one.contains_key("email") && !one.contains_key("phone_number") {
                problems.add("email", "is required, or phone_number");
            }
            entry.language = entry.language.or_else(|| default_language.clone());
            entries.push(entry);
        }
        if !problems.is_empty() {
            return Err(Refusal::Fields(problems));
        }
        let matched: Vec<_> = entries
            .iter()
            .map(|entry| self.matching(entry, watch))
            .collect();
        if matched.iter().flatten().next().is_some() {
            if opt_in {
                watch.report(
                    Harm::ConsentChanged,
                    "require_opt_in for an existing subscriber",
                );
                return Err(refused_on_purpose(
                    "require_opt_in for an existing subscriber",
                ));
            }
            if !update {
                return Err(Refusal::conflict("the subscriber exists already"));
            }
        }
        for (entry, existing) in entries.iter().zip(&matched) {
            over_limit(&self.merged(*existing, entry))?;
        }
        let fires = sync.unwrap_or(entries.len() < QUIET_FROM);
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
                    subscriber.created_at = watch.at;
                    subscriber.opted_in = !opt_in;
                    self.put(subscriber)
                }
            };
            self.write(id, entry, watch);
            self.put_tags(id, &tags, automation, fires, watch);
            last = id;
        }
        if !single {
            return Ok(Answer::ok(json!({
                "success": true,
                "message": "Success",
                "subscribers_created": created,
                "subscribers_updated": updated,
                "subscribers_suppressed": 0,
            })));
        }
        let (shown, suppressed) = self.subscribers.get(&last).map_or_else(
            || (Value::Null, Vec::new()),
            |subscriber| (self.shown(subscriber), subscriber.suppressed.clone()),
        );
        Ok(Answer::ok(json!({
            "message": "Success",
            "subscriber": shown,
            "suppressed": suppressed,
        })))
    }

    /// The subscriber an entry means: by e-mail, else by phone.
    fn matching(&self, entry: &Entry, watch: &mut Watch<'_>) -> Option<u64> {
        let by_email = entry
            .email
            .as_deref()
            .and_then(|email| self.by_email(email));
        let by_phone = entry
            .phone_number
            .as_deref()
            .and_then(|number| self.by_phone(number));
        if entry.email.is_some() && by_phone.is_some() && by_phone != by_email {
            watch.report(
                Harm::WrongContact,
                "the phone number belongs to another subscriber, who might be matched",
            );
        }
        by_email.or(by_phone)
    }

    /// A subscriber's fields as they would be. An empty value clears its field.
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

    /// Writes what a checked entry names on a subscriber.
    pub fn write(&mut self, id: u64, entry: Entry, watch: &mut Watch<'_>) {
        let fields = self.merged(Some(id), &entry);
        let phone_taken = entry
            .phone_number
            .as_deref()
            .and_then(|number| self.by_phone(number))
            .is_some_and(|owner| owner != id);
        let new_address = entry
            .email
            .filter(|email| self.by_email(email).is_none() && watch.method == "PUT");
        let Some(subscriber) = self.subscribers.get_mut(&id) else {
            return;
        };
        for (key, value) in &entry.fields {
            let old = subscriber.fields.get(key).filter(|old| *old != value);
            if let Some(old) = old
                && is_foreign_field(key, value)
            {
                let message = format!("{key} was {old} and would become {value}");
                watch.report(Harm::ForeignDataChanged, message);
            }
        }
        subscriber.fields = fields;
        subscriber.updated_at = watch.at;
        if entry.phone_number.is_some() && !phone_taken {
            subscriber.phone_number = entry.phone_number;
        }
        if entry.language.is_some() {
            subscriber.language = entry.language;
        }
        // Only a change by number moves the address; an upsert that matched by
        // phone alone leaves it, as whose it is, is not clear.
        if let Some(email) = new_address {
            self.by_email.remove(&subscriber.email.to_lowercase());
            self.by_email.insert(email.to_lowercase(), id);
            subscriber.email = email;
        }
    }
}

/// Whether writing this value to this field touches what is the publisher's.
/// Names and phone may be corrected, but not taken away.
fn is_foreign_field(key: &str, value: &Value) -> bool {
    match key.split_once('.') {
        Some(("Subscriber", _)) => value.as_str() == Some(""),
        Some((group, _)) => !group.starts_with("Sesamy_"),
        None => true,
    }
}

/// Refuses a group that would hold more than it may.
pub(crate) fn over_limit(fields: &BTreeMap<String, Value>) -> Result<(), Refusal> {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, value) in fields {
        let group = key.split_once('.').map_or(key.as_str(), |(group, _)| group);
        *sizes.entry(group).or_default() += value.to_string().len();
    }
    let mut problems = Problems::default();
    for (group, _) in sizes.into_iter().filter(|(_, size)| *size > GROUP_LIMIT) {
        problems.add(group, "holds more than 65 KiB");
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Fields(problems))
    }
}
