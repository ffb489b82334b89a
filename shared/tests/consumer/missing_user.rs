//! Users that Sesamy does not know.

use bench::{VENDOR, raw};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use stand_ins::sesamy::User;
use stand_ins::{Api, Fault};

use crate::scripted::{USER, start};

/// A record of an event that occurred so many minutes ago.
fn event_of(minutes: i64) -> aws_lambda_events::sqs::SqsMessage {
    let at = Timestamp::now() - SignedDuration::from_mins(minutes);
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
async fn an_unknown_user_is_asked_for_again_for_a_quarter_of_an_hour() {
    struct Case {
        minutes: i64,
        others: bool,
        is_done: bool,
    }
    let cases = [
        Case {
            minutes: 0,
            others: true,
            is_done: false,
        },
        Case {
            minutes: 14,
            others: true,
            is_done: false,
        },
        Case {
            minutes: 16,
            others: true,
            is_done: true,
        },
        // Credentials that see no user at all are refused.
        Case {
            minutes: 16,
            others: false,
            is_done: false,
        },
    ];
    for case in cases {
        let (bench, crm) = start().await;
        bench.sesamy.remove_user(USER);
        if case.others {
            bench.sesamy.put_user(User::new("email|2"));
        }
        let failures = bench.handle([event_of(case.minutes)]).await;
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
async fn the_control_read_is_made_once_for_many_unknown_users() {
    let (bench, _) = start().await;
    for event in ["a", "b", "c"] {
        let failures = bench
            .handle([bench::record("1", "email|none", event)])
            .await;
        assert_eq!(failures, [""; 0]);
    }
    let requests = bench.stand_ins.requests_to(Api::Sesamy);
    let control = requests
        .iter()
        .filter(|request| request.path.ends_with("/users"));
    assert_eq!(control.count(), 1);
}

/// Every 404 that is not Sesamy's own.
fn not_sesamys() -> [Fault; 4] {
    [
        Fault::text(404, "<html>Not Found</html>"),
        Fault::text(404, ""),
        Fault::json(404, json!({ "message": "no Route matched" })),
        Fault::json(404, json!({ "error": { "code": "not_found" } })),
    ]
}

#[tokio::test]
async fn a_404_that_is_not_sesamys_own_consumes_no_event() {
    for (fault, path) in
        not_sesamys()
            .into_iter()
            .zip(["*", "/users/*", "/contracts", "/entitlements"])
    {
        let (bench, crm) = start().await;
        bench.stand_ins.fault(fault.on(Api::Sesamy).path(path));
        assert_eq!(bench.handle([event_of(60)]).await, ["1"], "{path}");
        assert_eq!(bench.queue.dead_letters(), [], "{path}");
        assert_eq!(crm.syncs(), [], "{path}");
    }
}

#[tokio::test]
async fn who_asks_is_told_a_wrong_address_and_not_that_the_user_is_gone() {
    for fault in not_sesamys() {
        let (bench, crm) = start().await;
        bench.stand_ins.fault(fault.on(Api::Sesamy));
        let forgotten = serde_json::to_value(bench.forget(USER, None).await).unwrap();
        let preview = serde_json::to_value(bench.preview(USER).await).unwrap();
        for answer in [&forgotten, &preview] {
            assert_eq!(answer["outcome"], "error", "{answer}");
            assert_eq!(answer["error"]["code"], "refused", "{answer}");
            let told = answer["error"]["message"].as_str().unwrap();
            assert!(told.contains("check apiUrl"), "{told}");
            assert_eq!(answer["contacts"], json!([]), "{answer}");
        }
        assert_eq!(crm.syncs(), []);
    }
}

#[tokio::test]
async fn a_control_read_at_a_wrong_address_does_not_pass_for_a_user_who_is_gone() {
    let (bench, _) = start().await;
    bench.sesamy.remove_user(USER);
    bench.sesamy.put_user(User::new("email|2"));
    let [fault, ..] = not_sesamys();
    bench.stand_ins.fault(fault.on(Api::Sesamy).path("/users"));
    assert_eq!(bench.handle([event_of(60)]).await, ["1"]);
    assert_eq!(bench.queue.dead_letters(), []);
}
