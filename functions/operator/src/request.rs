//! What a person asks for, read strictly: a key misspelt is a filter left out,
//! and would redrive everything.

use std::num::NonZeroU64;

use serde_json::{Map, Value};
use shared::identity::VendorId;

use crate::connectors::{Connector, Connectors};
use crate::error::{Fault, Invalid};
use crate::letters::{ErrorKind, Filter};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<'a, Q> {
    /// How the stack stands.
    Status,
    /// Dead letters are to go back to their connector's queue.
    Redrive(Redrive<'a, Q>),
}

/// Which dead letters are to go back.
#[derive(Debug, PartialEq, Eq)]
pub struct Redrive<'a, Q> {
    /// Of which connector.
    pub connector: &'a Connector<Q>,
    /// Which of its letters.
    pub filter: Filter,
    /// How many of them at most.
    pub limit: Option<NonZeroU64>,
}

/// The names of all actions.
const ACTIONS: &str = "status, redrive";

impl<'a, Q> Action<'a, Q> {
    /// Reads an event.
    ///
    /// # Errors
    /// [`Invalid`] with all faults at once.
    pub fn read(event: Value, connectors: &'a Connectors<Q>) -> Result<Self, Invalid> {
        let Value::Object(fields) = event else {
            let reason = format!("must be a JSON object with an action, one of: {ACTIONS}");
            return Err(Invalid::one("", reason));
        };
        let mut fields = Fields {
            unread: fields,
            known: vec!["action"],
            faults: Vec::new(),
        };
        let action = match fields.unread.remove("action") {
            Some(Value::String(action)) => action,
            Some(_) => {
                let reason = format!("must be a text, one of: {ACTIONS}");
                return Err(Invalid::one("action", reason));
            }
            None => {
                let reason = format!("is required, one of: {ACTIONS}");
                return Err(Invalid::one("action", reason));
            }
        };
        match action.as_str() {
            "status" => fields.finish(Some(Self::Status)),
            "redrive" => {
                let connector = fields.text("connector", |name| {
                    let known = || format!("must be one of: {}", connectors.names());
                    connectors.named(name).ok_or_else(known)
                });
                if matches!(connector, Field::Absent) {
                    let reason = format!("is required, one of: {}", connectors.names());
                    fields.fault("connector", reason);
                }
                let vendor_id = fields.text("vendorId", |id| {
                    VendorId::try_from(id).map_err(|error| error.to_string())
                });
                let error_kind = fields.text("errorKind", |kind| {
                    let known = || {
                        let names: Vec<_> = ErrorKind::names().collect();
                        format!("must be one of: {}", names.join(", "))
                    };
                    ErrorKind::known(kind).ok_or_else(known)
                });
                let limit = fields.field("limit", |value| {
                    let limit = value.as_u64().and_then(NonZeroU64::new);
                    limit.ok_or_else(|| "must be a whole number of at least 1".to_owned())
                });
                let redrive = connector.given().map(|connector| {
                    Self::Redrive(Redrive {
                        connector,
                        filter: Filter {
                            vendor_id: vendor_id.given(),
                            error_kind: error_kind.given(),
                        },
                        limit: limit.given(),
                    })
                });
                fields.finish(redrive)
            }
            _ => Err(Invalid::one(
                "action",
                format!("is not known; known are: {ACTIONS}"),
            )),
        }
    }
}

/// What came of reading a field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Field<T> {
    Given(T),
    Absent,
    Faulty,
}

impl<T> Field<T> {
    fn given(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Faulty => None,
        }
    }
}

/// The fields of an event, while it is read.
struct Fields {
    unread: Map<String, Value>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl Fields {
    fn fault(&mut self, field: &str, reason: String) {
        let field = field.to_owned();
        self.faults.push(Fault { field, reason });
    }

    /// Reads a field. A null is a fault, not an absence: it is what a script
    /// makes of a variable that it forgot to set.
    fn field<T>(
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

    fn text<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Field<T> {
        self.field(name, |value| {
            let text = value.as_str().ok_or_else(|| "must be a text".to_owned());
            text.and_then(read)
        })
    }

    /// What was read, if there was no fault and nothing else in the event.
    fn finish<A>(mut self, action: Option<A>) -> Result<A, Invalid> {
        let known = self.known.join(", ");
        for (field, _) in std::mem::take(&mut self.unread) {
            self.fault(
                &field,
                format!("is not known; known for this action are: {known}"),
            );
        }
        match action {
            Some(action) if self.faults.is_empty() => Ok(action),
            _ => Err(Invalid(self.faults)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::connectors::Urls;

    fn connectors() -> Connectors<Urls> {
        Connectors::read("rule=a,b;make=c,d").unwrap()
    }

    fn faults(event: Value) -> Vec<(String, String)> {
        let connectors = connectors();
        let Invalid(faults) = Action::read(event, &connectors).unwrap_err();
        let pair = |fault: Fault| (fault.field, fault.reason);
        faults.into_iter().map(pair).collect()
    }

    #[test]
    fn a_redrive_may_be_narrowed_down() {
        let connectors = connectors();
        let read = |event| Action::read(event, &connectors).unwrap();
        let Action::Redrive(all) = read(json!({"action": "redrive", "connector": "make"})) else {
            panic!("no redrive");
        };
        assert_eq!(all.connector.name, "make");
        assert_eq!(all.filter, Filter::default());
        assert_eq!(all.limit, None);
        let narrow = json!({
            "action": "redrive", "connector": "rule",
            "vendorId": "nordposten", "errorKind": "exhausted", "limit": 7
        });
        let Action::Redrive(narrow) = read(narrow) else {
            panic!("no redrive");
        };
        assert_eq!(
            narrow.filter.vendor_id.unwrap().as_str(),
            "nordposten".to_owned()
        );
        assert_eq!(narrow.filter.error_kind, ErrorKind::known("exhausted"));
        assert_eq!(narrow.limit, NonZeroU64::new(7));
        assert_eq!(read(json!({"action": "status"})), Action::Status);
    }

    #[test]
    fn a_misspelt_key_is_an_error_that_names_it() {
        let event = json!({"action": "redrive", "connector": "rule", "vendorID": "nordposten"});
        assert_eq!(
            faults(event),
            [(
                "vendorID".to_owned(),
                "is not known; known for this action are: action, connector, vendorId, errorKind, limit"
                    .to_owned()
            )]
        );
        let event = json!({"action": "status", "connector": "rule"});
        assert_eq!(
            faults(event),
            [(
                "connector".to_owned(),
                "is not known; known for this action are: action".to_owned()
            )]
        );
    }

    #[test]
    fn an_unknown_action_is_told_the_known_ones() {
        let cases = [
            (json!({"action": "Redrive"}), "is not known; known are: "),
            (json!({"action": "purge"}), "is not known; known are: "),
            (json!({"action": null}), "must be a text, one of: "),
            (json!({}), "is required, one of: "),
        ];
        for (event, expected) in cases {
            let expected = ("action".to_owned(), format!("{expected}status, redrive"));
            assert_eq!(faults(event.clone()), [expected], "{event}");
        }
        for event in [json!(null), json!([]), json!("status")] {
            let [(field, reason)] = faults(event).try_into().unwrap();
            assert_eq!(field, "");
            assert!(reason.contains("status, redrive"), "{reason}");
        }
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let event = json!({
            "action": "redrive", "connector": "Rule", "vendorId": "", "errorKind": "typo",
            "limit": 0, "x": 1
        });
        let fields: Vec<_> = faults(event).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["connector", "vendorId", "errorKind", "limit", "x"]);
        let required = (
            "connector".to_owned(),
            "is required, one of: rule, make".to_owned(),
        );
        assert_eq!(faults(json!({"action": "redrive"})), [required]);
    }

    #[test]
    fn nothing_but_the_right_type_narrows_down() {
        let wrong = [
            ("vendorId", json!(null)),
            ("vendorId", json!(5)),
            ("vendorId", json!("a b")),
            ("errorKind", json!(null)),
            ("errorKind", json!(["bug"])),
            ("limit", json!(null)),
            ("limit", json!("5")),
            ("limit", json!(-1)),
            ("limit", json!(1.5)),
        ];
        for (field, value) in wrong {
            let mut event = json!({"action": "redrive", "connector": "rule"});
            event[field] = value;
            let faults = faults(event.clone());
            assert_eq!(faults.len(), 1, "{event}");
            assert_eq!(faults[0].0, field);
        }
    }
}
