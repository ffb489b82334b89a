//! The widgets as HTML. Templates escape every value; JSON in a button has no character
//! that means something in HTML.

mod dead_letters;
mod runs;
mod user;

use askama::Template;
use jiff::Timestamp;

use crate::event::Theme;

pub use dead_letters::DeadLettersPage;
pub use runs::RunsPage;
pub use user::UserPage;

/// What all pages need to know.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    pub theme: Theme,
    /// The ARN by which the function that shows was invoked, with its alias.
    pub own: &'a str,
    /// The ARN of the function that acts.
    pub actions: &'a str,
    pub now: Timestamp,
}

impl Page<'_> {
    fn is_dark(&self) -> bool {
        self.theme == Theme::Dark
    }

    #[expect(clippy::unused_self, reason = "templates have it at hand")]
    fn time(&self, time: &Timestamp) -> String {
        time.strftime("%Y-%m-%d %H:%M UTC").to_string()
    }
}

/// Some lines of text.
#[derive(Template)]
#[template(path = "notice.html")]
pub struct Notice<'a> {
    pub page: Page<'a>,
    pub lines: Vec<String>,
}

pub(crate) fn messages(count: u64) -> String {
    match count {
        1 => "1 message".to_owned(),
        _ => format!("{count} messages"),
    }
}
