//! The definitions of custom fields.

use serde_json::{Value, json};

use super::{
    account::{Account, Named},
    object,
    tags::Page,
    values::{FieldType, split_key},
};
use crate::{
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::ApiResponse,
    validation::{self, FieldErrors},
};

impl Account {
    pub fn define_fields(&mut self, request: &ApiRequest<'_>) -> Result<ApiResponse, Rejection> {
        let body = object(request)?;
        let mut errors = FieldErrors::default();
        validation::only(&body, &["fields"], &mut errors);
        let fields = match body.get("fields") {
            Some(Value::Array(fields)) if !fields.is_empty() => fields.as_slice(),
            _ => {
                errors.add("fields", "must be a list of fields");
                &[]
            }
        };
        let mut wanted = Vec::new();
        for (index, field) in fields.iter().enumerate() {
            let path = format!("fields.{index}");
            let Value::Object(field) = field else {
                errors.add(path, "must be an object");
                continue;
            };
            validation::only(field, &["key", "type"], &mut errors);
            let key = field.get("key").and_then(Value::as_str).unwrap_or_default();
            if let Err(message) = split_key(key) {
                errors.add(format!("{path}.key"), message);
                continue;
            }
            let kind = match field.get("type") {
                None => Some(FieldType::Text),
                Some(kind) => kind.as_str().and_then(FieldType::from_name),
            };
            let Some(kind) = kind else {
                errors.add(key, "unknown type");
                continue;
            };
            // Whether a field's type can change is not documented. A client that tries it
            // probably has a wrong type.
            match self.definition(key) {
                Some(known) if known.kind != kind => {
                    errors.add(key, format!("is defined as {}", known.kind.name()));
                }
                _ => wanted.push((key.to_owned(), kind)),
            }
        }
        errors.into_result()?;
        for (key, kind) in wanted {
            self.define(&key, kind);
        }
        Ok(ApiResponse::ok(json!({"message": "Success"})))
    }

    pub fn list_groups(
        &self,
        request: &ApiRequest<'_>,
        query: &Query,
    ) -> Result<ApiResponse, Rejection> {
        let page = Page::read(query)?;
        let groups = self
            .groups
            .iter()
            .map(|group| self.group_json(group))
            .collect();
        let (groups, meta) = page.cut(request, "/v2/customizations", groups);
        Ok(ApiResponse::ok(json!({"groups": groups, "meta": meta})))
    }

    fn group_json(&self, group: &Named) -> Value {
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
            "created_at": group.created_at.to_string(),
            "updated_at": group.created_at.to_string(),
        })
    }
}
