//! What the console sends: a widget to show, or a button that was clicked.
//!
//! Anyone who may invoke the functions may send anything, so nothing is used before it is
//! of a type that only a valid value can have. Source: AWS's guide of custom widgets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::identity::{IdError, MAX_ID_BYTES, UserId, VendorId};
use shared::message::UserKey;
use thiserror::Error;

/// The form's fields.
pub const VENDOR_FIELD: &str = "vendorId";
pub const USER_FIELD: &str = "userId";

#[derive(Debug, PartialEq)]
pub enum ViewEvent {
    /// Asks for the widget's documentation.
    Describe,
    Show(View),
}

#[derive(Debug, PartialEq, Eq)]
pub enum View {
    DeadLetters,
    Runs,
    User(Lookup),
}

#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The empty form.
    Blank,
    Of(UserKey),
    Invalid {
        typed: TypedIds,
        fault: InvalidId,
    },
}

/// What a person typed, cut to a length that an id may have.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TypedIds {
    pub vendor: String,
    pub user: String,
}

#[derive(Debug, PartialEq, Eq, Error)]
#[error("The {name} {error}.")]
pub struct InvalidId {
    name: &'static str,
    error: IdError,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    Light,
    Dark,
}

#[derive(Debug, Error)]
pub enum InvalidEvent {
    #[error(
        "this widget is not set up: its parameters must name a `widget`, which is `dead-letters`, `runs` or `user` ({0})"
    )]
    Widget(serde_json::Error),
    #[error("nothing was done: this function only shows; WidgetActionsFunction acts")]
    Action,
    #[error("nothing was done: a dashboard may not have this function as a widget")]
    ActionInParams,
    #[error("nothing was done: a button of a widget must have been clicked ({0})")]
    NoAction(serde_json::Error),
}

/// A click of a button that acts. The function that shows writes it into the button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Action {
    Redrive {
        connector: Word,
        vendor_id: VendorId,
        error_kind: Word,
    },
    Stop {
        vendor_id: VendorId,
    },
    Resume {
        vendor_id: VendorId,
    },
    Sync {
        connector: Word,
        vendor_id: VendorId,
        user_id: UserId,
    },
}

/// A name that the operator's function knows, or refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Word(String);

#[derive(Debug, PartialEq, Eq, Error)]
#[error("a name has at most {MAX_ID_BYTES} bytes")]
pub struct TooLong;

#[derive(Deserialize)]
struct Shown {
    #[serde(rename = "widgetContext")]
    context: Context,
    /// From the form's button. Without it, the form's fields may be left from before.
    #[serde(default, rename = "lookUp")]
    look_up: bool,
}

#[derive(Deserialize)]
struct Context {
    params: Params,
    #[serde(default)]
    forms: Forms,
}

#[derive(Deserialize)]
struct Params {
    widget: Widget,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Widget {
    DeadLetters,
    Runs,
    User,
}

#[derive(Default, Deserialize)]
struct Forms {
    #[serde(default)]
    all: BTreeMap<String, Value>,
}

pub fn is_describe(event: &Value) -> bool {
    event.get("describe") == Some(&Value::Bool(true))
}

impl ViewEvent {
    pub fn parse(event: &Value) -> Result<Self, InvalidEvent> {
        if is_describe(event) {
            return Ok(Self::Describe);
        }
        if event.get("do").is_some() {
            return Err(InvalidEvent::Action);
        }
        let Shown { context, look_up } = Shown::deserialize(event).map_err(InvalidEvent::Widget)?;
        let view = match context.params.widget {
            Widget::DeadLetters => View::DeadLetters,
            Widget::Runs => View::Runs,
            Widget::User if look_up => View::User(context.forms.lookup()),
            Widget::User => View::User(Lookup::Blank),
        };
        Ok(Self::Show(view))
    }
}

impl Theme {
    pub fn of(event: &Value) -> Self {
        let theme = event.pointer("/widgetContext/theme");
        match theme.and_then(Value::as_str) {
            Some("dark") => Self::Dark,
            _ => Self::Light,
        }
    }
}

impl Forms {
    fn lookup(&self) -> Lookup {
        let (vendor, user) = (self.field(VENDOR_FIELD), self.field(USER_FIELD));
        let named = |name| move |error| InvalidId { name, error };
        let vendor_id = VendorId::try_from(vendor).map_err(named("vendor id"));
        let key = vendor_id.and_then(|vendor_id| {
            let user_id = UserId::try_from(user).map_err(named("user id"))?;
            Ok(UserKey { vendor_id, user_id })
        });
        key.map_or_else(
            |fault| Lookup::Invalid {
                typed: TypedIds {
                    vendor: shortened(vendor),
                    user: shortened(user),
                },
                fault,
            },
            Lookup::Of,
        )
    }

    /// Without the blanks around it that come with copying.
    fn field(&self, name: &str) -> &str {
        let value = self.all.get(name).and_then(Value::as_str);
        value.unwrap_or_default().trim()
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_ID_BYTES).collect()
}

impl Action {
    pub fn parse(event: &Value) -> Result<Self, InvalidEvent> {
        // As a widget with an action among its parameters, the function would act whenever
        // the dashboard is opened.
        if event.pointer("/widgetContext/params/do").is_some() {
            return Err(InvalidEvent::ActionInParams);
        }
        Self::deserialize(event).map_err(InvalidEvent::NoAction)
    }

    /// The command to the operator's function.
    pub fn command(&self) -> Value {
        match self {
            Self::Redrive {
                connector,
                vendor_id,
                error_kind,
            } => json!({
                "action": "redrive",
                "connector": connector,
                "vendorId": vendor_id,
                "errorKind": error_kind,
                "limit": MAX_REDRIVEN,
            }),
            Self::Stop { vendor_id } => {
                json!({ "action": "resync", "vendorId": vendor_id, "do": "stop" })
            }
            Self::Resume { vendor_id } => {
                json!({ "action": "resync", "vendorId": vendor_id, "do": "resume" })
            }
            Self::Sync {
                connector,
                vendor_id,
                user_id,
            } => json!({
                "action": "resync",
                "vendorId": vendor_id,
                "userId": user_id,
                "connectors": [connector],
            }),
        }
    }
}

/// Messages of one click, which the console waits for. Decided.
pub const MAX_REDRIVEN: u32 = 100;

impl TryFrom<String> for Word {
    type Error = TooLong;

    fn try_from(text: String) -> Result<Self, TooLong> {
        if text.len() > MAX_ID_BYTES {
            return Err(TooLong);
        }
        Ok(Self(text))
    }
}

impl From<Word> for String {
    fn from(word: Word) -> Self {
        word.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(params: &Value, more: &Value) -> Value {
        let context = json!({ "params": params, "theme": "light", "forms": { "all": {} } });
        let mut event = json!({ "widgetContext": context });
        let all = event.as_object_mut().unwrap();
        all.extend(params.as_object().unwrap().clone());
        all.extend(more.as_object().unwrap().clone());
        event
    }

    fn looked_up(vendor: &Value, user: &Value) -> Lookup {
        let mut event = shown(&json!({ "widget": "user" }), &json!({ "lookUp": true }));
        event["widgetContext"]["forms"]["all"] = json!({ "vendorId": vendor, "userId": user });
        let Ok(ViewEvent::Show(View::User(lookup))) = ViewEvent::parse(&event) else {
            panic!("{event}");
        };
        lookup
    }

    #[test]
    fn params_name_the_widget_and_the_context_its_theme() {
        let none = json!({});
        for (widget, view) in [
            ("dead-letters", View::DeadLetters),
            ("runs", View::Runs),
            ("user", View::User(Lookup::Blank)),
        ] {
            let event = shown(&json!({ "widget": widget }), &none);
            assert_eq!(ViewEvent::parse(&event).unwrap(), ViewEvent::Show(view));
        }
        let mut event = shown(&json!({ "widget": "runs" }), &none);
        for (given, expected) in [
            (json!("dark"), Theme::Dark),
            (json!("light"), Theme::Light),
            (json!("\"><script>"), Theme::Light),
            (json!(null), Theme::Light),
        ] {
            event["widgetContext"]["theme"] = given;
            assert_eq!(Theme::of(&event), expected, "{event}");
        }
    }

    #[test]
    fn event_that_names_no_widget_is_refused() {
        let events = [
            json!({}),
            json!(null),
            json!("runs"),
            // The console's own parameters count, not those beside them.
            json!({ "widget": "runs" }),
            json!({ "widget": "runs", "widgetContext": { "params": {} } }),
            json!({ "widgetContext": { "params": { "widget": "redrive" } } }),
            json!({ "widgetContext": { "params": { "widget": ["runs"] } } }),
            json!({ "widgetContext": { "params": { "widget": "runs" }, "forms": 5 } }),
        ];
        for event in events {
            let error = ViewEvent::parse(&event).unwrap_err();
            assert!(matches!(error, InvalidEvent::Widget(_)), "{event}: {error}");
        }
    }

    #[test]
    fn documentation_is_asked_for_by_true_alone() {
        let describe = json!({ "describe": true });
        assert_eq!(ViewEvent::parse(&describe).unwrap(), ViewEvent::Describe);
        let params = json!({ "widget": "runs" });
        for (value, is_asked) in [
            (json!(true), true),
            (json!(false), false),
            (json!("true"), false),
            (json!(1), false),
        ] {
            let event = shown(&params, &json!({ "describe": value }));
            let parsed = ViewEvent::parse(&event).unwrap();
            assert_eq!(parsed == ViewEvent::Describe, is_asked, "{event}");
        }
    }

    #[test]
    fn function_that_shows_refuses_every_action() {
        let params = json!({ "widget": "runs" });
        for action in ["redrive", "stop", "resume", "sync", "anything"] {
            let event = shown(&params, &json!({ "do": action, "vendorId": "v" }));
            let refused = ViewEvent::parse(&event).unwrap_err();
            assert!(matches!(refused, InvalidEvent::Action), "{event}");
        }
    }

    #[test]
    fn user_is_looked_up_by_the_forms_button_only() {
        let key = UserKey {
            vendor_id: VendorId::try_from("nordposten").unwrap(),
            user_id: UserId::try_from("email|84cc").unwrap(),
        };
        let typed = (json!(" nordposten\n"), json!("\temail|84cc "));
        assert_eq!(looked_up(&typed.0, &typed.1), Lookup::Of(key));

        // A refresh sends the fields that are still there.
        let mut event = shown(&json!({ "widget": "user" }), &json!({}));
        event["widgetContext"]["forms"]["all"] =
            json!({ "vendorId": "nordposten", "userId": "email|84cc" });
        let blank = ViewEvent::Show(View::User(Lookup::Blank));
        assert_eq!(ViewEvent::parse(&event).unwrap(), blank);
    }

    #[test]
    fn typed_ids_are_valid_or_refused_in_words() {
        let long = "x".repeat(10_000);
        let cases = [
            (json!(""), json!("u"), "The vendor id must not be empty."),
            (json!(null), json!("u"), "The vendor id must not be empty."),
            (json!(["v"]), json!("u"), "The vendor id must not be empty."),
            (
                json!("a/b"),
                json!("u"),
                "The vendor id must not contain a slash.",
            ),
            (json!("v"), json!(""), "The user id must not be empty."),
            (
                json!("v"),
                json!("a b"),
                "The user id must not contain blank, control or format characters.",
            ),
            (
                json!("v"),
                json!(long),
                "The user id must be at most 256 bytes.",
            ),
        ];
        for (vendor, user, expected) in cases {
            let Lookup::Invalid { typed, fault } = looked_up(&vendor, &user) else {
                panic!("{vendor} {user}");
            };
            assert_eq!(fault.to_string(), expected);
            assert!(typed.user.len() <= MAX_ID_BYTES);
        }
        // Hostile, but an id all the same.
        for id in ["<script>alert(1)</script>", "\"'&<>", "'-->"] {
            let found = looked_up(&json!("v"), &json!(id));
            assert!(matches!(found, Lookup::Of(key) if key.user_id.as_str() == id));
        }
    }

    fn actions() -> [Action; 4] {
        let vendor_id = || VendorId::try_from("v\"<&'>").unwrap();
        let word = |text: &str| Word::try_from(text.to_owned()).unwrap();
        [
            Action::Redrive {
                connector: word("rule"),
                vendor_id: vendor_id(),
                error_kind: word("bug"),
            },
            Action::Stop {
                vendor_id: vendor_id(),
            },
            Action::Resume {
                vendor_id: vendor_id(),
            },
            Action::Sync {
                connector: word("rule"),
                vendor_id: vendor_id(),
                user_id: UserId::try_from("u").unwrap(),
            },
        ]
    }

    #[test]
    fn action_is_read_as_it_was_written_into_the_button() {
        for action in actions() {
            let mut event = serde_json::to_value(&action).unwrap();
            event["widgetContext"] = json!({ "params": { "widget": "runs" } });
            // Perhaps the console adds the widget's parameters.
            event["widget"] = "runs".into();
            assert_eq!(Action::parse(&event).unwrap(), action);
        }
    }

    #[test]
    fn each_action_is_one_command_that_names_its_vendor() {
        let commands = actions().map(|action| action.command());
        let vendor = "v\"<&'>";
        assert_eq!(
            commands,
            [
                json!({
                    "action": "redrive", "connector": "rule", "vendorId": vendor,
                    "errorKind": "bug", "limit": 100
                }),
                json!({ "action": "resync", "vendorId": vendor, "do": "stop" }),
                json!({ "action": "resync", "vendorId": vendor, "do": "resume" }),
                json!({
                    "action": "resync", "vendorId": vendor, "userId": "u",
                    "connectors": ["rule"]
                }),
            ]
        );
    }

    #[test]
    fn action_of_a_widgets_parameters_is_no_click() {
        for action in actions() {
            let params = serde_json::to_value(&action).unwrap();
            let event = shown(&params, &json!({}));
            let refused = Action::parse(&event).unwrap_err();
            assert!(matches!(refused, InvalidEvent::ActionInParams), "{event}");
        }
    }

    #[test]
    fn event_without_a_whole_action_is_refused() {
        let long = "x".repeat(257);
        let events = [
            json!({}),
            json!(null),
            json!({ "do": null }),
            json!({ "do": "reconcile" }),
            json!({ "do": "stop" }),
            json!({ "do": "stop", "vendorId": null }),
            json!({ "do": "stop", "vendorId": "a/b" }),
            json!({ "do": "redrive" }),
            json!({ "do": "redrive", "connector": "rule", "errorKind": "bug" }),
            json!({ "do": "redrive", "connector": "rule", "vendorId": "v" }),
            json!({ "do": "redrive", "connector": long, "vendorId": "v", "errorKind": "bug" }),
            json!({ "do": "sync", "vendorId": "v", "userId": "u" }),
            json!({ "do": "sync", "connector": "rule", "vendorId": "v" }),
            // A refresh.
            json!({ "widget": "runs", "widgetContext": { "params": { "widget": "runs" } } }),
        ];
        for event in events {
            let refused = Action::parse(&event).unwrap_err();
            assert!(matches!(refused, InvalidEvent::NoAction(_)), "{event}");
        }
    }
}
