//! The function that shows. Whatever it is sent, it only reads.

use std::time::Duration;

use askama::Template;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::message::UserKey;
use thiserror::Error;
use tracing::info;

use crate::answers::Preview;
use crate::event::{Lookup, Theme, View, ViewEvent};
use crate::functions::{Functions, NoAnswer, ask};
use crate::html::{DeadLettersPage, Notice, Page, RunsPage, UserPage};

/// A person looks at an empty widget meanwhile. What is missing then is said. Decided.
const LIMIT: Duration = Duration::from_secs(9);

const DOCUMENTATION: &str = "\
### What sesamy-crm-sync does

Parameter `widget` chooses what is shown:

| `widget` | shows |
| --- | --- |
| `dead-letters` | messages that could not be synced, by connector, reason and vendor |
| `runs` | the latest resync of each vendor |
| `user` | a form for a vendor and a user id: the tags at each CRM, and why |

```yaml
widget: runs
```

Nothing is changed by looking. A button asks first, and needs the permission to invoke \
`WidgetActionsFunction`.
";

pub struct Viewer<F> {
    pub functions: F,
    /// The operator's function, by its alias that only reads.
    pub operator: String,
    pub connectors: Connectors,
    /// The function that acts.
    pub actions: String,
    pub now: fn() -> Timestamp,
}

/// The connectors' functions by name, by their aliases that only read.
#[derive(Debug, PartialEq, Eq)]
pub struct Connectors(Vec<(String, String)>);

#[derive(Debug, PartialEq, Eq, Error)]
#[error(
    "CONNECTOR_FUNCTIONS is not of the form NAME=FUNCTION;…, near {0:?}; deploy the function with the template, which sets it"
)]
pub struct InvalidConnectors(String);

impl std::str::FromStr for Connectors {
    type Err = InvalidConnectors;

    fn from_str(text: &str) -> Result<Self, InvalidConnectors> {
        let connectors = text.split(';').map(|part| {
            let (name, function) = part.split_once('=').unwrap_or_default();
            if name.is_empty() || function.is_empty() {
                return Err(InvalidConnectors(part.to_owned()));
            }
            Ok((name.to_owned(), function.to_owned()))
        });
        Ok(Self(connectors.collect::<Result<_, _>>()?))
    }
}

impl<F: Functions> Viewer<F> {
    /// `own` is the ARN that the console invoked.
    pub async fn answer(&self, event: &Value, own: &str) -> Result<String, askama::Error> {
        let page = Page {
            theme: Theme::of(event),
            own,
            actions: &self.actions,
            now: (self.now)(),
        };
        match ViewEvent::parse(event) {
            Ok(ViewEvent::Describe) => Ok(DOCUMENTATION.to_owned()),
            Ok(ViewEvent::Show(view)) => self.show(view, page).await,
            Err(invalid) => {
                let lines = vec![format!("{invalid}.")];
                Notice { page, lines }.render()
            }
        }
    }

    async fn show(&self, view: View, page: Page<'_>) -> Result<String, askama::Error> {
        match view {
            View::DeadLetters => {
                info!(widget = "dead-letters", "Shows a widget.");
                let status = json!({ "action": "status" });
                let status = ask(&self.functions, &self.operator, &status, LIMIT).await;
                DeadLettersPage::new(page, status).render()
            }
            View::Runs => {
                info!(widget = "runs", "Shows a widget.");
                let runs = json!({ "action": "runs" });
                let runs = ask(&self.functions, &self.operator, &runs, LIMIT).await;
                RunsPage::new(page, runs).render()
            }
            View::User(Lookup::Blank) => UserPage::blank(page).render(),
            View::User(Lookup::Invalid { typed, fault }) => {
                UserPage::invalid(page, typed, fault).render()
            }
            View::User(Lookup::Of(user)) => {
                let (vendor_id, user_id) = (user.vendor_id.as_str(), user.user_id.as_str());
                info!(widget = "user", vendor_id, user_id, "Shows a widget.");
                UserPage::of(page, &user, self.previews(&user).await).render()
            }
        }
    }

    /// Of all connectors at once.
    async fn previews(&self, user: &UserKey) -> Vec<(String, Result<Preview, NoAnswer>)> {
        let preview = json!({
            "action": "preview",
            "vendorId": user.vendor_id,
            "userId": user.user_id,
        });
        let preview = &preview;
        let previews = self.connectors.0.iter().map(async |(name, function)| {
            let answer = ask(&self.functions, function, preview, LIMIT).await;
            (name.clone(), answer)
        });
        join_all(previews).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connectors_are_named_with_their_functions() {
        let two = "rule=arn:a:ask;make=arn:b:ask"
            .parse::<Connectors>()
            .unwrap();
        let expected = [("rule", "arn:a:ask"), ("make", "arn:b:ask")];
        assert_eq!(
            two.0,
            expected.map(|(name, function)| (name.to_owned(), function.to_owned()))
        );
        for (text, near) in [
            ("", ""),
            ("rule", "rule"),
            ("rule=", "rule="),
            ("=arn", "=arn"),
            ("rule=arn;", ""),
        ] {
            let error = text.parse::<Connectors>().unwrap_err();
            assert_eq!(error, InvalidConnectors(near.to_owned()), "{text}");
        }
    }
}
