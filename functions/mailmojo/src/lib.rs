//! The Mailmojo connector: makes a Mailmojo contact agree with a reader's state in Sesamy.
//!
//! [`credentials`] open an account, [`mapping`] says what Mailmojo should hold,
//! [`client`] knows Mailmojo's calls, and [`sync`] their order. [`mod@check`] and
//! [`mod@forget`] are what a person may ask beside.

pub mod check;
pub mod client;
pub mod credentials;
pub mod forget;
pub mod mapping;
pub mod sync;

pub use credentials::MailmojoCredentials;
pub use sync::Mailmojo;
