//! Commands: the events that people, the schedule and the state machine send.
//!
//! Unknown keys, nulls and empty texts are errors: ignoring a misspelt filter
//! would redrive everything.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use serde::{Deserialize, Deserializer};
use shared::identity::{UserId, VendorId};
use shared::request::field;

use crate::connectors::ConnectorName;
use crate::dead_letters::{ErrorKind, ReceivedDeadLetter};
use crate::resync::Run;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
pub enum Command {
    Status {},
    Redrive(RedriveCommand),
    Resync(ResyncCommand),
    Reconcile {
        /// Whether the schedule asks. No one reads its answer, so a failure must
        /// be an error that Lambda retries.
        #[serde(default, deserialize_with = "scheduled")]
        scheduled: bool,
    },
    /// From the state machine.
    #[serde(rename = "resync-step")]
    ResyncStep {
        run: Box<Run>,
        /// How often the state machine tried this step before.
        retries: u32,
    },
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedriveCommand {
    #[serde(deserialize_with = "connector")]
    pub connector: ConnectorName,
    #[serde(default, deserialize_with = "some_vendor_id")]
    pub vendor_id: Option<VendorId>,
    #[serde(default, deserialize_with = "some_error_kind")]
    pub error_kind: Option<ErrorKind>,
    #[serde(default, deserialize_with = "some_limit")]
    pub limit: Option<NonZeroU64>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ResyncFields")]
pub struct ResyncCommand {
    pub vendor_id: VendorId,
    pub operation: ResyncOperation,
}

/// Without connectors, all that the vendor has secrets for.
#[derive(Debug, PartialEq, Eq)]
pub enum ResyncOperation {
    User {
        user_id: UserId,
        connectors: Option<Vec<ConnectorName>>,
    },
    Start {
        connectors: Option<Vec<ConnectorName>>,
    },
    Stop,
    Resume,
    Show,
}

impl RedriveCommand {
    /// A dead-letter message whose body is not a message has no vendor.
    pub fn matches(&self, dead_letter: &ReceivedDeadLetter) -> bool {
        let kind = self.error_kind.as_ref();
        let vendor = self.vendor_id.as_ref();
        kind.is_none_or(|kind| *kind == dead_letter.error_kind)
            && vendor.is_none_or(|vendor| {
                let message = dead_letter.message();
                message.is_some_and(|message| message.user.vendor_id == *vendor)
            })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResyncFields {
    #[serde(deserialize_with = "vendor_id")]
    vendor_id: VendorId,
    #[serde(default, deserialize_with = "some_user_id")]
    user_id: Option<UserId>,
    #[serde(default, deserialize_with = "some_connectors")]
    connectors: Option<Vec<ConnectorName>>,
    // Not an enum, which serde would also read from `{"stop": null}`.
    #[serde(default, deserialize_with = "some_operation", rename = "do")]
    operation: Option<String>,
}

impl TryFrom<ResyncFields> for ResyncCommand {
    type Error = &'static str;

    fn try_from(fields: ResyncFields) -> Result<Self, Self::Error> {
        if let Some(names) = &fields.connectors {
            let distinct: BTreeSet<_> = names.iter().collect();
            if names.is_empty() || distinct.len() < names.len() {
                return Err("`connectors` must name at least one connector, each once");
            }
        }
        let operation = fields.operation.as_deref().unwrap_or("start");
        let operation = match (operation, fields.user_id, fields.connectors) {
            ("start", None, connectors) => ResyncOperation::Start { connectors },
            ("start", Some(user_id), connectors) => ResyncOperation::User {
                user_id,
                connectors,
            },
            ("stop", None, None) => ResyncOperation::Stop,
            ("resume", None, None) => ResyncOperation::Resume,
            ("show", None, None) => ResyncOperation::Show,
            ("stop" | "resume" | "show", ..) => {
                return Err("`do` must be start if there is a `userId` or `connectors`");
            }
            _ => return Err("`do` must be one of: start, stop, resume, show"),
        };
        Ok(Self {
            vendor_id: fields.vendor_id,
            operation,
        })
    }
}

fn connector<'de, D: Deserializer<'de>>(value: D) -> Result<ConnectorName, D::Error> {
    field("connector", value)
}

fn vendor_id<'de, D: Deserializer<'de>>(value: D) -> Result<VendorId, D::Error> {
    field("vendorId", value)
}

fn scheduled<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    field("scheduled", value)
}

macro_rules! optional_fields {
    ($($function:ident: $name:literal => $type:ty;)*) => {
        $(fn $function<'de, D: Deserializer<'de>>(value: D) -> Result<Option<$type>, D::Error> {
            field($name, value).map(Some)
        })*
    };
}

optional_fields! {
    some_vendor_id: "vendorId" => VendorId;
    some_error_kind: "errorKind" => ErrorKind;
    some_limit: "limit" => NonZeroU64;
    some_user_id: "userId" => UserId;
    some_connectors: "connectors" => Vec<ConnectorName>;
    some_operation: "do" => String;
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::request::{ErrorAnswer, InvalidCommand, parse_command};

    use super::*;

    fn parse(event: Value) -> Result<Command, InvalidCommand> {
        parse_command(event)
    }

    fn name(text: &str) -> ConnectorName {
        ConnectorName::try_from(text.to_owned()).unwrap()
    }

    /// The event with these fields added.
    fn with(mut event: Value, fields: &Value) -> Value {
        let fields = fields.as_object().unwrap().clone();
        event.as_object_mut().unwrap().extend(fields);
        event
    }

    #[test]
    fn a_redrive_takes_filters_and_a_limit() {
        let all = json!({"action": "redrive", "connector": "make"});
        let expected = RedriveCommand {
            connector: name("make"),
            vendor_id: None,
            error_kind: None,
            limit: None,
        };
        assert_eq!(parse(all).unwrap(), Command::Redrive(expected));

        let narrow = json!({
            "action": "redrive", "connector": "rule",
            "vendorId": "nordposten", "errorKind": "exhausted", "limit": 7
        });
        let expected = RedriveCommand {
            connector: name("rule"),
            vendor_id: Some(VendorId::try_from("nordposten").unwrap()),
            error_kind: Some(ErrorKind::try_from("exhausted".to_owned()).unwrap()),
            limit: NonZeroU64::new(7),
        };
        assert_eq!(parse(narrow).unwrap(), Command::Redrive(expected));
    }

    #[test]
    fn a_resync_without_do_starts() {
        let user_id = || UserId::try_from("email|anna").unwrap();
        let make = || Some(vec![name("make")]);
        let start = |connectors| ResyncOperation::Start { connectors };
        let user = |connectors| ResyncOperation::User {
            user_id: user_id(),
            connectors,
        };
        let cases = [
            (json!({}), start(None)),
            (json!({"do": "start"}), start(None)),
            (json!({"connectors": ["make"]}), start(make())),
            (json!({"userId": "email|anna"}), user(None)),
            (json!({"userId": "email|anna", "do": "start"}), user(None)),
            (
                json!({"userId": "email|anna", "connectors": ["make"]}),
                user(make()),
            ),
            (json!({"do": "stop"}), ResyncOperation::Stop),
            (json!({"do": "resume"}), ResyncOperation::Resume),
            (json!({"do": "show"}), ResyncOperation::Show),
        ];
        for (fields, operation) in cases {
            let event = with(json!({"action": "resync", "vendorId": "v"}), &fields);
            let expected = Command::Resync(ResyncCommand {
                vendor_id: VendorId::try_from("v").unwrap(),
                operation,
            });
            assert_eq!(parse(event.clone()).unwrap(), expected, "{event}");
        }
    }

    #[test]
    fn unknown_actions_and_other_json_are_errors() {
        let cases = [
            json!({"action": "Redrive"}),
            json!({"action": "purge"}),
            json!({"action": null}),
            json!({"action": 0}),
            json!({"action": {"status": null}}),
            json!({}),
            json!(null),
            json!([]),
            json!(["status"]),
            json!("status"),
        ];
        for event in cases {
            assert!(parse(event.clone()).is_err(), "{event}");
        }
        let error = parse(json!({"action": "purge"})).unwrap_err().to_string();
        for action in ["status", "redrive", "resync", "reconcile"] {
            assert!(error.contains(action), "{error}");
        }
    }

    #[test]
    fn wrong_and_unknown_fields_are_errors() {
        let redrive = json!({"action": "redrive", "connector": "rule"});
        let resync = json!({"action": "resync", "vendorId": "v"});
        let reconcile = json!({"action": "reconcile"});
        let cases = [
            (&json!({"action": "status"}), json!({"connector": "rule"})),
            (&json!({"action": "redrive"}), json!({})),
            (&redrive, json!({"vendorID": "nordposten"})),
            (&redrive, json!({"connector": null})),
            (&redrive, json!({"connector": ""})),
            (&redrive, json!({"connector": "Rule"})),
            (&redrive, json!({"vendorId": null})),
            (&redrive, json!({"vendorId": ""})),
            (&redrive, json!({"vendorId": 5})),
            (&redrive, json!({"vendorId": "a b"})),
            (&redrive, json!({"errorKind": null})),
            (&redrive, json!({"errorKind": "typo"})),
            (&redrive, json!({"errorKind": ["bug"]})),
            (&redrive, json!({"limit": null})),
            (&redrive, json!({"limit": "5"})),
            (&redrive, json!({"limit": 0})),
            (&redrive, json!({"limit": -1})),
            (&redrive, json!({"limit": 1.5})),
            (&json!({"action": "resync"}), json!({})),
            (&resync, json!({"vendorId": ""})),
            (&resync, json!({"userId": null})),
            (&resync, json!({"userId": ""})),
            (&resync, json!({"userID": "u"})),
            (&resync, json!({"do": "pause"})),
            (&resync, json!({"do": null})),
            (&resync, json!({"do": {"stop": null}})),
            (&resync, json!({"do": "stop", "userId": "u"})),
            (&resync, json!({"do": "show", "connectors": ["make"]})),
            (&resync, json!({"connectors": null})),
            (&resync, json!({"connectors": []})),
            (&resync, json!({"connectors": "make"})),
            (&resync, json!({"connectors": ["Make"]})),
            (&resync, json!({"connectors": ["make", "make"]})),
            (&reconcile, json!({"vendorId": "v"})),
            (&reconcile, json!({"scheduled": null})),
            (&reconcile, json!({"scheduled": "true"})),
        ];
        for (event, fields) in cases {
            let event = with(event.clone(), &fields);
            let error = parse(event.clone());
            assert!(
                matches!(error, Err(InvalidCommand::Malformed(_))),
                "{event}"
            );
        }
    }

    #[test]
    fn errors_name_the_field() {
        let cases = [
            (json!({"action": "purge"}), "action"),
            (json!({"action": "redrive"}), "connector"),
            (
                json!({"action": "redrive", "connector": "Rule"}),
                "connector",
            ),
            (
                json!({"action": "redrive", "connector": "rule", "vendorID": "v"}),
                "vendorID",
            ),
            (
                json!({"action": "redrive", "connector": "rule", "limit": null}),
                "limit",
            ),
            (
                json!({"action": "resync", "vendorId": "v", "do": "pause"}),
                "do",
            ),
            (
                json!({"action": "resync", "vendorId": "v", "connectors": []}),
                "connectors",
            ),
        ];
        for (event, field) in cases {
            let error = ErrorAnswer::from(parse(event.clone()).unwrap_err());
            assert_eq!(error.details[0].field, field, "{event}: {error:?}");
        }
    }
}
