//! The Mailchimp connector: syncs a user's state from Sesamy to a member of an audience.

pub mod audience;
pub mod check;
pub mod client;
pub mod credentials;
pub mod forget;
pub mod mapping;
pub mod sync;

pub use credentials::MailchimpCredentials;
pub use sync::Mailchimp;
