//! The actions that a person can request from a connector's function.

mod check;
mod forget;
mod preview;
mod scope;

use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::connector::Connector;
use crate::identity::{UserId, VendorId};
use crate::message::UserKey;
use crate::personal::Email;
use crate::request::{ErrorAnswer, field, parse_command};
use crate::sync::Syncer;

pub use check::Check;
pub use forget::Forgotten;
pub use preview::{ContactPlan, FieldPlan, PlannedValue, Preview, TagPlan, TagReason};
pub use scope::{OutOfScope, Purpose, Scope};

#[derive(Debug, Deserialize)]
#[serde(
    tag = "action",
    rename_all = "lowercase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
enum Command {
    Check {
        #[serde(deserialize_with = "vendor_id")]
        vendor_id: VendorId,
    },
    Preview {
        #[serde(deserialize_with = "vendor_id")]
        vendor_id: VendorId,
        #[serde(deserialize_with = "user_id")]
        user_id: UserId,
    },
    Forget {
        #[serde(deserialize_with = "vendor_id")]
        vendor_id: VendorId,
        #[serde(deserialize_with = "user_id")]
        user_id: UserId,
        /// For a user that Sesamy no longer knows.
        #[serde(default, deserialize_with = "email")]
        email: Option<Email>,
    },
}

fn vendor_id<'de, D: Deserializer<'de>>(value: D) -> Result<VendorId, D::Error> {
    field("vendorId", value)
}

fn user_id<'de, D: Deserializer<'de>>(value: D) -> Result<UserId, D::Error> {
    field("userId", value)
}

/// The error does not quote the address.
fn email<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Email>, D::Error> {
    let text: String = field("email", value)?;
    let email = Email::parse(&text).filter(|email| email.expose().contains('@'));
    email
        .map(Some)
        .ok_or_else(|| D::Error::custom("`email`: must be an e-mail address"))
}

impl Command {
    const fn purpose(&self) -> Purpose {
        match self {
            Self::Check { .. } | Self::Preview { .. } => Purpose::Ask,
            Self::Forget { .. } => Purpose::Forget,
        }
    }
}

/// An error is an answer too, so that the caller finds both in the same place.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    Check(Check),
    Preview(Preview),
    Forgotten(Forgotten),
    /// Nothing was done.
    Refused {
        error: ErrorAnswer,
    },
}

/// Runs the command if it is valid and within the scope. Answers before `end`.
pub(crate) async fn answer<C: Connector>(
    syncer: Arc<Syncer<C>>,
    request: Value,
    scope: Scope,
    end: Instant,
) -> Answer {
    let command = match parse_command::<Command>(request) {
        Ok(command) => command,
        Err(error) => {
            warn!(
                connector = C::NAME,
                faults = 1,
                "Refused a request with faults."
            );
            return Answer::Refused {
                error: error.into(),
            };
        }
    };
    if let Err(refused) = scope.admit(command.purpose()) {
        warn!(connector = C::NAME, reason = %refused, "Refused a request.");
        return Answer::Refused {
            error: refused.into(),
        };
    }
    match command {
        Command::Check { vendor_id } => {
            let check = check::run(syncer, vendor_id.clone(), end).await;
            log::<C>("check", &vendor_id, None, check.outcome.name());
            Answer::Check(check)
        }
        Command::Preview { vendor_id, user_id } => {
            let user = UserKey { vendor_id, user_id };
            let preview = preview::run(syncer, user.clone(), end).await;
            log::<C>(
                "preview",
                &user.vendor_id,
                Some(&user.user_id),
                preview.outcome,
            );
            Answer::Preview(preview)
        }
        Command::Forget {
            vendor_id,
            user_id,
            email,
        } => {
            let user = UserKey { vendor_id, user_id };
            let forgotten = forget::run(syncer, user.clone(), email, end).await;
            log::<C>(
                "forget",
                &user.vendor_id,
                Some(&user.user_id),
                forgotten.outcome,
            );
            Answer::Forgotten(forgotten)
        }
    }
}

fn log<C: Connector>(action: &str, vendor: &VendorId, user: Option<&UserId>, outcome: &str) {
    info!(
        connector = C::NAME,
        action,
        vendor_id = vendor.as_str(),
        user_id = user.map(UserId::as_str),
        outcome,
        "Answered a request."
    );
}
