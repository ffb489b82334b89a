//! Sesamy: the token endpoint and the Management API.

mod handle;
mod management;
mod model;
mod rate;
mod state;
mod token;

pub(crate) use management::{error_body, rate_limited};
pub(crate) use state::SesamyState;
pub(crate) use token::error_body as token_error_body;

pub use handle::{Sesamy, Vendor};
pub use model::{Address, Bill, Contract, Entitlement, User};
pub use rate::RateLimit;
pub use state::{
    AfterRead, EntitlementLag, Envelope, ListFault, Resource, SesamySeed, TokenGrant, VendorSeed,
    VendorSettings,
};
