//! Handles a request: checks it, queues its event, and chooses the response.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lambda_http::{Body, Request, Response};
use shared::message::Message;
use shared::sqs::OutgoingMessage;
use tokio::time::Instant;

use crate::payload::{UnverifiedWebhook, Webhook, WebhookEvent};
use crate::queues::{QueueService, Queues, TraceHeader};
use crate::request::{Route, WebhookRequest};
use crate::response::{EventSummary, LogContext, RequestOutcome};
use crate::token_store::{AuthenticationError, TokenStore};

/// In bytes. Source: the contract. A webhook has about 300.
pub const MAX_BODY: usize = 64 * 1024;

/// An older event is queued as a plain resync: its user is synced, and no journey
/// starts. Decided: Sesamy's retries come within days (it documents no limit), and
/// after a week an event is a replay or outdated.
const MAX_EVENT_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Sesamy wants an answer "within a few seconds" (documented, without a number).
const MAX_DURATION: Duration = Duration::from_millis(4_900);

/// Made once per function instance.
pub struct Handler<Q> {
    token_store: TokenStore,
    queues: Queues<Q>,
}

impl<Q: QueueService> Handler<Q> {
    pub fn new(token_store: TokenStore, queues: Queues<Q>) -> Self {
        Self {
            token_store,
            queues,
        }
    }

    pub async fn respond(&self, request: &Request) -> Response<Body> {
        let began = Instant::now();
        let request = WebhookRequest::read(request);
        let outcome = self.handle(&request).await;
        let took = began.elapsed();
        let trace = request.trace.as_ref().map(TraceHeader::to_string);
        outcome.log(LogContext {
            request_id: request.request_id,
            trace_id: trace.as_deref(),
            took,
        });
        outcome.metrics(took).emit();
        outcome.response()
    }

    /// Returns in time even if AWS does not answer or the code panics.
    async fn handle(&self, request: &WebhookRequest<'_>) -> RequestOutcome {
        let handled = tokio::time::timeout(MAX_DURATION, self.check_and_queue(request));
        match catch_panic(handled).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => RequestOutcome::TimedOut,
            None => RequestOutcome::Panicked,
        }
    }

    /// Checks in the order of the contract: route, size, JSON with a vendor, token,
    /// hold, rest of the body.
    async fn check_and_queue(&self, request: &WebhookRequest<'_>) -> RequestOutcome {
        match request.route {
            Route::Webhook => {}
            Route::OtherMethod => return RequestOutcome::MethodNotAllowed,
            Route::OtherPath => return RequestOutcome::NotFound,
        }
        let bytes = request.body.len();
        if bytes > MAX_BODY {
            return RequestOutcome::TooLarge { bytes };
        }
        let received_at = Timestamp::now();
        let unverified = match UnverifiedWebhook::read(request.body, received_at) {
            Ok(unverified) => unverified,
            Err(errors) => {
                return RequestOutcome::InvalidBody {
                    vendor_id: None,
                    errors,
                };
            }
        };
        let vendor_id = unverified.vendor_id().clone();
        let Some(token) = &request.token else {
            let is_known = self.token_store.knows(&vendor_id).await;
            return RequestOutcome::NotAuthenticated {
                vendor_id: is_known.then_some(vendor_id),
                error: AuthenticationError::MissingToken,
            };
        };
        let vendor = match self.token_store.verify(&vendor_id, token).await {
            Ok(vendor) if vendor.is_on_hold() => return RequestOutcome::OnHold { vendor_id },
            Ok(vendor) => vendor,
            Err(error) => {
                return RequestOutcome::NotAuthenticated {
                    vendor_id: error.is_of_known_vendor().then_some(vendor_id),
                    error,
                };
            }
        };
        match unverified.verified(vendor) {
            Ok(webhook) => {
                self.queue(webhook, received_at, request.trace.clone())
                    .await
            }
            Err(errors) => RequestOutcome::InvalidBody {
                vendor_id: Some(vendor_id),
                errors,
            },
        }
    }

    async fn queue(
        &self,
        Webhook { user, event }: Webhook,
        received_at: Timestamp,
        trace: Option<TraceHeader>,
    ) -> RequestOutcome {
        let event = match event {
            WebhookEvent::Known(event) => event,
            WebhookEvent::Unknown(event_type) => {
                return RequestOutcome::Ignored { user, event_type };
            }
        };
        let event_type = event.event_type;
        let event_id = event.id(&user.vendor_id, &user.user_id);
        let is_old = received_at.duration_since(event.occurred_at) > MAX_EVENT_AGE;
        let message = Message {
            event_id,
            user,
            received_at,
            event: (!is_old).then_some(event),
        };
        let outgoing = OutgoingMessage {
            trace: trace.map(|trace| trace.to_string()),
            ..OutgoingMessage::from(&message)
        };
        let queued = self.queues.send(outgoing).await;
        let event = EventSummary {
            user: message.user,
            event_type,
            event_id: message.event_id,
        };
        match queued {
            Ok(()) => RequestOutcome::Queued { event, is_old },
            Err(error) => RequestOutcome::NotQueued { event, error },
        }
    }
}

/// `None` if the work panics.
///
/// Unwind safe: the work borrows only the token store and the queues, and a panic
/// leaves no value of theirs half-written.
async fn catch_panic<T>(work: impl Future<Output = T>) -> Option<T> {
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
