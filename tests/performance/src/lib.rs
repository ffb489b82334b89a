//! What the functions cost, measured as they are deployed.
//!
//! Every function is a release binary that is started against a Lambda Runtime
//! API of our own ([`RuntimeApi`]), with stand-ins of AWS, Sesamy and the CRMs
//! around it that answer at once over plain loopback HTTP ([`Stage`]). What
//! counts is the time from the outside, the time on a processor and the peak
//! of the memory, all as the kernel tells them ([`Instance`]).

#![expect(clippy::unwrap_used, reason = "a lock is poisoned by a bug alone")]

mod aws;
mod error;
mod function;
pub mod hostile;
mod instance;
pub mod measure;
mod reader;
mod runtime_api;
mod serve;
mod size;
mod spread;
mod stage;

pub use aws::Aws;
pub use error::{Error, Result};
pub use function::{Connector, Function};
pub use instance::{Cost, Instance};
pub use reader::{Payment, reader};
pub use runtime_api::RuntimeApi;
pub use size::Size;
pub use spread::Spread;
pub use stage::{Calls, Stage};
