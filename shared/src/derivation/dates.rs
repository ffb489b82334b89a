//! Dates as CRMs receive them.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

/// Decided. Known: CRMs receive dates as `YYYY-MM-DD`. Assumed: dates in UTC,
/// like Sesamy's own timestamps, so that every CRM shows the same day.
pub(super) fn utc(timestamp: Timestamp) -> Date {
    Offset::UTC.to_datetime(timestamp).date()
}
