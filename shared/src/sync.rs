//! Syncs one user: credentials, user state, derivation, connector.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::cache::Cache;
use crate::connector::{
    Connector, DeadLetterKind, DeadLetterReason, EventStream, Job, Outcome, SkipReason,
};
use crate::derivation::{Derivation, DesiredContact, Policy, derive};
use crate::http::{ApiError, Http};
use crate::identity::VendorId;
use crate::message::UserKey;
use crate::secrets::{FromSecret, Loaded, Secrets};
use crate::sesamy::model::{Dropped, UserState};
use crate::sesamy::{API_NAMES, Reads, Sesamy, SesamyCredentials};

/// How long Sesamy's API may not know a user whose webhook was sent. Assumed.
const READS_LAG: SignedDuration = SignedDuration::from_mins(15);

pub(crate) type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// Everything that a sync needs, once per function instance.
pub(crate) struct Syncer<C> {
    pub connector: C,
    pub http: Arc<Http>,
    pub secrets: Secrets,
    sesamy: Sesamy,
    /// One lock per vendor: only one of its users is read at Sesamy at a time.
    reading: Cache<()>,
    clock: Clock,
}

/// What a sync reports besides its outcome.
#[derive(Debug, Default)]
pub(crate) struct SyncDetails {
    /// Malformed or unknown values in Sesamy's answers.
    pub dropped: Dropped,
    /// Writes that the CRM refused and the sync did without.
    pub refused_writes: u32,
    pub desired: Option<Box<DesiredContact>>,
}

impl<C: Connector> Syncer<C> {
    pub fn new(connector: C, http: Arc<Http>, secrets: Secrets, clock: Clock) -> Self {
        Self {
            connector,
            sesamy: Sesamy::new(http.clone()),
            http,
            secrets,
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

    /// Makes the CRM agree with the user's current state. `announced_at` is the
    /// time of the newest message about the user.
    pub async fn sync(
        &self,
        http: &Http,
        user: &UserKey,
        announced_at: Timestamp,
        events: &EventStream,
    ) -> (Outcome, SyncDetails) {
        let mut details = SyncDetails::default();
        let synced = self.try_sync(http, user, announced_at, events, &mut details);
        match synced.await {
            Ok(outcome) | Err(outcome) => (outcome, details),
        }
    }

    async fn try_sync(
        &self,
        http: &Http,
        user: &UserKey,
        announced_at: Timestamp,
        events: &EventStream,
        details: &mut SyncDetails,
    ) -> Result<Outcome, Outcome> {
        let path = Self::connector_path(&user.vendor_id);
        let secret = self.secrets.get::<C::Credentials>(&path).await?;
        let Some(credentials) = &secret.value else {
            return Ok(Outcome::NotConfigured);
        };
        // Checked before Sesamy is read: a sync that cannot finish would use up
        // Sesamy's rate limit.
        self.check_paused(http, &user.vendor_id)?;
        http.admit_sync(&user.vendor_id, C::NAME)
            .map_err(|wait| paused(C::NAME, wait))?;
        let state = self.state(user, C::reads(credentials)).await?;
        let Some((state, dropped)) = state else {
            return self.unknown_user(user, announced_at).await;
        };
        details.dropped = dropped;
        let now = self.now();
        let policy = self.policy(&user.vendor_id).await?;
        let desired = match derive(&user.user_id, &state, policy, now) {
            Derivation::Contact(desired) => desired,
            Derivation::Skipped(skip) => return Ok(Outcome::Skipped(skip.into())),
        };
        let desired = &*details.desired.insert(desired);
        let changes = self
            .with_secret(&path, |secret: Arc<Loaded<C::Credentials>>| async move {
                let Some(credentials) = &secret.value else {
                    return Ok(None);
                };
                let job = Job {
                    http,
                    vendor: &user.vendor_id,
                    credentials,
                    account: secret.fingerprint(),
                    desired,
                    events,
                    now,
                };
                self.connector.sync(job).await.map(Some)
            })
            .await?;
        details.refused_writes = changes.as_ref().map_or(0, |changes| changes.refused_writes);
        Ok(match changes {
            None => Outcome::NotConfigured,
            Some(changes) if changes.writes == 0 => Outcome::Unchanged,
            Some(changes) => Outcome::Synced(changes),
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
    async fn unknown_user(
        &self,
        user: &UserKey,
        announced_at: Timestamp,
    ) -> Result<Outcome, Outcome> {
        if self.now().duration_since(announced_at) < READS_LAG {
            return Ok(Outcome::Retry {
                reason: "Sesamy does not know the user yet".into(),
                wait: None,
            });
        }
        let path = Self::sesamy_path(&user.vendor_id);
        let sees_users = self
            .with_secret(&path, |secret: Arc<Loaded<SesamyCredentials>>| async move {
                let Some(credentials) = &secret.value else {
                    return Ok(false);
                };
                let vendor = &user.vendor_id;
                self.sesamy
                    .sees_users(vendor, credentials, secret.fingerprint())
                    .await
            })
            .await?;
        Ok(if sees_users {
            Outcome::Skipped(SkipReason::UnknownToSesamy)
        } else {
            Outcome::Refused {
                reason: "Sesamy shows no user at all to these credentials; check that they are the vendor's".into(),
            }
        })
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
