//! The Mailmojo connector: makes a Mailmojo contact agree with a reader's state in Sesamy.
//!
//! [`mapping`] says what Mailmojo should hold.

pub mod mapping;
