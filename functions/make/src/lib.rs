//! The Make.as connector: makes a Make.as subscriber agree with a reader's state in Sesamy.
//!
//! [`mapping`] says what Make.as should hold.

pub mod mapping;
