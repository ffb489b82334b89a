//! The Make.as connector: syncs a user's state from Sesamy to Make.as's lists.

pub mod check;
pub mod client;
pub mod credentials;
pub mod forget;
mod lists;
pub mod mapping;
mod references;
pub mod sync;

pub use credentials::MakeCredentials;
pub use sync::Make;
