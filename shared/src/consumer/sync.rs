//! One reader's sync: credentials, present state, derivation, connector.

use jiff::Timestamp;

use super::connector::{Connector, EventStream, Job};
use super::handler::Consumer;
use super::outcome::{Outcome, SkipReason};
use super::queue::Queue;
use crate::derivation::{Derivation, Skip, derive};
use crate::message::Reader;
use crate::sesamy::model::{Dropped, UserState};
use crate::sesamy::{Reads, SesamyCredentials};

/// What a sync has to tell beside its outcome.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Odd values of Sesamy's answers that were dropped.
    pub(super) dropped: Dropped,
}

impl<C: Connector, Q: Queue> Consumer<C, Q> {
    /// Makes the CRM agree with the reader's present state.
    ///
    /// A refusal by Sesamy or the CRM counts only once the secret was read again
    /// and turned out to be the same, or the new one was refused too.
    pub(super) async fn sync(
        &self,
        reader: &Reader,
        events: &EventStream,
        findings: &mut Findings,
    ) -> Outcome {
        match self.try_sync(reader, events, findings).await {
            Ok(outcome) | Err(outcome) => outcome,
        }
    }

    async fn try_sync(
        &self,
        reader: &Reader,
        events: &EventStream,
        findings: &mut Findings,
    ) -> Result<Outcome, Outcome> {
        let path = format!("{}/{}", reader.vendor_id, C::NAME);
        let mut secret = self.secrets.get::<C::Credentials>(&path).await?;
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
        let mut read_again = false;
        loop {
            let Some(credentials) = &secret.value else {
                return Ok(Outcome::NotConfigured);
            };
            let job = Job {
                http: &self.http,
                vendor: &reader.vendor_id,
                credentials,
                account: secret.fingerprint(),
                subscriber: &subscriber,
                events,
                now,
            };
            match self.connector.sync(job).await {
                Ok(changes) if changes.writes == 0 => return Ok(Outcome::Unchanged),
                Ok(changes) => return Ok(Outcome::Synced(changes)),
                Err(error) if error.is_refusal() && !read_again => {
                    read_again = true;
                    let fresh = self.secrets.get_within(&path, secret.age()).await?;
                    if fresh.fingerprint() == secret.fingerprint() {
                        return Err(error.into());
                    }
                    secret = fresh;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The reader's present state at Sesamy.
    async fn state(
        &self,
        reader: &Reader,
        reads: Reads,
    ) -> Result<Option<(UserState, Dropped)>, Outcome> {
        let path = format!("{}/sesamy", reader.vendor_id);
        let mut secret = self.secrets.get::<SesamyCredentials>(&path).await?;
        let mut read_again = false;
        loop {
            let Some(credentials) = &secret.value else {
                return Err(Outcome::Refused {
                    reason: format!(
                        "secret {} is missing; store the vendor's Sesamy credentials as the README describes",
                        self.secrets.name(&path)
                    ),
                });
            };
            let state = self
                .sesamy
                .user_state(
                    &reader.vendor_id,
                    credentials,
                    secret.fingerprint(),
                    &reader.user_id,
                    reads,
                )
                .await;
            match state {
                Err(error) if error.is_refusal() && !read_again => {
                    read_again = true;
                    let fresh = self.secrets.get_within(&path, secret.age()).await?;
                    if fresh.fingerprint() == secret.fingerprint() {
                        return Err(error.into());
                    }
                    secret = fresh;
                }
                state => return Ok(state?),
            }
        }
    }
}
