//! Commands that people send to a function, and the errors they get back.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use thiserror::Error;

/// The value of an answer's key `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorAnswer {
    pub code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
    /// Only for an invalid command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<ErrorDetail>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorDetail {
    /// Empty for the command as a whole.
    pub field: String,
    pub reason: String,
}

impl ErrorAnswer {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// For an invalid command. Takes the field's name from the reason: serde
    /// quotes it for a missing or unknown field, and [`field`] puts it first.
    pub fn invalid(reason: &str) -> Self {
        let field = match reason.split('`').collect::<Vec<_>>()[..] {
            // The action is the only field with variants that serde reads.
            ["unknown variant ", ..] => "action",
            ["" | "missing field " | "unknown field ", field, ..] => field,
            _ => "",
        };
        let detail = ErrorDetail {
            field: field.to_owned(),
            reason: reason.to_owned(),
        };
        Self {
            code: "validation_error",
            message: format!("nothing was done: {reason}"),
            details: vec![detail],
        }
    }
}

#[derive(Debug, Error)]
pub enum InvalidCommand {
    #[error("the event must be a JSON object with an `action`")]
    NotAnObject,
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
}

impl From<InvalidCommand> for ErrorAnswer {
    fn from(error: InvalidCommand) -> Self {
        Self::invalid(&error.to_string())
    }
}

/// Parses a command: an enum with `#[serde(tag = "action", deny_unknown_fields)]`,
/// so that a misspelled key is an error. A variant without fields needs braces,
/// otherwise serde accepts unknown keys.
pub fn parse_command<C: DeserializeOwned>(event: Value) -> Result<C, InvalidCommand> {
    // serde would accept an array of the fields in their order.
    if !event.is_object() {
        return Err(InvalidCommand::NotAnObject);
    }
    Ok(C::deserialize(event)?)
}

/// Deserialises a field and names it in the error, which serde does not. For an
/// optional field with `#[serde(default)]` it makes null an error, because a
/// script sends null for a variable that it forgot to set.
pub fn field<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    name: &str,
    value: D,
) -> Result<T, D::Error> {
    T::deserialize(value).map_err(|error| D::Error::custom(format_args!("`{name}`: {error}")))
}
