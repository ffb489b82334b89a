//! The Make.as connector: makes Make.as agree with a reader's state in Sesamy.
//!
//! [`credentials`] open one or many lists, [`mapping`] says what Make.as should
//! hold, [`client`] knows Make.as's calls, and [`sync`] their order. [`mod@check`] and
//! [`mod@forget`] are what a person may ask beside.

pub mod check;
pub mod client;
pub mod credentials;
pub mod forget;
pub mod mapping;
pub mod sync;

pub use credentials::MakeCredentials;
pub use sync::Make;
