//! Mistakes the real APIs would carry out without a word.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::Api;

/// How many violations are kept; the count goes on.
const KEPT: usize = 1_000;

/// What kind of harm a request would have done, or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// A subscription, opt-in or suppression status was touched.
    ConsentChanged,
    /// A tag of the publisher's would be lost.
    ForeignTagDropped,
    /// A value of the publisher's would be overwritten or cleared.
    ForeignDataChanged,
    /// Automations were started whether or not anything was new.
    AutomationRestarted,
    /// A contact, tag or membership would be deleted.
    Deleted,
    /// A contact was matched that the request did not name by e-mail.
    WrongContact,
    /// A credential stood in the URL or the body, where logs keep it.
    SecretExposed,
    /// A query parameter the API does not know, and ignores.
    UnknownParameter,
    /// What the call does is not documented, and it might do harm.
    Undocumented,
    /// Something would be written to Sesamy, which is only ever read.
    SesamyWritten,
}

/// One recorded violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// When.
    pub at: Timestamp,
    /// Which API was called.
    pub api: Api,
    /// The account or vendor whose credential was used.
    pub account: Option<String>,
    /// The kind of harm.
    pub harm: Harm,
    /// What exactly.
    pub message: String,
    /// The request's method.
    pub method: String,
    /// The request's raw path after the API's base.
    pub path: String,
}

/// The list of violations, bounded.
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
        if self.list.len() == KEPT {
            self.list.pop_front();
        }
        self.list.push_back(violation);
    }
}

/// Where an API reports violations of the request it is answering.
pub(crate) struct Watch<'a> {
    pub log: &'a mut ViolationLog,
    pub at: Timestamp,
    pub api: Api,
    pub account: Option<String>,
    pub method: &'a str,
    pub path: &'a str,
}

impl Watch<'_> {
    pub fn report(&mut self, harm: Harm, message: impl Into<String>) {
        self.log.push(Violation {
            at: self.at,
            api: self.api,
            account: self.account.clone(),
            harm,
            message: message.into(),
            method: self.method.to_owned(),
            path: self.path.to_owned(),
        });
    }

    /// Reports query parameters that the API would silently ignore.
    pub fn unknown_parameters(&mut self, query: &crate::call::Query, known: &[&str]) {
        for name in query.unknown(known) {
            self.report(
                Harm::UnknownParameter,
                format!("query parameter \"{name}\""),
            );
        }
    }
}
