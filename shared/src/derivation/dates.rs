//! Dates as they go out.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

/// The date of a point in time in UTC.
///
/// Decided. Known: dates go out as `YYYY-MM-DD`. Assumed: in UTC, the zone of
/// Sesamy's own timestamps, so that every CRM shows the same day.
pub(super) fn utc(timestamp: Timestamp) -> Date {
    Offset::UTC.to_datetime(timestamp).date()
}
