//! Timestamps as Sesamy writes them.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};

/// Reads RFC 3339, or a date, which means its start in UTC.
///
/// Known: every sample of Sesamy's current API is RFC 3339 in UTC. Other forms
/// (epoch seconds as in its 2023 API, a time without an offset) could be misread
/// by hours or decades, so they are rejected. So is a year that `YYYY-MM-DD`, the
/// form of all outgoing dates, cannot write.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let timestamp = if is_date(text) {
        let date: Date = text.parse().ok()?;
        date.to_zoned(TimeZone::UTC).ok()?.timestamp()
    } else {
        text.parse().ok()?
    };
    let year = Offset::UTC.to_datetime(timestamp).year();
    (0..=9999).contains(&year).then_some(timestamp)
}

/// Whether a text has the form `YYYY-MM-DD`. jiff's parser also accepts a date
/// followed by a time without an offset.
fn is_date(text: &str) -> bool {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else {
        return false;
    };
    [y1, y2, y3, y4, m1, m2, d1, d2]
        .iter()
        .all(u8::is_ascii_digit)
}
