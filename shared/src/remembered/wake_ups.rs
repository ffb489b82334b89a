//! One-time schedules: when to look at a user again without a webhook.

use std::pin::Pin;

use jiff::Timestamp;
use thiserror::Error;

use crate::message::{Message, UserKey};

pub type ScheduleResult<'a> = Pin<Box<dyn Future<Output = Result<(), ScheduleError>> + Send + 'a>>;

pub trait WakeUps: Send + Sync + 'static {
    /// Does nothing if there is the same wake-up already.
    fn set<'a>(&'a self, wake_up: &'a WakeUp) -> ScheduleResult<'a>;

    /// Does nothing if there is no such wake-up.
    fn cancel<'a>(&'a self, wake_up: &'a WakeUp) -> ScheduleResult<'a>;

    /// Tries all that [`WakeUps::set`] needs, without any effect.
    fn check(&self) -> ScheduleResult<'_>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WakeUp {
    pub user: UserKey,
    /// In whole seconds.
    pub at: Timestamp,
}

impl WakeUp {
    /// A message without an event: time has passed, Sesamy sent nothing.
    pub fn message(&self) -> Message {
        let occasion = format!("wake-up {}", self.at);
        Message::resync(self.user.clone(), &occasion, self.at)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct ScheduleError {
    /// Without personal data.
    pub reason: String,
    /// It may succeed later.
    pub is_transient: bool,
}
