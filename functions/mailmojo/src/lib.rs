//! The Mailmojo connector: makes a Mailmojo contact agree with a reader's state in Sesamy.
//!
//! [`credentials`] open an account, [`mapping`] says what Mailmojo should hold,
//! [`client`] knows Mailmojo's calls, and [`sync`] their order.

pub mod client;
pub mod credentials;
pub mod mapping;
pub mod sync;

pub use credentials::MailmojoCredentials;
pub use sync::Mailmojo;
