//! Definitions of custom fields.

use serde_json::{Value, json};

use super::{
    account::{Account, Named},
    refusal::Refusal,
    tags::PageOf,
    values::{FieldType, split_key},
};
use crate::{
    answer::Answer,
    call::{Call, Query},
    shape::{self, Problems},
};

impl Account {
    pub fn define_fields(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let body = super::upsert::object(call)?;
        let mut problems = Problems::default();
        shape::only(&body, &["fields"], &mut problems);
        let fields = match body.get("fields") {
            Some(Value::Array(fields)) if !fields.is_empty() => fields.as_slice(),
            _ => {
                problems.add("fields", "must be a list of fields");
                &[]
            }
        };
        let mut wanted = Vec::new();
        for (index, field) in fields.iter().enumerate() {
            let place = format!("fields.{index}");
            let Value::Object(field) = field else {
                problems.add(place, "must be an object");
                continue;
            };
            shape::only(field, &["key", "type"], &mut problems);
            let key = field.get("key").and_then(Value::as_str).unwrap_or_default();
            if let Err(why) = split_key(key) {
                problems.add(format!("{place}.key"), why);
                continue;
            }
            let kind = match field.get("type") {
                None => Some(FieldType::Text),
                Some(kind) => kind.as_str().and_then(FieldType::of_name),
            };
            let Some(kind) = kind else {
                problems.add(key, "unknown type");
                continue;
            };
            // Whether a definition can change its type is not documented. A
            // client that asks for it has mistaken the type somewhere.
            match self.definition(key) {
                Some(known) if known.kind != kind => {
                    problems.add(key, format!("is defined as {}", known.kind.name()));
                }
                _ => wanted.push((key.to_owned(), kind)),
            }
        }
        if !problems.is_empty() {
            return Err(Refusal::Fields(problems));
        }
        for (key, kind) in wanted {
            self.define(&key, kind);
        }
        Ok(Answer::ok(json!({"message": "Success"})))
    }

    pub fn list_groups(&self, call: &Call<'_>, query: &Query) -> Result<Answer, Refusal> {
        let page = PageOf::read(query)?;
        let groups = self
            .groups
            .iter()
            .map(|group| self.shown_group(group))
            .collect();
        let (groups, meta) = page.cut(call, "/v2/customizations", groups);
        Ok(Answer::ok(json!({"groups": groups, "meta": meta})))
    }

    pub fn get_group(&self, name: &str) -> Result<Answer, Refusal> {
        let id = name.parse::<u64>().ok();
        self.groups
            .iter()
            .find(|group| group.name == name || Some(group.id) == id)
            .map(|group| Answer::ok(self.shown_group(group)))
            .ok_or_else(|| Refusal::not_found("GroupNotFound", "no such group"))
    }

    fn shown_group(&self, group: &Named) -> Value {
        let fields: Vec<_> = self
            .fields
            .iter()
            .filter(|field| field.group == group.name)
            .map(|field| json!({"id": field.id, "name": field.name, "type": field.kind.name()}))
            .collect();
        json!({
            "id": group.id,
            "name": group.name,
            "fields": fields,
            "created_at": group.made.to_string(),
            "updated_at": group.made.to_string(),
        })
    }
}
