//! What a person asks of a connector's function.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tracing::{info, warn};

use super::check::Check;
use super::connector::Connector;
use super::forget::Forgotten;
use super::handler::{Consumer, RESERVE};
use super::preview::Preview;
use super::queue::Queue;
use super::scope::{Scope, Use};
use crate::identity::{IdError, UserId, VendorId};
use crate::message::Reader;
use crate::personal::Email;
use crate::request::{ErrorAnswer, Fields, Invalid};

/// The names of all actions.
const ACTIONS: &str = "check, preview, forget";

/// What is asked for.
#[derive(Debug, PartialEq)]
enum Action {
    /// Whether a vendor is set up.
    Check(VendorId),
    /// What a sync of a reader would write.
    Preview(Reader),
    /// A reader wants to be forgotten, who has this address where Sesamy does
    /// not know it any more.
    Forget(Reader, Option<Email>),
}

/// What a request is answered with. An error is an answer as well: whoever
/// invoked the function reads it where they read any other.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// How a vendor is set up.
    Check(Check),
    /// What a sync would write.
    Preview(Preview),
    /// What was taken off a contact.
    Forgotten(Forgotten),
    /// Nothing was done.
    Refused {
        /// Why.
        error: ErrorAnswer,
    },
}

impl Action {
    /// What is wanted.
    const fn wanted(&self) -> Use {
        match self {
            Self::Check(_) | Self::Preview(_) => Use::Ask,
            Self::Forget(..) => Use::Forget,
        }
    }

    /// Reads a request.
    fn read(request: Value) -> Result<Self, Invalid> {
        let (action, mut fields) = Fields::of(request, ACTIONS)?;
        match action.as_str() {
            "check" => {
                let vendor = vendor(&mut fields);
                fields.finish(vendor.map(Self::Check))
            }
            "preview" => {
                let reader = reader(&mut fields);
                fields.finish(reader.map(Self::Preview))
            }
            "forget" => {
                let reader = reader(&mut fields);
                let email = fields.text("email", |text| {
                    let email = Email::parse(text).filter(|email| email.expose().contains('@'));
                    email.ok_or_else(|| "must be an e-mail address".to_owned())
                });
                let email = email.given();
                fields.finish(reader.map(|reader| Self::Forget(reader, email)))
            }
            _ => Err(Invalid::unknown_action(ACTIONS)),
        }
    }
}

fn vendor(fields: &mut Fields) -> Option<VendorId> {
    fields.required("vendorId", |id| VendorId::try_from(id).map_err(told))
}

fn reader(fields: &mut Fields) -> Option<Reader> {
    let vendor_id = vendor(fields);
    let user_id = fields.required("userId", |id| UserId::try_from(id).map_err(told));
    Some(Reader {
        vendor_id: vendor_id?,
        user_id: user_id?,
    })
}

fn told(error: IdError) -> String {
    error.to_string()
}

impl<C: Connector, Q: Queue> Consumer<C, Q> {
    /// Does what a person asks for, if it is within the scope, and stops in time
    /// with an answer.
    pub async fn answer(
        self: Arc<Self>,
        request: Value,
        scope: Scope,
        time_left: Duration,
    ) -> Answer {
        let end = Instant::now() + time_left.saturating_sub(RESERVE);
        let action = Action::read(request);
        let admitted = action.as_ref().map(|action| scope.admit(action.wanted()));
        if let Ok(Err(refused)) = admitted {
            warn!(connector = C::NAME, reason = %refused, "Refused a request.");
            return Answer::Refused {
                error: refused.into(),
            };
        }
        match action {
            Ok(Action::Check(vendor)) => {
                let check = self.check(vendor.clone(), end).await;
                log::<C>("check", &vendor, None, check.outcome.name());
                Answer::Check(check)
            }
            Ok(Action::Preview(reader)) => {
                let preview = self.preview(reader.clone(), end).await;
                let Reader { vendor_id, user_id } = &reader;
                log::<C>("preview", vendor_id, Some(user_id), preview.outcome);
                Answer::Preview(preview)
            }
            Ok(Action::Forget(reader, email)) => {
                let forgotten = self.forget(reader.clone(), email, end).await;
                let Reader { vendor_id, user_id } = &reader;
                log::<C>("forget", vendor_id, Some(user_id), forgotten.outcome);
                Answer::Forgotten(forgotten)
            }
            Err(invalid) => {
                let faults = invalid.0.len();
                warn!(
                    connector = C::NAME,
                    faults, "Refused a request with faults."
                );
                Answer::Refused {
                    error: invalid.into(),
                }
            }
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
