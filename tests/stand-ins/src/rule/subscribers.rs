//! Reading single subscribers, and changing one by its number.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{
    account::{Account, Subscriber},
    refusal::{Refusal, refused_on_purpose},
    upsert::{self, Entry},
};
use crate::{
    answer::{Answer, Content},
    call::{Call, Query},
    shape::{self, Problems},
    violations::{Harm, Watch},
};

impl Account {
    /// The subscriber that a path names. What the path holds has to be said:
    /// Rule's own clients always say it, and what it reads without is not
    /// documented.
    pub fn find(&self, id: &str, query: &Query) -> Result<&Subscriber, Refusal> {
        let found = match query.get("identified_by") {
            Some("email") => self.by_email(id),
            Some("id") => id.parse().ok(),
            Some("phone_number") => super::phone::normalize(id).and_then(|n| self.by_phone(&n)),
            Some("custom_identifier") => None,
            Some(other) => {
                let message = format!("identified_by cannot be \"{other}\"");
                return Err(Refusal::bad_request(message));
            }
            None => return Err(Refusal::bad_request("identified_by is required")),
        };
        found
            .and_then(|id| self.subscribers.get(&id))
            .ok_or_else(Refusal::no_such_subscriber)
    }

    pub fn get_subscriber(&self, id: &str, query: &Query) -> Result<Answer, Refusal> {
        let subscriber = self.find(id, query)?;
        Ok(Answer::ok(json!({"subscriber": self.shown(subscriber)})))
    }

    pub fn get_fields(&self, id: &str, query: &Query) -> Result<Answer, Refusal> {
        let subscriber = self.find(id, query)?;
        let groups: Vec<_> = self
            .groups
            .iter()
            .filter_map(|group| {
                let fields: Vec<_> = self
                    .fields
                    .iter()
                    .filter(|field| field.group == group.name)
                    .filter_map(|field| {
                        let value = subscriber.fields.get(&field.key())?;
                        let kind = field.kind.name();
                        Some(json!({"id": field.id, "name": field.name, "type": kind, "value": value}))
                    })
                    .collect();
                (!fields.is_empty())
                    .then(|| json!({"name": group.name, "historical": false, "fields": fields}))
            })
            .collect();
        Ok(Answer::ok(json!({"groups": groups})))
    }

    /// Version 3: takes every value of a group off the subscriber of this number.
    ///
    /// Strict on purpose: what is answered where the group holds nothing is not
    /// documented, so a client has to look first.
    pub fn clear_group(
        &mut self,
        id: &str,
        group: &str,
        watch: &mut Watch<'_>,
    ) -> Result<Answer, Refusal> {
        let subscriber = id
            .parse()
            .ok()
            .and_then(|id: u64| self.subscribers.get_mut(&id))
            .ok_or_else(Refusal::no_such_subscriber)?;
        if !group.starts_with("Sesamy_") {
            let message = format!("every value of the group \"{group}\" would be lost");
            watch.report(Harm::ForeignDataChanged, message);
            return Err(refused_on_purpose("clearing a group that is not ours"));
        }
        let before = subscriber.fields.len();
        let is_of_group = |key: &String| key.split_once('.').is_some_and(|(of, _)| of == group);
        subscriber.fields.retain(|key, _| !is_of_group(key));
        if subscriber.fields.len() == before {
            let message = "the subscriber has no data in this group";
            return Err(Refusal::not_found("DataNotFound", message));
        }
        subscriber.updated_at = watch.at;
        Ok(Answer::new(StatusCode::NO_CONTENT, Content::Empty))
    }

    pub fn put_subscriber(
        &mut self,
        call: &Call<'_>,
        id: &str,
        query: &Query,
        watch: &mut Watch<'_>,
    ) -> Result<Answer, Refusal> {
        if query.get("identified_by").is_some_and(|by| by != "id") {
            return Err(Refusal::bad_request("only the numeric id is taken here"));
        }
        let id: u64 = id
            .parse()
            .map_err(|_| Refusal::bad_request("the numeric id is wanted in the path"))?;
        let body = upsert::object(call)?;
        let current = self
            .subscribers
            .get(&id)
            .ok_or_else(Refusal::no_such_subscriber)?;
        let mut problems = Problems::default();
        if body.contains_key("tags") {
            watch.report(
                Harm::Undocumented,
                "whether tags are added or replaced here is not documented",
            );
            problems.add("tags", "is refused by the stand-in");
        }
        let mut fields = body.clone();
        fields.remove("tags");
        upsert::consent(&fields, Some(current), watch);
        shape::only(&fields, &upsert::ENTRY_KEYS, &mut problems);
        let entry = Entry::read(self, &fields, &mut problems);
        if fields.is_empty() && problems.is_empty() {
            problems.add("body", "changes nothing");
        }
        if !problems.is_empty() {
            return Err(Refusal::Fields(problems));
        }
        // Rule matches subscribers by either, so neither can belong to two.
        let taken = |found: Option<u64>| found.is_some_and(|found| found != id);
        if taken(
            entry
                .email
                .as_deref()
                .and_then(|email| self.by_email(email)),
        ) {
            return Err(Refusal::conflict("another subscriber has this e-mail"));
        }
        if taken(
            entry
                .phone_number
                .as_deref()
                .and_then(|number| self.by_phone(number)),
        ) {
            return Err(Refusal::conflict(
                "another subscriber has this phone number",
            ));
        }
        upsert::over_limit(&self.merged(Some(id), &entry))?;
        self.write(id, entry, watch);
        let shown = self
            .subscribers
            .get(&id)
            .map_or(Value::Null, |s| self.shown(s));
        Ok(Answer::ok(json!({"subscriber": shown})))
    }
}
