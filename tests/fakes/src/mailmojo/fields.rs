//! Definitions of account fields.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{
    account::{Account, FieldDefinition, FieldKind},
    object,
};
use crate::{
    rejection::Rejection,
    request::ApiRequest,
    response::ApiResponse,
    validation::{self, FieldErrors},
};

impl Account {
    pub fn list_fields(&self) -> ApiResponse {
        ApiResponse::ok(self.fields.iter().map(field_json).collect())
    }

    pub fn define_field(&mut self, request: &ApiRequest<'_>) -> Result<ApiResponse, Rejection> {
        let body = object(request)?;
        let mut errors = FieldErrors::default();
        validation::only(&body, &["name", "type"], &mut errors);
        let name = validation::required_text(&body, "name", &mut errors);
        if self.definition(name).is_some() {
            errors.add("name", "exists already");
        }
        let named = validation::required_text(&body, "type", &mut errors);
        let Ok(kind) = serde_json::from_value::<FieldKind>(named.into()) else {
            errors.add("type", "must be text, boolean, number or date");
            return Err(Rejection::Invalid(errors));
        };
        errors.into_result()?;
        let id = self.define(name, kind);
        let shown = json!({"id": id, "name": name, "type": kind});
        Ok(ApiResponse::json(StatusCode::CREATED, shown))
    }
}

fn field_json(field: &FieldDefinition) -> Value {
    json!({"id": field.id, "name": field.name, "type": field.kind})
}
