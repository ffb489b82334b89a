//! Sesamy: what its Management API says of a reader.

mod check;
mod client;
mod credentials;
pub mod model;
mod pages;
mod token;

pub use check::check;
pub use client::{Reads, Sesamy};
pub use credentials::SesamyCredentials;
