//! Points in time in the words of RFC 3339, and in no others.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Reads an RFC 3339 date and time: date, `T`, time with seconds, an optional
/// fraction, and `Z` or an offset in hours and minutes.
///
/// Stricter than jiff, which also reads other forms of ISO 8601. As the RFC
/// has it, `t` and `z` may be small, a fraction may be of any length (beyond
/// nanoseconds it is cut off), and there may be a second 60 where UTC can have
/// a leap second, at the end of a month; it counts as the second before.
pub fn parse(text: &str) -> Option<Timestamp> {
    let mut rest = Rest(text.as_bytes());
    let year = rest.number(4)?;
    rest.one_of(b"-")?;
    let month = rest.two_digits()?;
    rest.one_of(b"-")?;
    let day = rest.two_digits()?;
    rest.one_of(b"Tt")?;
    let hour = rest.two_digits()?;
    rest.one_of(b":")?;
    let minute = rest.two_digits()?;
    rest.one_of(b":")?;
    let second = rest.two_digits()?;
    let nanosecond = match rest.one_of(b".") {
        Some(_) => rest.fraction()?,
        None => 0,
    };
    let offset = rest.offset()?;
    if !rest.0.is_empty() {
        return None;
    }
    let leap = second == 60;
    let second = if leap { 59 } else { second };
    let local = DateTime::new(year, month, day, hour, minute, second, nanosecond).ok()?;
    let timestamp = offset.to_timestamp(local).ok()?;
    (!leap || may_precede_leap_second(timestamp)).then_some(timestamp)
}

fn may_precede_leap_second(timestamp: Timestamp) -> bool {
    let utc = Offset::UTC.to_datetime(timestamp);
    (utc.hour(), utc.minute(), utc.date()) == (23, 59, utc.date().last_of_month())
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn one_of(&mut self, allowed: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        allowed.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn digit(&mut self) -> Option<i16> {
        self.one_of(b"0123456789")
            .map(|digit| i16::from(digit - b'0'))
    }

    /// A number of exactly so many digits, four at most.
    fn number(&mut self, digits: usize) -> Option<i16> {
        (0..digits).try_fold(0, |number, _| Some(number * 10 + self.digit()?))
    }

    fn two_digits(&mut self) -> Option<i8> {
        self.number(2).and_then(|number| number.try_into().ok())
    }

    /// The digits of a fraction, at least one, in nanoseconds.
    fn fraction(&mut self) -> Option<i32> {
        let mut nanoseconds = 0;
        let mut unit = 100_000_000;
        let mut digit = self.digit()?;
        loop {
            nanoseconds += i32::from(digit) * unit;
            unit /= 10;
            match self.digit() {
                Some(next) => digit = next,
                None => return Some(nanoseconds),
            }
        }
    }

    fn offset(&mut self) -> Option<Offset> {
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(Offset::UTC),
        };
        let hours = self.number(2).filter(|hours| *hours <= 23)?;
        self.one_of(b":")?;
        let minutes = self.number(2).filter(|minutes| *minutes <= 59)?;
        let seconds = (i32::from(hours) * 60 + i32::from(minutes)) * 60;
        Offset::from_seconds(sign * seconds).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc_3339_is_read_as_the_instant_it_names() {
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
    fn what_is_not_rfc_3339_is_no_timestamp() {
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
        fn what_is_read_is_also_what_jiff_reads(text in "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt][0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?([Zz]|[+-][0-2][0-9]:[0-5][0-9])") {
            if let Some(timestamp) = parse(&text) {
                prop_assert_eq!(timestamp, text.parse().unwrap());
            }
        }

        #[test]
        fn every_instant_in_its_usual_form_is_read(second in -62_167_219_200_i64..253_402_207_200, nanosecond in 0..1_000_000_000) {
            let timestamp = Timestamp::new(second, nanosecond).unwrap();
            prop_assert_eq!(parse(&timestamp.to_string()), Some(timestamp));
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
