use std::time::Duration;

use jiff::Timestamp;
use shared::identity::VendorId;
use shared::sesamy::UsersPage;
use thiserror::Error;

use super::run::{Run, RunState, Tick};
use crate::dead_letters::Unavailable;

/// What a resync needs from outside: the table, ticks, Sesamy's users, secrets.
pub trait Platform: Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    fn new_id(&self) -> String;

    /// The vendor's latest run and its version.
    fn run(
        &self,
        vendor: &VendorId,
    ) -> impl Future<Output = Result<Option<(Run, u64)>, Unavailable>> + Send;

    fn runs(&self) -> impl Future<Output = Result<Vec<Run>, Unavailable>> + Send;

    /// Replaces this version, or creates the first; returns the new version. After
    /// [`WriteError::Unavailable`] it may have been written.
    fn write(
        &self,
        run: &Run,
        over: Option<u64>,
    ) -> impl Future<Output = Result<u64, WriteError>> + Send;

    /// `after` is at most 15 minutes.
    fn send(
        &self,
        tick: &Tick,
        after: Duration,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;

    fn users(
        &self,
        vendor: &VendorId,
        offset: usize,
    ) -> impl Future<Output = Result<UsersPage, UsersError>> + Send;

    /// Does not read the secret. `path` is below the stack's prefix.
    fn has_secret(&self, path: &str) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// The vendors with Sesamy credentials, by the names of secrets alone: this function
    /// may not read the tokens of webhooks.
    fn vendors(&self) -> impl Future<Output = Result<Vec<VendorId>, Unavailable>> + Send;

    /// For the alarm.
    fn count(&self, ended: RunState);
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WriteError {
    #[error("the run was changed at the same time")]
    Conflict,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UsersError {
    #[error("{reason}")]
    Temporary {
        reason: String,
        /// How long Sesamy asks to wait.
        wait: Option<Duration>,
    },
    #[error("{reason}")]
    Permanent { reason: String },
}
