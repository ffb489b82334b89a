//! What became of a reader's sync, and what follows for its messages.

use std::time::Duration;

use serde::Serialize;

use super::changes::Changes;
use crate::derivation::Skip;
use crate::http::{ApiError, Fault};
use crate::request::ErrorAnswer;
use crate::secrets::SecretError;

/// What became of one reader's sync.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The CRM was made to agree.
    Synced(Changes),
    /// The CRM agreed already.
    Unchanged,
    /// There is nothing to sync: a guest, an account that is not confirmed, no
    /// e-mail address, unknown to Sesamy.
    Skipped(SkipReason),
    /// The vendor has this connector switched off.
    NotConfigured,
    /// Something failed that may pass.
    Retry {
        /// What failed.
        reason: String,
        /// How long an API asks to be left alone.
        wait: Option<Duration>,
    },
    /// There was no time left for it in this invocation.
    NoTime,
    /// There was no memory left for it beside other readers.
    NoRoom,
    /// Credentials were refused, or what holds them is missing or malformed. It
    /// concerns every reader of the vendor, so a person must act.
    Refused {
        /// What was refused.
        reason: String,
    },
    /// Trying again cannot help.
    DeadLetter(DeadLetter),
}

/// Why a reader is not synced. Done, counted, never an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// A temporary account of a checkout.
    Guest,
    /// An account that is not confirmed.
    Unconfirmed,
    /// No e-mail address.
    NoEmail,
    /// Sesamy answers 404 for the user.
    UnknownToSesamy,
}

/// Why a message went to the dead-letter queue. Holds no personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// What kind of error.
    pub kind: DeadLetterKind,
    /// The HTTP status, where an API answered.
    pub status: Option<u16>,
    /// What, where and what to do, in a sentence.
    pub message: String,
}

/// The kinds of errors that trying again cannot help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterKind {
    /// The message could not be read.
    UnreadableMessage,
    /// An API refused the call for what it says (a 4xx that is no refusal of credentials).
    RejectedByApi,
    /// An API's answer could not be understood.
    MalformedAnswer,
    /// The function itself failed: a bug.
    Bug,
}

impl DeadLetterKind {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::UnreadableMessage,
        Self::RejectedByApi,
        Self::MalformedAnswer,
        Self::Bug,
    ];

    /// The kind as it stands in a dead letter's attribute `errorKind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnreadableMessage => "unreadable_message",
            Self::RejectedByApi => "rejected_by_api",
            Self::MalformedAnswer => "malformed_answer",
            Self::Bug => "bug",
        }
    }
}

impl SkipReason {
    /// The reason's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Unconfirmed => "unconfirmed",
            Self::NoEmail => "no_email",
            Self::UnknownToSesamy => "unknown_to_sesamy",
        }
    }
}

impl From<Skip> for SkipReason {
    fn from(skip: Skip) -> Self {
        match skip {
            Skip::Guest => Self::Guest,
            Skip::NoEmail => Self::NoEmail,
            Skip::Unconfirmed => Self::Unconfirmed,
        }
    }
}

impl Outcome {
    /// The outcome's name in logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Synced(_) => "synced",
            Self::Unchanged => "unchanged",
            Self::Skipped(_) => "skipped",
            Self::NotConfigured => "not_configured",
            Self::Retry { .. } | Self::NoTime | Self::NoRoom => "retry",
            Self::Refused { .. } => "refused",
            Self::DeadLetter(_) => "dead_letter",
        }
    }

    /// What the outcome has to say beyond its name, without personal data.
    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::Retry { reason, .. } | Self::Refused { reason } => Some(reason),
            Self::NoTime => Some("no time left in this invocation"),
            Self::NoRoom => Some("no memory left in this invocation"),
            Self::DeadLetter(dead_letter) => Some(&dead_letter.message),
            Self::Skipped(SkipReason::Guest) => Some("guest"),
            Self::Skipped(SkipReason::Unconfirmed) => Some("unconfirmed"),
            Self::Skipped(SkipReason::NoEmail) => Some("no e-mail address"),
            Self::Skipped(SkipReason::UnknownToSesamy) => Some("unknown to Sesamy"),
            Self::Synced(_) | Self::Unchanged | Self::NotConfigured => None,
        }
    }

    /// The outcome as the error that a person is answered with.
    pub(super) fn into_error(self) -> ErrorAnswer {
        let code = match &self {
            Self::DeadLetter(dead_letter) => dead_letter.kind.name(),
            Self::Refused { .. } => "refused",
            _ => "unavailable",
        };
        ErrorAnswer::new(code, self.reason().unwrap_or_default())
    }
}

impl From<ApiError> for Outcome {
    fn from(error: ApiError) -> Self {
        if error.fault == Fault::NoRoom {
            return Self::NoRoom;
        }
        if error.is_passing() {
            return Self::Retry {
                wait: error.wait(),
                reason: error.to_string(),
            };
        }
        if error.is_refusal() {
            return Self::Refused {
                reason: format!("{error}; check the vendor's credentials and their permissions"),
            };
        }
        Self::DeadLetter(match error.fault {
            Fault::Malformed(_) => DeadLetter {
                kind: DeadLetterKind::MalformedAnswer,
                status: None,
                message: format!("{error}; find out why, then redrive"),
            },
            _ => DeadLetter {
                kind: DeadLetterKind::RejectedByApi,
                status: error.status(),
                message: format!("{error}; mend what was refused, then redrive"),
            },
        })
    }
}

impl From<SecretError> for Outcome {
    fn from(error: SecretError) -> Self {
        let reason = error.to_string();
        match error {
            SecretError::Unavailable { .. } => Self::Retry { reason, wait: None },
            SecretError::Malformed { .. } => Self::Refused { reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::SecretFault;

    fn api(fault: Fault) -> Outcome {
        Outcome::from(ApiError {
            api: "crm",
            endpoint: "POST /x",
            fault,
        })
    }

    fn status(status: u16) -> Outcome {
        api(Fault::Status {
            status,
            code: None,
            wait: None,
        })
    }

    #[test]
    fn every_error_has_the_outcome_the_contract_names() {
        let cases = [
            (api(Fault::Timeout), "retry"),
            (api(Fault::Connection), "retry"),
            (api(Fault::NoRoom), "retry"),
            (
                api(Fault::Paused {
                    wait: Duration::from_secs(9),
                }),
                "retry",
            ),
            (status(408), "retry"),
            (status(429), "retry"),
            (status(500), "retry"),
            (status(503), "retry"),
            (status(501), "dead_letter"),
            (status(401), "refused"),
            (status(403), "refused"),
            (status(302), "dead_letter"),
            (status(400), "dead_letter"),
            (status(404), "dead_letter"),
            (status(409), "dead_letter"),
            (status(413), "dead_letter"),
            (status(422), "dead_letter"),
            (api(Fault::Malformed("it")), "dead_letter"),
            (api(Fault::Credentials(SecretFault::NotAnObject)), "refused"),
            (
                Outcome::from(SecretError::Unavailable {
                    name: "n".into(),
                    reason: "r".into(),
                }),
                "retry",
            ),
            (
                Outcome::from(SecretError::Malformed {
                    name: "n".into(),
                    fault: SecretFault::NotJson,
                }),
                "refused",
            ),
        ];
        for (outcome, name) in cases {
            assert_eq!(outcome.name(), name, "{outcome:?}");
        }
    }

    #[test]
    fn a_wait_that_was_asked_for_is_kept() {
        let wait = Some(Duration::from_secs(600));
        let outcome = api(Fault::Status {
            status: 429,
            code: None,
            wait,
        });
        assert!(matches!(outcome, Outcome::Retry { wait: kept, .. } if kept == wait));
    }
}
