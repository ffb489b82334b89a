//! Mailmojo.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{answer::Answer, call::Call, violations::Watch, world::Shared};

pub(crate) fn error_body(status: StatusCode) -> Value {
    json!({"message": status.canonical_reason().unwrap_or("Error")})
}

/// Accounts in a seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailmojoSeed {}

/// Everything held.
#[derive(Default)]
pub(crate) struct State {}

impl State {
    pub fn apply(&mut self, _: MailmojoSeed) {}
    pub fn reset(&mut self) {}
    pub fn shown(&self) -> Value {
        json!({})
    }
    pub fn account(&self, _: &Call<'_>) -> Option<String> {
        None
    }
    pub fn answer(&mut self, _: &Call<'_>, _: &mut Watch<'_>) -> Answer {
        Answer::json(StatusCode::NOT_FOUND, error_body(StatusCode::NOT_FOUND))
    }
}

/// Its accounts.
#[derive(Clone)]
pub struct Mailmojo {
    _shared: Shared,
}

impl Mailmojo {
    pub(crate) const fn new(shared: Shared) -> Self {
        Self { _shared: shared }
    }
}
