//! Client of Sesamy's Management API: one user's state, and the list of users.

mod check;
mod client;
mod credentials;
mod json;
pub mod model;
mod pages;
mod time;
mod token;
mod users;

pub use check::check;
pub use client::{Reads, Sesamy};
pub use credentials::SesamyCredentials;
pub use users::{PAGE_USERS, UsersPage};

/// The APIs that a read of a user's state calls.
pub(crate) const API_NAMES: [&str; 2] = [token::TOKEN_API.name, client::MANAGEMENT_API.name];
