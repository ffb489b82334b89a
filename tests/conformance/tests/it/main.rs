//! A sixth connector, to a small invented CRM: all that a new CRM needs, and that the
//! laws need to test it. And the laws themselves are tested by connectors that break
//! them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod check;
mod conformance;
mod crm;
mod fake;
mod flawed;
mod flaws;
mod toy;
