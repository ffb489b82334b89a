//! Results of a read-only check of a vendor's accounts.

use serde::Serialize;

use crate::http::{ApiError, ApiErrorKind};

/// No contact has this address: the domain `.invalid` is reserved.
pub const UNUSED_ADDRESS: &str = "unused@sesamy-crm-sync.invalid";

/// Holds no personal data and no credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckItem {
    pub what: String,
    pub result: CheckStatus,
    pub code: CheckCode,
    /// For people; `code` is for programs.
    pub say: String,
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    Ok,
    /// Syncs fail until it is fixed.
    Problem,
    /// It cannot be checked now, or not by reading only.
    Unknown,
}

impl CheckStatus {
    /// For answers and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Problem => "problem",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckCode {
    Works,
    SecretMissing,
    /// A key is missing or its value malformed.
    SecretMalformed,
    /// Secrets Manager did not answer, or refused access.
    SecretUnreadable,
    CredentialsRefused,
    /// The credentials are valid but lack a permission.
    PermissionMissing,
    ListUnknown,
    ApiUnreachable,
    ApiAsksToWait,
    /// The API answered 5xx.
    ApiFailing,
    UnexpectedAnswer,
    AssumptionHolds,
    AssumptionFails,
    /// Reading this account does not show whether an assumption holds.
    CannotBeTold,
}

impl CheckCode {
    fn status(self) -> CheckStatus {
        match self {
            Self::Works | Self::AssumptionHolds => CheckStatus::Ok,
            Self::ApiAsksToWait | Self::ApiFailing | Self::CannotBeTold => CheckStatus::Unknown,
            Self::SecretMissing
            | Self::SecretMalformed
            | Self::SecretUnreadable
            | Self::CredentialsRefused
            | Self::PermissionMissing
            | Self::ListUnknown
            | Self::ApiUnreachable
            | Self::UnexpectedAnswer
            | Self::AssumptionFails => CheckStatus::Problem,
        }
    }
}

impl CheckItem {
    pub fn new(what: impl Into<String>, code: CheckCode, say: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            result: code.status(),
            code,
            say: say.into(),
            remedy: None,
        }
    }

    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    #[must_use]
    pub fn with_remedy_of_problem(self, remedy: &str) -> Self {
        match self.result {
            CheckStatus::Problem => self.with_remedy(remedy),
            CheckStatus::Ok | CheckStatus::Unknown => self,
        }
    }

    pub fn works(what: impl Into<String>) -> Self {
        Self::new(what, CheckCode::Works, "works")
    }

    /// `None` if it is unknown whether the assumption holds.
    pub fn assumption(
        what: impl Into<String>,
        holds: Option<bool>,
        say: impl Into<String>,
    ) -> Self {
        let code = match holds {
            Some(true) => CheckCode::AssumptionHolds,
            Some(false) => CheckCode::AssumptionFails,
            None => CheckCode::CannotBeTold,
        };
        Self::new(what, code, say)
    }

    pub fn unverifiable(what: &str) -> Self {
        Self::assumption(
            what,
            None,
            "reading does not show it; watch the first syncs",
        )
    }

    /// Of a call that needs this permission.
    pub fn call<T>(
        what: impl Into<String>,
        called: &Result<T, ApiError>,
        permission: &str,
    ) -> Self {
        match called {
            Ok(_) => Self::works(what),
            Err(error) => Self::failed(what, error, permission),
        }
    }

    /// Of a call that says whether the account has a list. `unknown` says it if not.
    pub fn list(
        what: impl Into<String>,
        exists: &Result<bool, ApiError>,
        unknown: &str,
        permission: &str,
    ) -> Self {
        match exists {
            Ok(false) => Self::new(what, CheckCode::ListUnknown, unknown)
                .with_remedy("store the id of one of the account's lists as listId"),
            known => Self::call(what, known, permission),
        }
    }

    /// Of an assumption about the form of contacts, for which one was read if there
    /// is any.
    pub fn form<T>(
        what: impl Into<String>,
        sample: &Result<Option<T>, ApiError>,
        permission: &str,
    ) -> Self {
        match sample {
            Ok(Some(_)) => Self::assumption(what, Some(true), "a contact of the list does"),
            Ok(None) => Self::assumption(what, None, "the list has no contact to look at"),
            Err(error) => Self::failed(what, error, permission),
        }
    }

    /// Of the assumption that the account's fields have the types that this system
    /// writes, of which `wrong` have others.
    pub fn types(what: &str, is_any_defined: bool, wrong: &[&str], remedy: &str) -> Self {
        let (holds, say) = match wrong {
            [] if is_any_defined => (
                Some(true),
                "all that are defined have the right type".into(),
            ),
            [] => (
                None,
                "none is defined yet; the first sync defines them".into(),
            ),
            wrong => (
                Some(false),
                format!("of another type: {}", wrong.join(", ")),
            ),
        };
        Self::assumption(what, holds, say).with_remedy_of_problem(remedy)
    }

    /// Whether no other call of the same credentials can succeed.
    pub fn is_refused(&self) -> bool {
        self.code == CheckCode::CredentialsRefused
    }

    /// `permission` is the one that the call needs.
    pub fn failed(what: impl Into<String>, error: &ApiError, permission: &str) -> Self {
        let (code, remedy) = match &error.kind {
            ApiErrorKind::Timeout | ApiErrorKind::Connection => (
                CheckCode::ApiUnreachable,
                "check the address in the secret, and that the function can reach it".to_owned(),
            ),
            _ if error.wait().is_some() => (CheckCode::ApiAsksToWait, "try again later".to_owned()),
            ApiErrorKind::Status { status: 401, .. } => (
                CheckCode::CredentialsRefused,
                "store valid credentials in the secret".to_owned(),
            ),
            ApiErrorKind::Status { status: 403, .. } => (
                CheckCode::PermissionMissing,
                format!("give the credentials the permission to {permission}"),
            ),
            ApiErrorKind::Credentials(_) => (
                CheckCode::SecretMalformed,
                "store it as the README describes".to_owned(),
            ),
            _ if error.is_transient() => (CheckCode::ApiFailing, "try again later".to_owned()),
            _ => (
                CheckCode::UnexpectedAnswer,
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
    fn every_failure_of_a_call_has_a_code_and_a_remedy() {
        let status = |status, wait| ApiErrorKind::Status {
            status,
            code: None,
            wait,
        };
        let minute = Duration::from_secs(60);
        let cases = [
            (ApiErrorKind::Timeout, CheckCode::ApiUnreachable),
            (ApiErrorKind::Connection, CheckCode::ApiUnreachable),
            (
                ApiErrorKind::Paused { wait: minute },
                CheckCode::ApiAsksToWait,
            ),
            (status(429, Some(minute)), CheckCode::ApiAsksToWait),
            (status(503, Some(minute)), CheckCode::ApiAsksToWait),
            (status(403, Some(minute)), CheckCode::ApiAsksToWait),
            (status(503, None), CheckCode::ApiFailing),
            (status(500, None), CheckCode::ApiFailing),
            (status(401, None), CheckCode::CredentialsRefused),
            (status(403, None), CheckCode::PermissionMissing),
            (status(404, None), CheckCode::UnexpectedAnswer),
            (status(400, None), CheckCode::UnexpectedAnswer),
            (status(501, None), CheckCode::UnexpectedAnswer),
            (ApiErrorKind::Malformed("it"), CheckCode::UnexpectedAnswer),
            (
                ApiErrorKind::Credentials(SecretFault::NotAnObject),
                CheckCode::SecretMalformed,
            ),
        ];
        for (kind, code) in cases {
            let error = ApiError {
                api: "crm",
                endpoint: "/x",
                kind,
            };
            let finding = CheckItem::failed("reading", &error, "read");
            assert_eq!(finding.code, code, "{error}");
            assert_ne!(finding.result, CheckStatus::Ok, "{error}");
            assert!(finding.remedy.is_some(), "{error}");
        }
    }
    fn status(status: u16) -> ApiError {
        let kind = ApiErrorKind::Status {
            status,
            code: None,
            wait: None,
        };
        let (api, endpoint) = ("crm", "/x");
        ApiError {
            api,
            endpoint,
            kind,
        }
    }

    #[test]
    fn a_list_is_known_unknown_or_cannot_be_read() {
        for (exists, code, is_refused) in [
            (Ok(true), CheckCode::Works, false),
            (Ok(false), CheckCode::ListUnknown, false),
            (Err(status(401)), CheckCode::CredentialsRefused, true),
            (Err(status(403)), CheckCode::PermissionMissing, false),
        ] {
            let item = CheckItem::list("list", &exists, "no such list", "read lists");
            assert_eq!((item.code, item.is_refused()), (code, is_refused));
            let is_problem = item.result == CheckStatus::Problem;
            assert_eq!(item.remedy.is_some(), is_problem, "{code:?}");
        }
    }

    #[test]
    fn an_assumption_holds_fails_or_cannot_be_told() {
        let form = |sample| CheckItem::form("form", &sample, "read contacts").code;
        assert_eq!(form(Ok(Some(()))), CheckCode::AssumptionHolds);
        assert_eq!(form(Ok(None)), CheckCode::CannotBeTold);
        assert_eq!(form(Err(status(403))), CheckCode::PermissionMissing);
        for (is_any_defined, wrong, code) in [
            (true, &[][..], CheckCode::AssumptionHolds),
            (false, &[], CheckCode::CannotBeTold),
            (true, &["a", "b"], CheckCode::AssumptionFails),
        ] {
            let item = CheckItem::types("types", is_any_defined, wrong, "delete them");
            assert_eq!(item.code, code);
            let is_failure = code == CheckCode::AssumptionFails;
            assert_eq!(item.remedy.is_some(), is_failure, "{code:?}");
        }
    }
}
