//! What is remembered of a user between syncs, and when to look at the user again.
//!
//! Losing it is always safe: a sync without it does what the first sync of a user
//! does. So a table that does not answer never stops a sync; it is counted, and
//! the sync goes on as if the user were new.

mod event_bridge;
mod memory;
mod record;
mod shown;
mod table;
mod wake_ups;

pub use event_bridge::EventBridge;
pub(crate) use memory::{Claim, Unavailable};
pub use memory::{USER_TABLE_ERRORS, UserMemory, WAKE_UP_ERRORS};
pub use record::ContactReference;
pub(crate) use record::{MovingTo, UserRecord, address_digest};
pub(crate) use shown::Shown;
pub use table::{DynamoDb, TableResult, UserTable};
pub use wake_ups::{ScheduleError, ScheduleResult, WakeUp, WakeUps};
