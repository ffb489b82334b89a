//! Deploys `template.yaml` into a local AWS on this machine.
//!
//! [`Project::build`] runs `sam build`, [`LocalAws::start`] starts a local AWS
//! on a free loopback port, and [`LocalAws::deploy`] runs `sam deploy` against it and
//! returns a [`Stack`]. The functions run as processes on this machine, so they reach
//! fakes on 127.0.0.1.
//!
//! Like AWS, the local AWS uses TLS and enforces signatures, roles and queue policies: a
//! permission that is missing in the template fails the tests.
//!
//! Nothing outlives the process that started it: see [`child`].

pub mod aws;
mod browser;
pub mod child;
mod deployer;
mod error;
mod function;
mod local;
mod process;
mod project;
mod roles;
pub mod samples;
pub mod secrets;
mod stack;
mod tls;
mod wait;

use fakes::Fakes;

pub use browser::Browser;
pub use deployer::{Deployer, SharedSetup};
pub use error::{Error, Result};
pub use function::{Connector, Function};
pub use local::{AwsMode, Deployment, LocalAws};
pub use project::Project;
pub use roles::{AwsCall, Grant};
pub use stack::{DeadLetterMessage, FifoMessage, LoggedSync, QueueDepth, Stack, WebhookReply};
pub use wait::eventually;

pub async fn start_fakes(fakes: fakes::Builder) -> Result<Fakes> {
    let started = fakes.start().await;
    started.map_err(|error| Error::new(format!("the fakes could not be started: {error}")))
}

/// The body of a webhook about a user.
pub fn webhook(
    event_type: &str,
    vendor_id: &str,
    user_id: &str,
    occurred_at: &str,
) -> serde_json::Value {
    serde_json::json!({
        "eventType": event_type,
        "vendorId": vendor_id,
        "userId": user_id,
        // Sesamy's spelling.
        "occured_at": occurred_at,
    })
}
