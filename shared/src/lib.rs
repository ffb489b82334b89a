//! What every function of sesamy-crm-sync shares.
//!
//! The flow of data: a webhook becomes a [`message`] in a queue; a consumer
//! reads the user's current state from [`sesamy`], the [`derivation`] turns it
//! into what every CRM should hold, and a connector makes its CRM agree.

pub mod actions;
pub mod aws;
pub mod cache;
pub mod check;
pub mod connector;
pub mod consumer;
pub mod derivation;
pub mod digest;
pub mod http;
pub mod identity;
pub mod message;
pub mod personal;
pub mod remembered;
pub mod request;
pub mod secrets;
pub mod sesamy;
pub mod sqs;
mod sync;
pub mod telemetry;
pub mod tls;
