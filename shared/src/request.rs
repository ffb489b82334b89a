//! What a person asks a function for: an event that names an action.
//!
//! Read strictly: a key misspelt is a wish left out, so it is an error that
//! names the key. All faults are told at once, and nothing is done.

use serde::Serialize;
use serde_json::{Map, Value};
use thiserror::Error;

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The field; empty for the request as a whole.
    pub field: String,
    /// What is wrong, continuing the field's name.
    pub reason: String,
}

/// A request with faults. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("nothing was done: {}", listed(.0))]
pub struct Invalid(pub Vec<Fault>);

impl Invalid {
    /// One fault.
    pub fn one(field: &str, reason: String) -> Self {
        let field = field.to_owned();
        Self(vec![Fault { field, reason }])
    }

    /// An action that is none of `actions`.
    pub fn unknown_action(actions: &str) -> Self {
        Self::one("action", format!("is not known; known are: {actions}"))
    }
}

fn listed(faults: &[Fault]) -> String {
    let told = |fault: &Fault| match fault.field.as_str() {
        "" => format!("the event {}", fault.reason),
        field => format!("`{field}` {}", fault.reason),
    };
    let faults: Vec<_> = faults.iter().map(told).collect();
    faults.join("; ")
}

/// An error in its JSON form, to stand under the key `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorAnswer {
    /// What kind of error, for programs.
    pub code: &'static str,
    /// What is wrong and what to do, for people.
    pub message: String,
    /// The faults of a request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Fault>,
}

impl ErrorAnswer {
    /// An error that is no fault of the request.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Vec::new(),
        }
    }
}

impl From<Invalid> for ErrorAnswer {
    fn from(invalid: Invalid) -> Self {
        Self {
            code: "validation_error",
            message: invalid.to_string(),
            details: invalid.0,
        }
    }
}

/// What came of reading a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field<T> {
    /// It is there and right.
    Given(T),
    /// It is not there.
    Absent,
    /// It is there and wrong, which was noted.
    Faulty,
}

impl<T> Field<T> {
    /// The value, where there is one.
    pub fn given(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Faulty => None,
        }
    }
}

/// The fields of an event, while it is read.
#[derive(Debug)]
pub struct Fields {
    unread: Map<String, Value>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl Fields {
    /// The action that an event names, and its other fields. `actions` names
    /// the known ones, for whoever named none.
    ///
    /// # Errors
    /// [`Invalid`] where the event names no action at all.
    pub fn of(event: Value, actions: &str) -> Result<(String, Self), Invalid> {
        let Value::Object(mut unread) = event else {
            let reason = format!("must be a JSON object with an action, one of: {actions}");
            return Err(Invalid::one("", reason));
        };
        let action = match unread.remove("action") {
            Some(Value::String(action)) => action,
            Some(_) => {
                let reason = format!("must be a text, one of: {actions}");
                return Err(Invalid::one("action", reason));
            }
            None => {
                let reason = format!("is required, one of: {actions}");
                return Err(Invalid::one("action", reason));
            }
        };
        let fields = Self {
            unread,
            known: vec!["action"],
            faults: Vec::new(),
        };
        Ok((action, fields))
    }

    /// Notes a fault of a field.
    pub fn fault(&mut self, field: &str, reason: impl Into<String>) {
        self.faults.push(Fault {
            field: field.to_owned(),
            reason: reason.into(),
        });
    }

    /// Reads a field. A null is a fault, not an absence: it is what a script
    /// makes of a variable that it forgot to set.
    pub fn field<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Field<T> {
        self.known.push(name);
        let Some(value) = self.unread.remove(name) else {
            return Field::Absent;
        };
        match read(&value) {
            Ok(value) => Field::Given(value),
            Err(reason) => {
                self.fault(name, reason);
                Field::Faulty
            }
        }
    }

    /// Reads a field that is a text.
    pub fn text<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Field<T> {
        self.field(name, |value| {
            let text = value.as_str().ok_or_else(|| "must be a text".to_owned());
            text.and_then(read)
        })
    }

    /// Reads a field that is a text and must be there. `None` where it is not,
    /// or is wrong, which is noted.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match self.text(name, read) {
            Field::Given(value) => Some(value),
            Field::Absent => {
                self.fault(name, "is required");
                None
            }
            Field::Faulty => None,
        }
    }

    /// What was read, if there was no fault and nothing else in the event.
    ///
    /// # Errors
    /// [`Invalid`] with all faults at once.
    pub fn finish<A>(mut self, action: Option<A>) -> Result<A, Invalid> {
        let known = self.known.join(", ");
        for (field, _) in std::mem::take(&mut self.unread) {
            let reason = format!("is not known; known for this action are: {known}");
            self.fault(&field, reason);
        }
        match action {
            Some(action) if self.faults.is_empty() => Ok(action),
            _ => Err(Invalid(self.faults)),
        }
    }
}
