//! The Make.as connector: makes Make.as agree with a reader's state in Sesamy.
//!
//! [`credentials`] open one or many lists, [`mapping`] says what Make.as should
//! hold, [`client`] knows Make.as's calls, and [`sync`] their order.

pub mod client;
pub mod credentials;
pub mod mapping;
pub mod sync;

pub use credentials::MakeCredentials;
pub use sync::Make;
