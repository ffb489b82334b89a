//! The outcome of each kind of hostile or malformed answer.

use conformance::record;
use fakes::{Api, Fault, RetryAfter};
use serde_json::json;

use crate::scripted::{USER, start};

#[derive(Debug, Clone, PartialEq)]
enum Expected {
    Synced,
    /// Retried after at least and at most so many seconds.
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
        case("no wait at all", asks(429, "0"), Expected::Retried(30, 60)),
        case("no wait, 503", asks(503, "0"), Expected::Retried(30, 60)),
        case(
            "a negative wait",
            asks(429, "-5"),
            Expected::Retried(30, 60),
        ),
        case(
            "a wait of words",
            asks(429, "soon"),
            Expected::Retried(30, 60),
        ),
        case(
            "more than a number holds",
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
            "a date that is past",
            asks(429, "Thu, 14 May 2020 12:00:00 GMT"),
            Expected::Retried(30, 60),
        ),
        case(
            "a header and a body, which differ: the header counts",
            Fault::json(429, json!({ "error": { "retry_after": 5 } })).header("retry-after", "600"),
            Expected::Retried(600, 900),
        ),
        case(
            "a header that cannot be read and a body that can",
            Fault::json(429, json!({ "error": { "retry_after": 600 } }))
                .header("retry-after", "-1"),
            Expected::Retried(600, 900),
        ),
        case(
            "no word",
            Fault::too_many_requests(RetryAfter::Missing),
            Expected::Retried(60, 90),
        ),
        // Malformed answers.
        case(
            "a redirect, which is not followed",
            Fault::text(302, "").header("location", "/users"),
            Expected::DeadLetter("rejected_by_api", Some("302")),
        ),
        case(
            "a body and more behind it",
            Fault::text(200, "[] []"),
            MALFORMED,
        ),
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
            "compressed though not asked",
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
        let found = match (&*failures, &*dead_letters, &*visibility_changes) {
            ([], [], []) if crm.syncs().len() == 1 => "synced".to_owned(),
            ([], [(_, kind, status)], []) => format!("dead_letter {kind} {status:?}"),
            ([_], [], [(_, wait)]) => format!("retried after {}", wait.as_secs_f64().ceil()),
            other => format!("{other:?}"),
        };
        let is_expected = match &expected {
            Expected::Synced => found == "synced",
            Expected::DeadLetter(kind, status) => {
                found == format!("dead_letter {kind} {:?}", status.map(str::to_owned))
            }
            Expected::Retried(from, to) => found
                .strip_prefix("retried after ")
                .is_some_and(|wait| (*from..=*to).contains(&wait.parse().unwrap())),
        };
        assert!(is_expected, "{name}: {found} instead of {expected:?}");
    }
}
