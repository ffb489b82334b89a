//! What the webhook answers, in words that its senders may see.

use std::time::Duration;

use lambda_http::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use lambda_http::http::{HeaderName, HeaderValue, StatusCode};
use lambda_http::{Body, Response};
use serde::Serialize;
use shared::identity::EventId;

use crate::webhook::Fault;

/// When a sender may try again after a 503. Decided: long enough for AWS to
/// recover from a hiccup, short enough for readers not to notice.
const RETRY_AFTER_FAILURE: Duration = Duration::from_secs(30);

/// When a sender may try again whose vendor is on hold. Decided: a person takes
/// such a hold away again after minutes or hours, and until then each try costs.
const RETRY_AFTER_HOLD: Duration = Duration::from_secs(300);

/// An answer. Every one has a JSON body; those to a request that was not
/// accepted all have the same form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The event is in every connector's queue.
    Queued(&'a EventId),
    /// The webhook is valid, but of an unknown type.
    Ignored,
    /// The body has faults.
    Invalid(&'a [Fault]),
    /// The token is missing or wrong, or the vendor unknown. Which, is not told.
    Unauthenticated,
    /// The vendor's webhooks are not taken for now.
    OnHold,
    /// The path does not exist.
    NotFound,
    /// The path does not have the method.
    MethodNotAllowed,
    /// The body is larger than this many bytes.
    TooLarge(usize),
    /// Something this system needs is out of order.
    Unavailable,
    /// A bug.
    Failed,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accepted<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<&'a EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Refused {
    error: RefusalBody,
}

#[derive(Serialize)]
struct RefusalBody {
    code: &'static str,
    message: String,
    details: Vec<Detail>,
}

#[derive(Serialize)]
struct Detail {
    field: &'static str,
    reason: String,
}

impl Answer<'_> {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Queued(_) | Self::Ignored => StatusCode::ACCEPTED,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::OnHold => StatusCode::TOO_MANY_REQUESTS,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer as an HTTP response.
    pub fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some((name, value)) = self.header() {
            headers.insert(name, value);
        }
        response
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Unauthenticated => Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Self::MethodNotAllowed => Some((ALLOW, HeaderValue::from_static("POST"))),
            Self::OnHold => Some((RETRY_AFTER, HeaderValue::from(RETRY_AFTER_HOLD.as_secs()))),
            Self::Unavailable => Some((
                RETRY_AFTER,
                HeaderValue::from(RETRY_AFTER_FAILURE.as_secs()),
            )),
            _ => None,
        }
    }

    fn body(&self) -> String {
        let accepted = |status, event_id, reason| {
            json(&Accepted {
                status,
                event_id,
                reason,
            })
        };
        match self {
            Self::Queued(event_id) => accepted("queued", Some(event_id), None),
            Self::Ignored => accepted("ignored", None, Some("unknown event type")),
            Self::Invalid(faults) => {
                let details = faults.iter().map(|fault| Detail {
                    field: fault.field,
                    reason: fault.reason.to_string(),
                });
                let message = "the body is not a valid webhook".to_owned();
                refused("validation_error", message, details.collect())
            }
            Self::Unauthenticated => refused(
                "authentication_required",
                "the header Authorization must hold a token of the vendor".to_owned(),
                Vec::new(),
            ),
            Self::OnHold => refused(
                "vendor_on_hold",
                "events of this vendor are not taken for now; send it again later".to_owned(),
                Vec::new(),
            ),
            Self::NotFound => refused("not_found", "there is nothing here".to_owned(), Vec::new()),
            Self::MethodNotAllowed => refused(
                "method_not_allowed",
                "webhooks are sent by POST".to_owned(),
                Vec::new(),
            ),
            Self::TooLarge(most) => refused(
                "payload_too_large",
                format!("the body must have at most {most} bytes"),
                Vec::new(),
            ),
            Self::Unavailable => refused(
                "service_unavailable",
                "the event could not be queued; send it again later".to_owned(),
                Vec::new(),
            ),
            Self::Failed => refused(
                "internal_error",
                "the event could not be handled; send it again later".to_owned(),
                Vec::new(),
            ),
        }
    }
}

fn refused(code: &'static str, message: String, details: Vec<Detail>) -> String {
    json(&Refused {
        error: RefusalBody {
            code,
            message,
            details,
        },
    })
}

/// Cannot fail: every key is a text and every value has a JSON form.
fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).unwrap_or_default()
}
