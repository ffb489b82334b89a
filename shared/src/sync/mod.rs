//! Syncs one user: credentials, user state, derivation, connector.

mod remembered;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use remembered::remembered_contact;

use crate::cache::Cache;
use crate::connector::{
    Account, Changes, Connector, ContactChanges, DeadLetterKind, DeadLetterReason, EventStream,
    Job, Outcome, SkipReason,
};
use crate::derivation::{Derivation, DesiredContact, Policy, derive};
use crate::http::{ApiError, Http};
use crate::identity::VendorId;
use crate::message::UserKey;
use crate::remembered::{Shown, Unavailable, UserMemory, UserRecord, address_digest};
use crate::secrets::{FromSecret, Loaded, Secrets};
use crate::sesamy::model::{Dropped, UserState};
use crate::sesamy::{API_NAMES, Reads, Sesamy, SesamyCredentials};

/// How long Sesamy's API may not know a user whose webhook was sent. Assumed.
const READS_LAG: SignedDuration = SignedDuration::from_mins(15);

/// When to look again for what an event announced and the state does not show.
/// Entitlements lag behind a purchase.
const SECOND_LOOK: SignedDuration = SignedDuration::from_mins(2);

pub(crate) type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// Everything that a sync needs, once per function instance.
pub(crate) struct Syncer<C> {
    pub connector: C,
    pub http: Arc<Http>,
    pub secrets: Secrets,
    pub memory: UserMemory,
    sesamy: Sesamy,
    /// One lock per vendor: only one of its users is read at Sesamy at a time.
    reading: Cache<()>,
    clock: Clock,
}

/// Which user to sync, and what the messages say.
#[derive(Debug, Clone)]
pub(crate) struct SyncRequest {
    pub user: UserKey,
    /// The time of the newest message about the user.
    pub announced_at: Timestamp,
    /// When the last webhook was received. `None` if not all messages are of
    /// webhooks: then the state is read in any case.
    pub received_at: Option<Timestamp>,
    /// The times of messages that are not of webhooks: the wake-ups that have fired
    /// are among them.
    pub wake_ups: Vec<Timestamp>,
}

type Recalled = Result<Option<UserRecord>, Unavailable>;

/// What a sync reports besides its outcome.
#[derive(Debug, Default)]
pub(crate) struct SyncDetails {
    /// Malformed or unknown values in Sesamy's answers.
    pub dropped: Dropped,
    /// Writes that the CRM refused and the sync did without.
    pub refused_writes: u32,
    /// The wake-up could not be scheduled.
    pub needs_another_sync: bool,
    pub desired: Option<Box<DesiredContact>>,
    /// For a preview, also of a sync that changes nothing.
    pub contacts: Vec<ContactChanges>,
}

impl<C: Connector> Syncer<C> {
    pub fn new(
        connector: C,
        http: Arc<Http>,
        secrets: Secrets,
        memory: UserMemory,
        clock: Clock,
    ) -> Self {
        Self {
            connector,
            sesamy: Sesamy::new(http.clone()),
            http,
            secrets,
            memory,
            reading: Cache::default(),
            clock,
        }
    }

    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub fn connector_path(vendor: &VendorId) -> String {
        format!("{vendor}/{}", C::NAME)
    }

    pub fn sesamy_path(vendor: &VendorId) -> String {
        format!("{vendor}/sesamy")
    }

    /// Makes the CRM agree with the user's current state.
    pub async fn sync(
        &self,
        http: &Http,
        request: &SyncRequest,
        events: &EventStream,
    ) -> (Outcome, SyncDetails) {
        let mut details = SyncDetails::default();
        let synced = self.try_sync(http, request, events, &mut details);
        match synced.await {
            Ok(outcome) | Err(outcome) => (outcome, details),
        }
    }

    async fn try_sync(
        &self,
        http: &Http,
        request: &SyncRequest,
        events: &EventStream,
        details: &mut SyncDetails,
    ) -> Result<Outcome, Outcome> {
        let user = &request.user;
        let path = Self::connector_path(&user.vendor_id);
        let secret = self.secrets.get::<C::Credentials>(&path).await?;
        let Some(credentials) = &secret.value else {
            return Ok(Outcome::NotConfigured);
        };
        // Checked before Sesamy is read: a sync that cannot finish would use up
        // Sesamy's rate limit.
        self.check_paused(http, &user.vendor_id)?;
        let recalled = self.memory.recall(user).await;
        if let Ok(Some(record)) = &recalled {
            events.skip(|event| record.has_delivered(event));
            if let Some(received_at) = request.received_at
                && record.covers(received_at)
                && self.deliver(http, user, record, events).await?
            {
                self.remember_covered(user, record, events, details).await;
                return Ok(Outcome::Covered);
            }
        }
        http.admit_sync(&user.vendor_id, C::NAME)
            .map_err(|wait| paused(C::NAME, wait))?;
        let read_at = self.now();
        let state = self.state(user, C::reads(credentials)).await?;
        let Some((state, dropped)) = state else {
            return self.unknown_user(http, request, recalled).await;
        };
        details.dropped = dropped;
        let now = self.now();
        let policy = self.policy(&user.vendor_id).await?;
        let desired = match derive(&user.user_id, &state, policy, now) {
            Derivation::Contact(desired) => desired,
            Derivation::Skipped(skip) => return Ok(Outcome::Skipped(skip.into())),
        };
        let desired = &*details.desired.insert(desired);

        let address = address_digest(&user.vendor_id, &desired.email.lookup());
        let shown = Shown::new(&state, now);
        let known = recalled.as_ref().ok().and_then(Option::as_ref);
        let claimed = self.claim(http, user, known, &address, desired.has_access);
        let claimed = claimed.await;
        let is_skipped = matches!(claimed, Err(Outcome::Skipped(_)));
        if is_skipped && !http.is_read_only() {
            self.look_again(user, shown.clone(), events).await;
        }
        let mut record = known.cloned().unwrap_or_default();
        // AWS may fire a wake-up a little early.
        let is_pending = |at: &Timestamp| !request.wake_ups.contains(at);
        record.wake_up_at = record.wake_up_at.filter(is_pending);
        let earlier = claimed?;
        if earlier.is_some() && !http.is_read_only() {
            let email = desired.email.lookup();
            self.remember_move(user, &mut record, &address, &email)
                .await;
        }
        // Who may claim an address owns its contact.
        let stays = known.filter(|record| record.address.as_ref() == Some(&address));
        let contact = stays.and_then(|record| remembered_contact(user, record));
        let contact = contact.or(earlier);
        let changes = self
            .with_secret(&path, |secret: Arc<Loaded<C::Credentials>>| async move {
                let Some(credentials) = &secret.value else {
                    return Ok(None);
                };
                let job = Job {
                    account: Account {
                        http,
                        vendor: &user.vendor_id,
                        credentials,
                        id: secret.fingerprint(),
                    },
                    desired,
                    contact,
                    earlier,
                    events,
                };
                self.connector.sync(job).await.map(Some)
            })
            .await?;
        let Some(mut changes) = changes else {
            return Ok(Outcome::NotConfigured);
        };
        details.refused_writes = changes.refused_writes;
        if let Some(left_behind) = changes.left_behind.take() {
            match self.take_off_by(http, user, &left_behind).await {
                Ok(taken_off) => changes += taken_off,
                // It concerns the old contact alone.
                Err(Outcome::DeadLetter(_)) => details.refused_writes += 1,
                Err(outcome) => return Err(outcome),
            }
        }
        if !http.is_read_only() {
            if !changes.keeps_earlier {
                let is_same = record.address.as_ref() == Some(&address);
                let reference = changes.reference.take();
                record.reference = reference.or(record.reference.filter(|_| is_same));
                record.address = Some(address);
            }
            record.moving_to = None;
            record.read_at = Some(read_at);
            record.shown = shown;
            let next_change = desired.next_change;
            self.remember_synced(user, &recalled, record, next_change, events, details)
                .await;
        }
        if http.is_read_only() {
            details.contacts.clone_from(&changes.contacts);
        }
        Ok(match changes {
            changes if changes.writes == 0 => Outcome::Unchanged,
            changes => Outcome::Synced(changes),
        })
    }

    /// Fails if an API that a sync calls is paused for the vendor.
    pub fn check_paused(&self, http: &Http, vendor: &VendorId) -> Result<(), Outcome> {
        let paused = |api| Some(paused(api, http.backoff(vendor, api)?));
        Self::apis().find_map(paused).map_or(Ok(()), Err)
    }

    /// Whether a pause recently caused retries of this vendor's messages.
    pub fn was_paused(&self, vendor: &VendorId) -> bool {
        Self::apis().any(|api| self.http.was_paused(vendor, api))
    }

    fn apis() -> impl Iterator<Item = &'static str> {
        [C::NAME].into_iter().chain(API_NAMES)
    }

    /// The outcome for a user that Sesamy does not know. Sesamy's reads lag
    /// behind its webhooks, so the sync is retried for a while. Credentials that
    /// see no user at all prove nothing about this one.
    ///
    /// A user that was synced and is gone loses what syncs wrote.
    async fn unknown_user(
        &self,
        http: &Http,
        request: &SyncRequest,
        recalled: Recalled,
    ) -> Result<Outcome, Outcome> {
        let user = &request.user;
        let retry = |reason: &str| {
            Ok(Outcome::Retry {
                reason: reason.into(),
                wait: None,
            })
        };
        if self.now().duration_since(request.announced_at) < READS_LAG {
            return retry("Sesamy does not know the user yet");
        }
        if !self.sees_users(user).await? {
            return Ok(Outcome::Refused {
                reason: "Sesamy shows no user at all to these credentials; check that they are the vendor's".into(),
            });
        }
        let record = match recalled {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(Outcome::Skipped(SkipReason::UnknownToSesamy)),
            Err(Unavailable) => {
                return retry(
                    "the user is gone, and the table that knows the contact does not answer",
                );
            }
        };
        let mut changes = Changes::default();
        if let Some(contact) = self.synced_contact(user, &record).await? {
            changes = self.take_off(http, user, contact).await?;
        }
        if !http.is_read_only() && self.memory.forget(user).await.is_err() {
            return retry("what is remembered of a user who is gone could not be deleted");
        }
        Ok(match changes.writes {
            0 => Outcome::Unchanged,
            _ => Outcome::Synced(changes),
        })
    }

    async fn sees_users(&self, user: &UserKey) -> Result<bool, Outcome> {
        let path = Self::sesamy_path(&user.vendor_id);
        self.with_secret(&path, |secret: Arc<Loaded<SesamyCredentials>>| async move {
            let Some(credentials) = &secret.value else {
                return Ok(false);
            };
            let vendor = &user.vendor_id;
            self.sesamy
                .sees_users(vendor, credentials, secret.fingerprint())
                .await
        })
        .await
    }

    async fn policy(&self, vendor: &VendorId) -> Result<Policy, Outcome> {
        let path = Self::sesamy_path(vendor);
        let secret = self.secrets.get::<SesamyCredentials>(&path).await?;
        let credentials = secret.value.as_ref();
        Ok(Policy {
            sync_unconfirmed: credentials.is_some_and(|c| c.sync_unconfirmed),
        })
    }

    /// The user's state at Sesamy. `None` if Sesamy does not know the user.
    pub async fn state(
        &self,
        user: &UserKey,
        reads: Reads,
    ) -> Result<Option<(UserState, Dropped)>, Outcome> {
        let path = Self::sesamy_path(&user.vendor_id);
        // One user of a vendor at a time: when Sesamy's rate limit stops the reads
        // of one user, the reads of earlier users are complete.
        let _turn = self.reading.lock(user.vendor_id.as_str()).await;
        self.with_secret(&path, |secret: Arc<Loaded<SesamyCredentials>>| async move {
            let Some(credentials) = &secret.value else {
                return Ok(None);
            };
            let (vendor, user) = (&user.vendor_id, &user.user_id);
            self.sesamy
                .user_state(vendor, credentials, secret.fingerprint(), user, reads)
                .await
                .map(Some)
        })
        .await?
        .ok_or_else(|| Outcome::Refused {
            reason: format!(
                "secret {} is missing; store the vendor's Sesamy credentials as the README describes",
                self.secrets.name(&path)
            ),
        })
    }

    /// Runs `work` with the secret at `path`. If an API refuses the credentials
    /// and the secret has changed since, it runs again with the new one.
    pub async fn with_secret<T: FromSecret, R, W: Future<Output = Result<R, ApiError>>>(
        &self,
        path: &str,
        work: impl Fn(Arc<Loaded<T>>) -> W,
    ) -> Result<R, Outcome> {
        let secret = self.secrets.get::<T>(path).await?;
        match work(secret.clone()).await {
            Err(error) if error.is_refusal() => {
                let fresh = self.secrets.get_within::<T>(path, secret.age()).await?;
                if fresh.fingerprint() == secret.fingerprint() {
                    return Err(error.into());
                }
                Ok(work(fresh).await?)
            }
            done => Ok(done?),
        }
    }
}

fn paused(api: &str, wait: Duration) -> Outcome {
    Outcome::Retry {
        reason: format!("{api} is paused for another {} s", wait.as_secs()),
        wait: Some(wait),
    }
}

/// The task's result, unless it panics or lasts beyond `end`. A panic is a bug
/// and affects only this user.
pub(crate) async fn bounded<T>(mut task: JoinHandle<T>, end: Instant) -> Result<T, Outcome> {
    match tokio::time::timeout_at(end, &mut task).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(Outcome::DeadLetter(DeadLetterReason {
            kind: DeadLetterKind::Bug,
            status: None,
            message: "the sync panicked; the log has the location; redrive once it is fixed".into(),
        })),
        Err(_) => {
            task.abort();
            Err(Outcome::Retry {
                reason: "the sync did not finish before the invocation's deadline".into(),
                wait: None,
            })
        }
    }
}
