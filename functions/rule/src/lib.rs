//! The Rule connector: makes a Rule subscriber agree with a reader's state in Sesamy.
//!
//! [`credentials`] open an account, [`mapping`] says what Rule should hold,
//! [`client`] knows Rule's calls, [`mod@clearing`] how a field loses its value, and
//! [`sync`] the calls' order. [`mod@check`] and
//! [`mod@forget`] are what a person may ask beside.

pub mod check;
pub mod clearing;
pub mod client;
pub mod credentials;
pub mod forget;
pub mod mapping;
pub mod sync;

pub use credentials::RuleCredentials;
pub use sync::Rule;
