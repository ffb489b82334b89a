//! One user's state, as read from the Management API.
//!
//! Reading is tolerant, because the API is documented only in part and may
//! change: unknown fields are ignored, every enumeration is open, and an unusable
//! value is dropped without affecting others. [`Dropped`] counts unusable and
//! unknown values by path, so that a change at Sesamy shows in the log, not months
//! later as a wrong segment.
//!
//! Only fields that the derivation uses are read. Each type says where its form
//! comes from: *documented* by Sesamy, *seen* in Sesamy's published client
//! library, or *assumed*.

mod bill;
mod contract;
mod dropped;
mod entitlement;
mod object;
mod open_enum;
mod profile;

pub use bill::{Bill, BillStatus};
pub use contract::{
    Contract, ContractDuration, ContractItem, ContractStatus, PurchaseType, RecurringInterval,
};
pub use dropped::{Dropped, PathCounts};
pub use entitlement::{Entitlement, EntitlementType, OriginType};
pub use profile::{BillingAddress, Profile};

#[derive(Debug, Clone, Default, PartialEq)]
pub struct UserState {
    pub profile: Profile,
    /// Includes ended contracts and single purchases.
    pub contracts: Vec<Contract>,
    /// Includes ended entitlements.
    pub entitlements: Vec<Entitlement>,
    /// Also empty if the connector does not read bills.
    pub bills: Vec<Bill>,
}
