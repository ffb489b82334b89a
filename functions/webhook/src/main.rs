//! The webhook function: puts Sesamy's webhooks into every connector's queue.

mod authentication;
#[cfg(test)]
mod fake;
mod handler;
mod payload;
mod queues;
mod request;
mod response;
mod timestamp;
mod token_store;

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;

use lambda_http::{Request, service_fn};
use shared::aws::{self, AwsTimeouts};
use shared::secrets::{Secrets, SecretsManager};
use shared::telemetry;
use tracing::{error, warn};

use handler::Handler;
use queues::{QueueUrls, Queues, Sqs};
use token_store::TokenStore;

const SECRET_PREFIX: &str = "SECRET_PREFIX";
const DEFAULT_SECRET_PREFIX: &str = "sesamy-crm-sync";

/// Comma-separated.
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
    let urls = QueueUrls::parse(&std::env::var(QUEUE_URLS).unwrap_or_default())?;
    let prefix = std::env::var(SECRET_PREFIX).unwrap_or_else(|_| DEFAULT_SECRET_PREFIX.to_owned());
    let aws = aws::config(AwsTimeouts::PROMPT)?;
    let store = SecretsManager::new(aws_sdk_secretsmanager::Client::new(&aws));
    let token_store = TokenStore::new(Secrets::new(store, prefix));
    // Lambda gives a starting function a full vCPU, so the TLS handshake is faster here.
    if let Err(error) = token_store.warm().await {
        warn!(%error, "The tokens could not be read ahead; the first webhook tries again.");
    }
    let queues = Queues::new(Sqs::new(aws_sdk_sqs::Config::new(&aws)), urls);
    let handler = Arc::new(Handler::new(token_store, queues));
    let service = service_fn(move |request: Request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Infallible>(handler.respond(&request).await) }
    });
    lambda_http::run(service).await
}
