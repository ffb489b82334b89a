//! Look-ups, upserts and changes of subscribers.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::{
    account::{Account, Subscriber},
    object,
};
use crate::{
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::{ApiResponse, ResponseBody},
    validation::{self, FieldErrors},
    violations::{Reporter, ViolationKind},
};

/// The standard text fields.
pub(crate) const DETAILS: [&str; 9] = [
    "firstname",
    "lastname",
    "address",
    "zip",
    "city",
    "phone",
    "company",
    "birthday",
    "gender",
];

/// The standard fields that a sync may change but not clear.
const OWN_DETAILS: [&str; 3] = ["firstname", "lastname", "company"];

/// Keys and parameters that could change a status.
const CONSENT_KEYS: [&str; 4] = ["email_status", "phone_status", "status", "status_mobile"];

struct SubscriberData {
    details: BTreeMap<String, String>,
    extras: BTreeMap<String, Value>,
    tags: Option<Vec<String>>,
    external_id: Option<String>,
    lists: Vec<u64>,
    merge: bool,
}

impl Account {
    pub fn get_by_email(&self, request: &ApiRequest<'_>) -> Result<ApiResponse, Rejection> {
        let body = object(request)?;
        let mut errors = FieldErrors::default();
        validation::only(&body, &["email"], &mut errors);
        let email = validation::required_text(&body, "email", &mut errors);
        errors.into_result()?;
        self.shown(self.by_email(email))
    }

    pub fn get_by_id(
        &self,
        id: &str,
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        if query.get("external_id").is_some() {
            let message = "how the two ids combine is not documented";
            let what = "a look-up by two ids";
            return Err(reporter.reject(ViolationKind::Undocumented, message, what));
        }
        self.shown(self.of_path(id))
    }

    fn of_path(&self, id: &str) -> Option<&Subscriber> {
        self.by_id(id.parse().ok()?)
    }

    /// The response to a look-up.
    fn shown(&self, found: Option<&Subscriber>) -> Result<ApiResponse, Rejection> {
        match found {
            Some(subscriber) => Ok(ApiResponse::ok(self.subscriber_json(subscriber))),
            None if self.settings.bare_not_found => {
                let status = StatusCode::NOT_FOUND;
                Ok(ApiResponse::new(status, ResponseBody::Empty))
            }
            None => Err(Rejection::NOT_FOUND),
        }
    }

    pub fn upsert(
        &mut self,
        request: &ApiRequest<'_>,
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let mut body = object(request)?;
        let mut errors = FieldErrors::default();
        let email = validation::required_text(&body, "email", &mut errors).to_owned();
        if !email.is_empty() && !validation::is_email(&email) {
            errors.add("email", "is not an e-mail address");
        }
        body.remove("email");
        let existing = self.by_email(&email).cloned();
        check_consent(&body, query, existing.as_ref(), reporter)?;
        let data = self.read(&body, query, existing.as_ref(), &mut errors);
        if data.lists.is_empty() && errors.is_empty() {
            errors.add("subscriber_list_id[]", "is required");
        }
        errors.into_result()?;
        let mut subscriber = existing.unwrap_or_else(|| {
            let mut new = Subscriber::new(&email);
            new.date_created = reporter.at;
            if let Some(status) = query.get("status") {
                status.clone_into(&mut new.email_status);
            }
            if let Some(status) = query.get("status_mobile") {
                status.clone_into(&mut new.phone_status);
            }
            new
        });
        self.write(&mut subscriber, data, reporter);
        self.put(subscriber);
        let shown = self
            .by_email(&email)
            .map(|subscriber| self.subscriber_json(subscriber));
        shown.map(ApiResponse::ok).ok_or(Rejection::NOT_FOUND)
    }

    pub fn patch(
        &mut self,
        request: &ApiRequest<'_>,
        id: &str,
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let mut body = object(request)?;
        let Some(mut subscriber) = self.of_path(id).cloned() else {
            return self.shown(None);
        };
        check_consent(&body, query, Some(&subscriber), reporter)?;
        let mut errors = FieldErrors::default();
        let email = validation::text(&body, "email", &mut errors);
        let new_address = email
            .filter(|email| !email.eq_ignore_ascii_case(&subscriber.email))
            .map(str::to_owned);
        if let Some(email) = &new_address {
            self.check_move(email, &mut errors);
        }
        body.remove("email");
        let data = self.read(&body, query, Some(&subscriber), &mut errors);
        errors.into_result()?;
        self.write(&mut subscriber, data, reporter);
        if let Some(email) = new_address {
            subscriber.email = email;
        }
        let shown = self.subscriber_json(&subscriber);
        self.put(subscriber);
        Ok(ApiResponse::ok(shown))
    }

    fn read(
        &self,
        body: &Map<String, Value>,
        query: &Query,
        existing: Option<&Subscriber>,
        errors: &mut FieldErrors,
    ) -> SubscriberData {
        let mut details = BTreeMap::new();
        let mut extras = BTreeMap::new();
        for (key, value) in body {
            match value {
                _ if key == "tags" || key == "external_id" => {}
                Value::String(text) if DETAILS.contains(&key.as_str()) => {
                    details.insert(key.clone(), text.clone());
                }
                _ if DETAILS.contains(&key.as_str()) => errors.add(key, "must be a string"),
                _ if self.custom_fields.contains(key) => {
                    extras.insert(key.clone(), value.clone());
                }
                _ => errors.add(key, "unknown field"),
            }
        }
        let merge = match query.get("tag") {
            // Without the parameter, a contact loses every tag that is not sent.
            None | Some("replace") => false,
            Some("merge") => true,
            Some(_) => {
                errors.add("tag", "must be replace or merge");
                false
            }
        };
        let current = existing.map_or(&[] as &[String], |known| &known.tags);
        SubscriberData {
            details,
            extras,
            tags: validation::tag_names(body, current, errors),
            external_id: validation::text(body, "external_id", errors).map(Into::into),
            lists: self.read_lists(query, errors),
            merge,
        }
    }

    /// The lists to join. The parameter may be repeated, with or without empty brackets;
    /// clients use both forms. Indexed brackets are unknown.
    fn read_lists(&self, query: &Query, errors: &mut FieldErrors) -> Vec<u64> {
        let mut lists = Vec::new();
        for value in query
            .all("subscriber_list_id[]")
            .chain(query.all("subscriber_list_id"))
        {
            match value.parse() {
                Ok(id) if self.lists.contains_key(&id) => lists.push(id),
                _ => errors.add("subscriber_list_id[]", format!("no list \"{value}\"")),
            }
        }
        lists
    }

    fn write(
        &mut self,
        subscriber: &mut Subscriber,
        data: SubscriberData,
        reporter: &mut Reporter<'_>,
    ) {
        for (key, value) in data.details {
            let old = subscriber.details.get(&key).filter(|old| !old.is_empty());
            let changes = old.is_some_and(|old| *old != value);
            if changes && (value.is_empty() || !OWN_DETAILS.contains(&key.as_str())) {
                let message = format!("{key} had another value already");
                reporter.report(ViolationKind::ForeignDataChanged, message);
            }
            subscriber.details.insert(key, value);
        }
        for (key, value) in data.extras {
            if subscriber.extras.get(&key).is_some_and(|old| *old != value) {
                let message = format!("custom field {key} loses its value");
                reporter.report(ViolationKind::ForeignDataChanged, message);
            }
            subscriber.extras.insert(key, value);
        }
        if let Some(sent) = data.tags {
            let mut tags = if data.merge {
                subscriber.tags.clone()
            } else {
                Vec::new()
            };
            for name in sent {
                let name = self.tag(name);
                if !tags.contains(&name) {
                    tags.push(name);
                }
            }
            for lost in subscriber.tags.iter().filter(|tag| !tags.contains(tag)) {
                if validation::is_foreign(lost) {
                    let message = format!("tag \"{lost}\" is lost because it was not sent");
                    reporter.report(ViolationKind::ForeignTagDropped, message);
                }
            }
            subscriber.tags = tags;
        }
        // Assumed: an empty text clears the id.
        if let Some(id) = data.external_id {
            subscriber.external_id = Some(id).filter(|id| !id.is_empty());
        }
        let has_left = !subscriber.email_status.eq_ignore_ascii_case("active");
        if has_left && !data.lists.is_empty() {
            let message = "an unsubscribed or bounced subscriber would be put on a list";
            reporter.report(ViolationKind::ConsentChanged, message);
            if !self.settings.lists_keep_status {
                "active".clone_into(&mut subscriber.email_status);
            }
        }
        for list in data.lists {
            if !subscriber.lists.contains(&list) {
                subscriber.lists.push(list);
            }
        }
        subscriber.date_updated = reporter.at;
    }
}

/// Rejects a status for an existing subscriber, and an invalid one for a new subscriber.
fn check_consent(
    body: &Map<String, Value>,
    query: &Query,
    existing: Option<&Subscriber>,
    reporter: &mut Reporter<'_>,
) -> Result<(), Rejection> {
    let mut errors = FieldErrors::default();
    for name in ["status", "status_mobile"] {
        match query.get(name) {
            None | Some("active" | "unsubscribed" | "bounce") => {}
            Some(_) => errors.add(name, "must be active, unsubscribed or bounce"),
        }
    }
    errors.into_result()?;
    let sent = CONSENT_KEYS
        .into_iter()
        .find(|key| body.contains_key(*key) || query.get(key).is_some());
    match (sent, existing) {
        (Some(key), Some(_)) => {
            let message = format!("\"{key}\" sent for an existing subscriber");
            let what = "a status for an existing subscriber";
            Err(reporter.reject(ViolationKind::ConsentChanged, message, what))
        }
        _ => Ok(()),
    }
}
