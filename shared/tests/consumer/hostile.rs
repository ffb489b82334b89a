//! The outcome of each kind of hostile or malformed answer.

use bench::record;
use serde_json::json;
use stand_ins::{Api, Fault, RetryAfter};

use crate::scripted::{USER, start};

/// What becomes of the event.
#[derive(Debug, Clone, PartialEq)]
enum Then {
    Synced,
    /// It waits for so many seconds, from and to.
    Waits(u64, u64),
    /// It is a dead letter of this kind and status.
    DeadLetter(&'static str, Option<&'static str>),
}

const MALFORMED: Then = Then::DeadLetter("malformed_answer", None);
const MIB: usize = 1024 * 1024;

/// One hostile answer: what it is, how it is made, what becomes of the event.
type Case = (&'static str, Fault, Then);

fn asks(status: u16, header: &str) -> Fault {
    Fault::json(status, json!({})).header("retry-after", header)
}

fn cases() -> Vec<Case> {
    const MAPS: [&str; 3] = ["[", r#"{"":0},"#, "]"];
    vec![
        // How long to wait. A young message waits for half a minute at least.
        ("no wait at all", asks(429, "0"), Then::Waits(30, 60)),
        ("no wait, 503", asks(503, "0"), Then::Waits(30, 60)),
        ("a negative wait", asks(429, "-5"), Then::Waits(30, 60)),
        ("a wait of words", asks(429, "soon"), Then::Waits(30, 60)),
        (
            "more than a number holds",
            asks(429, "1e300"),
            Then::Waits(30, 60),
        ),
        // No message can be hidden for longer than twelve hours.
        (
            "a thousand years",
            asks(429, "31557600000"),
            Then::Waits(42_300, 42_300),
        ),
        (
            "a date that is past",
            asks(429, "Thu, 14 May 2020 12:00:00 GMT"),
            Then::Waits(30, 60),
        ),
        (
            "a header and a body, which differ: the header counts",
            Fault::json(429, json!({ "error": { "retry_after": 5 } })).header("retry-after", "600"),
            Then::Waits(600, 900),
        ),
        (
            "a header that cannot be read and a body that can",
            Fault::json(429, json!({ "error": { "retry_after": 600 } }))
                .header("retry-after", "-1"),
            Then::Waits(600, 900),
        ),
        (
            "no word",
            Fault::too_many_requests(RetryAfter::Unsaid),
            Then::Waits(60, 90),
        ),
        // Answers that are none.
        (
            "a redirect, which is not followed",
            Fault::text(302, "").header("location", "/users"),
            Then::DeadLetter("rejected_by_api", Some("302")),
        ),
        (
            "a body and more behind it",
            Fault::text(200, "[] []"),
            MALFORMED,
        ),
        ("no body", Fault::text(200, ""), MALFORMED),
        ("no content", Fault::text(204, ""), MALFORMED),
        ("null", Fault::json(200, json!(null)), MALFORMED),
        (
            "half a body, then silence",
            Fault::silent(),
            Then::Waits(30, 30),
        ),
        (
            "half a body, then the end",
            Fault::truncated(),
            Then::Waits(30, 30),
        ),
        ("ninety headers", Fault::headers(90), Then::Synced),
        (
            "a thousand headers",
            Fault::headers(1_000),
            Then::Waits(30, 30),
        ),
        (
            "compressed though not asked",
            Fault::compressed(),
            MALFORMED,
        ),
        // Too much.
        ("2 MiB of maps", Fault::flood(200, MAPS, 2 * MIB), MALFORMED),
        ("8 MiB of maps", Fault::flood(200, MAPS, 8 * MIB), MALFORMED),
        (
            "1 MiB of brackets",
            Fault::flood(200, ["", "[", ""], MIB),
            MALFORMED,
        ),
        (
            "2 MiB of one text",
            Fault::flood(200, ["[\"", "a", "\"]"], 2 * MIB),
            MALFORMED,
        ),
        (
            "500 with 8 MiB",
            Fault::flood(500, MAPS, 8 * MIB),
            Then::Waits(30, 30),
        ),
        (
            "429 with 8 MiB",
            Fault::flood(429, MAPS, 8 * MIB),
            Then::Waits(30, 60),
        ),
        (
            "400 with 8 MiB",
            Fault::flood(400, MAPS, 8 * MIB),
            Then::DeadLetter("rejected_by_api", Some("400")),
        ),
        (
            "400 with 64 KiB of maps",
            Fault::flood(400, MAPS, 64 * 1024),
            Then::DeadLetter("rejected_by_api", Some("400")),
        ),
    ]
}

#[tokio::test]
async fn every_hostile_answer_has_an_outcome() {
    for (name, fault, expected) in cases() {
        let (bench, crm) = start().await;
        bench
            .stand_ins
            .fault(fault.on(Api::Sesamy).path("/contracts"));
        let failures = bench.handle([record("1", USER, "a")]).await;
        let (dead_letters, hidden) = (bench.queue.dead_letters(), bench.queue.hidden());
        let found = match (&*failures, &*dead_letters, &*hidden) {
            ([], [], []) if crm.syncs().len() == 1 => "synced".to_owned(),
            ([], [(_, kind, status)], []) => format!("dead letter: {kind} {status:?}"),
            ([_], [], [(_, wait)]) => format!("waits {}", wait.as_secs_f64().ceil()),
            other => format!("{other:?}"),
        };
        let is_expected = match &expected {
            Then::Synced => found == "synced",
            Then::DeadLetter(kind, status) => {
                found == format!("dead letter: {kind} {:?}", status.map(str::to_owned))
            }
            Then::Waits(from, to) => found
                .strip_prefix("waits ")
                .is_some_and(|wait| (*from..=*to).contains(&wait.parse().unwrap())),
        };
        assert!(is_expected, "{name}: {found} instead of {expected:?}");
    }
}
