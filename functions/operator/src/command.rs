//! Commands: the events that people, the schedule and the state machine send.
//!
//! Unknown keys, nulls and empty texts are errors: ignoring a misspelt filter
//! would redrive everything.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use shared::actions::Purpose;
use shared::identity::{UserId, VendorId};
use shared::request::field;

use crate::dead_letters::error_kinds;
use crate::resync::Run;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    Status {},
    Redrive(RedriveCommand),
    Resync(ResyncCommand),
    /// The latest run of each vendor.
    Runs {},
    Reconcile {
        /// Whether the schedule asks. No one reads its answer, so a failure must
        /// be an error that Lambda retries.
        #[serde(default, deserialize_with = "scheduled")]
        scheduled: bool,
    },
    /// From the state machine.
    ResyncStep {
        run: Box<Run>,
        /// How often the state machine tried this step before.
        retries: u32,
    },
}

impl Command {
    pub fn purpose(&self) -> Purpose {
        match self {
            Self::Status {} | Self::Runs {} => Purpose::Ask,
            Self::Resync(resync) if resync.operation == ResyncOperation::Show => Purpose::Ask,
            Self::Redrive(_)
            | Self::Resync(_)
            | Self::Reconcile { .. }
            | Self::ResyncStep { .. } => Purpose::Act,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedriveCommand {
    #[serde(deserialize_with = "connector")]
    pub connector: String,
    #[serde(default, deserialize_with = "some_vendor_id")]
    pub vendor_id: Option<VendorId>,
    #[serde(default, deserialize_with = "some_error_kind")]
    pub error_kind: Option<String>,
    #[serde(default, deserialize_with = "some_limit")]
    pub limit: Option<NonZeroU64>,
}

/// Without connectors, all that the vendor has secrets for.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResyncCommand {
    #[serde(deserialize_with = "vendor_id")]
    pub vendor_id: VendorId,
    #[serde(default, deserialize_with = "some_user_id")]
    pub user_id: Option<UserId>,
    #[serde(default, deserialize_with = "some_connectors")]
    pub connectors: Option<BTreeSet<String>>,
    #[serde(default, deserialize_with = "operation", rename = "do")]
    pub operation: ResyncOperation,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ResyncOperation {
    #[default]
    Start,
    Stop,
    Resume,
    Show,
}

/// One function for each field, so that an error names it.
macro_rules! fields {
    ($($function:ident($name:literal $(, $some:ident)?) -> $type:ty;)*) => {
        $(fn $function<'de, D: Deserializer<'de>>(value: D) -> Result<$type, D::Error> {
            field($name, value)$(.map($some))?
        })*
    };
}

fields! {
    connector("connector") -> String;
    vendor_id("vendorId") -> VendorId;
    scheduled("scheduled") -> bool;
    operation("do") -> ResyncOperation;
    some_vendor_id("vendorId", Some) -> Option<VendorId>;
    some_limit("limit", Some) -> Option<NonZeroU64>;
    some_user_id("userId", Some) -> Option<UserId>;
    some_connectors("connectors", Some) -> Option<BTreeSet<String>>;
}

fn some_error_kind<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    let kind: String = field("errorKind", value)?;
    if error_kinds().any(|known| known == kind) {
        return Ok(Some(kind));
    }
    let known = error_kinds().collect::<Vec<_>>().join(", ");
    let error = format!("`errorKind`: {kind:?} is not an error kind; known are: {known}");
    Err(D::Error::custom(error))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::request::{ErrorAnswer, InvalidCommand, parse_command};

    use super::*;

    fn parse(event: Value) -> Result<Command, InvalidCommand> {
        parse_command(event)
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
            connector: "make".to_owned(),
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
            connector: "rule".to_owned(),
            vendor_id: Some(VendorId::try_from("nordposten").unwrap()),
            error_kind: Some("exhausted".to_owned()),
            limit: NonZeroU64::new(7),
        };
        assert_eq!(parse(narrow).unwrap(), Command::Redrive(expected));
    }

    #[test]
    fn a_resync_without_do_starts() {
        let user = || UserId::try_from("email|anna").ok();
        let make = || Some(BTreeSet::from(["make".to_owned()]));
        let cases = [
            (json!({}), (ResyncOperation::Start, None, None)),
            (json!({"do": "start"}), (ResyncOperation::Start, None, None)),
            (
                json!({"connectors": ["make"]}),
                (ResyncOperation::Start, None, make()),
            ),
            (
                json!({"userId": "email|anna", "connectors": ["make"]}),
                (ResyncOperation::Start, user(), make()),
            ),
            (json!({"do": "stop"}), (ResyncOperation::Stop, None, None)),
            (
                json!({"do": "resume"}),
                (ResyncOperation::Resume, None, None),
            ),
            (json!({"do": "show"}), (ResyncOperation::Show, None, None)),
        ];
        for (fields, (operation, user_id, connectors)) in cases {
            let event = with(json!({"action": "resync", "vendorId": "v"}), &fields);
            let expected = Command::Resync(ResyncCommand {
                vendor_id: VendorId::try_from("v").unwrap(),
                user_id,
                connectors,
                operation,
            });
            assert_eq!(parse(event.clone()).unwrap(), expected, "{event}");
        }
    }

    #[test]
    fn unknown_actions_and_other_json_are_errors() {
        let cases = [
            json!({"action": "Redrive"}),
            json!({"action": null}),
            json!({"action": {"status": null}}),
            json!({}),
            json!(null),
            json!(["status"]),
            json!("status"),
        ];
        for event in cases {
            assert!(parse(event.clone()).is_err(), "{event}");
        }
        let error = parse(json!({"action": "purge"})).unwrap_err().to_string();
        for action in ["status", "redrive", "resync", "runs", "reconcile"] {
            assert!(error.contains(action), "{error}");
        }
    }

    #[test]
    fn wrong_and_unknown_fields_are_errors_that_name_them() {
        let redrive = json!({"action": "redrive", "connector": "rule"});
        let resync = json!({"action": "resync", "vendorId": "v"});
        let reconcile = json!({"action": "reconcile"});
        let cases = [
            (
                &json!({"action": "status"}),
                json!({"connector": "rule"}),
                "connector",
            ),
            (&json!({"action": "redrive"}), json!({}), "connector"),
            (&redrive, json!({"vendorID": "nordposten"}), "vendorID"),
            (&redrive, json!({"connector": null}), "connector"),
            (&redrive, json!({"vendorId": null}), "vendorId"),
            (&redrive, json!({"vendorId": ""}), "vendorId"),
            (&redrive, json!({"vendorId": 5}), "vendorId"),
            (&redrive, json!({"vendorId": "a b"}), "vendorId"),
            (&redrive, json!({"errorKind": null}), "errorKind"),
            (&redrive, json!({"errorKind": "typo"}), "errorKind"),
            (&redrive, json!({"errorKind": ["bug"]}), "errorKind"),
            (&redrive, json!({"limit": null}), "limit"),
            (&redrive, json!({"limit": "5"}), "limit"),
            (&redrive, json!({"limit": 0}), "limit"),
            (&redrive, json!({"limit": -1}), "limit"),
            (&redrive, json!({"limit": 1.5}), "limit"),
            (&json!({"action": "resync"}), json!({}), "vendorId"),
            (&resync, json!({"vendorId": ""}), "vendorId"),
            (&resync, json!({"userId": null}), "userId"),
            (&resync, json!({"userId": ""}), "userId"),
            (&resync, json!({"userID": "u"}), "userID"),
            (&resync, json!({"do": "pause"}), "do"),
            (&resync, json!({"do": null}), "do"),
            (&resync, json!({"connectors": null}), "connectors"),
            (&resync, json!({"connectors": "make"}), "connectors"),
            (
                &json!({"action": "runs"}),
                json!({"vendorId": "v"}),
                "vendorId",
            ),
            (&reconcile, json!({"vendorId": "v"}), "vendorId"),
            (&reconcile, json!({"scheduled": null}), "scheduled"),
            (&reconcile, json!({"scheduled": "true"}), "scheduled"),
        ];
        for (event, fields, field) in cases {
            let event = with(event.clone(), &fields);
            let error = ErrorAnswer::from(parse(event.clone()).unwrap_err());
            assert_eq!(error.details[0].field, field, "{event}: {error:?}");
        }
    }
}
