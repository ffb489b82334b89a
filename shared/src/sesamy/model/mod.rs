//! Sesamy's read models: what its Management API says of one reader.
//!
//! Reading is tolerant, because the API is documented only in part and may
//! change: unknown fields are ignored, every enumeration is open, and one odd
//! value never costs a user the rest. What could not be used is left out and
//! counted in [`Dropped`] by its path, and so is a value that an enumeration
//! does not know, so that a change at Sesamy shows in the log instead of in a
//! wrong segment months later.
//!
//! Only what the derivation uses is read. Where the shapes come from is said
//! at each type: *documented* means a page of Sesamy's says so, *seen* means
//! Sesamy's published client library has it, *assumed* means neither.

mod bill;
mod contract;
mod dropped;
mod entitlement;
mod open_enum;
mod profile;
mod reader;
mod time;

pub use bill::{Bill, BillStatus};
pub use contract::{
    Contract, ContractDuration, ContractStatus, Item, PurchaseType, RecurringInterval,
};
pub use dropped::{Counts, Dropped};
pub use entitlement::{Entitlement, EntitlementType, OriginType};
pub use profile::{Address, Profile};

/// All that Sesamy says of one reader at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UserState {
    /// Who the reader is.
    pub profile: Profile,
    /// Subscriptions and single purchases, ended ones included.
    pub contracts: Vec<Contract>,
    /// What the reader has or had access to.
    pub entitlements: Vec<Entitlement>,
    /// Bills. Empty also where a connector has no use for them.
    pub bills: Vec<Bill>,
}
