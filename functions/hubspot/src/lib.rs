//! The HubSpot connector: syncs a user's state from Sesamy to a HubSpot contact.

pub mod check;
pub mod client;
pub mod credentials;
pub mod forget;
mod limits;
pub mod mapping;
mod refusal;
pub mod schema;
pub mod sync;

pub use credentials::HubSpotCredentials;
pub use sync::HubSpot;
