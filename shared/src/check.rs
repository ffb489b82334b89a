//! What an onboarding person is told of an account: findings by reading alone.

use serde::Serialize;

use crate::http::{ApiError, Fault};

/// Something that was looked at, and what was found. Holds no personal data
/// and no credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// What it comes to.
    pub result: Verdict,
    /// What was found, for programs.
    pub code: Code,
    /// What was found, for people.
    pub say: String,
    /// What to do about it.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What a finding comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is as it must be.
    Ok,
    /// It must be mended, or syncs fail.
    Problem,
    /// It could not be looked at now, or cannot be seen by reading.
    Unknown,
}

impl Verdict {
    /// The verdict's name in answers and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Problem => "problem",
            Self::Unknown => "unknown",
        }
    }
}

/// What was found, one word per case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// It works.
    Works,
    /// There is no such secret.
    SecretMissing,
    /// The secret lacks a key, or a key's value is of the wrong form.
    SecretMalformed,
    /// Secrets Manager did not answer, or refused.
    SecretUnreadable,
    /// The API takes the credentials for nobody's.
    CredentialsRefused,
    /// The credentials are good but may not do this.
    PermissionMissing,
    /// The account has no list of this id.
    ListUnknown,
    /// No connection, or no answer in time.
    ApiUnreachable,
    /// The API asks to be left alone for now.
    ApiAsksToWait,
    /// The API has a fault of its own (5xx).
    ApiFailing,
    /// The API answers otherwise than this system expects.
    UnexpectedAnswer,
    /// An assumption holds on this account.
    AssumptionHolds,
    /// An assumption does not hold on this account.
    AssumptionFails,
    /// Whether an assumption holds cannot be seen by reading this account.
    CannotBeTold,
}

impl Code {
    fn verdict(self) -> Verdict {
        match self {
            Self::Works | Self::AssumptionHolds => Verdict::Ok,
            Self::ApiAsksToWait | Self::ApiFailing | Self::CannotBeTold => Verdict::Unknown,
            Self::SecretMissing
            | Self::SecretMalformed
            | Self::SecretUnreadable
            | Self::CredentialsRefused
            | Self::PermissionMissing
            | Self::ListUnknown
            | Self::ApiUnreachable
            | Self::UnexpectedAnswer
            | Self::AssumptionFails => Verdict::Problem,
        }
    }
}

impl Finding {
    /// A finding that needs nothing to be done.
    pub fn new(what: impl Into<String>, code: Code, say: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            result: code.verdict(),
            code,
            say: say.into(),
            remedy: None,
        }
    }

    /// With what to do about it.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// That something works.
    pub fn works(what: impl Into<String>) -> Self {
        Self::new(what, Code::Works, "works")
    }

    /// Whether an assumption holds: `None` where that cannot be told.
    pub fn assumption(
        what: impl Into<String>,
        holds: Option<bool>,
        say: impl Into<String>,
    ) -> Self {
        let code = match holds {
            Some(true) => Code::AssumptionHolds,
            Some(false) => Code::AssumptionFails,
            None => Code::CannotBeTold,
        };
        Self::new(what, code, say)
    }

    /// An assumption that reading cannot show to hold or fail.
    pub fn unseen(what: &str) -> Self {
        Self::assumption(
            what,
            None,
            "reading does not show it; watch the first syncs",
        )
    }

    /// A call that failed, and which permission it needs.
    pub fn failed(what: impl Into<String>, error: &ApiError, permission: &str) -> Self {
        let (code, remedy) = match &error.fault {
            Fault::Timeout | Fault::Connection => (
                Code::ApiUnreachable,
                "check the address in the secret, and that the function can reach it".to_owned(),
            ),
            Fault::Status { status: 401, .. } => (
                Code::CredentialsRefused,
                "store credentials that are valid in the secret".to_owned(),
            ),
            Fault::Status { status: 403, .. } => (
                Code::PermissionMissing,
                format!("give the credentials the permission to {permission}"),
            ),
            Fault::Credentials(_) => (
                Code::SecretMalformed,
                "store it as the README describes".to_owned(),
            ),
            Fault::Malformed(_) => (
                Code::UnexpectedAnswer,
                "check the address in the secret; if it is right, the API has changed".to_owned(),
            ),
            _ if error.wait().is_some() => (Code::ApiAsksToWait, "ask again later".to_owned()),
            _ if error.is_passing() => (Code::ApiFailing, "ask again later".to_owned()),
            _ => (
                Code::UnexpectedAnswer,
                "check the address in the secret; if it is right, the API has changed".to_owned(),
            ),
        };
        Self::new(what, code, error.to_string()).with_remedy(remedy)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::secrets::SecretFault;

    #[test]
    fn every_way_a_call_fails_has_its_own_word() {
        let status = |status, wait| Fault::Status {
            status,
            code: None,
            wait,
        };
        let minute = Duration::from_secs(60);
        let cases = [
            (Fault::Timeout, Code::ApiUnreachable),
            (Fault::Connection, Code::ApiUnreachable),
            (Fault::Paused { wait: minute }, Code::ApiAsksToWait),
            (status(429, Some(minute)), Code::ApiAsksToWait),
            (status(503, Some(minute)), Code::ApiAsksToWait),
            (status(503, None), Code::ApiFailing),
            (status(500, None), Code::ApiFailing),
            (status(401, None), Code::CredentialsRefused),
            (status(403, None), Code::PermissionMissing),
            (status(404, None), Code::UnexpectedAnswer),
            (status(400, None), Code::UnexpectedAnswer),
            (status(501, None), Code::UnexpectedAnswer),
            (Fault::Malformed("it"), Code::UnexpectedAnswer),
            (
                Fault::Credentials(SecretFault::NotAnObject),
                Code::SecretMalformed,
            ),
        ];
        for (fault, code) in cases {
            let error = ApiError {
                api: "crm",
                endpoint: "/x",
                fault,
            };
            let finding = Finding::failed("reading", &error, "read");
            assert_eq!(finding.code, code, "{error}");
            assert_ne!(finding.result, Verdict::Ok, "{error}");
            assert!(finding.remedy.is_some(), "{error}");
        }
    }
}
