//! Reads and writes what is remembered of one connector's users.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Unit};
use tokio::time::Instant;
use tracing::warn;

use super::record::{AddressRecord, UserRecord, parse, to_json};
use super::table::UserTable;
use super::wake_ups::{ScheduleError, WakeUp, WakeUps};
use crate::check::{CheckCode, CheckItem};
use crate::message::UserKey;
use crate::telemetry::Metrics;

/// Calls to the table that failed. The syncs went on without it.
pub const USER_TABLE_ERRORS: &str = "UserTableErrors";

/// Wake-ups that could not be scheduled.
pub const WAKE_UP_ERRORS: &str = "WakeUpErrors";

/// After a failure, the table is left alone for so long, so that an outage costs
/// one timeout and not one for each user.
const TABLE_PAUSE: Duration = Duration::from_secs(5);

/// EventBridge Scheduler refuses times in the past and fires within the minute.
const MIN_WAKE_UP: SignedDuration = SignedDuration::from_secs(60);

/// How often a claim is tried while others change the same address.
const MAX_CLAIMS: usize = 3;

/// The memory of one connector's function.
pub struct UserMemory {
    connector: &'static str,
    table: Arc<dyn UserTable>,
    wake_ups: Arc<dyn WakeUps>,
    paused_until: Mutex<Option<Instant>>,
    table_errors: AtomicU32,
    wake_up_errors: AtomicU32,
}

/// The table does not answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unavailable;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Also if the table does not answer.
    Granted,
    /// The contact belongs to another user, who has access to something.
    AnotherUsers,
    /// Others keep changing the record.
    Contended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WakeUpError {
    pub is_transient: bool,
}

impl UserMemory {
    pub fn new(
        connector: &'static str,
        table: Arc<dyn UserTable>,
        wake_ups: Arc<dyn WakeUps>,
    ) -> Self {
        Self {
            connector,
            table,
            wake_ups,
            paused_until: Mutex::default(),
            table_errors: AtomicU32::default(),
            wake_up_errors: AtomicU32::default(),
        }
    }

    /// `None` for a user that was never synced.
    pub(crate) async fn recall(&self, user: &UserKey) -> Result<Option<UserRecord>, Unavailable> {
        let key = self.user_key(user);
        let text = self.table(self.table.get(&key)).await?;
        Ok(text.as_deref().and_then(parse))
    }

    /// What is not remembered is found out again.
    pub(crate) async fn remember(
        &self,
        user: &UserKey,
        record: &UserRecord,
    ) -> Result<(), Unavailable> {
        let key = self.user_key(user);
        self.table(self.table.put(&key, to_json(record))).await
    }

    /// Deletes all that is remembered of a user.
    pub(crate) async fn forget(&self, user: &UserKey) -> Result<(), Unavailable> {
        let key = self.user_key(user);
        let Some(text) = self.table(self.table.get(&key)).await? else {
            return Ok(());
        };
        let record = parse::<UserRecord>(&text).unwrap_or_default();
        for address in record.addresses() {
            self.release(user, address).await?;
        }
        if let Some(at) = record.wake_up_at {
            let user = user.clone();
            let cancelled = self.wake_ups.cancel(&WakeUp { user, at }).await;
            cancelled.map_err(|error| {
                self.count_wake_up_error(&error);
                Unavailable
            })?;
        }
        self.table(self.table.delete(&key, text)).await
    }

    /// Makes the contact of an address this user's, unless it is that of another
    /// user who has access to something while this one has none.
    pub(crate) async fn claim(
        &self,
        user: &UserKey,
        address: &str,
        has_access: bool,
        dry_run: bool,
    ) -> Claim {
        let key = self.address_key(address);
        let owner = user.message_group();
        let wanted = AddressRecord { owner, has_access };
        for _ in 0..MAX_CLAIMS {
            let Ok(old) = self.table(self.table.get(&key)).await else {
                return Claim::Granted;
            };
            let present = old.as_deref().and_then(parse::<AddressRecord>);
            let is_anothers = |record: &&AddressRecord| {
                record.owner != wanted.owner && record.has_access && !has_access
            };
            if let Some(other) = present.as_ref().filter(is_anothers)
                && !self.has_left(&other.owner, address).await
            {
                return Claim::AnotherUsers;
            }
            if dry_run || present.as_ref() == Some(&wanted) {
                return Claim::Granted;
            }
            match self
                .table(self.table.replace(&key, old, to_json(&wanted)))
                .await
            {
                Ok(false) => {}
                Ok(true) | Err(Unavailable) => return Claim::Granted,
            }
        }
        Claim::Contended
    }

    /// Whether the owner of an address was last synced at another one, so that the
    /// claim is a rest of a sync that never ended.
    async fn has_left(&self, owner: &str, address: &str) -> bool {
        let key = format!("{}#user#{owner}", self.connector);
        let text = self.table(self.table.get(&key)).await.ok().flatten();
        let record = text.as_deref().and_then(parse::<UserRecord>);
        record.is_some_and(|record| !record.addresses().any(|known| known == address))
    }

    /// Whether the contact of an address may still be this user's.
    pub(crate) async fn may_own(&self, user: &UserKey, address: &str) -> Result<bool, Unavailable> {
        let key = self.address_key(address);
        let text = self.table(self.table.get(&key)).await?;
        let record = text.as_deref().and_then(parse::<AddressRecord>);
        Ok(record.is_none_or(|record| record.owner == user.message_group()))
    }

    /// Gives up an address that the user no longer has.
    pub(crate) async fn release(&self, user: &UserKey, address: &str) -> Result<(), Unavailable> {
        let key = self.address_key(address);
        let Some(text) = self.table(self.table.get(&key)).await? else {
            return Ok(());
        };
        match parse::<AddressRecord>(&text) {
            Some(record) if record.owner != user.message_group() => Ok(()),
            _ => self.table(self.table.delete(&key, text)).await,
        }
    }

    /// Makes sure that the user is looked at again at the wanted time, or not at
    /// all. `pending` is the wake-up that is known to come. Returns the time of the
    /// wake-up.
    pub(crate) async fn wake_up(
        &self,
        user: &UserKey,
        pending: Option<Timestamp>,
        wanted: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, WakeUpError> {
        let pending = pending.filter(|at| *at > now);
        let at = match (pending, wanted) {
            // Each sync would put off a wake-up that is due in less than a minute.
            (Some(at), Some(wanted)) if wanted <= at && at <= possible(wanted, now) => {
                return Ok(Some(at));
            }
            (_, wanted) => wanted.map(|wanted| possible(wanted, now)),
        };
        let wake_up = |at| WakeUp {
            user: user.clone(),
            at,
        };
        if let Some(at) = at {
            let set = self.wake_ups.set(&wake_up(at)).await;
            set.map_err(|error| {
                self.count_wake_up_error(&error);
                WakeUpError {
                    is_transient: error.is_transient,
                }
            })?;
        }
        if let Some(pending) = pending
            && let Err(error) = self.wake_ups.cancel(&wake_up(pending)).await
        {
            // It only causes a sync that changes nothing.
            self.count_wake_up_error(&error);
        }
        Ok(at)
    }

    /// What is reachable and permitted, for the action `check`.
    pub(crate) async fn check(&self) -> Vec<CheckItem> {
        let remedy = "deploy the stack again; its template has the table, the schedules and the rights to them";
        let probe = format!("{}#check", self.connector);
        let found = self.table.get(&probe).await.map(drop);
        let scheduled = self.wake_ups.check().await.map_err(|error| error.reason);
        let item = |what: &str, result: Result<(), String>| match result {
            Ok(()) => CheckItem::works(what),
            Err(reason) => {
                CheckItem::new(what, CheckCode::ApiUnreachable, reason).with_remedy(remedy)
            }
        };
        vec![
            item("table of what is remembered", found),
            item("schedules of wake-ups", scheduled),
        ]
    }

    /// The failures since the last call.
    pub fn metrics(&self) -> Option<Metrics> {
        let table_errors = self.table_errors.swap(0, Ordering::Relaxed);
        let wake_up_errors = self.wake_up_errors.swap(0, Ordering::Relaxed);
        (table_errors + wake_up_errors > 0).then(|| {
            Metrics::new()
                .count(USER_TABLE_ERRORS, table_errors)
                .count(WAKE_UP_ERRORS, wake_up_errors)
        })
    }

    fn user_key(&self, user: &UserKey) -> String {
        format!("{}#user#{}", self.connector, user.message_group())
    }

    fn address_key(&self, address: &str) -> String {
        format!("{}#address#{address}", self.connector)
    }

    /// Awaits a call to the table, unless a call failed a moment ago.
    async fn table<T>(
        &self,
        call: impl Future<Output = Result<T, String>>,
    ) -> Result<T, Unavailable> {
        // A poisoned lock holds a whole value.
        let paused = || {
            self.paused_until
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if paused().is_some_and(|until| Instant::now() < until) {
            self.table_errors.fetch_add(1, Ordering::Relaxed);
            return Err(Unavailable);
        }
        call.await.map_err(|reason| {
            warn!(
                connector = self.connector,
                reason, "The user table does not answer; syncs go on without it."
            );
            *paused() = Some(Instant::now() + TABLE_PAUSE);
            self.table_errors.fetch_add(1, Ordering::Relaxed);
            Unavailable
        })
    }

    fn count_wake_up_error(&self, error: &ScheduleError) {
        warn!(connector = self.connector, %error, "A wake-up could not be scheduled or cancelled.");
        self.wake_up_errors.fetch_add(1, Ordering::Relaxed);
    }
}

/// The earliest possible time of a wake-up from the wanted time on, in whole seconds.
fn possible(wanted: Timestamp, now: Timestamp) -> Timestamp {
    let at = wanted.max(now + MIN_WAKE_UP);
    let whole = jiff::TimestampRound::new()
        .smallest(Unit::Second)
        .mode(jiff::RoundMode::Ceil);
    // Fails only within a second of the end of time.
    at.round(whole).unwrap_or(at)
}
