//! The webhook function: takes Sesamy's webhooks and queues them for every connector.
//!
//! A request goes through [`intake`]: [`webhook`] reads its body, [`keyring`]
//! and [`authentication`] let its sender prove who it is, [`queues`] puts the
//! event into one queue per connector, and [`outcome`] and [`answer`] tell
//! operator and sender what became of it.

mod answer;
mod authentication;
mod intake;
mod keyring;
mod outcome;
mod queues;
mod request;
#[cfg(test)]
mod stand_in;
mod timestamp;
mod webhook;

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;

use lambda_http::{Request, service_fn};
use shared::aws::{self, Patience};
use shared::secrets::{Secrets, SecretsManager};
use shared::telemetry;
use tracing::{error, warn};

use intake::Intake;
use keyring::Keyring;
use queues::{QueueUrls, Queues, Sqs};

/// The variable that holds the first part of the secrets' names, and what it is without it.
const SECRET_PREFIX: (&str, &str) = ("SECRET_PREFIX", "sesamy-crm-sync");

/// The variable that holds the addresses of the connectors' queues, separated by commas.
const QUEUE_URLS: &str = "QUEUE_URLS";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init(env!("CARGO_CRATE_NAME"));
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "The function cannot run.");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), lambda_http::Error> {
    let urls = QueueUrls::read(&std::env::var(QUEUE_URLS).unwrap_or_default())?;
    let prefix = std::env::var(SECRET_PREFIX.0).unwrap_or_else(|_| SECRET_PREFIX.1.to_owned());
    let aws = aws::config(Patience::PROMPT)?;
    let store = SecretsManager::new(aws_sdk_secretsmanager::Client::new(&aws));
    let keyring = Keyring::new(Secrets::new(store, prefix));
    // While a function starts it has a whole processor, so that the TLS
    // handshake takes a fraction of the time.
    if let Err(error) = keyring.warm().await {
        warn!(%error, "The tokens could not be read ahead; the first webhook tries again.");
    }
    let queues = Queues::new(Sqs::new(aws_sdk_sqs::Config::new(&aws)), urls);
    let intake = Arc::new(Intake::new(keyring, queues));
    let service = service_fn(move |request: Request| {
        let intake = Arc::clone(&intake);
        async move { Ok::<_, Infallible>(intake.respond(&request).await) }
    });
    lambda_http::run(service).await
}
