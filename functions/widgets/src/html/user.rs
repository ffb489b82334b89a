//! Why a user has the tags that the user has.

use askama::Template;

use super::Page;
use crate::answers::{Contact, Preview, PreviewOutcome};
use crate::event::{Action, InvalidId, TypedIds, Word};
use crate::functions::NoAnswer;
use shared::message::UserKey;

#[derive(Template)]
#[template(path = "user.html")]
pub struct UserPage<'a> {
    page: Page<'a>,
    typed: TypedIds,
    fault: Option<InvalidId>,
    parts: Vec<Part>,
}

/// What one connector knows.
struct Part {
    connector: String,
    user: String,
    preview: Result<Preview, NoAnswer>,
    sync: Option<Action>,
}

impl<'a> UserPage<'a> {
    pub fn blank(page: Page<'a>) -> Self {
        Self {
            page,
            typed: TypedIds::default(),
            fault: None,
            parts: Vec::new(),
        }
    }

    pub fn invalid(page: Page<'a>, typed: TypedIds, fault: InvalidId) -> Self {
        Self {
            typed,
            fault: Some(fault),
            ..Self::blank(page)
        }
    }

    pub fn of(
        page: Page<'a>,
        user: &UserKey,
        previews: Vec<(String, Result<Preview, NoAnswer>)>,
    ) -> Self {
        let typed = TypedIds {
            vendor: user.vendor_id.to_string(),
            user: user.user_id.to_string(),
        };
        let previews = previews.into_iter();
        let parts = previews.map(|(connector, preview)| Part::new(connector, user, preview));
        Self {
            typed,
            parts: parts.collect(),
            ..Self::blank(page)
        }
    }
}

impl Part {
    fn new(connector: String, user: &UserKey, preview: Result<Preview, NoAnswer>) -> Self {
        let uses = |preview: &Preview| preview.outcome != PreviewOutcome::NotConfigured;
        let word = Word::try_from(connector.clone()).ok();
        let word = word.filter(|_| preview.as_ref().is_ok_and(uses));
        Self {
            sync: word.map(|connector| Action::Sync {
                connector,
                vendor_id: user.vendor_id.clone(),
                user_id: user.user_id.clone(),
            }),
            user: user.user_id.to_string(),
            connector,
            preview,
        }
    }

    fn outcome(&self) -> PreviewOutcome {
        let preview = self.preview.as_ref();
        preview.map_or(PreviewOutcome::Error, |preview| preview.outcome)
    }

    fn is_configured(&self) -> bool {
        self.outcome() != PreviewOutcome::NotConfigured
    }

    fn summary(&self) -> &'static str {
        match self.outcome() {
            PreviewOutcome::WouldSync => "A sync would change something.",
            PreviewOutcome::Unchanged => "All is as it should be.",
            PreviewOutcome::Skipped => "The user is skipped:",
            PreviewOutcome::NotConfigured => "The vendor does not use it:",
            PreviewOutcome::Error => "It cannot be told:",
        }
    }

    fn class(&self) -> &'static str {
        match self.outcome() {
            PreviewOutcome::Unchanged => "good",
            PreviewOutcome::Skipped | PreviewOutcome::NotConfigured => "quiet",
            PreviewOutcome::WouldSync | PreviewOutcome::Error => "bad",
        }
    }

    fn confirmation(&self) -> String {
        format!("Sync user {} at {} now?", self.user, self.connector)
    }
}

impl Contact {
    fn titles(&self) -> Vec<String> {
        let list = self.list.as_ref().map(|list| format!("List {list}"));
        let what = [
            (self.new, "The contact will be made."),
            (self.moved, "The contact moves to the user's new address."),
            (self.earlier, "The contact of the user's earlier address."),
        ];
        let what = what.into_iter().filter(|(is_so, _)| *is_so);
        list.into_iter()
            .chain(what.map(|(_, title)| title.to_owned()))
            .collect()
    }
}
