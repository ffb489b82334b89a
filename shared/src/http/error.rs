//! Errors of API calls, and what follows from them.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::secrets::SecretFault;

/// Holds no personal data and no credentials, so it may be logged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{api} {endpoint}: {kind}")]
pub struct ApiError {
    pub api: &'static str,
    /// The path with placeholders in place of values.
    pub endpoint: &'static str,
    pub kind: ApiErrorKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiErrorKind {
    Timeout,
    /// No connection, or one that broke before the response was complete.
    Connection,
    /// Nothing was sent: the API is rate-limited or its breaker is open.
    Paused {
        wait: Duration,
    },
    /// A status other than 2xx.
    Status {
        status: u16,
        /// The API's own error code, if it is a plain identifier.
        code: Option<String>,
        /// How long the API asks not to be called.
        wait: Option<Duration>,
    },
    /// A successful response with unusable content, or a call that cannot be built.
    Malformed(&'static str),
    /// The responses of other users leave no memory for this one.
    OutOfMemory,
    /// A 404 that is not in the API's form: another server answers at the address.
    WrongAddress,
    /// A 4xx of a token endpoint: the vendor's credentials or `tokenUrl` are wrong.
    TokenRefused {
        status: u16,
        code: Option<String>,
    },
    /// Nothing was sent: the credentials cannot be read.
    Credentials(SecretFault),
}

impl ApiError {
    pub fn status(&self) -> Option<u16> {
        match self.kind {
            ApiErrorKind::Status { status, .. } | ApiErrorKind::TokenRefused { status, .. } => {
                Some(status)
            }
            _ => None,
        }
    }

    /// A 404 that this fault of the vendor's secret causes.
    #[must_use]
    pub fn not_found_by(mut self, fault: &SecretFault) -> Self {
        if self.status() == Some(404) {
            self.kind = ApiErrorKind::Credentials(fault.clone());
        }
        self
    }

    /// Whether the call can succeed only after the vendor's secret has changed.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self.kind,
            ApiErrorKind::Credentials(_)
                | ApiErrorKind::WrongAddress
                | ApiErrorKind::TokenRefused { .. }
        ) || matches!(self.status(), Some(401 | 403)) && self.wait().is_none()
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self.kind {
            ApiErrorKind::Timeout
            | ApiErrorKind::Connection
            | ApiErrorKind::Paused { .. }
            | ApiErrorKind::OutOfMemory => true,
            ApiErrorKind::Status { status, wait, .. } => {
                wait.is_some() || matches!(status, 408 | 429) || (status >= 500 && status != 501)
            }
            ApiErrorKind::Malformed(_)
            | ApiErrorKind::WrongAddress
            | ApiErrorKind::TokenRefused { .. }
            | ApiErrorKind::Credentials(_) => false,
        }
    }

    /// How long not to call the API.
    pub fn wait(&self) -> Option<Duration> {
        match self.kind {
            ApiErrorKind::Paused { wait } => Some(wait),
            ApiErrorKind::Status { wait, .. } => wait,
            _ => None,
        }
    }
}

impl fmt::Display for ApiErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => formatter.write_str("no answer in time"),
            Self::Connection => formatter.write_str("the connection failed or broke"),
            Self::Paused { wait } => {
                write!(formatter, "paused for another {} s", wait.as_secs())
            }
            Self::Status { status, code, wait } => {
                write_status(formatter, *status, code.as_deref())?;
                if let Some(wait) = wait {
                    write!(formatter, ", asks to wait {} s", wait.as_secs())?;
                }
                Ok(())
            }
            Self::TokenRefused { status, code } => {
                write_status(formatter, *status, code.as_deref())
            }
            Self::Malformed(reason) => write!(formatter, "the answer is malformed: {reason}"),
            Self::OutOfMemory => formatter.write_str("there was no memory left for the answer"),
            Self::WrongAddress => {
                formatter.write_str("answered 404 in a form that is not this API's; check apiUrl")
            }
            Self::Credentials(fault) => write!(formatter, "the secret is malformed: {fault}"),
        }
    }
}

fn write_status(f: &mut fmt::Formatter<'_>, status: u16, code: Option<&str>) -> fmt::Result {
    write!(f, "answered {status}")?;
    match code {
        Some(code) => write!(f, " ({code})"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> ApiError {
        ApiError {
            api: "crm",
            endpoint: "GET /x",
            kind: ApiErrorKind::Status {
                status,
                code: None,
                wait: None,
            },
        }
    }

    #[test]
    fn timeouts_rate_limits_and_server_errors_except_501_are_transient() {
        for transient in [408, 429, 500, 502, 503, 504, 599] {
            assert!(status(transient).is_transient(), "{transient}");
        }
        for permanent in [301, 400, 401, 403, 404, 409, 413, 422, 501] {
            assert!(!status(permanent).is_transient(), "{permanent}");
        }
    }

    #[test]
    fn any_error_that_asks_for_a_wait_is_transient() {
        for status_code in [403, 423] {
            let mut error = status(status_code);
            assert!(!error.is_transient(), "{status_code}");
            error.kind = ApiErrorKind::Status {
                status: status_code,
                code: None,
                wait: Some(Duration::from_secs(2)),
            };
            assert!(error.is_transient(), "{status_code}");
            assert!(!error.is_refusal(), "{status_code}");
        }
    }

    #[test]
    fn only_401_and_403_refuse_the_credentials() {
        let refusals: Vec<u16> = (100..600).filter(|s| status(*s).is_refusal()).collect();
        assert_eq!(refusals, [401, 403]);
    }
}
