//! Measures what the deployed functions cost.
//!
//! Each function's release binary runs against our own Lambda Runtime API and fakes of
//! AWS, Sesamy and the CRMs, which respond immediately over plain loopback HTTP
//! ([`Fixture`]). The figures are wall-clock time measured outside the process, and
//! processor time and peak memory from the kernel ([`Instance`]).

#![expect(clippy::unwrap_used, reason = "only a bug poisons a lock")]

mod error;
mod fake_aws;
mod fixture;
mod function;
pub mod hostile;
mod instance;
pub mod measure;
pub mod price;
mod runtime_api;
mod samples;
mod server;
mod size;
mod user;

pub use error::{Error, Result};
pub use fixture::{ApiCalls, Fixture};
pub use function::{ConnectorKind, Function};
pub use instance::{Cost, Instance};
pub use samples::Samples;
pub use size::BinarySize;
pub use user::{PaymentState, user, user_ids};
