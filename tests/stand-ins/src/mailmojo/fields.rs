//! Definitions of account fields.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{
    account::{Account, Definition, FieldKind},
    refusal::{Refusal, object},
};
use crate::{
    answer::Answer,
    call::Call,
    shape::{self, Problems},
};

impl Account {
    pub fn list_fields(&self) -> Answer {
        Answer::ok(self.fields.iter().map(shown).collect())
    }

    pub fn define_field(&mut self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let body = object(call)?;
        let mut problems = Problems::default();
        shape::only(&body, &["name", "type"], &mut problems);
        let name = shape::required_text(&body, "name", &mut problems).unwrap_or_default();
        if self.definition(name).is_some() {
            problems.add("name", "exists already");
        }
        let named = shape::required_text(&body, "type", &mut problems).unwrap_or_default();
        let kind = serde_json::from_value::<FieldKind>(named.into());
        match kind {
            Ok(kind) if problems.is_empty() => {
                let id = self.define(name, kind);
                let shown = json!({"id": id, "name": name, "type": kind});
                Ok(Answer::json(StatusCode::CREATED, shown))
            }
            Ok(_) => Err(Refusal::Fields(problems)),
            Err(_) => {
                problems.add("type", "must be text, boolean, number or date");
                Err(Refusal::Fields(problems))
            }
        }
    }
}

fn shown(field: &Definition) -> Value {
    json!({"id": field.id, "name": field.name, "type": field.kind})
}
