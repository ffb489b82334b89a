//! The very template, deployed into a local AWS on this machine.
//!
//! [`Project::build`] runs `sam build`, [`LocalAws::start`] starts a local AWS
//! on free loopback ports, and [`LocalAws::deploy`] runs `sam deploy` against
//! it and gives a [`Stack`] to talk to. The functions then run as processes of
//! this machine, so that they reach stand-ins on 127.0.0.1.
//!
//! The local AWS checks signatures, roles and queue policies as the real one
//! does, over TLS: a permission that the template forgets fails the tests.
//!
//! Nothing outlives the process that started it, whichever way that ends: see
//! [`child`].

pub mod aws;
pub mod child;
mod error;
mod local;
mod project;
mod roles;
pub mod samples;
mod stack;
mod tls;
mod wait;

pub use error::{Error, Result};
pub use local::{Deployment, LocalAws, Manner};
pub use project::{Built, Project};
pub use roles::{Call, Grant};
pub use stack::{Connector, DeadLetter, Depth, Function, Reply, Stack};
pub use wait::eventually;
