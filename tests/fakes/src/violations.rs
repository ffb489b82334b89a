//! Harmful requests that a real API would carry out without an error.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{api::Api, rejection::Rejection, request::Query};

const MAX_KEPT: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// A subscription, opt-in or suppression status changes.
    ConsentChanged,
    /// A contact loses one of the publisher's tags.
    ForeignTagDropped,
    /// One of the publisher's values is overwritten or cleared.
    ForeignDataChanged,
    /// Automations start although no tag is new.
    AutomationRestarted,
    Deleted,
    /// The request matches another contact than the one that its e-mail names.
    WrongContact,
    /// A credential is in the URL or the body, where logs keep it.
    SecretExposed,
    /// The API ignores a parameter because it does not know it.
    UnknownParameter,
    /// The effect is not documented and could be harmful.
    Undocumented,
    /// A request other than a read. The integration must never write to Sesamy.
    SesamyWritten,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    pub at: Timestamp,
    pub api: Api,
    /// The account or vendor whose credential the request carries.
    pub account: Option<String>,
    #[serde(rename = "harm")]
    pub kind: ViolationKind,
    pub message: String,
    pub method: String,
    /// Raw path after the base path of the API.
    pub path: String,
}

#[derive(Default)]
pub(crate) struct ViolationLog {
    list: VecDeque<Violation>,
}

impl ViolationLog {
    pub fn list(&self) -> Vec<Violation> {
        self.list.iter().cloned().collect()
    }

    pub fn clear(&mut self) {
        self.list.clear();
    }

    fn push(&mut self, violation: Violation) {
        if self.list.len() == MAX_KEPT {
            self.list.pop_front();
        }
        self.list.push_back(violation);
    }
}

/// Records the violations of one request.
pub(crate) struct Reporter<'a> {
    pub log: &'a mut ViolationLog,
    pub at: Timestamp,
    pub api: Api,
    pub account: Option<String>,
    pub method: &'a str,
    pub path: &'a str,
}

impl Reporter<'_> {
    pub fn report(&mut self, kind: ViolationKind, message: impl Into<String>) {
        self.log.push(Violation {
            at: self.at,
            api: self.api,
            account: self.account.clone(),
            kind,
            message: message.into(),
            method: self.method.to_owned(),
            path: self.path.to_owned(),
        });
    }

    /// Reports a request that the real API would carry out, and rejects it, so that the
    /// test fails even if it does not check the violations.
    pub fn reject(
        &mut self,
        kind: ViolationKind,
        message: impl Into<String>,
        what: &str,
    ) -> Rejection {
        self.report(kind, message);
        Rejection::new(
            axum::http::StatusCode::BAD_REQUEST,
            "RefusedByFake",
            format!("{what} is refused by the fake"),
        )
    }

    /// Reports query parameters that the API would ignore.
    pub fn unknown_parameters(&mut self, query: &Query, known: &[&str]) {
        for name in query.unknown(known) {
            self.report(
                ViolationKind::UnknownParameter,
                format!("query parameter \"{name}\""),
            );
        }
    }
}
