//! The function that does what a button asks for, once, on a click.
//!
//! Each action may come twice, as a double click: a second redrive moves what is left, a
//! run that is stopped or goes on stays so, and a second sync of a user changes nothing.

use std::time::Duration;

use askama::Template;
use jiff::Timestamp;
use serde_json::Value;
use tracing::info;

use crate::answers::{Controlled, Did, Queued, Redriven};
use crate::event::{Action, Theme, is_describe};
use crate::functions::{Functions, NoAnswer, ask};
use crate::html::{Notice, Page, messages};

/// Below the function's own limit. The operator's function works on meanwhile. Decided.
const LIMIT: Duration = Duration::from_secs(25);

const DOCUMENTATION: &str = "\
### The buttons of sesamy-crm-sync's widgets

This function is no widget: the buttons of the widgets of `WidgetsFunction` invoke it. On \
its own it does nothing.
";

const REFRESH: &str = "Close this and refresh the widget to see what it is now.";

pub struct Actor<F> {
    pub functions: F,
    pub operator: String,
    pub now: fn() -> Timestamp,
}

impl<F: Functions> Actor<F> {
    pub async fn answer(&self, event: &Value, own: &str) -> Result<String, askama::Error> {
        if is_describe(event) {
            return Ok(DOCUMENTATION.to_owned());
        }
        let lines = match Action::parse(event) {
            Ok(action) => self.act(&action).await.unwrap_or_else(|no_answer| {
                let what = match no_answer {
                    NoAnswer::Refused(reason) => format!("{reason}."),
                    other => format!("It is not known whether this was done: {other}."),
                };
                vec![what, REFRESH.to_owned()]
            }),
            Err(invalid) => vec![format!("{invalid}.")],
        };
        let page = Page {
            theme: Theme::of(event),
            own,
            actions: own,
            now: (self.now)(),
        };
        Notice { page, lines }.render()
    }

    async fn act(&self, action: &Action) -> Result<Vec<String>, NoAnswer> {
        info!(action = %action.command(), "A button was clicked.");
        let command = action.command();
        let (functions, operator) = (&self.functions, &self.operator);
        let mut lines = match action {
            Action::Redrive { .. } => redriven(ask(functions, operator, &command, LIMIT).await?),
            Action::Stop { vendor_id } => {
                let Controlled { did } = ask(functions, operator, &command, LIMIT).await?;
                vec![match did {
                    Did::Stopped => format!("The resync of {vendor_id} is stopped."),
                    _ => format!("The resync of {vendor_id} was not running."),
                }]
            }
            Action::Resume { vendor_id } => {
                let Controlled { did } = ask(functions, operator, &command, LIMIT).await?;
                vec![match did {
                    Did::Resumed => format!("The resync of {vendor_id} is resumed."),
                    Did::GoesOn => format!("The resync of {vendor_id} is running already."),
                    _ => format!("There is nothing of {vendor_id} to resume."),
                }]
            }
            Action::Sync { user_id, .. } => {
                let Queued { queued } = ask(functions, operator, &command, LIMIT).await?;
                let queued = queued.join(", ");
                vec![format!(
                    "User {user_id} is queued for {queued}, and synced within a minute unless an API is down."
                )]
            }
        };
        lines.push(REFRESH.to_owned());
        Ok(lines)
    }
}

fn redriven(redriven: Redriven) -> Vec<String> {
    let moved = messages(redriven.moved);
    let mut lines = vec![format!("Moved {moved} back to the queue.")];
    if redriven.held_back > 0 {
        let held = messages(redriven.held_back);
        lines.push(format!(
            "Left {held} behind an earlier one of the same user that stays."
        ));
    }
    if let Some(failures) = redriven.failed {
        let failed = messages(failures.not_sent + failures.sent_but_not_deleted);
        let reasons = failures.reasons.join("; ");
        lines.push(format!("Failed for {failed}: {reasons}."));
    }
    if let Some(error) = redriven.error {
        lines.push(format!("{}.", error.message));
    }
    if redriven.run_again {
        lines.push("There may be more: redrive again.".to_owned());
    }
    lines
}
