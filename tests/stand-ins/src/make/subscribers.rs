//! Subscribers: look-ups and the upsert.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    account::{Account, Subscriber},
    refusal::{Refusal, object, refused_on_purpose},
};
use crate::{
    answer::Answer,
    call::{Call, Query},
    shape::{self, Problems},
    violations::{Harm, Watch},
};

/// The standard fields that hold text.
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

/// The standard fields a sync keeps up to date. It may change them, not empty them.
const OURS: [&str; 3] = ["firstname", "lastname", "company"];

/// Names under which a status might be sent.
const CONSENT_KEYS: [&str; 4] = ["email_status", "phone_status", "status", "status_mobile"];

/// A subscriber as sent, checked.
struct Data {
    details: BTreeMap<String, String>,
    extras: BTreeMap<String, Value>,
    tags: Option<Vec<String>>,
    external_id: Option<String>,
    lists: Vec<u64>,
    merge: bool,
}

impl Account {
    pub fn by_email_call(&self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let body = object(call)?;
        let mut problems = Problems::default();
        shape::only(&body, &["email"], &mut problems);
        let email = shape::required_text(&body, "email", &mut problems).unwrap_or_default();
        if !problems.is_empty() {
            return Err(Refusal::Unprocessable(problems));
        }
        match self.by_email(email) {
            Some(subscriber) => Ok(Answer::ok(self.shown(subscriber))),
            None if self.settings.bare_not_found => Ok(Answer::new(
                axum::http::StatusCode::NOT_FOUND,
                crate::answer::Content::Empty,
            )),
            None => Err(Refusal::NotFound),
        }
    }

    pub fn get_subscriber(&self, id: &str) -> Result<Answer, Refusal> {
        self.by_id(id)
            .map(|subscriber| Answer::ok(self.shown(subscriber)))
            .ok_or(Refusal::NotFound)
    }

    pub fn upsert(
        &mut self,
        call: &Call<'_>,
        query: &Query,
        watch: &mut Watch<'_>,
    ) -> Result<Answer, Refusal> {
        let mut body = object(call)?;
        let mut problems = Problems::default();
        let email = shape::required_text(&body, "email", &mut problems)
            .unwrap_or_default()
            .to_owned();
        if !email.is_empty() && !shape::is_email(&email) {
            problems.add("email", "is not an e-mail address");
        }
        body.remove("email");
        let existing = self.by_email(&email).cloned();
        consent(&body, query, existing.as_ref(), watch)?;
        let data = self.read(&body, query, existing.as_ref(), &mut problems);
        if data.lists.is_empty() && problems.is_empty() {
            problems.add("subscriber_list_id[]", "is required");
        }
        if !problems.is_empty() {
            return Err(Refusal::Unprocessable(problems));
        }
        let mut subscriber = existing.unwrap_or_else(|| {
            let mut new = Subscriber::new(&email);
            new.date_created = watch.at;
            if let Some(status) = query.get("status") {
                status.clone_into(&mut new.email_status);
            }
            if let Some(status) = query.get("status_mobile") {
                status.clone_into(&mut new.phone_status);
            }
            new
        });
        self.write(&mut subscriber, data, watch);
        self.put(subscriber);
        let shown = self
            .by_email(&email)
            .map(|subscriber| self.shown(subscriber));
        shown.map(Answer::ok).ok_or(Refusal::NotFound)
    }

    pub fn patch(
        &mut self,
        call: &Call<'_>,
        id: &str,
        query: &Query,
        watch: &mut Watch<'_>,
    ) -> Result<Answer, Refusal> {
        let mut body = object(call)?;
        let mut subscriber = self.by_id(id).cloned().ok_or(Refusal::NotFound)?;
        consent(&body, query, Some(&subscriber), watch)?;
        let mut problems = Problems::default();
        if let Some(email) = shape::text(&body, "email", &mut problems)
            && !email.eq_ignore_ascii_case(&subscriber.email)
        {
            watch.report(Harm::WrongContact, "the subscriber's address would change");
            problems.add("email", "is not the subscriber's");
        }
        body.remove("email");
        let data = self.read(&body, query, Some(&subscriber), &mut problems);
        if !problems.is_empty() {
            return Err(Refusal::Unprocessable(problems));
        }
        self.write(&mut subscriber, data, watch);
        let shown = self.shown(&subscriber);
        self.put(subscriber);
        Ok(Answer::ok(shown))
    }

    fn read(
        &self,
        body: &Map<String, Value>,
        query: &Query,
        existing: Option<&Subscriber>,
        problems: &mut Problems,
    ) -> Data {
        let mut details = BTreeMap::new();
        let mut extras = BTreeMap::new();
        for (key, value) in body {
            match value {
                _ if key == "tags" || key == "external_id" => {}
                Value::String(text) if DETAILS.contains(&key.as_str()) => {
                    details.insert(key.clone(), text.clone());
                }
                _ if DETAILS.contains(&key.as_str()) => problems.add(key, "must be a string"),
                _ if self.custom_fields.contains(key) => {
                    extras.insert(key.clone(), value.clone());
                }
                _ => problems.add(key, "unknown field"),
            }
        }
        let merge = match query.get("tag") {
            // Without the parameter every tag that is not sent is lost.
            None | Some("replace") => false,
            Some("merge") => true,
            Some(_) => {
                problems.add("tag", "must be replace or merge");
                false
            }
        };
        let present = existing.map_or(&[] as &[String], |known| &known.tags);
        Data {
            details,
            extras,
            tags: shape::tag_names(body, present, problems),
            external_id: shape::text(body, "external_id", problems).map(Into::into),
            lists: self.read_lists(query, problems),
            merge,
        }
    }

    /// The lists to join: the name with bare brackets, repeated, or without
    /// brackets; both are in use. Indexed brackets are neither.
    fn read_lists(&self, query: &Query, problems: &mut Problems) -> Vec<u64> {
        let mut lists = Vec::new();
        for value in query
            .all("subscriber_list_id[]")
            .chain(query.all("subscriber_list_id"))
        {
            match value.parse() {
                Ok(id) if self.lists.contains_key(&id) => lists.push(id),
                _ => problems.add("subscriber_list_id[]", format!("no list \"{value}\"")),
            }
        }
        lists
    }

    fn write(&mut self, subscriber: &mut Subscriber, data: Data, watch: &mut Watch<'_>) {
        for (key, value) in data.details {
            let old = subscriber.details.get(&key).filter(|old| !old.is_empty());
            let changes = old.is_some_and(|old| *old != value);
            if changes && (value.is_empty() || !OURS.contains(&key.as_str())) {
                let message = format!("{key} was there already and is another one");
                watch.report(Harm::ForeignDataChanged, message);
            }
            subscriber.details.insert(key, value);
        }
        for (key, value) in data.extras {
            if subscriber.extras.get(&key).is_some_and(|old| *old != value) {
                let message = format!("custom field {key} loses its value");
                watch.report(Harm::ForeignDataChanged, message);
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
                if shape::is_foreign(lost) {
                    let message = format!("tag \"{lost}\" is not sent and so is lost");
                    watch.report(Harm::ForeignTagDropped, message);
                }
            }
            subscriber.tags = tags;
        }
        // Assumed: an empty text clears it.
        if let Some(id) = data.external_id {
            subscriber.external_id = Some(id).filter(|id| !id.is_empty());
        }
        let left = !subscriber.email_status.eq_ignore_ascii_case("active");
        if left && !data.lists.is_empty() {
            let message = "somebody who unsubscribed or bounced would be put on a list";
            watch.report(Harm::ConsentChanged, message);
            if !self.settings.lists_keep_status {
                "active".clone_into(&mut subscriber.email_status);
            }
        }
        for list in data.lists {
            if !subscriber.lists.contains(&list) {
                subscriber.lists.push(list);
            }
        }
        subscriber.date_updated = watch.at;
    }
}

/// Refuses a status sent for somebody who is there already.
fn consent(
    body: &Map<String, Value>,
    query: &Query,
    existing: Option<&Subscriber>,
    watch: &mut Watch<'_>,
) -> Result<(), Refusal> {
    let mut problems = Problems::default();
    for name in ["status", "status_mobile"] {
        match query.get(name) {
            None | Some("active" | "unsubscribed" | "bounce") => {}
            Some(_) => problems.add(name, "must be active, unsubscribed or bounce"),
        }
    }
    if !problems.is_empty() {
        return Err(Refusal::Unprocessable(problems));
    }
    let sent = CONSENT_KEYS
        .into_iter()
        .find(|key| body.contains_key(*key) || query.get(key).is_some());
    match (sent, existing) {
        (Some(key), Some(_)) => {
            let message = format!("\"{key}\" sent for an existing subscriber");
            watch.report(Harm::ConsentChanged, message);
            Err(refused_on_purpose("a status for an existing subscriber"))
        }
        _ => Ok(()),
    }
}
