//! The Rule connector: syncs a user's state from Sesamy to a Rule contact.

pub mod check;
pub mod clearing;
pub mod client;
pub mod credentials;
pub mod forget;
pub mod mapping;
mod moving;
pub mod sync;

pub use credentials::RuleCredentials;
pub use sync::Rule;
