use std::error::Error;

use aws_sdk_sqs::error::ProvideErrorMetadata;
use shared::aws;
use shared::request::ErrorAnswer;
use shared::sqs::SqsError;
use thiserror::Error;

/// A call to AWS failed. Holds no content of any message.
#[derive(Debug, Error)]
#[error(
    "{what} failed: {reason}; check that it exists and that the role of OperatorFunction may use it, then try again"
)]
pub struct Unavailable {
    code: &'static str,
    what: String,
    /// AWS's code, or the chain of causes.
    reason: String,
}

impl Unavailable {
    pub fn queue(what: &str) -> impl Fn(SqsError) -> Self {
        move |error| Self {
            code: "queue_unavailable",
            ..Self::other(what, &error.to_string())
        }
    }

    pub fn service<E: Error + ProvideErrorMetadata>(what: &str) -> impl Fn(E) -> Self {
        move |error| Self::other(what, &aws::reason(&error))
    }

    pub fn other(what: &str, reason: &str) -> Self {
        Self {
            code: "unavailable",
            what: what.to_owned(),
            reason: reason.to_owned(),
        }
    }
}

impl From<Unavailable> for ErrorAnswer {
    fn from(unavailable: Unavailable) -> Self {
        Self::new(unavailable.code, unavailable.to_string())
    }
}
