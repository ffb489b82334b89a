//! The tags of subscribers and of the account.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    account::{Account, Flow, FlowCause, Named},
    object,
};
use crate::{
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::ApiResponse,
    validation::{self, FieldErrors, MAX_TAG_LENGTH},
    violations::{Reporter, ViolationKind},
};

const MAX_PAGE: usize = 100;
/// The page size without `limit`, which is not documented.
const DEFAULT_PAGE: usize = 20;

/// The request's `automation`: whether to start automations of tags that the subscriber
/// already has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Automation {
    Unset,
    /// `false`, which starts the same automations as an absent key.
    Off,
    Force,
    Reset,
}

impl Automation {
    /// Only the upsert accepts `false`.
    pub fn read(body: &Map<String, Value>, upsert: bool, errors: &mut FieldErrors) -> Self {
        match body.get("automation") {
            None => Self::Unset,
            Some(Value::Bool(false)) if upsert => Self::Off,
            Some(Value::String(mode)) if mode == "force" => Self::Force,
            Some(Value::String(mode)) if mode == "reset" => Self::Reset,
            Some(_) => {
                errors.add("automation", "must be \"force\" or \"reset\"");
                Self::Unset
            }
        }
    }
}

pub(crate) struct Page {
    limit: usize,
    number: usize,
}

impl Page {
    pub fn read(query: &Query) -> Result<Self, Rejection> {
        let number = |name| query.number(name).map_err(Rejection::bad_request);
        let limit = number("limit")?.unwrap_or(DEFAULT_PAGE);
        if limit > MAX_PAGE {
            let message = "Limit can't exceed 100.";
            return Err(Rejection::new(
                StatusCode::BAD_REQUEST,
                "LimitExceed",
                message,
            ));
        }
        Ok(Self {
            limit: limit.max(1),
            number: number("page")?.unwrap_or(1).max(1),
        })
    }

    /// The items of this page, and the link to the next one.
    pub fn cut(
        &self,
        request: &ApiRequest<'_>,
        path: &str,
        items: Vec<Value>,
    ) -> (Vec<Value>, Value) {
        let start = (self.number - 1).saturating_mul(self.limit);
        let more = start.saturating_add(self.limit) < items.len();
        let page: Vec<_> = items.into_iter().skip(start).take(self.limit).collect();
        let (limit, next) = (self.limit, self.number + 1);
        let link = more.then(|| format!("{}{path}?limit={limit}&page={next}", request.base));
        (page, json!({"next": link}))
    }
}

impl Account {
    /// A number or a string of digits is a tag's id.
    pub fn read_tags(
        &self,
        body: &Map<String, Value>,
        errors: &mut FieldErrors,
    ) -> Result<Vec<String>, Rejection> {
        let list = match body.get("tags") {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => {
                errors.add("tags", "must be an array");
                return Ok(Vec::new());
            }
        };
        let mut names = Vec::new();
        for (index, tag) in list.iter().enumerate() {
            let field = format!("tags.{index}");
            match tag {
                Value::String(name) if name.trim().is_empty() => errors.add(field, "is empty"),
                Value::String(name) if name.chars().count() > MAX_TAG_LENGTH => {
                    errors.add(field, format!("is longer than {MAX_TAG_LENGTH} characters"));
                }
                Value::String(name) if !name.bytes().all(|b| b.is_ascii_digit()) => {
                    names.push(name.clone());
                }
                Value::String(id) => names.push(self.tag_by_id(id)?.to_owned()),
                Value::Number(id) => names.push(self.tag_by_id(&id.to_string())?.to_owned()),
                _ => errors.add(field, "must be a name or an id"),
            }
        }
        Ok(names)
    }

    fn tag_by_id(&self, id: &str) -> Result<&str, Rejection> {
        id.parse()
            .ok()
            .and_then(|id| self.tag_of_id(id))
            .ok_or_else(|| Rejection::not_found("TagNotFound", format!("no tag with the id {id}")))
    }

    /// Adds tags to a subscriber and records the flows that start.
    pub fn put_tags(
        &mut self,
        id: u64,
        names: &[String],
        automation: Automation,
        starts_flows: bool,
        reporter: &mut Reporter<'_>,
    ) {
        self.unblock(id, automation, reporter);
        for name in names {
            let name = self.tag(name, reporter.at);
            let Some(subscriber) = self.subscribers.get_mut(&id) else {
                return;
            };
            let is_new = !subscriber.tags.contains(&name);
            if is_new {
                subscriber.tags.push(name.clone());
                subscriber.updated_at = reporter.at;
            }
            let cause = match automation {
                Automation::Force => FlowCause::Force,
                Automation::Reset => FlowCause::Reset,
                Automation::Unset | Automation::Off if is_new => FlowCause::NewTag,
                Automation::Unset | Automation::Off => continue,
            };
            if cause != FlowCause::NewTag {
                let message = format!("automations of \"{name}\" start again with every call");
                reporter.report(ViolationKind::AutomationRestarted, message);
            }
            if starts_flows && !subscriber.blocked {
                self.flows.push(Flow {
                    at: reporter.at,
                    email: subscriber.email.clone(),
                    tag: name,
                    cause,
                    fields: subscriber.fields.clone(),
                });
            }
        }
    }

    /// According to Rule's notes, any value of `automation` unblocks a subscriber.
    fn unblock(&mut self, id: u64, automation: Automation, reporter: &mut Reporter<'_>) {
        let blocked = self.subscribers.get_mut(&id).filter(|s| s.blocked);
        if let Some(subscriber) = blocked
            && automation != Automation::Unset
        {
            subscriber.blocked = false;
            let message = "\"automation\" unblocks a blocked subscriber";
            reporter.report(ViolationKind::ConsentChanged, message);
        }
    }

    pub fn get_tags(&self, id: &str, query: &Query) -> Result<ApiResponse, Rejection> {
        let subscriber = self.find(id, query)?;
        Ok(ApiResponse::ok(json!({"tags": self.tags_json(subscriber)})))
    }

    pub fn add_tags(
        &mut self,
        request: &ApiRequest<'_>,
        id: &str,
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let body = object(request)?;
        let id = self.find(id, query)?.id;
        let mut errors = FieldErrors::default();
        validation::only(&body, &["tags", "automation"], &mut errors);
        let automation = Automation::read(&body, false, &mut errors);
        let names = self.read_tags(&body, &mut errors)?;
        if names.is_empty() && errors.is_empty() {
            errors.add("tags", "is required");
        }
        errors.into_result()?;
        self.put_tags(id, &names, automation, true, reporter);
        Ok(ApiResponse::ok(json!({"message": "Success"})))
    }

    pub fn remove_tag(
        &mut self,
        id: &str,
        tag: &str,
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let subscriber = self.find(id, query)?;
        let id = subscriber.id;
        let by_number = !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_digit());
        let wanted = if by_number { self.tag_by_id(tag)? } else { tag };
        let stored = subscriber
            .tags
            .iter()
            .find(|stored| validation::same_tag(stored, wanted, self.settings.fold_tag_case))
            .cloned();
        let Some(stored) = stored else {
            return if self.settings.absent_tag_is_404 {
                let message = format!("the subscriber has no tag \"{tag}\"");
                Err(Rejection::not_found("TagNotFound", message))
            } else {
                Ok(ApiResponse::ok(json!({"message": "Success"})))
            };
        };
        // If letter case makes no difference, our tags may be stored in any case.
        let is_ours =
            self.settings.fold_tag_case && !validation::is_foreign(&stored.to_lowercase());
        if validation::is_foreign(&stored) && !is_ours {
            let message = format!("tag \"{stored}\" belongs to the publisher");
            reporter.report(ViolationKind::ForeignTagDropped, message);
        }
        if let Some(subscriber) = self.subscribers.get_mut(&id) {
            subscriber.tags.retain(|tag| *tag != stored);
            subscriber.updated_at = reporter.at;
        }
        Ok(ApiResponse::ok(json!({"message": "Success"})))
    }

    pub fn list_tags(
        &self,
        request: &ApiRequest<'_>,
        query: &Query,
    ) -> Result<ApiResponse, Rejection> {
        let page = Page::read(query)?;
        let tags = self.tags.iter().map(tag_json).collect();
        let (tags, meta) = page.cut(request, "/v2/tags", tags);
        Ok(ApiResponse::ok(json!({"tags": tags, "meta": meta})))
    }
}

fn tag_json(tag: &Named) -> Value {
    json!({
        "id": tag.id,
        "name": tag.name,
        "description": null,
        "created_at": tag.created_at.to_string(),
        "updated_at": tag.created_at.to_string(),
    })
}
