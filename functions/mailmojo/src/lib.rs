//! The Mailmojo connector: syncs a user's state from Sesamy to a Mailmojo contact.

pub mod check;
pub mod client;
pub mod credentials;
pub mod forget;
pub mod mapping;
pub mod sync;

pub use credentials::MailmojoCredentials;
pub use sync::Mailmojo;
