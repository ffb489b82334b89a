//! What a person asks of a connector's function.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tracing::{info, warn};

use super::connector::Connector;
use super::handler::{Consumer, RESERVE};
use super::preview::Preview;
use super::queue::Queue;
use crate::identity::{IdError, UserId, VendorId};
use crate::message::Reader;
use crate::request::{ErrorAnswer, Fields, Invalid};

/// The names of all actions.
const ACTIONS: &str = "preview";

/// What is asked for.
#[derive(Debug, PartialEq)]
enum Action {
    /// What a sync of a reader would write.
    Preview(Reader),
}

/// What a request is answered with. An error is an answer as well: whoever
/// invoked the function reads it where they read any other.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// What a sync would write.
    Preview(Preview),
    /// Nothing was done.
    Refused {
        /// Why.
        error: ErrorAnswer,
    },
}

impl Action {
    /// Reads a request.
    fn read(request: Value) -> Result<Self, Invalid> {
        let (action, mut fields) = Fields::of(request, ACTIONS)?;
        match action.as_str() {
            "preview" => {
                let reader = reader(&mut fields);
                fields.finish(reader.map(Self::Preview))
            }
            _ => Err(Invalid::unknown_action(ACTIONS)),
        }
    }
}

fn reader(fields: &mut Fields) -> Option<Reader> {
    let told = |error: IdError| error.to_string();
    let vendor_id = fields.required("vendorId", |id| VendorId::try_from(id).map_err(told));
    let user_id = fields.required("userId", |id| UserId::try_from(id).map_err(told));
    Some(Reader {
        vendor_id: vendor_id?,
        user_id: user_id?,
    })
}

impl<C: Connector, Q: Queue> Consumer<C, Q> {
    /// Does what a person asks for, and stops in time with an answer.
    pub async fn answer(self: Arc<Self>, request: Value, time_left: Duration) -> Answer {
        let end = Instant::now() + time_left.saturating_sub(RESERVE);
        match Action::read(request) {
            Ok(Action::Preview(reader)) => {
                let preview = self.preview(reader.clone(), end).await;
                log::<C>("preview", &reader, preview.outcome);
                Answer::Preview(preview)
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

fn log<C: Connector>(action: &str, reader: &Reader, outcome: &str) {
    info!(
        connector = C::NAME,
        action,
        vendor_id = reader.vendor_id.as_str(),
        user_id = reader.user_id.as_str(),
        outcome,
        "Answered a request."
    );
}
