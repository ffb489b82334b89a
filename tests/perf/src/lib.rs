//! Measures what the functions cost, as they are deployed.
//!
//! Each function is a release binary that runs against our own Lambda Runtime
//! API, with fakes of AWS, Sesamy and the CRMs that respond at once over plain
//! loopback HTTP ([`Fixture`]). The figures are wall-clock time outside the
//! process, and processor time and peak memory from the kernel ([`Instance`]).

#![expect(clippy::unwrap_used, reason = "only a bug poisons a lock")]

mod error;
mod fake_aws;
mod fixture;
mod function;
pub mod hostile;
mod instance;
pub mod measure;
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
