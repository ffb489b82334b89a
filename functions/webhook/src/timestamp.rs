//! RFC 3339 date-times, a strict subset of what jiff reads.

use jiff::Timestamp;
use jiff::tz::Offset;

/// A digit stands for any digit; other characters match in either case.
const DATE_TIME: &str = "0000-00-00T00:00:00";
const OFFSET: &str = "+00:00";

/// A point and nine digits. jiff rejects more; RFC 3339 sets no limit.
const MAX_FRACTION: usize = 10;

/// Reads a date, `T`, a time with seconds, an optional fraction, and `Z` or an offset.
///
/// Truncates the fraction to nanoseconds. Reads second 60 as second 59, and only
/// where UTC can have a leap second: at the end of a month.
pub fn parse(text: &str) -> Option<Timestamp> {
    let (date_time, rest) = text.split_at_checked(DATE_TIME.len())?;
    let (fraction, offset) = rest.split_at(rest.find(['Z', 'z', '+', '-'])?);
    if !has_shape(date_time, DATE_TIME) || !is_fraction(fraction) || !is_offset(offset) {
        return None;
    }
    let fraction = fraction.get(..MAX_FRACTION).unwrap_or(fraction);
    let timestamp = format!("{date_time}{fraction}{offset}").parse().ok()?;
    (!date_time.ends_with(":60") || may_precede_leap_second(timestamp)).then_some(timestamp)
}

fn is_fraction(text: &str) -> bool {
    text.is_empty()
        || text.strip_prefix('.').is_some_and(|digits| {
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
}

fn is_offset(text: &str) -> bool {
    let numeric = text.replacen('-', "+", 1);
    has_shape(text, "Z") || (has_shape(&numeric, OFFSET) && numeric.as_str() < "+24:00")
}

fn has_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, expected)| {
            byte.eq_ignore_ascii_case(&expected)
                || (byte.is_ascii_digit() && expected.is_ascii_digit())
        })
}

fn may_precede_leap_second(timestamp: Timestamp) -> bool {
    let utc = Offset::UTC.to_datetime(timestamp);
    (utc.hour(), utc.minute(), utc.date()) == (23, 59, utc.date().last_of_month())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc_3339_text_is_read_as_its_instant() {
        let cases = [
            ("2025-11-10T12:00:00Z", "2025-11-10T12:00:00Z"),
            ("2025-11-10t12:00:00z", "2025-11-10T12:00:00Z"),
            ("2025-11-10T12:00:00.5Z", "2025-11-10T12:00:00.5Z"),
            (
                "2025-11-10T12:00:00.123456789Z",
                "2025-11-10T12:00:00.123456789Z",
            ),
            (
                "2025-11-10T12:00:00.1234567899999Z",
                "2025-11-10T12:00:00.123456789Z",
            ),
            ("2025-11-10T12:00:00.000Z", "2025-11-10T12:00:00Z"),
            ("2025-11-10T13:00:00+01:00", "2025-11-10T12:00:00Z"),
            ("2025-11-10T00:30:00-11:30", "2025-11-10T12:00:00Z"),
            ("2025-11-10T12:00:00-00:00", "2025-11-10T12:00:00Z"),
            ("2025-11-11T11:59:00+23:59", "2025-11-10T12:00:00Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
            ("2016-12-31T15:59:60.5-08:00", "2016-12-31T23:59:59.5Z"),
        ];
        for (text, instant) in cases {
            assert_eq!(parse(text), Some(instant.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn text_that_is_not_rfc_3339_is_refused() {
        let cases = [
            "",
            " ",
            "now",
            "2025-11-10",
            "1762776000",
            "2025-11-10T12:00:00",
            "2025-11-10T12:00Z",
            "2025-11-10T12Z",
            "2025-11-10 12:00:00Z",
            "2025-11-10_12:00:00Z",
            "20251110T120000Z",
            "2025-314T12:00:00Z",
            "2025-W46-1T12:00:00Z",
            "2025-11-10T12:00:00+01",
            "2025-11-10T12:00:00+0100",
            "2025-11-10T12:00:00+01:00:00",
            "2025-11-10T12:00:00+24:00",
            "2025-11-10T12:00:00+01:60",
            "2025-11-10T12:00:00\u{2212}01:00",
            "2025-11-10T12:00:00Z[Europe/Oslo]",
            "2025-11-10T12:00:00+01:00[Europe/Oslo]",
            "2025-11-10T12:00:00,5Z",
            "2025-11-10T12:00:00.Z",
            "2025-11-10T24:00:00Z",
            "2025-11-10T12:60:00Z",
            "2025-11-10T12:00:61Z",
            "2025-11-10T12:00:60Z",
            "2025-11-30T22:59:60Z",
            "2025-11-30T23:59:60+01:00",
            "2025-02-29T12:00:00Z",
            "2025-13-10T12:00:00Z",
            "2025-00-10T12:00:00Z",
            "2025-11-00T12:00:00Z",
            "12025-11-10T12:00:00Z",
            "+002025-11-10T12:00:00Z",
            "-002025-11-10T12:00:00Z",
            "25-11-10T12:00:00Z",
            "2025-1-10T12:00:00Z",
            " 2025-11-10T12:00:00Z",
            "2025-11-10T12:00:00Z ",
            "2025-11-10T12:00:00Z\n",
            "２０２５-11-10T12:00:00Z",
            "9999-12-31T23:59:59-23:59",
        ];
        for text in cases {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_instant_is_read_from_its_usual_form(second in -62_167_219_200_i64..253_402_207_200, nanosecond in 0..1_000_000_000) {
            let timestamp = Timestamp::new(second, nanosecond).unwrap();
            prop_assert_eq!(parse(&timestamp.to_string()), Some(timestamp));
        }

        #[test]
        fn no_text_causes_a_panic(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
