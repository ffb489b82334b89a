//! Users that Sesamy does not know.

use conformance::{VENDOR, raw};
use fakes::sesamy::User;
use fakes::{Api, Fault};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::scripted::{USER, start};

fn event_from(minutes_ago: i64) -> aws_lambda_events::sqs::SqsMessage {
    let at = Timestamp::now() - SignedDuration::from_mins(minutes_ago);
    let body = json!({
        "version": "1",
        "eventId": "a",
        "vendorId": VENDOR,
        "userId": USER,
        "receivedAt": Timestamp::now().to_string(),
        "event": { "eventType": "contract.1#update", "occurredAt": at.to_string() },
    });
    raw("1", &body.to_string())
}

#[tokio::test]
async fn unknown_user_is_retried_for_a_quarter_of_an_hour() {
    struct Case {
        minutes: i64,
        has_others: bool,
        is_done: bool,
    }
    let cases = [
        Case {
            minutes: 0,
            has_others: true,
            is_done: false,
        },
        Case {
            minutes: 14,
            has_others: true,
            is_done: false,
        },
        Case {
            minutes: 16,
            has_others: true,
            is_done: true,
        },
        // Credentials that see no user at all are refused.
        Case {
            minutes: 16,
            has_others: false,
            is_done: false,
        },
    ];
    for case in cases {
        let (bench, crm) = start().await;
        bench.sesamy.remove_user(USER);
        if case.has_others {
            bench.sesamy.put_user(User::new("email|2"));
        }
        let failures = bench.handle([event_from(case.minutes)]).await;
        assert_eq!(
            failures.is_empty(),
            case.is_done,
            "{} minutes",
            case.minutes
        );
        assert_eq!(bench.queue.dead_letters(), []);
        assert_eq!(crm.syncs(), []);
    }
}

#[tokio::test]
async fn control_read_is_made_once_for_many_unknown_users() {
    let (bench, _) = start().await;
    for event in ["a", "b", "c"] {
        let failures = bench
            .handle([conformance::record("1", "email|none", event)])
            .await;
        assert_eq!(failures, [""; 0]);
    }
    let requests = bench.fakes.requests_to(Api::Sesamy);
    let control = requests
        .iter()
        .filter(|request| request.path.ends_with("/users"));
    assert_eq!(control.count(), 1);
}

/// 404s from something other than Sesamy.
fn foreign_404s() -> [Fault; 4] {
    [
        Fault::text(404, "<html>Not Found</html>"),
        Fault::text(404, ""),
        Fault::json(404, json!({ "message": "no Route matched" })),
        Fault::json(404, json!({ "error": { "code": "not_found" } })),
    ]
}

#[tokio::test]
async fn foreign_404_is_retried() {
    for (fault, path) in
        foreign_404s()
            .into_iter()
            .zip(["*", "/users/*", "/contracts", "/entitlements"])
    {
        let (bench, crm) = start().await;
        bench.fakes.fault(fault.on(Api::Sesamy).path(path));
        assert_eq!(bench.handle([event_from(60)]).await, ["1"], "{path}");
        assert_eq!(bench.queue.dead_letters(), [], "{path}");
        assert_eq!(crm.syncs(), [], "{path}");
    }
}

#[tokio::test]
async fn actions_report_a_foreign_404_as_a_wrong_address() {
    for fault in foreign_404s() {
        let (bench, crm) = start().await;
        bench.fakes.fault(fault.on(Api::Sesamy));
        let forgotten = serde_json::to_value(bench.forget(USER, None).await).unwrap();
        let preview = serde_json::to_value(bench.preview(USER).await).unwrap();
        for answer in [&forgotten, &preview] {
            assert_eq!(answer["outcome"], "error", "{answer}");
            assert_eq!(answer["error"]["code"], "refused", "{answer}");
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.contains("check apiUrl"), "{message}");
            assert_eq!(answer["contacts"], json!([]), "{answer}");
        }
        assert_eq!(crm.syncs(), []);
    }
}

#[tokio::test]
async fn foreign_404_of_the_control_read_is_retried() {
    let (bench, _) = start().await;
    bench.sesamy.remove_user(USER);
    bench.sesamy.put_user(User::new("email|2"));
    let [fault, ..] = foreign_404s();
    bench.fakes.fault(fault.on(Api::Sesamy).path("/users"));
    assert_eq!(bench.handle([event_from(60)]).await, ["1"]);
    assert_eq!(bench.queue.dead_letters(), []);
}
