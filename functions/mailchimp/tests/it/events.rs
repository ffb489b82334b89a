//! Events of a user are activity of the member.

use conformance::{EMAIL, USER, VENDOR, event, event_of, raw};
use fakes::mailchimp::{MailchimpSettings, Member, Status};
use fakes::{Api, Fault};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::message::EventType;

use crate::crm::{STATUSES, calls, daily_subscriber, put_secret, start};

/// The message of a webhook that was received a minute ago.
fn received_before(id: &str) -> String {
    let body = json!({
        "version": "1",
        "eventId": id,
        "vendorId": VENDOR,
        "userId": USER,
        "receivedAt": Timestamp::now() - SignedDuration::from_mins(1),
        "event": { "eventType": "checkout.1#confirm", "occurredAt": "2026-02-01T08:00:01.25Z" },
    });
    body.to_string()
}

#[tokio::test]
async fn each_event_of_a_batch_becomes_activity_once_and_in_order() {
    let (bench, audience) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    let checkout = json!({
        "eventType": "checkout.1#confirm", "occurredAt": "2026-02-01T08:00:01.25Z",
        "contractId": "c1", "checkoutId": "ch1",
    });
    let entitlement = json!({
        "eventType": "entitlement.1#new", "occurredAt": "2026-02-01T08:00:02Z",
        "entitlementId": "e1",
    });
    let batch = [
        event_of("1", USER, "a", &checkout),
        event_of("2", USER, "b", &entitlement),
        event_of("3", USER, "a", &checkout),
    ];
    assert_eq!(bench.handle(batch.clone()).await, [""; 0]);
    let events = audience.member(EMAIL).unwrap().events;
    let events: Vec<Value> = events.iter().map(|event| json!(event)).collect();
    let expected = [
        json!({
            "name": "sesamy_checkout_confirm",
            "properties": {
                "contract_id": "c1",
                "checkout_id": "ch1",
                "occurred_at": "2026-02-01T08:00:01Z",
            },
            "occurred_at": "2026-02-01T08:00:01Z",
            "is_syncing": false,
        }),
        json!({
            "name": "sesamy_entitlement_new",
            "properties": { "entitlement_id": "e1", "occurred_at": "2026-02-01T08:00:02Z" },
            "occurred_at": "2026-02-01T08:00:02Z",
            "is_syncing": false,
        }),
    ];
    assert_eq!(events, expected);
    assert_eq!(
        bench.handle(batch).await,
        [""; 0],
        "the webhooks come again"
    );
    assert_eq!(audience.member(EMAIL).unwrap().events.len(), 2);
}

#[tokio::test]
async fn every_type_of_event_has_a_name() {
    let (bench, audience) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    let batch = EventType::ALL.map(|kind| event(kind.name(), USER, kind.name(), kind.name()));
    assert_eq!(bench.handle(batch).await, [""; 0]);
    let mut names: Vec<_> = audience.member(EMAIL).unwrap().events;
    names.sort_by(|a, b| a.name.cmp(&b.name));
    let names: Vec<_> = names.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "sesamy_checkout_confirm",
            "sesamy_contract_cancel_request",
            "sesamy_contract_purchased",
            "sesamy_contract_update",
            "sesamy_entitlement_new",
            "sesamy_entitlement_update",
            "sesamy_user_vendor_new",
            "sesamy_user_vendor_update",
        ]
    );
}

#[tokio::test]
async fn without_the_setting_no_event_is_delivered() {
    let (bench, audience) = start().await;
    put_secret(&bench, "events", false);
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    bench.handle([raw("1", &received_before("old"))]).await;
    assert_eq!(audience.member(EMAIL).unwrap().events, []);
}

#[tokio::test]
async fn a_resync_starts_no_automation() {
    let (bench, audience) = start().await;
    let is_silent = |requests: Vec<fakes::RecordedRequest>| {
        let mut tags = requests.into_iter().filter(|r| r.path.ends_with("/tags"));
        tags.next()
            .unwrap()
            .body
            .unwrap()
            .get("is_syncing")
            .cloned()
    };
    bench.sesamy.put_user(daily_subscriber());
    bench.resynced(USER).await;
    let requests = bench.fakes.requests_to(Api::Mailchimp);
    assert_eq!(is_silent(requests), Some(json!(true)));
    assert_eq!(audience.member(EMAIL).unwrap().events, []);

    bench.fakes.clear_requests();
    bench.sesamy.put_user(conformance::anna());
    bench.synced(USER, "a").await;
    let requests = bench.fakes.requests_to(Api::Mailchimp);
    assert_eq!(is_silent(requests), None);
}

#[tokio::test]
async fn an_event_that_was_delivered_is_not_delivered_again_if_the_next_one_fails() {
    let (bench, audience) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    let fault = Fault::status(500)
        .on(Api::Mailchimp)
        .path("/lists/*/members/*/events");
    bench.fakes.fault(fault.skip(1).once());
    let batch = [
        event("1", USER, "a", "checkout.1#confirm"),
        event("2", USER, "b", "contract.1#purchased"),
    ];
    assert_eq!(bench.handle(batch.clone()).await, ["2"]);
    let [_, failed] = batch;
    assert_eq!(bench.handle([failed]).await, [""; 0]);
    let names: Vec<_> = audience
        .member(EMAIL)
        .unwrap()
        .events
        .into_iter()
        .map(|e| e.name)
        .collect();
    assert_eq!(
        names,
        ["sesamy_checkout_confirm", "sesamy_contract_purchased"]
    );
}

#[tokio::test]
async fn a_covered_event_is_one_read_and_one_call() {
    let (bench, audience) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    bench.fakes.clear_requests();
    assert_eq!(
        bench.handle([raw("1", &received_before("old"))]).await,
        [""; 0]
    );
    assert_eq!(bench.fakes.requests_to(Api::Sesamy), []);
    assert_eq!(
        calls(&bench),
        ["GET /lists/members", "POST /lists/members/events"]
    );
    assert_eq!(audience.member(EMAIL).unwrap().events.len(), 2);
}

#[tokio::test]
async fn a_covered_event_of_a_member_that_is_gone_is_synced_as_others() {
    let (bench, audience) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    audience.remove_member(EMAIL);
    assert_eq!(
        bench.handle([raw("1", &received_before("old"))]).await,
        [""; 0]
    );
    let member = audience.member(EMAIL).unwrap();
    assert_eq!(member.tags, ["sesamy_active_subscriber"]);
    assert_eq!(member.events.len(), 1);
}

#[tokio::test]
async fn all_members_but_archived_ones_have_activity() {
    for refuse_events in [false, true] {
        for status in STATUSES {
            let name = format!("{status:?} {refuse_events}");
            let (bench, audience) = start().await;
            audience.account().set_settings(MailchimpSettings {
                refuse_events,
                ..MailchimpSettings::default()
            });
            audience.put_member(Member::new(EMAIL).status(status));
            bench.sesamy.put_user(daily_subscriber());
            bench.synced(USER, "a").await;
            let member = audience.member(EMAIL).unwrap();
            let has_events = match refuse_events {
                true => status == Status::Subscribed,
                false => status != Status::Archived,
            };
            assert_eq!(!member.events.is_empty(), has_events, "{name}");
            assert_eq!(member.status, status, "{name}");
        }
    }
}

#[tokio::test]
async fn a_covered_event_of_an_archived_member_leaves_it_as_it_is() {
    let (bench, audience) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let archived = audience.member(EMAIL).unwrap().status(Status::Archived);
    audience.put_member(archived.clone());
    assert_eq!(
        bench.handle([raw("1", &received_before("old"))]).await,
        [""; 0]
    );
    assert_eq!(audience.member(EMAIL), Some(archived));
}
