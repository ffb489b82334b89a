//! How long an API asks to be left alone, in every form the APIs use.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::told::seconds;

/// How a wall-clock time is written, in a header as in a text.
const WALL_CLOCK: &str = "%Y-%m-%d %H:%M:%S";
const WALL_CLOCK_CHARACTERS: usize = "2026-05-14 14:22:16".len();

/// How long the answer asks to be left alone: the `Retry-After` header as
/// seconds, HTTP date or wall clock of `zone`, else what its JSON body `told`,
/// else a wall-clock time at the end of a text ("… continue at …").
/// Moments are compared with the answer's own `Date`, where it has one, so
/// that clocks that differ do no harm. `None` where nothing readable is said.
pub(super) fn wait(
    headers: &HeaderMap,
    told: Option<Duration>,
    body: &[u8],
    zone: Option<&TimeZone>,
    now: Timestamp,
) -> Option<Duration> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let server_now = header(DATE).and_then(http_date).unwrap_or(now);
    let until = |end: Timestamp| Duration::try_from(end.duration_since(server_now)).ok();

    header(RETRY_AFTER)
        .and_then(|text| {
            seconds(text)
                .or_else(|| http_date(text).and_then(until))
                .or_else(|| wall_clock(text, zone?).and_then(until))
        })
        .or(told)
        .or_else(|| {
            let text = std::str::from_utf8(body).ok()?;
            let text = text.trim_end().trim_end_matches('.');
            let at = text.len().checked_sub(WALL_CLOCK_CHARACTERS)?;
            wall_clock(text.get(at..)?, zone?).and_then(until)
        })
}

fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text.trim()).ok().map(|at| at.timestamp())
}

fn wall_clock(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let at = DateTime::strptime(WALL_CLOCK, text.trim()).ok()?;
    zone.to_timestamp(at).ok()
}

#[cfg(test)]
mod tests {
    use super::super::told::Told;
    use super::*;

    const STOCKHOLM: TimeZone = jiff::tz::get!("Europe/Stockholm");

    /// A name, headers, body, and the wait in seconds.
    type Case = (
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
        Option<u64>,
    );

    /// At 2026-05-14T12:12:16Z.
    const CASES: &[Case] = &[
        ("seconds", &[("retry-after", "120")], "", Some(120)),
        ("no wait at all", &[("retry-after", "0")], "", Some(0)),
        (
            "an HTTP date",
            &[("retry-after", "Thu, 14 May 2026 12:13:16 GMT")],
            "",
            Some(60),
        ),
        (
            "a wall clock in summer",
            &[("retry-after", "2026-05-14 14:22:16")],
            "",
            Some(600),
        ),
        (
            "a wall clock against the answer's own clock",
            &[
                ("retry-after", "2026-05-14 14:22:16"),
                ("date", "Thu, 14 May 2026 12:20:16 GMT"),
            ],
            "",
            Some(120),
        ),
        (
            "a wall clock in a text",
            &[],
            "Too Many Requests. You can continue at 2026-05-14 14:22:16.",
            Some(600),
        ),
        (
            "seconds in a JSON error",
            &[],
            r#"{"error":{"code":"rate_limit_exceeded","retry_after":60}}"#,
            Some(60),
        ),
        ("seconds in JSON", &[], r#"{"retry_after":"7"}"#, Some(7)),
        (
            "the header comes before the body",
            &[("retry-after", "5")],
            r#"{"retry_after":7}"#,
            Some(5),
        ),
        (
            "an unreadable header leaves the body",
            &[("retry-after", "soon")],
            r#"{"retry_after":7}"#,
            Some(7),
        ),
        (
            "a moment that is past",
            &[("retry-after", "Thu, 14 May 2026 12:00:00 GMT")],
            "",
            None,
        ),
        ("a negative number", &[("retry-after", "-1")], "", None),
        ("not a number", &[("retry-after", "NaN")], "", None),
        ("a text without a time", &[], "Too Many Requests", None),
        (
            "a text that ends in other letters",
            &[],
            "ååååååååååååååååååååååå",
            None,
        ),
        (
            "more seconds than there are",
            &[("retry-after", "1e300")],
            r#"{"retry_after":7}"#,
            Some(7),
        ),
        (
            "a thousand years",
            &[("retry-after", "31557600000")],
            "",
            Some(31_557_600_000),
        ),
        ("nothing", &[], "", None),
    ];

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn every_form_of_asking_to_wait_is_understood() {
        let now = "2026-05-14T12:12:16Z".parse().unwrap();
        for (name, pairs, body, seconds) in CASES {
            let body = body.as_bytes();
            let told = Told::read(body).retry_after;
            let wait = wait(&headers(pairs), told, body, Some(&STOCKHOLM), now);
            assert_eq!(wait, seconds.map(Duration::from_secs), "{name}");
        }
    }

    #[test]
    fn a_wall_clock_means_nothing_where_no_zone_is_known() {
        let now = "2026-05-14T12:12:16Z".parse().unwrap();
        let headers = headers(&[("retry-after", "2026-05-14 14:22:16")]);
        assert_eq!(wait(&headers, None, b"", None, now), None);
    }

    #[test]
    fn a_wall_clock_in_winter_is_an_hour_from_utc() {
        let now = "2026-01-14T12:12:16Z".parse().unwrap();
        let headers = headers(&[("retry-after", "2026-01-14 13:22:16")]);
        assert_eq!(
            wait(&headers, None, b"", Some(&STOCKHOLM), now),
            Some(Duration::from_secs(600))
        );
    }
}
