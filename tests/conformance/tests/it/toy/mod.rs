//! The connector to an invented CRM, Toy: syncs a user's state from Sesamy to a contact.

pub mod check;
pub mod client;
pub mod credentials;
pub mod forget;
pub mod mapping;
pub mod sync;

pub use credentials::ToyCredentials;
pub use sync::Toy;
