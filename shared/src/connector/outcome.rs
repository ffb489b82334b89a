//! How a sync ended.

use std::time::Duration;

use serde::Serialize;

use super::changes::Changes;
use crate::derivation::Skip;
use crate::http::{ApiError, ApiErrorKind};
use crate::request::ErrorAnswer;
use crate::secrets::SecretError;

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Synced(Changes),
    /// The CRM already agreed.
    Unchanged,
    /// An earlier sync read the user's state after these webhooks.
    Covered,
    Skipped(SkipReason),
    NotConfigured,
    /// A failure that may pass.
    Retry {
        reason: String,
        wait: Option<Duration>,
    },
    /// The invocation had no time left for the sync.
    NoTime,
    /// The user's data does not fit into memory beside other users'.
    NoRoom,
    /// The vendor's credentials or secret do not work. This affects all of the
    /// vendor's users, and a person must fix it.
    Refused {
        reason: String,
    },
    DeadLetter(DeadLetterReason),
}

/// Why a user is not synced. Skipping is not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    Guest,
    Unconfirmed,
    NoEmail,
    UnknownToSesamy,
    /// The contact belongs to another user of the same address.
    SharedAddress,
}

/// Why retrying a message cannot help. Holds no personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterReason {
    pub kind: DeadLetterKind,
    /// The HTTP status.
    pub status: Option<u16>,
    /// What failed, where, and what to do, in one sentence.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterKind {
    UnreadableMessage,
    /// A 4xx other than refused credentials.
    RejectedByApi,
    MalformedAnswer,
    Bug,
}

impl DeadLetterKind {
    pub const ALL: [Self; 4] = [
        Self::UnreadableMessage,
        Self::RejectedByApi,
        Self::MalformedAnswer,
        Self::Bug,
    ];

    /// The value of a dead-letter message's attribute `errorKind`.
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
    pub fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Unconfirmed => "unconfirmed",
            Self::NoEmail => "no_email",
            Self::UnknownToSesamy => "unknown_to_sesamy",
            Self::SharedAddress => "shared_address",
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
    pub fn name(&self) -> &'static str {
        match self {
            Self::Synced(_) => "synced",
            Self::Unchanged => "unchanged",
            Self::Covered => "covered",
            Self::Skipped(_) => "skipped",
            Self::NotConfigured => "not_configured",
            Self::Retry { .. } | Self::NoTime | Self::NoRoom => "retry",
            Self::Refused { .. } => "refused",
            Self::DeadLetter(_) => "dead_letter",
        }
    }

    /// Whether the messages need no further sync.
    pub(crate) fn is_done(&self) -> bool {
        matches!(
            self,
            Self::Synced(_)
                | Self::Unchanged
                | Self::Covered
                | Self::Skipped(_)
                | Self::NotConfigured
        )
    }

    /// Details for the log, without personal data.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Retry { reason, .. } | Self::Refused { reason } => Some(reason),
            Self::NoTime => Some("no time left in this invocation"),
            Self::NoRoom => Some("no memory left in this invocation"),
            Self::DeadLetter(dead_letter) => Some(&dead_letter.message),
            Self::Skipped(SkipReason::Guest) => Some("guest"),
            Self::Skipped(SkipReason::Unconfirmed) => Some("unconfirmed"),
            Self::Skipped(SkipReason::NoEmail) => Some("no e-mail address"),
            Self::Skipped(SkipReason::UnknownToSesamy) => Some("unknown to Sesamy"),
            Self::Skipped(SkipReason::SharedAddress) => {
                Some("another user of the same address has access and this one has none")
            }
            Self::Synced(_) | Self::Unchanged | Self::Covered | Self::NotConfigured => None,
        }
    }

    pub(crate) fn into_error(self) -> ErrorAnswer {
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
        if error.kind == ApiErrorKind::OutOfMemory {
            return Self::NoRoom;
        }
        if error.is_transient() {
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
        Self::DeadLetter(match error.kind {
            ApiErrorKind::Malformed(_) => DeadLetterReason {
                kind: DeadLetterKind::MalformedAnswer,
                status: None,
                message: format!("{error}; find out why, then redrive"),
            },
            _ => DeadLetterReason {
                kind: DeadLetterKind::RejectedByApi,
                status: error.status(),
                message: format!("{error}; fix what was refused, then redrive"),
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

    fn api(kind: ApiErrorKind) -> Outcome {
        Outcome::from(ApiError {
            api: "crm",
            endpoint: "POST /x",
            kind,
        })
    }

    fn status(status: u16) -> Outcome {
        api(ApiErrorKind::Status {
            status,
            code: None,
            wait: None,
        })
    }

    #[test]
    fn every_error_has_its_documented_outcome() {
        let cases = [
            (api(ApiErrorKind::Timeout), "retry"),
            (api(ApiErrorKind::Connection), "retry"),
            (api(ApiErrorKind::OutOfMemory), "retry"),
            (
                api(ApiErrorKind::Paused {
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
            (api(ApiErrorKind::Malformed("it")), "dead_letter"),
            (
                api(ApiErrorKind::Credentials(SecretFault::NotAnObject)),
                "refused",
            ),
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
    fn requested_wait_is_kept() {
        let wait = Some(Duration::from_secs(600));
        let outcome = api(ApiErrorKind::Status {
            status: 429,
            code: None,
            wait,
        });
        assert!(matches!(outcome, Outcome::Retry { wait: kept, .. } if kept == wait));
    }
}
