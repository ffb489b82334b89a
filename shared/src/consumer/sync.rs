//! One reader's sync: credentials, present state, derivation, connector.

use std::sync::Arc;

use jiff::Timestamp;

use super::connector::{Connector, EventStream, Job};
use super::handler::Consumer;
use super::outcome::{Outcome, SkipReason};
use super::queue::Queue;
use crate::derivation::{Derivation, Skip, Subscriber, derive};
use crate::http::{ApiError, Http};
use crate::message::Reader;
use crate::secrets::{FromSecret, Loaded};
use crate::sesamy::model::{Dropped, UserState};
use crate::sesamy::{Reads, SesamyCredentials};

/// What a sync has to tell beside its outcome.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Odd values of Sesamy's answers that were dropped.
    pub(super) dropped: Dropped,
    /// What was derived of the reader.
    pub(super) subscriber: Option<Box<Subscriber>>,
}

impl<C: Connector, Q: Queue> Consumer<C, Q> {
    /// Makes the CRM agree with the reader's present state, by this client.
    pub(super) async fn sync(
        &self,
        http: &Http,
        reader: &Reader,
        events: &EventStream,
        findings: &mut Findings,
    ) -> Outcome {
        match self.try_sync(http, reader, events, findings).await {
            Ok(outcome) | Err(outcome) => outcome,
        }
    }

    async fn try_sync(
        &self,
        http: &Http,
        reader: &Reader,
        events: &EventStream,
        findings: &mut Findings,
    ) -> Result<Outcome, Outcome> {
        let path = format!("{}/{}", reader.vendor_id, C::NAME);
        let secret = self.secrets.get::<C::Credentials>(&path).await?;
        let Some(credentials) = &secret.value else {
            return Ok(Outcome::NotConfigured);
        };
        let state = self.state(reader, C::reads(credentials)).await?;
        let Some((state, dropped)) = state else {
            return Ok(Outcome::Skipped(SkipReason::UnknownToSesamy));
        };
        findings.dropped = dropped;
        let now = Timestamp::now();
        let subscriber = match derive(&reader.user_id, &state, now) {
            Derivation::Subscriber(subscriber) => subscriber,
            Derivation::Skipped(Skip::Guest) => return Ok(Outcome::Skipped(SkipReason::Guest)),
            Derivation::Skipped(Skip::NoEmail) => return Ok(Outcome::Skipped(SkipReason::NoEmail)),
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
        Ok(match changes {
            None => Outcome::NotConfigured,
            Some(changes) if changes.writes == 0 => Outcome::Unchanged,
            Some(changes) => Outcome::Synced(changes),
        })
    }

    /// The reader's present state at Sesamy.
    pub(super) async fn state(
        &self,
        reader: &Reader,
        reads: Reads,
    ) -> Result<Option<(UserState, Dropped)>, Outcome> {
        let path = format!("{}/sesamy", reader.vendor_id);
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
