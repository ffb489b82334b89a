//! Timestamps in the formats that the APIs write.

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimePrinter, tz};

/// `seconds` after `now`, but at most [`Timestamp::MAX`].
pub(crate) fn after(now: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    now.saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

/// The format of the `Date` and `Retry-After` headers in RFC 9110.
pub(crate) fn http_date(moment: Timestamp) -> String {
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&moment)
        // Only years after 9999 cannot be written in this format.
        .unwrap_or_else(|_| moment.to_string())
}

/// Rule's `Retry-After`: wall-clock time in Stockholm, without a zone.
pub(crate) fn stockholm(moment: Timestamp) -> String {
    const STOCKHOLM: tz::TimeZone = tz::get!("Europe/Stockholm");
    moment
        .to_zoned(STOCKHOLM)
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stockholm_follows_daylight_saving_time() {
        let summer: Timestamp = "2026-07-01T10:00:00Z".parse().unwrap();
        assert_eq!(http_date(summer), "Wed, 01 Jul 2026 10:00:00 GMT");
        assert_eq!(stockholm(summer), "2026-07-01 12:00:00");
        let winter: Timestamp = "2026-12-31T23:30:00Z".parse().unwrap();
        assert_eq!(stockholm(winter), "2027-01-01 00:30:00");
        assert_eq!(after(winter, u64::MAX), Timestamp::MAX);
    }
}
