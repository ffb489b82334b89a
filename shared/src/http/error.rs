//! What can go wrong with a call, and what follows from it.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

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
    /// The API asked to be left alone and was; nothing was sent.
    Paused {
        /// How long it still wants to be left alone.
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
}

impl ApiError {
    /// The status answered, where there was an answer of no success.
    pub fn status(&self) -> Option<u16> {
        match self.fault {
            Fault::Status { status, .. } => Some(status),
            _ => None,
        }
    }

    /// Whether the credentials were refused.
    pub fn is_refusal(&self) -> bool {
        matches!(self.status(), Some(401 | 403))
    }

    /// Whether the same call may succeed later: a broken connection, a wait
    /// asked for, or a status that says so (408, 429, 5xx but 501).
    pub fn is_passing(&self) -> bool {
        match self.fault {
            Fault::Timeout | Fault::Connection | Fault::Paused { .. } => true,
            Fault::Status { status, .. } => {
                matches!(status, 408 | 429) || (status >= 500 && status != 501)
            }
            Fault::Malformed(_) => false,
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
        }
    }
}

/// The API's own word for an error, from the places where the APIs put it:
/// `error`, `error.code`, `code`. Only a plain identifier is taken, since free
/// text may name a person.
pub(super) fn code_in(body: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let error = json.get("error");
    let code = error
        .and_then(|error| error.get("code"))
        .or(error)
        .or_else(|| json.get("code"))?
        .as_str()?;
    let plain = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-');
    (code.len() <= 64 && !code.is_empty() && code.chars().all(plain)).then(|| code.to_owned())
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

    #[test]
    fn only_plain_identifiers_are_taken_from_an_error_body() {
        let cases = [
            (r#"{"error":"NotAuthorized"}"#, Some("NotAuthorized")),
            (
                r#"{"error":{"code":"rate_limit_exceeded"}}"#,
                Some("rate_limit_exceeded"),
            ),
            (r#"{"code":"conflict"}"#, Some("conflict")),
            (r#"{"error":"anna@example.se is unknown"}"#, None),
            (r#"{"error":"46701234567"}"#, None),
            (r#"{"message":"Anna"}"#, None),
            ("<html>", None),
        ];
        for (body, code) in cases {
            assert_eq!(code_in(body.as_bytes()).as_deref(), code, "{body}");
        }
    }
}
