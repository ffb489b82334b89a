//! What a resync needs of its surroundings.

use std::time::Duration;

use jiff::Timestamp;
use shared::identity::VendorId;
use shared::sesamy::UsersPage;
use thiserror::Error;

use super::run::{Run, State, Tick};
use crate::letters::Unavailable;

/// A table of runs, a queue of ticks, Sesamy's users and the vendors' secrets.
pub trait Platform: Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Timestamp;

    /// A name unlike any other.
    fn new_id(&self) -> String;

    /// The vendor's run, ended or not, and its version.
    ///
    /// # Errors
    /// [`Unavailable`] where the table does not answer.
    fn run(
        &self,
        vendor: &VendorId,
    ) -> impl Future<Output = Result<Option<(Run, u64)>, Unavailable>> + Send;

    /// All vendors' runs.
    ///
    /// # Errors
    /// [`Unavailable`] where the table does not answer.
    fn runs(&self) -> impl Future<Output = Result<Vec<Run>, Unavailable>> + Send;

    /// Writes the vendor's run over this version of it, or as the first where
    /// there is none; gives the new version.
    ///
    /// # Errors
    /// [`WriteError`]. After [`WriteError::Unavailable`] it may be written or not.
    fn write(
        &self,
        run: &Run,
        over: Option<u64>,
    ) -> impl Future<Output = Result<u64, WriteError>> + Send;

    /// Sends a tick that comes after so long, 15 minutes at most.
    ///
    /// # Errors
    /// [`Unavailable`] where the queue did not take it.
    fn send(
        &self,
        tick: &Tick,
        after: Duration,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// A page of the vendor's users, from the `offset`th on.
    ///
    /// # Errors
    /// [`Unread`].
    fn users(
        &self,
        vendor: &VendorId,
        offset: usize,
    ) -> impl Future<Output = Result<UsersPage, Unread>> + Send;

    /// Whether there is a secret of this name below the stack's prefix. What it
    /// holds is not read.
    ///
    /// # Errors
    /// [`Unavailable`] where that cannot be told.
    fn has_secret(&self, path: &str) -> impl Future<Output = Result<bool, Unavailable>> + Send;

    /// The vendors that have credentials for Sesamy, by the names of the secrets
    /// alone: the tokens of webhooks are not for this function.
    ///
    /// # Errors
    /// [`Unavailable`] where the names cannot be read.
    fn vendors(&self) -> impl Future<Output = Result<Vec<VendorId>, Unavailable>> + Send;

    /// Counts a run that has ended, by its outcome, for the alarm.
    fn count(&self, ended: State);
}

/// Why a run was not written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WriteError {
    /// Somebody else has written another version.
    #[error("somebody else has changed the run at the same time")]
    Conflict,
    /// The table does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why users could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unread {
    /// It may work later.
    #[error("{reason}")]
    Passing {
        /// What was answered.
        reason: String,
        /// How long Sesamy asks to be left alone.
        wait: Option<Duration>,
    },
    /// A person must mend something.
    #[error("{reason}")]
    Lasting {
        /// What, and where.
        reason: String,
    },
}
