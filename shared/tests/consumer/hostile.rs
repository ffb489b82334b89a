//! The outcome of each kind of hostile or malformed answer.

use conformance::record;
use fakes::{Api, Fault, RetryAfter};
use serde_json::json;

use crate::scripted::{USER, start};

#[derive(Debug)]
enum Expected {
    Synced,
    /// Retried after a number of seconds in this range.
    Retried(u64, u64),
    /// Kind and status.
    DeadLetter(&'static str, Option<&'static str>),
}

const MALFORMED: Expected = Expected::DeadLetter("malformed_answer", None);
const MIB: usize = 1024 * 1024;

struct Case {
    name: &'static str,
    fault: Fault,
    expected: Expected,
}

const fn case(name: &'static str, fault: Fault, expected: Expected) -> Case {
    Case {
        name,
        fault,
        expected,
    }
}

fn asks(status: u16, header: &str) -> Fault {
    Fault::json(status, json!({})).header("retry-after", header)
}

fn cases() -> Vec<Case> {
    const MAPS: [&str; 3] = ["[", r#"{"":0},"#, "]"];
    vec![
        // Requested waits. A young message waits for at least half a minute.
        case("zero wait", asks(429, "0"), Expected::Retried(30, 60)),
        case("zero wait, 503", asks(503, "0"), Expected::Retried(30, 60)),
        case(
            "a negative wait",
            asks(429, "-5"),
            Expected::Retried(30, 60),
        ),
        case(
            "a wait in words",
            asks(429, "soon"),
            Expected::Retried(30, 60),
        ),
        case(
            "a number that overflows",
            asks(429, "1e300"),
            Expected::Retried(30, 60),
        ),
        // SQS keeps no message invisible for more than twelve hours.
        case(
            "a thousand years",
            asks(429, "31557600000"),
            Expected::Retried(42_300, 42_300),
        ),
        case(
            "a date in the past",
            asks(429, "Thu, 14 May 2020 12:00:00 GMT"),
            Expected::Retried(30, 60),
        ),
        case(
            "a header and a body that differ: the header wins",
            Fault::json(429, json!({ "error": { "retry_after": 5 } })).header("retry-after", "600"),
            Expected::Retried(600, 900),
        ),
        case(
            "an unreadable header and a readable body",
            Fault::json(429, json!({ "error": { "retry_after": 600 } }))
                .header("retry-after", "-1"),
            Expected::Retried(600, 900),
        ),
        case(
            "no stated wait",
            Fault::too_many_requests(RetryAfter::Missing),
            Expected::Retried(60, 90),
        ),
        // Malformed answers.
        case(
            "a redirect",
            Fault::text(302, "").header("location", "/users"),
            Expected::DeadLetter("rejected_by_api", Some("302")),
        ),
        case("two bodies in one", Fault::text(200, "[] []"), MALFORMED),
        case("no body", Fault::text(200, ""), MALFORMED),
        case("no content", Fault::text(204, ""), MALFORMED),
        case("null", Fault::json(200, json!(null)), MALFORMED),
        case(
            "half a body, then silence",
            Fault::silent(),
            Expected::Retried(30, 30),
        ),
        case(
            "half a body, then the end",
            Fault::truncated(),
            Expected::Retried(30, 30),
        ),
        case("ninety headers", Fault::headers(90), Expected::Synced),
        case(
            "a thousand headers",
            Fault::headers(1_000),
            Expected::Retried(30, 30),
        ),
        case(
            "compressed although not requested",
            Fault::compressed(),
            MALFORMED,
        ),
        // Too large.
        case("2 MiB of maps", Fault::flood(200, MAPS, 2 * MIB), MALFORMED),
        case("8 MiB of maps", Fault::flood(200, MAPS, 8 * MIB), MALFORMED),
        case(
            "1 MiB of brackets",
            Fault::flood(200, ["", "[", ""], MIB),
            MALFORMED,
        ),
        case(
            "2 MiB of one text",
            Fault::flood(200, ["[\"", "a", "\"]"], 2 * MIB),
            MALFORMED,
        ),
        case(
            "500 with 8 MiB",
            Fault::flood(500, MAPS, 8 * MIB),
            Expected::Retried(30, 30),
        ),
        case(
            "429 with 8 MiB",
            Fault::flood(429, MAPS, 8 * MIB),
            Expected::Retried(30, 60),
        ),
        case(
            "400 with 8 MiB",
            Fault::flood(400, MAPS, 8 * MIB),
            Expected::DeadLetter("rejected_by_api", Some("400")),
        ),
        case(
            "400 with 64 KiB of maps",
            Fault::flood(400, MAPS, 64 * 1024),
            Expected::DeadLetter("rejected_by_api", Some("400")),
        ),
    ]
}

#[tokio::test]
async fn every_hostile_answer_has_an_outcome() {
    for Case {
        name,
        fault,
        expected,
    } in cases()
    {
        let (bench, crm) = start().await;
        bench.fakes.fault(fault.on(Api::Sesamy).path("/contracts"));
        let failures = bench.handle([record("1", USER, "a")]).await;
        let dead_letters = bench.queue.dead_letters();
        let visibility_changes = bench.queue.visibility_changes();
        let is_expected = match (&expected, &*failures, &*dead_letters, &*visibility_changes) {
            (Expected::Synced, [], [], []) => crm.syncs().len() == 1,
            (Expected::DeadLetter(kind, status), [], [dead_letter], []) => {
                let (_, actual_kind, actual_status) = dead_letter;
                actual_kind == kind && actual_status.as_deref() == *status
            }
            (Expected::Retried(min, max), [_], [], [(_, wait)]) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                (*min..=*max).contains(&seconds)
            }
            _ => false,
        };
        assert!(
            is_expected,
            "{name}: {dead_letters:?} {visibility_changes:?} instead of {expected:?}"
        );
    }
}
