//! A member's tags and events.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    account::{Account, Event, Status, key},
    invalid, object,
    paging::Page,
};
use crate::{
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::{ApiResponse, ResponseBody},
    validation::{self, FieldErrors, is_foreign, same_tag},
    violations::{Reporter, ViolationKind},
};

/// Of all properties of an event together, in characters.
const MAX_PROPERTIES: usize = 1_000;

const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;

impl Account {
    pub fn list_tags(&self, list: &str, id: &str, query: &Query) -> Result<ApiResponse, Rejection> {
        let audience = self.audience(list)?;
        let member = audience.found(id)?;
        let page = Page::read(query)?;
        let tag = |name: &String| {
            json!({
                "id": audience.tag_id(name),
                "name": name,
                "date_added": "2026-01-01T00:00:00+00:00",
            })
        };
        let all: Vec<_> = member.tags.iter().map(tag).collect();
        Ok(page.answer(json!({"tags": page.of(&all), "total_items": all.len()})))
    }

    pub fn change_tags(
        &mut self,
        request: &ApiRequest<'_>,
        list: &str,
        id: &str,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let body = object(request)?;
        let audience = self.audience_mut(list)?;
        let email = audience.found(id)?.email_address.clone();
        if id.contains('@') {
            let message = "tags of a member that is named by its address";
            reporter.report(ViolationKind::Undocumented, message);
        }
        let mut errors = FieldErrors::default();
        validation::only(&body, &["tags", "is_syncing"], &mut errors);
        validation::flag(&body, "is_syncing", &mut errors);
        let Some(Value::Array(tags)) = body.get("tags") else {
            errors.add("tags", "This value should not be blank.");
            return errors.into_result().map(|()| ApiResponse::ok(json!({})));
        };
        let mut changes: Vec<(String, bool)> = Vec::new();
        for (index, tag) in tags.iter().enumerate() {
            let name = tag.get("name").and_then(Value::as_str).unwrap_or_default();
            let is_active = match tag.get("status").and_then(Value::as_str) {
                Some("active") => true,
                Some("inactive") => false,
                _ => {
                    errors.add(format!("tags.item:{index}.status"), "is active or inactive");
                    continue;
                }
            };
            if name.trim().is_empty() || name.chars().count() > validation::MAX_TAG_LENGTH {
                errors.add(format!("tags.item:{index}.name"), "is blank or too long");
            }
            if changes.iter().any(|(known, _)| same_tag(known, name, true)) {
                let message = format!("tag \"{name}\" is changed twice in one call");
                reporter.report(ViolationKind::Undocumented, message);
            }
            changes.push((name.to_owned(), is_active));
        }
        errors.into_result()?;
        for (name, is_active) in changes {
            let spelled = is_active.then(|| audience.tag(&name));
            let Some(member) = audience.members.get_mut(&key(&email)) else {
                continue;
            };
            let position = member
                .tags
                .iter()
                .position(|tag| same_tag(tag, &name, true));
            match (spelled, position) {
                (Some(spelled), None) => member.tags.push(spelled),
                (None, Some(position)) => {
                    let lost = member.tags.remove(position);
                    if is_foreign(&lost) {
                        let message = format!("tag \"{lost}\" is made inactive");
                        reporter.report(ViolationKind::ForeignTagDropped, message);
                    }
                }
                _ => {}
            }
        }
        Ok(ApiResponse::new(NO_CONTENT, ResponseBody::Empty))
    }

    pub fn list_events(
        &self,
        list: &str,
        id: &str,
        query: &Query,
    ) -> Result<ApiResponse, Rejection> {
        let member = self.audience(list)?.found(id)?;
        let page = Page::read(query)?;
        let events = member.events.iter();
        let all: Vec<_> = events
            .map(|event| {
                json!({
                    "occurred_at": event.occurred_at,
                    "name": event.name,
                    "properties": event.properties,
                })
            })
            .collect();
        Ok(page.answer(json!({"events": page.of(&all), "total_items": all.len()})))
    }

    pub fn add_event(
        &mut self,
        request: &ApiRequest<'_>,
        list: &str,
        id: &str,
    ) -> Result<ApiResponse, Rejection> {
        const KEYS: [&str; 4] = ["name", "properties", "is_syncing", "occurred_at"];
        let settings = self.settings;
        let body = object(request)?;
        let audience = self.audience_mut(list)?;
        let member = audience.found(id)?;
        let (email, status) = (key(&member.email_address), member.status);
        let mut errors = FieldErrors::default();
        validation::only(&body, &KEYS, &mut errors);
        let name = validation::required_text(&body, "name", &mut errors);
        if !(2..=30).contains(&name.chars().count()) {
            errors.add("name", "must be 2-30 characters in length");
        }
        let is_syncing = validation::flag(&body, "is_syncing", &mut errors);
        let occurred_at = validation::text(&body, "occurred_at", &mut errors);
        if occurred_at.is_some_and(|moment| moment.parse::<Timestamp>().is_err()) {
            errors.add("occurred_at", "is no date and time");
        }
        let properties = body.get("properties").cloned().unwrap_or_else(|| json!({}));
        let properties: BTreeMap<String, String> = serde_json::from_value(properties)
            .unwrap_or_else(|_| {
                errors.add("properties", "must be an object of texts");
                BTreeMap::new()
            });
        let length = properties
            .iter()
            .map(|(name, text)| name.len() + text.len());
        if length.sum::<usize>() > MAX_PROPERTIES {
            errors.add("properties", "are too long");
        }
        errors.into_result()?;
        if settings.refuse_events && status != Status::Subscribed {
            return Err(invalid("The member is not subscribed."));
        }
        let event = Event {
            name: name.to_owned(),
            properties,
            occurred_at: occurred_at.map_or_else(|| request.now.to_string(), str::to_owned),
            is_syncing: is_syncing.unwrap_or(false),
        };
        if let Some(member) = audience.members.get_mut(&email) {
            member.events.push(event);
        }
        Ok(ApiResponse::new(NO_CONTENT, ResponseBody::Empty))
    }
}
