//! Tags of subscribers, and the account's list of tags.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    account::{Account, Flow, FlowCause},
    refusal::Refusal,
};
use crate::{
    answer::Answer,
    call::{Call, Query},
    shape::{self, Problems, TAG_LIMIT},
    violations::{Harm, Watch},
};

/// The longest page.
const PAGE_LIMIT: usize = 100;
/// The page's length where `limit` is absent. Not documented.
const PAGE_DEFAULT: usize = 20;

/// What `automation` asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Automation {
    /// The key is absent.
    Unset,
    /// `false`, which asks for what is done without the key.
    Off,
    Force,
    Reset,
}

impl Automation {
    /// Reads the flag. `false` is a value of the upsert alone.
    pub fn read(body: &Map<String, Value>, upsert: bool, problems: &mut Problems) -> Self {
        match body.get("automation") {
            None => Self::Unset,
            Some(Value::Bool(false)) if upsert => Self::Off,
            Some(Value::String(mode)) if mode == "force" => Self::Force,
            Some(Value::String(mode)) if mode == "reset" => Self::Reset,
            Some(_) => {
                problems.add("automation", "must be \"force\" or \"reset\"");
                Self::Unset
            }
        }
    }
}

/// Length and number of a page.
pub(crate) struct PageOf {
    pub limit: usize,
    pub page: usize,
}

impl PageOf {
    pub fn read(query: &Query) -> Result<Self, Refusal> {
        let number = |name| query.number(name).map_err(Refusal::bad_request);
        let limit = number("limit")?.unwrap_or(PAGE_DEFAULT);
        if limit > PAGE_LIMIT {
            let message = "Limit can't exceed 100.".to_owned();
            return Err(Refusal::Plain(
                StatusCode::BAD_REQUEST,
                "LimitExceed",
                message,
            ));
        }
        Ok(Self {
            limit: limit.max(1),
            page: number("page")?.unwrap_or(1).max(1),
        })
    }

    /// The items of this page, and the link to the next one.
    pub fn cut(&self, call: &Call<'_>, path: &str, items: Vec<Value>) -> (Vec<Value>, Value) {
        let start = (self.page - 1).saturating_mul(self.limit);
        let more = start.saturating_add(self.limit) < items.len();
        let page: Vec<_> = items.into_iter().skip(start).take(self.limit).collect();
        let (limit, next) = (self.limit, self.page + 1);
        let link = more.then(|| format!("{}{path}?limit={limit}&page={next}", call.base));
        (page, json!({"next": link}))
    }
}

impl Account {
    /// Reads the tags of a body. A digits-only name, and a number, is an id.
    pub fn read_tags(
        &self,
        body: &Map<String, Value>,
        problems: &mut Problems,
    ) -> Result<Vec<String>, Refusal> {
        let list = match body.get("tags") {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => {
                problems.add("tags", "must be an array");
                return Ok(Vec::new());
            }
        };
        let mut names = Vec::new();
        for (index, tag) in list.iter().enumerate() {
            let field = format!("tags.{index}");
            match tag {
                Value::String(name) if name.trim().is_empty() => problems.add(field, "is empty"),
                Value::String(name) if name.chars().count() > TAG_LIMIT => {
                    problems.add(field, format!("is longer than {TAG_LIMIT} characters"));
                }
                Value::String(name) if !name.bytes().all(|b| b.is_ascii_digit()) => {
                    names.push(name.clone());
                }
                Value::String(id) => names.push(self.tag_by_id(id)?.to_owned()),
                Value::Number(id) => names.push(self.tag_by_id(&id.to_string())?.to_owned()),
                _ => problems.add(field, "must be a name or an id"),
            }
        }
        Ok(names)
    }

    fn tag_by_id(&self, id: &str) -> Result<&str, Refusal> {
        id.parse()
            .ok()
            .and_then(|id| self.tag_of_id(id))
            .ok_or_else(|| Refusal::not_found("TagNotFound", format!("no tag with the id {id}")))
    }

    /// Puts tags on a subscriber and notes the automations that begin.
    pub fn put_tags(
        &mut self,
        id: u64,
        names: &[String],
        automation: Automation,
        fires: bool,
        watch: &mut Watch<'_>,
    ) {
        self.unblock(id, automation, watch);
        for name in names {
            let name = self.tag(name, watch.at);
            let Some(subscriber) = self.subscribers.get_mut(&id) else {
                return;
            };
            let new = !subscriber.tags.contains(&name);
            if new {
                subscriber.tags.push(name.clone());
                subscriber.updated_at = watch.at;
            }
            let cause = match automation {
                Automation::Force => FlowCause::Force,
                Automation::Reset => FlowCause::Reset,
                Automation::Unset | Automation::Off if new => FlowCause::NewTag,
                Automation::Unset | Automation::Off => continue,
            };
            if cause != FlowCause::NewTag {
                let message = format!("automations of \"{name}\" begin again at every call");
                watch.report(Harm::AutomationRestarted, message);
            }
            if fires && !subscriber.blocked {
                self.flows.push(Flow {
                    at: watch.at,
                    email: subscriber.email.clone(),
                    tag: name,
                    cause,
                    fields: subscriber.fields.clone(),
                });
            }
        }
    }

    /// Rule's notes: any value of `automation` unblocks the subscriber.
    fn unblock(&mut self, id: u64, automation: Automation, watch: &mut Watch<'_>) {
        let blocked = self.subscribers.get_mut(&id).filter(|s| s.blocked);
        if let Some(subscriber) = blocked
            && automation != Automation::Unset
        {
            subscriber.blocked = false;
            let message = "\"automation\" sent for a blocked subscriber, who is unblocked";
            watch.report(Harm::ConsentChanged, message);
        }
    }

    pub fn get_tags(&self, id: &str, query: &Query) -> Result<Answer, Refusal> {
        let subscriber = self.find(id, query)?;
        Ok(Answer::ok(json!({"tags": self.shown_tags(subscriber)})))
    }

    pub fn add_tags(
        &mut self,
        call: &Call<'_>,
        id: &str,
        query: &Query,
        watch: &mut Watch<'_>,
    ) -> Result<Answer, Refusal> {
        let body = super::upsert::object(call)?;
        let id = self.find(id, query)?.id;
        let mut problems = Problems::default();
        shape::only(&body, &["tags", "automation"], &mut problems);
        let automation = Automation::read(&body, false, &mut problems);
        let names = self.read_tags(&body, &mut problems)?;
        if names.is_empty() && problems.is_empty() {
            problems.add("tags", "is required");
        }
        if !problems.is_empty() {
            return Err(Refusal::Fields(problems));
        }
        self.put_tags(id, &names, automation, true, watch);
        Ok(Answer::ok(json!({"message": "Success"})))
    }

    pub fn remove_tag(
        &mut self,
        id: &str,
        tag: &str,
        query: &Query,
        watch: &mut Watch<'_>,
    ) -> Result<Answer, Refusal> {
        let subscriber = self.find(id, query)?;
        let id = subscriber.id;
        let by_number = !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_digit());
        let wanted = if by_number { self.tag_by_id(tag)? } else { tag };
        let present = subscriber
            .tags
            .iter()
            .find(|present| self.same_tag(present, wanted))
            .cloned();
        let Some(present) = present else {
            return if self.settings.absent_tag_is_404 {
                let message = format!("the subscriber has no tag \"{tag}\"");
                Err(Refusal::not_found("TagNotFound", message))
            } else {
                Ok(Answer::ok(json!({"message": "Success"})))
            };
        };
        // Where letter case makes no difference, ours may stand in any.
        let is_ours = self.settings.fold_tag_case && !shape::is_foreign(&present.to_lowercase());
        if shape::is_foreign(&present) && !is_ours {
            let message = format!("tag \"{present}\" is not ours to remove");
            watch.report(Harm::ForeignTagDropped, message);
        }
        if let Some(subscriber) = self.subscribers.get_mut(&id) {
            subscriber.tags.retain(|tag| *tag != present);
            subscriber.updated_at = watch.at;
        }
        Ok(Answer::ok(json!({"message": "Success"})))
    }

    pub fn list_tags(&self, call: &Call<'_>, query: &Query) -> Result<Answer, Refusal> {
        let page = PageOf::read(query)?;
        let tags = self.tags.iter().map(shown_tag).collect();
        let (tags, meta) = page.cut(call, "/v2/tags", tags);
        Ok(Answer::ok(json!({"tags": tags, "meta": meta})))
    }

    pub fn get_tag(&self, tag: &str, query: &Query) -> Result<Answer, Refusal> {
        let found = match query.get("identified_by") {
            Some("id") => tag
                .parse()
                .ok()
                .and_then(|id: u64| self.tags.iter().find(|tag| tag.id == id)),
            Some("name") => self
                .tags
                .iter()
                .find(|known| self.same_tag(&known.name, tag)),
            _ => return Err(Refusal::bad_request("identified_by must be name or id")),
        };
        let tag = found.ok_or_else(|| Refusal::not_found("TagNotFound", "no such tag"))?;
        let mut shown = shown_tag(tag);
        if query.get("with_count") == Some("true")
            && let Value::Object(shown) = &mut shown
        {
            let has = |tags: &[String]| tags.contains(&tag.name);
            let count = self.subscribers.values().filter(|s| has(&s.tags)).count();
            shown.insert("count".into(), count.into());
        }
        Ok(Answer::ok(shown))
    }
}

fn shown_tag(tag: &super::account::Named) -> Value {
    let made: Timestamp = tag.made;
    json!({
        "id": tag.id,
        "name": tag.name,
        "description": null,
        "created_at": made.to_string(),
        "updated_at": made.to_string(),
    })
}
