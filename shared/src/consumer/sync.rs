//! One reader's sync: credentials, present state, derivation, connector.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::connector::{Connector, EventStream, Job};
use super::handler::Consumer;
use super::outcome::{Outcome, SkipReason};
use super::queue::Queue;
use crate::derivation::{Derivation, Policy, Subscriber, derive};
use crate::http::{ApiError, Http};
use crate::identity::VendorId;
use crate::message::Reader;
use crate::secrets::{FromSecret, Loaded};
use crate::sesamy::model::{Dropped, UserState};
use crate::sesamy::{API_NAMES, Reads, SesamyCredentials};

/// How long Sesamy may not know a user that it announced. Assumed.
const READS_LAG: SignedDuration = SignedDuration::from_mins(15);

/// What a sync has to tell beside its outcome.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Odd values of Sesamy's answers.
    pub(super) dropped: Dropped,
    /// Writes that the CRM refused and the sync did without, also where it
    /// wrote nothing else.
    pub(super) refused_writes: u32,
    /// What was derived of the reader.
    pub(super) subscriber: Option<Box<Subscriber>>,
}

/// The outcome of a sync that waits until the API may be called again.
fn left_alone(api: &str, wait: Duration) -> Outcome {
    Outcome::Retry {
        reason: format!("{api} is left alone for another {} s", wait.as_secs()),
        wait: Some(wait),
    }
}

impl<C: Connector, Q: Queue> Consumer<C, Q> {
    /// Makes the CRM agree with the reader's present state, by this client.
    /// `announced` is when the newest of the messages was about the user.
    pub(super) async fn sync(
        &self,
        http: &Http,
        reader: &Reader,
        announced: Timestamp,
        events: &EventStream,
        findings: &mut Findings,
    ) -> Outcome {
        match self
            .try_sync(http, reader, announced, events, findings)
            .await
        {
            Ok(outcome) | Err(outcome) => outcome,
        }
    }

    async fn try_sync(
        &self,
        http: &Http,
        reader: &Reader,
        announced: Timestamp,
        events: &EventStream,
        findings: &mut Findings,
    ) -> Result<Outcome, Outcome> {
        let path = format!("{}/{}", reader.vendor_id, C::NAME);
        let secret = self.secrets.get::<C::Credentials>(&path).await?;
        let Some(credentials) = &secret.value else {
            return Ok(Outcome::NotConfigured);
        };
        // Before Sesamy is read, whose own limit a sync in vain would use up.
        self.left_alone(http, &reader.vendor_id)?;
        http.enter(&reader.vendor_id, C::NAME)
            .map_err(|wait| left_alone(C::NAME, wait))?;
        let state = self.state(reader, C::reads(credentials)).await?;
        let Some((state, dropped)) = state else {
            return self.unknown(reader, announced).await;
        };
        findings.dropped = dropped;
        let now = self.now();
        let policy = self.policy(&reader.vendor_id).await?;
        let subscriber = match derive(&reader.user_id, &state, policy, now) {
            Derivation::Subscriber(subscriber) => subscriber,
            Derivation::Skipped(skip) => return Ok(Outcome::Skipped(skip.into())),
        };
        let (subscriber, path) = (&*findings.subscriber.insert(subscriber), &path);
        let changes = self
            .with_secret(path, |secret: Arc<Loaded<C::Credentials>>| async move {
                let Some(credentials) = &secret.value else {
                    return Ok(None);
                };
                let job = Job {
                    http,
                    vendor: &reader.vendor_id,
                    credentials,
                    account: secret.fingerprint(),
                    subscriber,
                    events,
                    now,
                };
                self.connector.sync(job).await.map(Some)
            })
            .await?;
        findings.refused_writes = changes.as_ref().map_or(0, |changes| changes.refused_writes);
        Ok(match changes {
            None => Outcome::NotConfigured,
            Some(changes) if changes.writes == 0 => Outcome::Unchanged,
            Some(changes) => Outcome::Synced(changes),
        })
    }

    /// What becomes of a sync for which an API is left alone now.
    pub(super) fn left_alone(&self, http: &Http, vendor: &VendorId) -> Result<(), Outcome> {
        let left = |api| Some(left_alone(api, http.left(vendor, api)?));
        Self::apis().find_map(left).map_or(Ok(()), Err)
    }

    /// Whether messages of this vendor were put back not long ago because an
    /// API was left alone.
    pub(super) fn was_left_alone(&self, vendor: &VendorId) -> bool {
        Self::apis().any(|api| self.http.was_left(vendor, api))
    }

    /// The APIs that a sync calls.
    fn apis() -> impl Iterator<Item = &'static str> {
        [C::NAME].into_iter().chain(API_NAMES)
    }

    /// What becomes of a user that Sesamy does not know. Its reads lag behind
    /// what it announces, so it is asked again for a while; and credentials
    /// that see no user at all say nothing about this one.
    async fn unknown(&self, reader: &Reader, announced: Timestamp) -> Result<Outcome, Outcome> {
        if self.now().duration_since(announced) < READS_LAG {
            return Ok(Outcome::Retry {
                reason: "Sesamy does not know the user yet".into(),
                wait: None,
            });
        }
        let path = format!("{}/sesamy", reader.vendor_id);
        let sees_users = self
            .with_secret(&path, |secret: Arc<Loaded<SesamyCredentials>>| async move {
                let Some(credentials) = &secret.value else {
                    return Ok(false);
                };
                let vendor = &reader.vendor_id;
                self.sesamy
                    .sees_users(vendor, credentials, secret.fingerprint())
                    .await
            })
            .await?;
        Ok(match sees_users {
            true => Outcome::Skipped(SkipReason::UnknownToSesamy),
            false => Outcome::Refused {
                reason: "Sesamy knows neither this user nor any other by these credentials; check that they are the vendor's".into(),
            },
        })
    }

    /// What the vendor wants otherwise, which its Sesamy secret says.
    async fn policy(&self, vendor: &VendorId) -> Result<Policy, Outcome> {
        let path = format!("{vendor}/sesamy");
        let secret = self.secrets.get::<SesamyCredentials>(&path).await?;
        let credentials = secret.value.as_ref();
        Ok(Policy {
            sync_unconfirmed: credentials.is_some_and(|c| c.sync_unconfirmed),
        })
    }

    /// The reader's present state at Sesamy.
    pub(super) async fn state(
        &self,
        reader: &Reader,
        reads: Reads,
    ) -> Result<Option<(UserState, Dropped)>, Outcome> {
        let path = format!("{}/sesamy", reader.vendor_id);
        // One reader of a vendor after the other: where Sesamy's limit ends a
        // round of reads, it ends one alone, and those before it were not in vain.
        let _turn = self.reading.lock(reader.vendor_id.as_str()).await;
        self.with_secret(&path, |secret: Arc<Loaded<SesamyCredentials>>| async move {
            let Some(credentials) = &secret.value else {
                return Ok(None);
            };
            let (vendor, user) = (&reader.vendor_id, &reader.user_id);
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

    /// Does `work` with the secret at `path`.
    ///
    /// A refusal counts only once the secret was read again and turned out to
    /// be the same, or the new one was refused too.
    pub(super) async fn with_secret<T: FromSecret, R, W: Future<Output = Result<R, ApiError>>>(
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
