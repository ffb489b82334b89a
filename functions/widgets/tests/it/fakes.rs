//! Functions that answer what a test says.

use std::collections::BTreeMap;
use std::sync::Mutex;

use jiff::Timestamp;
use serde_json::{Value, json};
use widgets::actor::Actor;
use widgets::functions::{Functions, NoAnswer};
use widgets::viewer::Viewer;

pub const OWN: &str = "arn:aws:lambda:eu-north-1:1:function:widgets";
pub const ACTIONS: &str = "arn:aws:lambda:eu-north-1:1:function:actions";
pub const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

pub type Answer = Result<Value, NoAnswer>;

/// The answer of each function by its name; one without never answers.
#[derive(Default)]
pub struct FakeFunctions {
    pub answers: BTreeMap<&'static str, Answer>,
    pub invoked: Mutex<Vec<(String, Value)>>,
}

impl Functions for &FakeFunctions {
    async fn invoke(&self, function: &str, event: &Value) -> Answer {
        let invocation = (function.to_owned(), event.clone());
        self.invoked.lock().unwrap().push(invocation);
        match self.answers.get(function) {
            Some(answer) => answer.clone(),
            None => std::future::pending().await,
        }
    }
}

impl FakeFunctions {
    pub fn new(answers: impl IntoIterator<Item = (&'static str, Answer)>) -> Self {
        Self {
            answers: answers.into_iter().collect(),
            ..Self::default()
        }
    }

    /// What `WidgetsFunction` answers.
    pub async fn view(&self, event: &Value) -> String {
        let viewer = Viewer {
            functions: self,
            operator: "operator:ask".to_owned(),
            connectors: "rule=rule:ask;make=make:ask".parse().unwrap(),
            actions: ACTIONS.to_owned(),
            now: || NOW,
        };
        viewer.answer(event, OWN).await.unwrap()
    }

    /// What `WidgetActionsFunction` answers.
    pub async fn act(&self, event: &Value) -> String {
        let actor = Actor {
            functions: self,
            operator: "operator".to_owned(),
            now: || NOW,
        };
        actor.answer(event, ACTIONS).await.unwrap()
    }

    pub fn take_invoked(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.invoked.lock().unwrap())
    }
}

/// As the console sends it for a widget.
pub fn widget(name: &str) -> Value {
    json!({
        "widget": name,
        "widgetContext": {
            "params": { "widget": name },
            "theme": "light",
            "forms": { "all": {} },
        },
    })
}

/// As the console sends it after a click of the form's button.
pub fn lookup(vendor: &str, user: &str) -> Value {
    let mut event = widget("user");
    event["lookUp"] = true.into();
    event["widgetContext"]["forms"]["all"] = json!({ "vendorId": vendor, "userId": user });
    event
}
