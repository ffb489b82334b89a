//! How long an API asks not to be called, in every form that the APIs use.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::error_body::parse_seconds;

const WALL_CLOCK: &str = "%Y-%m-%d %H:%M:%S";
const WALL_CLOCK_LENGTH: usize = "2026-05-14 14:22:16".len();

/// Tries, in this order: the `Retry-After` header as seconds, HTTP date or wall
/// clock of `zone`; what the JSON body states; a wall-clock time at the end of
/// a text body ("… continue at …").
///
/// Times are compared with the response's own `Date`, if it has one, so that
/// clock skew does not matter.
pub(super) fn parse(
    headers: &HeaderMap,
    stated_in_body: Option<Duration>,
    body: &[u8],
    zone: Option<&TimeZone>,
    now: Timestamp,
) -> Option<Duration> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let server_now = header(DATE).and_then(http_date).unwrap_or(now);
    let until = |end: Timestamp| Duration::try_from(end.duration_since(server_now)).ok();

    header(RETRY_AFTER)
        .and_then(|text| {
            parse_seconds(text)
                .or_else(|| http_date(text).and_then(until))
                .or_else(|| wall_clock(text, zone?).and_then(until))
        })
        .or(stated_in_body)
        .or_else(|| {
            let text = std::str::from_utf8(body).ok()?;
            let text = text.trim_end().trim_end_matches('.');
            let start = text.len().checked_sub(WALL_CLOCK_LENGTH)?;
            wall_clock(text.get(start..)?, zone?).and_then(until)
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
    use super::super::error_body::ErrorBody;
    use super::*;

    static STOCKHOLM: TimeZone = jiff::tz::get!("Europe/Stockholm");

    struct Case {
        name: &'static str,
        retry_after: Option<&'static str>,
        date: Option<&'static str>,
        body: &'static str,
        now: &'static str,
        zone: Option<&'static TimeZone>,
        seconds: Option<u64>,
    }

    const NONE: Case = Case {
        name: "nothing",
        retry_after: None,
        date: None,
        body: "",
        now: "2026-05-14T12:12:16Z",
        zone: Some(&STOCKHOLM),
        seconds: None,
    };

    const fn header(name: &'static str, value: &'static str, seconds: Option<u64>) -> Case {
        Case {
            name,
            retry_after: Some(value),
            seconds,
            ..NONE
        }
    }

    const fn body(name: &'static str, body: &'static str, seconds: Option<u64>) -> Case {
        Case {
            name,
            body,
            seconds,
            ..NONE
        }
    }

    const CASES: &[Case] = &[
        NONE,
        header("seconds", "120", Some(120)),
        header("no wait at all", "0", Some(0)),
        header("an HTTP date", "Thu, 14 May 2026 12:13:16 GMT", Some(60)),
        header("a wall clock in summer", "2026-05-14 14:22:16", Some(600)),
        Case {
            now: "2026-01-14T12:12:16Z",
            ..header("a wall clock in winter", "2026-01-14 13:22:16", Some(600))
        },
        Case {
            zone: None,
            ..header("a wall clock without a zone", "2026-05-14 14:22:16", None)
        },
        Case {
            name: "a wall clock against the response's own clock",
            retry_after: Some("2026-05-14 14:22:16"),
            date: Some("Thu, 14 May 2026 12:20:16 GMT"),
            seconds: Some(120),
            ..NONE
        },
        body(
            "a wall clock in a text",
            "Too Many Requests. You can continue at 2026-05-14 14:22:16.",
            Some(600),
        ),
        body(
            "seconds in a JSON error",
            r#"{"error":{"code":"rate_limit_exceeded","retry_after":60}}"#,
            Some(60),
        ),
        body("seconds in JSON", r#"{"retry_after":"7"}"#, Some(7)),
        Case {
            retry_after: Some("5"),
            ..body(
                "the header before the body",
                r#"{"retry_after":7}"#,
                Some(5),
            )
        },
        Case {
            retry_after: Some("soon"),
            ..body(
                "the body after an unreadable header",
                r#"{"retry_after":7}"#,
                Some(7),
            )
        },
        header("a time in the past", "Thu, 14 May 2026 12:00:00 GMT", None),
        header("a negative number", "-1", None),
        header("not a number", "NaN", None),
        body("a text without a time", "Too Many Requests", None),
        body(
            "a text that ends in other characters",
            "ååååååååååååååååååååååå",
            None,
        ),
        Case {
            retry_after: Some("1e300"),
            ..body(
                "more seconds than a duration holds",
                r#"{"retry_after":7}"#,
                Some(7),
            )
        },
        header("a thousand years", "31557600000", Some(31_557_600_000)),
    ];

    #[test]
    fn every_form_of_retry_after_is_parsed() {
        for case in CASES {
            let mut headers = HeaderMap::new();
            let pairs = [(RETRY_AFTER, case.retry_after), (DATE, case.date)];
            for (name, value) in pairs {
                headers.extend(value.map(|value| (name, value.parse().unwrap())));
            }
            let body = case.body.as_bytes();
            let stated = ErrorBody::parse(body).retry_after;
            let now = case.now.parse().unwrap();
            let wait = parse(&headers, stated, body, case.zone, now);
            assert_eq!(wait, case.seconds.map(Duration::from_secs), "{}", case.name);
        }
    }
}
