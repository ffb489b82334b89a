//! From request to answer: what is checked, and in which order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lambda_http::{Body, Request, Response};
use shared::message::Message;
use tokio::time::Instant;

use crate::keyring::{Keyring, Refusal};
use crate::outcome::{Circumstances, Outcome};
use crate::queues::{Entry, QueueService, Queues, TraceHeader};
use crate::request::{Incoming, Route};
use crate::webhook::{Announced, Unverified, Webhook};

/// The largest body accepted, in bytes. Source: the contract. A webhook has
/// about 300.
pub const MAX_BODY: usize = 64 * 1024;

/// How old an event may be when its webhook comes and still start something in a
/// CRM. Decided: what Sesamy retries comes within hours or days (it documents no
/// longest time), and what comes after a week is a replay, or of no use as news.
/// An older one is queued without the event, as a resync is: the user is synced,
/// and no journey starts.
const MAX_EVENT_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// When the sender is answered at the latest. Sesamy wants an answer "within a
/// few seconds" (documented; it names no number).
const ANSWER_WITHIN: Duration = Duration::from_millis(4_900);

/// The webhook's handling. Made once per function instance.
pub struct Intake<Q> {
    keyring: Keyring,
    queues: Queues<Q>,
}

impl<Q: QueueService> Intake<Q> {
    /// Lets in whom the keyring knows, and queues what they announce.
    pub fn new(keyring: Keyring, queues: Queues<Q>) -> Self {
        Self { keyring, queues }
    }

    /// Answers a request, logs and counts what became of it.
    pub async fn respond(&self, request: &Request) -> Response<Body> {
        let began = Instant::now();
        let incoming = Incoming::read(request);
        let outcome = self.handle(&incoming).await;
        let took = began.elapsed();
        let trace = incoming.trace.as_ref().map(TraceHeader::to_string);
        outcome.log(Circumstances {
            request_id: incoming.request_id,
            trace_id: trace.as_deref(),
            took,
        });
        outcome.metrics(took).emit();
        outcome.answer().response()
    }

    /// What becomes of a request, known in time even if AWS does not answer
    /// and even if the handling panics.
    async fn handle(&self, request: &Incoming<'_>) -> Outcome {
        let decided = tokio::time::timeout(ANSWER_WITHIN, self.decide(request));
        match caught(decided).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Outcome::TookTooLong,
            None => Outcome::Panicked,
        }
    }

    /// The checks in the order of the contract: route, size, a vendor named in
    /// JSON, the token, whether the vendor is on hold, the rest of the body.
    async fn decide(&self, request: &Incoming<'_>) -> Outcome {
        match request.route {
            Route::Webhook => {}
            Route::OtherMethod => return Outcome::MethodNotAllowed,
            Route::OtherPath => return Outcome::NotFound,
        }
        if request.body.len() > MAX_BODY {
            return Outcome::TooLarge {
                bytes: request.body.len(),
                most: MAX_BODY,
            };
        }
        let received_at = Timestamp::now();
        let unverified = match Unverified::read(request.body, received_at) {
            Ok(unverified) => unverified,
            Err(invalid) => {
                return Outcome::Invalid {
                    vendor_id: None,
                    invalid,
                };
            }
        };
        let vendor_id = unverified.vendor_id().clone();
        let Some(presented) = &request.presented else {
            let known = self.keyring.knows(&vendor_id);
            return Outcome::WithoutToken {
                vendor_id: known.then_some(vendor_id),
            };
        };
        let proof = match self.keyring.prove(&vendor_id, presented).await {
            Ok(proof) => proof,
            Err(refusal) => {
                let vendor_id = refusal.is_of_known_vendor().then_some(vendor_id);
                return match refusal {
                    Refusal::Unproven(unproven) => Outcome::Unauthenticated {
                        vendor_id,
                        unproven,
                    },
                    Refusal::Undecided(undecided) => Outcome::Undecided {
                        vendor_id,
                        undecided,
                    },
                };
            }
        };
        if proof.is_on_hold() {
            return Outcome::OnHold { vendor_id };
        }
        match unverified.verified(proof) {
            Ok(webhook) => {
                self.queue(webhook, received_at, request.trace.clone())
                    .await
            }
            Err(invalid) => Outcome::Invalid {
                vendor_id: Some(vendor_id),
                invalid,
            },
        }
    }

    /// Queues what a webhook announces, if it is known.
    async fn queue(
        &self,
        webhook: Webhook,
        received_at: Timestamp,
        trace: Option<TraceHeader>,
    ) -> Outcome {
        let Webhook { reader, announced } = webhook;
        let event = match announced {
            Announced::Known(event) => event,
            Announced::Unknown(event_type) => return Outcome::Ignored { reader, event_type },
        };
        let event_type = event.event_type;
        let event_id = event.id(&reader.vendor_id, &reader.user_id);
        let is_old = received_at.duration_since(event.occurred_at) > MAX_EVENT_AGE;
        let message = Message {
            event_id,
            reader,
            received_at,
            event: (!is_old).then_some(event),
        };
        let queued = self.queues.send(Entry::new(&message, trace)).await;
        let Message {
            reader, event_id, ..
        } = message;
        match queued {
            Ok(()) => Outcome::Queued {
                reader,
                event_type,
                event_id,
                is_old,
            },
            Err(not_queued) => Outcome::NotQueued {
                reader,
                event_type,
                event_id,
                not_queued,
            },
        }
    }
}

/// The work's result, or `None` where it panics.
///
/// What it leaves half-done is not seen again: it borrows the keyring and the
/// queues, whose locks hold whole values only.
async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => std::task::Poll::Ready(None),
        }
    })
    .await
}

#[cfg(test)]
mod tests;
