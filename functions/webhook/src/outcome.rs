//! What became of a request: the source of its answer, its log line and its metrics.

use std::time::Duration;

use shared::identity::{EventId, VendorId};
use shared::message::{EventType, Reader};
use shared::telemetry::{Metrics, Unit};
use tracing::{error, info, warn};

use crate::answer::Answer;
use crate::authentication::Unproven;
use crate::keyring::Undecided;
use crate::queues::NotQueued;
use crate::webhook::{Fault, Invalid, UnknownType};

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The event is in every connector's queue.
    Queued {
        /// Whom it is about.
        reader: Reader,
        /// The event's type.
        event_type: EventType,
        /// The event's id.
        event_id: EventId,
        /// Whether it came too late to start anything: the message then has no event.
        is_old: bool,
    },
    /// The webhook is valid, but of a type this system does not know.
    Ignored {
        /// Whom it is about.
        reader: Reader,
        /// The type.
        event_type: UnknownType,
    },
    /// The body has faults.
    Invalid {
        /// The vendor who proved to be the sender, if it came to that.
        vendor_id: Option<VendorId>,
        /// The faults.
        invalid: Invalid,
    },
    /// The sender presents no token.
    WithoutToken {
        /// The vendor claimed, if it is known: anybody may claim any name.
        vendor_id: Option<VendorId>,
    },
    /// The sender's token is not the vendor's.
    Unauthenticated {
        /// The vendor claimed, if it is known.
        vendor_id: Option<VendorId>,
        /// What the token lacks.
        unproven: Unproven,
    },
    /// The secret says that the vendor's webhooks are not to be taken for now.
    OnHold {
        /// The vendor who proved to be the sender.
        vendor_id: VendorId,
    },
    /// The path does not exist.
    NotFound,
    /// The path does not have the method.
    MethodNotAllowed,
    /// The body is too large.
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The largest size in bytes.
        most: usize,
    },
    /// Whether the token is right cannot be told.
    Undecided {
        /// The vendor claimed, if it is known.
        vendor_id: Option<VendorId>,
        /// Why.
        undecided: Undecided,
    },
    /// Not every queue holds the event.
    NotQueued {
        /// Whom it is about.
        reader: Reader,
        /// The event's type.
        event_type: EventType,
        /// The event's id.
        event_id: EventId,
        /// Which do not, and why.
        not_queued: NotQueued,
    },
    /// The answer was due before it was known.
    TookTooLong,
    /// A bug: the handling panicked.
    Panicked,
}

/// What a request is logged with, besides its outcome.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Lambda's name for the invocation.
    pub request_id: &'a str,
    /// The trace.
    pub trace_id: Option<&'a str>,
    /// How long the answer took.
    pub took: Duration,
}

/// What a log line says of an outcome.
#[derive(Default)]
struct Told<'a> {
    vendor_id: Option<&'a VendorId>,
    user_id: Option<&'a str>,
    event_id: Option<&'a EventId>,
    event_type: Option<String>,
    reason: Option<String>,
}

impl Outcome {
    /// The answer to the sender.
    pub fn answer(&self) -> Answer<'_> {
        match self {
            Self::Queued { event_id, .. } => Answer::Queued(event_id),
            Self::Ignored { .. } => Answer::Ignored,
            Self::Invalid { invalid, .. } => Answer::Invalid(&invalid.0),
            Self::WithoutToken { .. } | Self::Unauthenticated { .. } => Answer::Unauthenticated,
            Self::OnHold { .. } => Answer::OnHold,
            Self::NotFound => Answer::NotFound,
            Self::MethodNotAllowed => Answer::MethodNotAllowed,
            Self::TooLarge { most, .. } => Answer::TooLarge(*most),
            Self::Undecided { .. } | Self::NotQueued { .. } | Self::TookTooLong => {
                Answer::Unavailable
            }
            Self::Panicked => Answer::Failed,
        }
    }

    /// Its name in logs and metrics. One name has one HTTP status.
    pub fn name(&self) -> &'static str {
        match self.answer() {
            Answer::Queued(_) => "accepted",
            Answer::Ignored => "ignored",
            Answer::Invalid(_) => "invalid",
            Answer::Unauthenticated => "unauthenticated",
            Answer::OnHold => "on_hold",
            Answer::NotFound => "not_found",
            Answer::MethodNotAllowed => "method_not_allowed",
            Answer::TooLarge(_) => "too_large",
            Answer::Unavailable => "unavailable",
            Answer::Failed => "failed",
        }
    }

    /// Writes its log line: as an error where this system is at fault, as a
    /// warning where the sender is or an event is passed over.
    pub fn log(&self, circumstances: Circumstances<'_>) {
        let status = self.answer().status().as_u16();
        let told = self.told();
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    outcome = self.name(),
                    status,
                    vendor_id = told.vendor_id.map(VendorId::as_str),
                    user_id = told.user_id,
                    event_id = told.event_id.map(EventId::as_str),
                    event_type = told.event_type,
                    reason = told.reason,
                    request_id = circumstances.request_id,
                    trace_id = circumstances.trace_id,
                    duration_ms = milliseconds(circumstances.took),
                    "Answered a webhook."
                )
            };
        }
        match status {
            500.. => line!(error),
            400..500 => line!(warn),
            _ if matches!(self, Self::Ignored { .. }) => line!(warn),
            _ => line!(info),
        }
    }

    /// Its metrics by `Outcome`: `Webhooks`, a count, and of what is accepted
    /// `WebhookDuration`. Of the others nobody asks how long they took, and each
    /// would be a metric to pay for; the log line says it.
    pub fn metrics(&self, took: Duration) -> Metrics {
        let counted = Metrics::new()
            .dimension("Outcome", self.name())
            .count("Webhooks", 1);
        match self {
            Self::Queued { .. } => {
                counted.value("WebhookDuration", Unit::Milliseconds, milliseconds(took))
            }
            _ => counted,
        }
    }

    fn told(&self) -> Told<'_> {
        match self {
            Self::Queued {
                reader,
                event_type,
                event_id,
                is_old,
            } => Told {
                event_id: Some(event_id),
                event_type: Some(event_type.name().to_owned()),
                reason: is_old
                    .then(|| "the event is old: the user is synced, no journey starts".to_owned()),
                ..Told::of(reader)
            },
            Self::NotQueued {
                reader,
                event_type,
                event_id,
                not_queued,
            } => Told {
                event_id: Some(event_id),
                event_type: Some(event_type.name().to_owned()),
                reason: Some(not_queued.to_string()),
                ..Told::of(reader)
            },
            Self::Ignored { reader, event_type } => Told {
                event_type: Some(event_type.to_string()),
                reason: Some("unknown event type".to_owned()),
                ..Told::of(reader)
            },
            Self::Invalid { vendor_id, invalid } => Told {
                vendor_id: vendor_id.as_ref(),
                reason: Some(listed(&invalid.0)),
                ..Told::default()
            },
            Self::WithoutToken { vendor_id } => Told {
                vendor_id: vendor_id.as_ref(),
                reason: Some("no token is presented".to_owned()),
                ..Told::default()
            },
            Self::Unauthenticated {
                vendor_id,
                unproven,
            } => Told {
                vendor_id: vendor_id.as_ref(),
                reason: Some(unproven.to_string()),
                ..Told::default()
            },
            Self::Undecided {
                vendor_id,
                undecided,
            } => Told {
                vendor_id: vendor_id.as_ref(),
                reason: Some(undecided.to_string()),
                ..Told::default()
            },
            Self::OnHold { vendor_id } => Told {
                vendor_id: Some(vendor_id),
                reason: Some("the vendor is on hold".to_owned()),
                ..Told::default()
            },
            Self::TooLarge { bytes, .. } => Told {
                reason: Some(format!("the body has {bytes} bytes")),
                ..Told::default()
            },
            Self::TookTooLong => Told {
                reason: Some("AWS did not answer in time".to_owned()),
                ..Told::default()
            },
            Self::Panicked => Told {
                reason: Some("a panic, logged on a line of its own".to_owned()),
                ..Told::default()
            },
            Self::NotFound | Self::MethodNotAllowed => Told::default(),
        }
    }
}

impl<'a> Told<'a> {
    fn of(reader: &'a Reader) -> Self {
        Self {
            vendor_id: Some(&reader.vendor_id),
            user_id: Some(reader.user_id.as_str()),
            ..Self::default()
        }
    }
}

fn listed(faults: &[Fault]) -> String {
    let faults: Vec<_> = faults
        .iter()
        .map(|fault| format!("{} {}", fault.field, fault.reason))
        .collect();
    faults.join("; ")
}

/// In milliseconds, to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}
