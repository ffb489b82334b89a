//! What every CRM should hold of a reader, derived from the reader's state in Sesamy.
//!
//! Pure: no I/O, the clock passed in, the same output for the same input
//! whatever the order of contracts, entitlements and bills. Nothing here knows
//! a CRM: connectors map a [`Subscriber`] to their own fields.

mod subscriber;

pub use subscriber::*;
