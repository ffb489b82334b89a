//! What can go wrong with a call, and what follows from it.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::secrets::SecretFault;

/// A call that did not succeed. Holds no personal data and no credential.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{api} {endpoint}: {fault}")]
pub struct ApiError {
    /// The API called.
    pub api: &'static str,
    /// Method and path, placeholders in place of values.
    pub endpoint: &'static str,
    /// What went wrong.
    pub fault: Fault,
}

/// What went wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No answer within the time allowed.
    Timeout,
    /// No connection, or one that broke before the answer was whole.
    Connection,
    /// The API is left alone, since it asked for it or failed to answer in time
    /// again and again; nothing was sent.
    Paused {
        /// How long it is still left alone.
        wait: Duration,
    },
    /// An answer of a status that is no success.
    Status {
        /// The HTTP status.
        status: u16,
        /// The API's own word for it, where it is a plain identifier.
        code: Option<String>,
        /// How long the API asks to be left alone.
        wait: Option<Duration>,
    },
    /// A success whose body is not what it must be.
    Malformed(&'static str),
    /// There was no memory for the answer beside those of other readers.
    NoRoom,
    /// A 404 that is not the API's own: something else answers at its address.
    WrongAddress,
    /// The credentials for the call cannot be read; nothing was sent.
    Credentials(SecretFault),
}

impl ApiError {
    /// The status answered, where there was an answer of no success.
    pub fn status(&self) -> Option<u16> {
        match self.fault {
            Fault::Status { status, .. } => Some(status),
            _ => None,
        }
    }

    /// Whether the credentials were refused, are none, or open another API:
    /// the vendor's secret must change.
    pub fn is_refusal(&self) -> bool {
        matches!(self.fault, Fault::Credentials(_) | Fault::WrongAddress)
            || matches!(self.status(), Some(401 | 403))
    }

    /// Whether the same call may succeed later: a broken connection, a wait
    /// asked for, memory that others took, or a status that says so (408, 429, 5xx but 501).
    pub fn is_passing(&self) -> bool {
        match self.fault {
            Fault::Timeout | Fault::Connection | Fault::Paused { .. } | Fault::NoRoom => true,
            Fault::Status { status, .. } => {
                matches!(status, 408 | 429) || (status >= 500 && status != 501)
            }
            Fault::Malformed(_) | Fault::WrongAddress | Fault::Credentials(_) => false,
        }
    }

    /// How long the API asks to be left alone.
    pub fn wait(&self) -> Option<Duration> {
        match self.fault {
            Fault::Paused { wait } => Some(wait),
            Fault::Status { wait, .. } => wait,
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => formatter.write_str("no answer in time"),
            Self::Connection => formatter.write_str("the connection failed or broke"),
            Self::Paused { wait } => {
                write!(formatter, "left alone for another {} s", wait.as_secs())
            }
            Self::Status { status, code, wait } => {
                write!(formatter, "answered {status}")?;
                if let Some(code) = code {
                    write!(formatter, " ({code})")?;
                }
                if let Some(wait) = wait {
                    write!(formatter, ", asks to wait {} s", wait.as_secs())?;
                }
                Ok(())
            }
            Self::Malformed(what) => write!(formatter, "the answer is malformed: {what}"),
            Self::NoRoom => formatter.write_str("there was no memory left for the answer"),
            Self::WrongAddress => {
                formatter.write_str("answered 404 in a form that is not this API's; check apiUrl")
            }
            Self::Credentials(fault) => write!(formatter, "the secret is malformed: {fault}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> ApiError {
        ApiError {
            api: "crm",
            endpoint: "GET /x",
            fault: Fault::Status {
                status,
                code: None,
                wait: None,
            },
        }
    }

    #[test]
    fn timeouts_limits_and_server_errors_pass_but_501_and_other_4xx_do_not() {
        for passing in [408, 429, 500, 502, 503, 504, 599] {
            assert!(status(passing).is_passing(), "{passing}");
        }
        for lasting in [301, 400, 401, 403, 404, 409, 413, 422, 501] {
            assert!(!status(lasting).is_passing(), "{lasting}");
        }
    }

    #[test]
    fn only_401_and_403_refuse_the_credentials() {
        let refusals: Vec<u16> = (100..600).filter(|s| status(*s).is_refusal()).collect();
        assert_eq!(refusals, [401, 403]);
    }
}
