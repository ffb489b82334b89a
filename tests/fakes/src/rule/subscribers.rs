//! Single subscribers.

use axum::http::StatusCode;
use serde_json::json;

use super::{
    account::{Account, Subscriber},
    conflict, no_such_subscriber, object,
    upsert::{self, Entry},
};
use crate::{
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::{ApiResponse, ResponseBody},
    validation::{self, FieldErrors},
    violations::{Reporter, ViolationKind},
};

impl Account {
    /// The subscriber that a path names. `identified_by` is required: Rule's own clients
    /// always send it, and its default is not documented.
    pub fn find(&self, id: &str, query: &Query) -> Result<&Subscriber, Rejection> {
        let subscriber_id = match query.get("identified_by") {
            Some("email") => self.by_email(id),
            Some("id") => id.parse().ok(),
            Some("phone_number") => super::phone::normalize(id).and_then(|n| self.by_phone(&n)),
            Some("custom_identifier") => None,
            Some(other) => {
                let message = format!("identified_by cannot be \"{other}\"");
                return Err(Rejection::bad_request(message));
            }
            None => return Err(Rejection::bad_request("identified_by is required")),
        };
        subscriber_id
            .and_then(|id| self.subscribers.get(&id))
            .ok_or_else(no_such_subscriber)
    }

    pub fn get_subscriber(&self, id: &str, query: &Query) -> Result<ApiResponse, Rejection> {
        let subscriber = self.find(id, query)?;
        Ok(ApiResponse::ok(
            json!({"subscriber": self.subscriber_json(subscriber)}),
        ))
    }

    pub fn get_fields(&self, id: &str, query: &Query) -> Result<ApiResponse, Rejection> {
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
        Ok(ApiResponse::ok(json!({"groups": groups})))
    }

    /// Version 3: clears a subscriber's values in a group of fields. Assumed: clearing an
    /// empty group is a 404. The response is not documented.
    pub fn clear_group(
        &mut self,
        id: &str,
        group: &str,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let subscriber = id
            .parse()
            .ok()
            .and_then(|id: u64| self.subscribers.get_mut(&id))
            .ok_or_else(no_such_subscriber)?;
        if !group.starts_with("Sesamy_") {
            let message = format!("every value of the group \"{group}\" would be lost");
            let what = "clearing a group that is not ours";
            return Err(reporter.reject(ViolationKind::ForeignDataChanged, message, what));
        }
        let before = subscriber.fields.len();
        let is_in_group = |key: &str| key.split_once('.').is_some_and(|(name, _)| name == group);
        subscriber.fields.retain(|key, _| !is_in_group(key));
        if subscriber.fields.len() == before {
            let message = "the subscriber has no data in this group";
            return Err(Rejection::not_found("DataNotFound", message));
        }
        subscriber.updated_at = reporter.at;
        Ok(ApiResponse::new(
            StatusCode::NO_CONTENT,
            ResponseBody::Empty,
        ))
    }

    pub fn put_subscriber(
        &mut self,
        request: &ApiRequest<'_>,
        id: &str,
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        if query.get("identified_by").is_some_and(|by| by != "id") {
            return Err(Rejection::bad_request("only the numeric id is taken here"));
        }
        let id: u64 = id
            .parse()
            .map_err(|_| Rejection::bad_request("the numeric id is wanted in the path"))?;
        let mut body = object(request)?;
        let current = self.subscribers.get(&id).ok_or_else(no_such_subscriber)?;
        let mut errors = FieldErrors::default();
        if body.remove("tags").is_some() {
            let message = "whether tags are added or replaced here is not documented";
            reporter.report(ViolationKind::Undocumented, message);
            errors.add("tags", "is refused by the fake");
        }
        upsert::report_consent(&body, Some(current), reporter);
        validation::only(&body, &upsert::ENTRY_KEYS, &mut errors);
        let entry = Entry::read(self, &body, &mut errors);
        if body.is_empty() && errors.is_empty() {
            errors.add("body", "changes nothing");
        }
        let email = entry.email.as_deref();
        let moves = email.is_some_and(|email| self.by_email(email) != Some(id));
        if moves && self.settings.refuse_moves {
            errors.add("email", "cannot be changed");
        }
        errors.into_result()?;
        // Assumed: the response is that of an upsert that may not update. Rule matches
        // subscribers by either value, so two subscribers cannot share one.
        let taken = |owner: Option<u64>| owner.is_some_and(|owner| owner != id);
        if taken(email.and_then(|email| self.by_email(email))) {
            return Err(conflict("another subscriber has this e-mail"));
        }
        let phone = entry.phone_number.as_deref();
        if taken(phone.and_then(|number| self.by_phone(number))) {
            return Err(conflict("another subscriber has this phone number"));
        }
        upsert::check_size(&self.merged(Some(id), &entry))?;
        self.write(id, entry, reporter);
        let subscriber = self.subscribers.get(&id);
        let shown = subscriber.map(|subscriber| self.subscriber_json(subscriber));
        Ok(ApiResponse::ok(json!({"subscriber": shown})))
    }
}
