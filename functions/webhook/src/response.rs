//! The outcome of a request: its HTTP response, its log line and its metrics.

use std::time::Duration;

use lambda_http::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use lambda_http::http::{HeaderValue, StatusCode};
use lambda_http::{Body, Response};
use serde::Serialize;
use shared::identity::{EventId, VendorId};
use shared::message::{EventType, UserKey};
use shared::telemetry::{Metrics, Unit};
use tracing::{error, info, warn};

use crate::handler::MAX_BODY;
use crate::payload::{InvalidBody, UnknownEventType};
use crate::queues::NotQueued;
use crate::token_store::AuthenticationError;

/// In seconds. Decided: long enough for AWS to recover from a hiccup, short
/// enough for users not to notice.
const RETRY_AFTER_FAILURE: &str = "30";

/// In seconds. Decided: a hold lasts minutes or hours, and each retry costs.
const RETRY_AFTER_HOLD: &str = "300";

#[derive(Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    Queued {
        event: EventSummary,
        /// An old event is queued as a sync without the event.
        is_old: bool,
    },
    /// At least one queue does not hold the event.
    NotQueued {
        event: EventSummary,
        error: NotQueued,
    },
    /// Valid, but of an unknown type.
    Ignored {
        user: UserKey,
        event_type: UnknownEventType,
    },
    InvalidBody {
        /// Set only if the vendor is verified.
        vendor_id: Option<VendorId>,
        errors: InvalidBody,
    },
    NotAuthenticated {
        /// Set only if the secret lists the vendor: anyone may claim any id.
        vendor_id: Option<VendorId>,
        error: AuthenticationError,
    },
    OnHold {
        vendor_id: VendorId,
    },
    NotFound,
    MethodNotAllowed,
    TooLarge {
        bytes: usize,
    },
    TimedOut,
    Panicked,
}

#[derive(Debug, PartialEq, Eq)]
pub struct EventSummary {
    pub user: UserKey,
    pub event_type: EventType,
    pub event_id: EventId,
}

#[derive(Debug, Clone, Copy)]
pub struct LogContext<'a> {
    pub request_id: &'a str,
    pub trace_id: Option<&'a str>,
    pub took: Duration,
}

#[derive(Default)]
struct LogFields<'a> {
    vendor_id: Option<&'a VendorId>,
    user_id: Option<&'a str>,
    event_id: Option<&'a EventId>,
    event_type: Option<String>,
    reason: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ResponseBody<'a> {
    Queued {
        status: &'static str,
        #[serde(rename = "eventId")]
        event_id: &'a EventId,
    },
    Ignored {
        status: &'static str,
        reason: &'static str,
    },
    Error {
        error: ErrorBody,
    },
}

#[derive(Serialize)]
struct ErrorBody {
    code: &'static str,
    message: String,
    details: Vec<ErrorDetail>,
}

#[derive(Serialize)]
struct ErrorDetail {
    field: &'static str,
    reason: String,
}

impl RequestOutcome {
    /// The name in logs and metrics, and the HTTP status. Each name has one status.
    fn name_and_status(&self) -> (&'static str, StatusCode) {
        match self {
            Self::Queued { .. } => ("accepted", StatusCode::ACCEPTED),
            Self::Ignored { .. } => ("ignored", StatusCode::ACCEPTED),
            Self::InvalidBody { .. } => ("invalid", StatusCode::BAD_REQUEST),
            Self::NotAuthenticated { error, .. } if error.is_senders_fault() => {
                ("unauthenticated", StatusCode::UNAUTHORIZED)
            }
            Self::OnHold { .. } => ("on_hold", StatusCode::TOO_MANY_REQUESTS),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
            Self::TooLarge { .. } => ("too_large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::NotAuthenticated { .. } | Self::NotQueued { .. } | Self::TimedOut => {
                ("unavailable", StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::Panicked => ("failed", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    pub fn response(&self) -> Response<Body> {
        let (_, status) = self.name_and_status();
        // Cannot fail: all keys are strings.
        let body = serde_json::to_string(&self.body()).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let header = match status {
            StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Bearer")),
            StatusCode::METHOD_NOT_ALLOWED => Some((ALLOW, "POST")),
            StatusCode::TOO_MANY_REQUESTS => Some((RETRY_AFTER, RETRY_AFTER_HOLD)),
            StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, RETRY_AFTER_FAILURE)),
            _ => None,
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((name, value)) = header {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }

    fn body(&self) -> ResponseBody<'_> {
        let error = |code, message: &str| {
            let errors = match self {
                Self::InvalidBody { errors, .. } => errors.0.as_slice(),
                _ => &[],
            };
            let details = errors.iter().map(|error| ErrorDetail {
                field: error.field,
                reason: error.kind.to_string(),
            });
            ResponseBody::Error {
                error: ErrorBody {
                    code,
                    message: message.to_owned(),
                    details: details.collect(),
                },
            }
        };
        match self {
            Self::Queued { event, .. } => ResponseBody::Queued {
                status: "queued",
                event_id: &event.event_id,
            },
            Self::Ignored { .. } => ResponseBody::Ignored {
                status: "ignored",
                reason: "unknown event type",
            },
            Self::InvalidBody { .. } => {
                error("validation_error", "the body is not a valid webhook")
            }
            // Does not reveal whether the token or the vendor is wrong.
            Self::NotAuthenticated { error: reason, .. } if reason.is_senders_fault() => error(
                "authentication_required",
                "the header Authorization must hold a token of the vendor",
            ),
            Self::OnHold { .. } => error(
                "vendor_on_hold",
                "events of this vendor are not taken for now; send it again later",
            ),
            Self::NotFound => error("not_found", "there is nothing here"),
            Self::MethodNotAllowed => error("method_not_allowed", "webhooks are sent by POST"),
            Self::TooLarge { .. } => error(
                "payload_too_large",
                &format!("the body must have at most {MAX_BODY} bytes"),
            ),
            Self::NotAuthenticated { .. } | Self::NotQueued { .. } | Self::TimedOut => error(
                "service_unavailable",
                "the event could not be queued; send it again later",
            ),
            Self::Panicked => error(
                "internal_error",
                "the event could not be handled; send it again later",
            ),
        }
    }

    /// Logs an error if this system is at fault, and a warning if the sender is at
    /// fault or the event is ignored.
    pub fn log(&self, context: LogContext<'_>) {
        let (name, status) = self.name_and_status();
        let fields = self.log_fields();
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    outcome = name,
                    status = status.as_u16(),
                    vendor_id = fields.vendor_id.map(VendorId::as_str),
                    user_id = fields.user_id,
                    event_id = fields.event_id.map(EventId::as_str),
                    event_type = fields.event_type,
                    reason = fields.reason,
                    request_id = context.request_id,
                    trace_id = context.trace_id,
                    duration_ms = milliseconds(context.took),
                    "Answered a webhook."
                )
            };
        }
        match self {
            _ if status.is_server_error() => line!(error),
            Self::Queued { .. } => line!(info),
            _ => line!(warn),
        }
    }

    /// Records `WebhookDuration` only for accepted webhooks, because each further
    /// outcome would be a separate, paid metric.
    pub fn metrics(&self, took: Duration) -> Metrics {
        let metrics = Metrics::new()
            .dimension("Outcome", self.name_and_status().0)
            .count("Webhooks", 1);
        match self {
            Self::Queued { .. } => {
                metrics.value("WebhookDuration", Unit::Milliseconds, milliseconds(took))
            }
            _ => metrics,
        }
    }

    fn log_fields(&self) -> LogFields<'_> {
        match self {
            Self::Queued { event, is_old } => event.log_fields(
                is_old.then_some("the event is old: the user is synced, no journey starts".into()),
            ),
            Self::NotQueued { event, error } => event.log_fields(Some(error.to_string())),
            Self::Ignored { user, event_type } => LogFields {
                user_id: Some(user.user_id.as_str()),
                event_type: Some(event_type.to_string()),
                ..LogFields::new(Some(&user.vendor_id), "unknown event type")
            },
            Self::InvalidBody { vendor_id, errors } => {
                LogFields::new(vendor_id.as_ref(), errors.to_string())
            }
            Self::NotAuthenticated { vendor_id, error } => {
                LogFields::new(vendor_id.as_ref(), error.to_string())
            }
            Self::OnHold { vendor_id } => LogFields::new(Some(vendor_id), "the vendor is on hold"),
            Self::TooLarge { bytes } => LogFields::new(None, format!("the body has {bytes} bytes")),
            Self::TimedOut => LogFields::new(None, "AWS did not answer in time"),
            Self::Panicked => LogFields::new(None, "a panic, logged on a line of its own"),
            Self::NotFound | Self::MethodNotAllowed => LogFields::default(),
        }
    }
}

impl EventSummary {
    fn log_fields(&self, reason: Option<String>) -> LogFields<'_> {
        LogFields {
            vendor_id: Some(&self.user.vendor_id),
            user_id: Some(self.user.user_id.as_str()),
            event_id: Some(&self.event_id),
            event_type: Some(self.event_type.name().to_owned()),
            reason,
        }
    }
}

impl<'a> LogFields<'a> {
    fn new(vendor_id: Option<&'a VendorId>, reason: impl Into<String>) -> Self {
        Self {
            vendor_id,
            reason: Some(reason.into()),
            ..Self::default()
        }
    }
}

/// Rounded to microseconds.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}
