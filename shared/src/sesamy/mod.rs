//! Sesamy: what its Management API says of a reader, and which readers there are.

mod check;
mod client;
mod credentials;
pub mod model;
mod pages;
mod token;
mod users;

pub use check::check;
pub use client::{Reads, Sesamy};
pub use credentials::SesamyCredentials;
pub use users::{PAGE_USERS, UsersPage};

/// The names of the APIs that reading a reader's state calls.
pub(crate) const API_NAMES: [&str; 2] = [token::TOKEN_API.name, client::MANAGEMENT_API.name];
