//! What a person asks for, read strictly: a key misspelt is a filter left out,
//! and would redrive everything.

use std::num::NonZeroU64;

use serde_json::Value;
use shared::identity::{UserId, VendorId};
use shared::request::{Field, Fields, Invalid};

use crate::connectors::{Connector, Connectors};
use crate::letters::{ErrorKind, Filter};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Action<'a, Q> {
    /// How the stack stands.
    Status,
    /// Dead letters are to go back to their connector's queue.
    Redrive(Redrive<'a, Q>),
    /// Readers are to be synced without an event.
    Resync(Resync<'a, Q>),
    /// A run is to be begun for every vendor.
    Reconcile {
        /// Whether the schedule asks, and not a person who reads the answer.
        scheduled: bool,
    },
}

/// Whose readers are to be synced without an event.
#[derive(Debug, PartialEq, Eq)]
pub struct Resync<'a, Q> {
    /// The vendor.
    pub vendor_id: VendorId,
    /// What is to be done.
    pub wish: Wish<'a, Q>,
}

/// What is to be done about a vendor's resync.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish<'a, Q> {
    /// This reader is to be synced now.
    One(UserId, Option<Vec<&'a Connector<Q>>>),
    /// A run over all readers is to begin.
    Start(Option<Vec<&'a Connector<Q>>>),
    /// The run is to stop.
    Stop,
    /// The run is to go on.
    Resume,
    /// How the run stands.
    Show,
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
const ACTIONS: &str = "status, redrive, resync, reconcile";

/// What can be done about a vendor's run.
const WISHES: &str = "start, stop, resume, show";

impl<'a, Q> Action<'a, Q> {
    /// Reads an event.
    ///
    /// # Errors
    /// [`Invalid`] with all faults at once.
    pub fn read(event: Value, connectors: &'a Connectors<Q>) -> Result<Self, Invalid> {
        let (action, mut fields) = Fields::of(event, ACTIONS)?;
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
            "resync" => {
                let resync = resync(&mut fields, connectors);
                fields.finish(resync.map(Self::Resync))
            }
            "reconcile" => {
                let scheduled = fields.field("scheduled", |value| {
                    let told = || "must be true or false".to_owned();
                    value.as_bool().ok_or_else(told)
                });
                let scheduled = scheduled.given().unwrap_or_default();
                fields.finish(Some(Self::Reconcile { scheduled }))
            }
            _ => Err(Invalid::unknown_action(ACTIONS)),
        }
    }
}

fn resync<'a, Q>(fields: &mut Fields, connectors: &'a Connectors<Q>) -> Option<Resync<'a, Q>> {
    let vendor_id = fields.required("vendorId", |id| {
        VendorId::try_from(id).map_err(|error| error.to_string())
    });
    let user_id = fields.text("userId", |id| {
        UserId::try_from(id).map_err(|error| error.to_string())
    });
    let asked = fields.field("connectors", |value| named(value, connectors));
    let wish = fields.text("do", |wish| match wish {
        "start" => Ok(None),
        "stop" => Ok(Some(Wish::Stop)),
        "resume" => Ok(Some(Wish::Resume)),
        "show" => Ok(Some(Wish::Show)),
        _ => Err(format!("must be one of: {WISHES}")),
    });
    if let Field::Given(Some(_)) = wish {
        for (name, absent) in [
            ("userId", matches!(user_id, Field::Absent)),
            ("connectors", matches!(asked, Field::Absent)),
        ] {
            if !absent {
                fields.fault(name, "goes with \"do\": \"start\" alone");
            }
        }
    }
    let asked = asked.given();
    let wish = match (wish.given().flatten(), user_id.given()) {
        (Some(wish), _) => wish,
        (None, Some(user_id)) => Wish::One(user_id, asked),
        (None, None) => Wish::Start(asked),
    };
    Some(Resync {
        vendor_id: vendor_id?,
        wish,
    })
}

/// The connectors that a list names, at least one, each once.
fn named<'a, Q>(
    list: &Value,
    connectors: &'a Connectors<Q>,
) -> Result<Vec<&'a Connector<Q>>, String> {
    let known = || {
        let names = connectors.names();
        format!("must be a list of at least one of these, each once: {names}")
    };
    let names = list.as_array().filter(|names| !names.is_empty());
    let mut found: Vec<&Connector<Q>> = Vec::new();
    for name in names.ok_or_else(known)? {
        let connector = name.as_str().and_then(|name| connectors.named(name));
        let connector = connector.ok_or_else(known)?;
        if found.iter().any(|other| other.name == connector.name) {
            return Err(known());
        }
        found.push(connector);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::request::Fault;

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
            let expected = (
                "action".to_owned(),
                format!("{expected}status, redrive, resync, reconcile"),
            );
            assert_eq!(faults(event.clone()), [expected], "{event}");
        }
        for event in [json!(null), json!([]), json!("status")] {
            let [(field, reason)] = faults(event).try_into().unwrap();
            assert_eq!(field, "");
            assert!(reason.contains(ACTIONS), "{reason}");
        }
    }

    #[test]
    fn a_resync_is_of_one_reader_or_of_all() {
        let connectors = connectors();
        let read = |event: Value| match Action::read(event, &connectors) {
            Ok(Action::Resync(Resync { vendor_id, wish })) => {
                assert_eq!(vendor_id.as_str(), "v");
                wish
            }
            other => panic!("no resync: {other:?}"),
        };
        let user = UserId::try_from("email|anna").unwrap();
        let make = vec![connectors.named("make").unwrap()];
        let cases = [
            (json!({}), Wish::Start(None)),
            (json!({"do": "start"}), Wish::Start(None)),
            (
                json!({"connectors": ["make"]}),
                Wish::Start(Some(make.clone())),
            ),
            (
                json!({"userId": "email|anna"}),
                Wish::One(user.clone(), None),
            ),
            (
                json!({"userId": "email|anna", "connectors": ["make"]}),
                Wish::One(user, Some(make)),
            ),
            (json!({"do": "stop"}), Wish::Stop),
            (json!({"do": "resume"}), Wish::Resume),
            (json!({"do": "show"}), Wish::Show),
        ];
        for (fields, expected) in cases {
            let mut event = json!({"action": "resync", "vendorId": "v"});
            let fields = fields.as_object().unwrap().clone();
            event.as_object_mut().unwrap().extend(fields);
            assert_eq!(read(event.clone()), expected, "{event}");
        }
    }

    #[test]
    fn a_resync_with_faults_is_none_at_all() {
        let cases = [
            (json!({}), vec!["vendorId"]),
            (json!({"vendorId": ""}), vec!["vendorId"]),
            (json!({"vendorId": "v", "userId": null}), vec!["userId"]),
            (json!({"vendorId": "v", "userID": "u"}), vec!["userID"]),
            (json!({"vendorId": "v", "do": "pause"}), vec!["do"]),
            (json!({"vendorId": "v", "do": null}), vec!["do"]),
            (
                json!({"vendorId": "v", "do": "stop", "userId": "u"}),
                vec!["userId"],
            ),
            (
                json!({"vendorId": "v", "do": "show", "connectors": ["make"]}),
                vec!["connectors"],
            ),
            (
                json!({"vendorId": "v", "connectors": []}),
                vec!["connectors"],
            ),
            (
                json!({"vendorId": "v", "connectors": "make"}),
                vec!["connectors"],
            ),
            (
                json!({"vendorId": "v", "connectors": ["Make"]}),
                vec!["connectors"],
            ),
            (
                json!({"vendorId": "v", "connectors": ["make", "make"]}),
                vec!["connectors"],
            ),
        ];
        for (mut event, expected) in cases {
            event["action"] = "resync".into();
            let fields: Vec<_> = faults(event.clone())
                .into_iter()
                .map(|(field, _)| field)
                .collect();
            assert_eq!(fields, expected, "{event}");
        }
        let event = json!({"action": "reconcile", "vendorId": "v"});
        assert_eq!(faults(event).len(), 1);
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
