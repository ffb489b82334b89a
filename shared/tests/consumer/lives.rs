//! What a sync does with what is remembered of a user.

use aws_lambda_events::sqs::SqsMessage;
use conformance::{Bench, event, event_of, record, resync};
use fakes::Api;
use fakes::sesamy::{Contract, Entitlement, User};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use shared::identity::{UserId, VendorId};
use shared::message::UserKey;

use crate::scripted::{Scripted, Step, USER, start, status};

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn key(user: &str) -> UserKey {
    UserKey {
        vendor_id: VendorId::try_from(conformance::VENDOR).unwrap(),
        user_id: UserId::try_from(user).unwrap(),
    }
}

/// Handles a batch, and returns the outcomes that it counted.
async fn outcomes(bench: &Bench<Scripted>, batch: impl IntoIterator<Item = SqsMessage>) -> String {
    bench.metrics();
    assert_eq!(bench.handle(batch).await, [""; 0]);
    let metrics = bench.metrics();
    let known = ["synced", "unchanged", "covered", "skipped", "retry"];
    let counted = known
        .into_iter()
        .filter(|outcome| metrics.contains(&format!("\"{outcome}\"")));
    counted.collect::<Vec<_>>().join(",")
}

fn reads(bench: &Bench<Scripted>) -> usize {
    let reads = bench.fakes.requests_to(Api::Sesamy);
    let profiles = reads.iter().filter(|r| r.path.contains("/users/")).count();
    bench.fakes.clear_requests();
    profiles
}

fn with_access_until(at: Timestamp) -> User {
    let entitlement = Entitlement::new("e1", "sku", "Title").set("expiresAt", at.to_string());
    User::new(USER)
        .email("anna@example.se")
        .entitlement(entitlement)
}

#[tokio::test]
async fn webhook_received_four_seconds_before_the_last_read_is_covered() {
    for (before_read, covered) in [(60, true), (5, true), (2, false)] {
        let (bench, connector) = start().await;
        bench.synced(USER, "first").await;
        reads(&bench);
        let late = bench.received(SECOND * before_read, record("2", USER, "late"));
        let outcome = outcomes(&bench, [late]).await;
        assert_eq!(outcome, if covered { "covered" } else { "synced" });
        assert_eq!(reads(&bench), usize::from(!covered), "{before_read}");
        let delivered = if covered { vec![1] } else { vec![] };
        assert_eq!(connector.delivered(), delivered);
    }
}

#[tokio::test]
async fn resync_and_a_batch_with_a_new_webhook_are_not_covered() {
    let (bench, connector) = start().await;
    bench.synced(USER, "first").await;
    let old = |id: &str| bench.received(SECOND * 60, record(id, USER, id));
    assert_eq!(
        outcomes(&bench, [bench.received(HOUR, resync("1", USER))]).await,
        "synced"
    );
    assert_eq!(
        outcomes(&bench, [old("2"), resync("3", USER)]).await,
        "synced"
    );
    assert_eq!(
        outcomes(&bench, [old("4"), record("5", USER, "5")]).await,
        "synced"
    );
    assert_eq!(outcomes(&bench, [old("6"), old("7")]).await, "covered");
    assert_eq!(connector.delivered(), [2]);
}

#[tokio::test]
async fn failed_sync_covers_nothing() {
    let (bench, connector) = start().await;
    connector.script(USER, [Step::Fail(status(500))]);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    let late = bench.received(SECOND * 60, record("2", USER, "b"));
    assert_eq!(outcomes(&bench, [late]).await, "synced");
}

#[tokio::test]
async fn event_for_a_contact_that_is_gone_needs_a_sync() {
    let (bench, connector) = start().await;
    bench.synced(USER, "first").await;
    connector.lose_contacts();
    let late = bench.received(SECOND * 60, record("2", USER, "late"));
    assert_eq!(outcomes(&bench, [late]).await, "synced");
}

#[tokio::test]
async fn event_is_delivered_once_also_if_its_webhook_comes_again() {
    let (bench, connector) = start().await;
    bench.synced(USER, "a").await;
    bench.synced(USER, "a").await;
    let again = bench.received(SECOND * 60, record("3", USER, "a"));
    assert_eq!(outcomes(&bench, [again]).await, "covered");
    let events: Vec<_> = connector
        .syncs()
        .into_iter()
        .map(|(_, events)| events)
        .collect();
    assert_eq!(events, [1, 0]);
    assert_eq!(connector.delivered(), [0_usize; 0]);
}

#[tokio::test]
async fn event_delivered_before_a_failure_is_remembered() {
    let (bench, connector) = start().await;
    connector.script(USER, [Step::DeliverThenFail(1, status(500))]);
    let batch = || [record("1", USER, "a"), record("2", USER, "b")];
    assert_eq!(bench.handle(batch()).await, ["2"]);
    assert_eq!(bench.handle(batch()).await, [""; 0]);
    let events: Vec<_> = connector
        .syncs()
        .into_iter()
        .map(|(_, events)| events)
        .collect();
    assert_eq!(events, [2, 1]);
}

#[tokio::test]
async fn sync_reads_and_writes_the_table_as_rarely_as_possible() {
    let (bench, _) = start().await;
    // The user and the address: read, claimed and remembered.
    bench.synced(USER, "a").await;
    assert_eq!(bench.table.take_counts(), (2, 2, 0));
    // The address has its owner already.
    bench.synced(USER, "b").await;
    assert_eq!(bench.table.take_counts(), (2, 1, 0));
    // A resync that changes nothing.
    bench.resynced(USER).await;
    assert_eq!(bench.table.take_counts(), (2, 0, 0));
}

#[tokio::test]
async fn no_item_names_a_user_or_an_address() {
    let (bench, _) = start().await;
    bench
        .sesamy
        .put_user(with_access_until(Timestamp::now() + HOUR));
    bench.synced(USER, "a").await;
    for (key, text) in bench.table.items() {
        // The reference is the connector's.
        let text = text.replace("contact of anna@example.se", "");
        for personal in ["anna", "example", USER] {
            assert!(
                !key.contains(personal) && !text.contains(personal),
                "{key}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn user_without_a_table_is_synced_as_if_it_were_the_first_time() {
    let (bench, connector) = start().await;
    bench.table.fail(true);
    for event in ["a", "a"] {
        let late = bench.received(SECOND * 60, record("1", USER, event));
        assert_eq!(outcomes(&bench, [late]).await, "synced");
    }
    assert_eq!(connector.syncs().len(), 2);
    bench.table.fail(false);
    assert_eq!(outcomes(&bench, [record("1", USER, "c")]).await, "synced");
}

#[tokio::test]
async fn table_that_fails_is_counted_and_left_alone_for_a_while() {
    let (bench, _) = start().await;
    bench.table.fail(true);
    bench.synced(USER, "a").await;
    assert!(bench.metrics().contains("UserTableErrors"));
    bench.table.fail(false);
    bench.synced(USER, "b").await;
    assert_eq!(bench.table.take_counts(), (0, 0, 0));
}

#[tokio::test]
async fn sync_is_due_when_time_changes_the_result() {
    let (bench, connector) = start().await;
    let ends = bench.clock.now() + HOUR;
    bench.sesamy.put_user(with_access_until(ends));
    bench.synced(USER, "a").await;
    let at = bench.table.wake_up(&key(USER)).unwrap();
    assert!(at >= ends && at.duration_since(ends) <= SECOND, "{at}");

    // The same moment needs no new schedule.
    bench.table.take_counts();
    bench.synced(USER, "b").await;
    assert_eq!(bench.table.take_counts().2, 0);

    // A new moment replaces it.
    let later = ends + HOUR;
    bench.sesamy.put_user(with_access_until(later));
    bench.synced(USER, "c").await;
    assert!(bench.table.wake_up(&key(USER)).unwrap() >= later);

    bench.clock.advance(HOUR * 3);
    assert_eq!(bench.fire_wake_ups().await, 1);
    assert_eq!(connector.syncs().last(), Some(&(USER.to_owned(), 0)));
    assert_eq!(bench.table.wake_up(&key(USER)), None);
    assert_eq!(bench.fire_wake_ups().await, 0);
}

#[tokio::test]
async fn preview_tells_the_last_sync_and_the_next_wake_up() {
    let (bench, _) = start().await;
    let preview = async || {
        let vendor = conformance::VENDOR;
        let request = json!({ "action": "preview", "vendorId": vendor, "userId": USER });
        serde_json::to_value(bench.ask(request).await).unwrap()
    };
    let unknown = preview().await;
    assert_eq!(unknown.get("lastSync"), Some(&json!(null)), "{unknown}");
    assert_eq!(unknown.get("nextWakeUp"), Some(&json!(null)), "{unknown}");

    let ends = bench.clock.now() + HOUR;
    bench.sesamy.put_user(with_access_until(ends));
    let before = bench.clock.now();
    bench.synced(USER, "a").await;
    let synced = preview().await;
    let last: Timestamp = synced["lastSync"].as_str().unwrap().parse().unwrap();
    assert!(last >= before && last <= bench.clock.now(), "{synced}");
    let wake_up = bench.table.wake_up(&key(USER)).unwrap();
    assert_eq!(synced["nextWakeUp"], json!(wake_up), "{synced}");

    // It has fired, and its sync is not done yet.
    bench.clock.advance(HOUR * 2);
    assert_eq!(preview().await["nextWakeUp"], json!(null));

    // What is not known is left out.
    bench.table.fail(true);
    let answer = preview().await;
    assert_eq!(answer.get("lastSync"), None, "{answer}");
    assert_eq!(answer["outcome"], "would_sync", "{answer}");
}

#[tokio::test]
async fn wake_up_that_is_not_needed_any_more_is_cancelled() {
    let (bench, _) = start().await;
    bench
        .sesamy
        .put_user(with_access_until(bench.clock.now() + HOUR));
    bench.synced(USER, "a").await;
    bench
        .sesamy
        .put_user(User::new(USER).email("anna@example.se"));
    bench.synced(USER, "b").await;
    assert_eq!(bench.table.wake_up(&key(USER)), None);
}

/// EventBridge Scheduler refuses times in the past.
#[tokio::test]
async fn earliest_wake_up_is_in_a_minute_and_no_sync_puts_it_off() {
    let (bench, _) = start().await;
    let ends = bench.clock.now() + SECOND * 20;
    bench.sesamy.put_user(with_access_until(ends));
    bench.synced(USER, "a").await;
    let at = bench.table.wake_up(&key(USER)).unwrap();
    let wait = at.duration_since(bench.clock.now());
    assert!(wait > SECOND * 50 && wait <= SECOND * 61, "{wait}");
    bench.clock.advance(SECOND * 5);
    bench.synced(USER, "b").await;
    assert_eq!(bench.table.wake_up(&key(USER)), Some(at));
}

#[tokio::test]
async fn second_look_is_due_where_the_state_does_not_show_what_an_event_announced() {
    let contract = |id: &str| Contract::active(id).item("sku", "Title", "po", "Monthly");
    let entitlement = || Entitlement::new("e1", "sku", "Title").from_contract("c1");
    let user = || User::new(USER).email("anna@example.se");
    struct Case {
        name: &'static str,
        event: serde_json::Value,
        state: User,
        is_due: bool,
    }
    let purchased = json!({ "eventType": "contract.1#purchased", "contractId": "c1" });
    for case in [
        Case {
            name: "contract is missing",
            event: purchased.clone(),
            state: user(),
            is_due: true,
        },
        Case {
            name: "entitlement lags",
            event: purchased.clone(),
            state: user().contract(contract("c1")),
            is_due: true,
        },
        Case {
            name: "all is there",
            event: purchased,
            state: user().contract(contract("c1")).entitlement(entitlement()),
            is_due: false,
        },
        Case {
            name: "entitlement is missing",
            event: json!({ "eventType": "entitlement.1#new", "entitlementId": "e1" }),
            state: user(),
            is_due: true,
        },
        Case {
            name: "checkout without a contract",
            event: json!({ "eventType": "checkout.1#confirm", "checkoutId": "co1" }),
            state: user().contract(contract("c1")).entitlement(entitlement()),
            is_due: true,
        },
        Case {
            name: "nothing was announced",
            event: json!({ "eventType": "userVendor.1#update" }),
            state: user(),
            is_due: false,
        },
    ] {
        let name = case.name;
        let (bench, _) = start().await;
        bench.sesamy.put_user(case.state);
        let mut event = case.event;
        event["occurredAt"] = json!("2026-01-01T00:00:00Z");
        // Once as the event of a sync, and once covered by an earlier sync.
        let record = event_of("1", USER, "a", &event);
        assert_eq!(bench.handle([record.clone()]).await, [""; 0], "{name}");
        let wait = |bench: &Bench<Scripted>| {
            let at = bench.table.wake_up(&key(USER))?;
            Some(at.duration_since(bench.clock.now()).as_secs())
        };
        let is_due = |wait: Option<i64>| wait.is_some_and(|wait| (110..=121).contains(&wait));
        assert_eq!(is_due(wait(&bench)), case.is_due, "{name}");

        bench.clock.advance(SECOND * 300);
        bench.fire_wake_ups().await;
        assert!(!is_due(wait(&bench)), "{name}: one second look is enough");
        let covered = bench.received(SECOND * 400, record);
        assert_eq!(outcomes(&bench, [covered]).await, "covered", "{name}");
        assert_eq!(is_due(wait(&bench)), case.is_due, "{name}, covered");
    }
}

#[tokio::test]
async fn message_is_retried_while_its_wake_up_cannot_be_scheduled() {
    let (bench, connector) = start().await;
    bench
        .sesamy
        .put_user(with_access_until(bench.clock.now() + HOUR));
    bench.table.fail_schedules(Some(true));
    let batch = || {
        let old = bench.received(SECOND * 60, record("1", USER, "a"));
        [old, bench.received(SECOND * 60, record("2", USER, "b"))]
    };
    assert_eq!(bench.handle(batch()).await, ["2"]);
    assert!(bench.metrics().contains("WakeUpErrors"));
    bench.table.fail_schedules(None);
    let [_, last] = batch();
    assert_eq!(bench.handle([last]).await, [""; 0]);
    assert!(bench.table.wake_up(&key(USER)).is_some());
    let events: Vec<_> = connector
        .syncs()
        .into_iter()
        .map(|(_, events)| events)
        .collect();
    assert_eq!(events, [2, 0], "the events were delivered once");
}

/// Retries would not help, and every user of the connector is affected.
#[tokio::test]
async fn lasting_refusal_of_schedules_is_counted_and_stops_no_sync() {
    let (bench, _) = start().await;
    bench
        .sesamy
        .put_user(with_access_until(bench.clock.now() + HOUR));
    bench.table.fail_schedules(Some(false));
    bench.synced(USER, "a").await;
    assert!(bench.metrics().contains("WakeUpErrors"));
}

#[tokio::test]
async fn contact_of_the_earlier_address_is_moved() {
    let (bench, connector) = start().await;
    let user = |email: &str| User::new(USER).email(email);
    bench.synced(USER, "a").await;
    bench.sesamy.put_user(user("Anna@Example.se"));
    bench.synced(USER, "b").await;
    bench.sesamy.put_user(user("anna@new.se"));
    bench.synced(USER, "c").await;
    bench.synced(USER, "d").await;
    let earlier = [
        None,
        None,
        Some("contact of anna@example.se".to_owned()),
        None,
    ];
    assert_eq!(connector.earlier(), earlier);
    assert_eq!(connector.taken_off(), [""; 0]);
    assert_eq!(
        bench.table.items_of("address").len(),
        1,
        "the old one is released"
    );
}

#[tokio::test]
async fn contact_that_cannot_be_moved_loses_our_data() {
    let (bench, connector) = start().await;
    bench.synced(USER, "a").await;
    connector.take_all_addresses();
    bench.sesamy.put_user(User::new(USER).email("anna@new.se"));
    bench.synced(USER, "b").await;
    assert_eq!(connector.taken_off(), ["contact of anna@example.se"]);
}

#[tokio::test]
async fn failed_move_is_tried_again() {
    let (bench, connector) = start().await;
    bench.synced(USER, "a").await;
    bench.sesamy.put_user(User::new(USER).email("anna@new.se"));
    connector.script(USER, [Step::Fail(status(500))]);
    assert_eq!(bench.handle([record("1", USER, "b")]).await, ["1"]);
    bench.synced(USER, "b").await;
    let earlier = Some("contact of anna@example.se".to_owned());
    assert_eq!(connector.earlier(), [None, earlier.clone(), earlier]);
}

#[tokio::test]
async fn user_who_is_gone_loses_our_data_after_fifteen_minutes() {
    let (bench, connector) = start().await;
    bench
        .sesamy
        .put_user(User::new("other").email("other@example.se"));
    bench
        .sesamy
        .put_user(with_access_until(bench.clock.now() + HOUR));
    bench.synced(USER, "a").await;
    bench.sesamy.remove_user(USER);
    let just_now = |id| {
        let event = json!({ "eventType": "userVendor.1#update", "occurredAt": bench.clock.now() });
        event_of(id, USER, "b", &event)
    };
    assert_eq!(bench.handle([just_now("1")]).await, ["1"]);
    assert_eq!(connector.taken_off(), [""; 0]);

    let ago = bench.received(SECOND * 901, resync("1", USER));
    assert_eq!(outcomes(&bench, [ago.clone()]).await, "synced");
    assert_eq!(connector.taken_off(), ["contact of anna@example.se"]);
    assert_eq!(bench.table.items(), [].into());
    assert_eq!(bench.table.wake_up(&key(USER)), None);
    assert_eq!(outcomes(&bench, [ago]).await, "skipped", "nothing is left");
}

#[tokio::test]
async fn user_who_is_gone_is_retried_while_the_table_does_not_answer() {
    let (bench, _) = start().await;
    bench
        .sesamy
        .put_user(User::new("other").email("other@example.se"));
    bench.synced(USER, "a").await;
    bench.sesamy.remove_user(USER);
    bench.table.fail(true);
    let ago = bench.received(SECOND * 901, resync("1", USER));
    assert_eq!(bench.handle([ago]).await, ["1"]);
}

/// Two users with one address are one contact.
#[tokio::test]
async fn contact_of_a_shared_address_belongs_to_the_user_with_access() {
    const EMAIL: &str = "family@example.se";
    let with_access = |id: &str| {
        let entitlement = Entitlement::new("e", "sku", "Title");
        User::new(id).email(EMAIL).entitlement(entitlement)
    };
    let without = |id: &str| User::new(id).email(EMAIL);
    let (bench, connector) = start().await;
    let sync = async |user: User, id: &str| {
        let name = user.id.clone();
        bench.sesamy.put_user(user);
        outcomes(&bench, [record("1", &name, id)]).await
    };
    // Neither has access: the last one synced.
    assert_eq!(sync(without("a"), "1").await, "synced");
    assert_eq!(sync(without("b"), "2").await, "synced");
    // One has: the other is skipped.
    assert_eq!(sync(with_access("a"), "3").await, "synced");
    assert_eq!(sync(without("b"), "4").await, "skipped");
    // Both have: the last one synced.
    assert_eq!(sync(with_access("b"), "5").await, "synced");
    assert_eq!(sync(without("a"), "6").await, "skipped");
    // The owner leaves: the contact is no longer the other's to clear or move.
    bench.sesamy.put_user(User::new("a").email("a@example.se"));
    assert_eq!(outcomes(&bench, [record("1", "a", "7")]).await, "synced");
    assert_eq!(connector.taken_off(), [""; 0]);
    assert_eq!(connector.earlier().last(), Some(&None));
}

#[tokio::test]
async fn user_who_takes_an_address_of_another_leaves_nothing_at_the_earlier_one() {
    let (bench, connector) = start().await;
    let entitlement = Entitlement::new("e", "sku", "Title");
    let owner = User::new("owner")
        .email("family@example.se")
        .entitlement(entitlement);
    bench.sesamy.put_user(owner);
    bench.synced("owner", "1").await;
    bench.synced(USER, "2").await;
    bench
        .sesamy
        .put_user(User::new(USER).email("family@example.se"));
    assert_eq!(outcomes(&bench, [record("1", USER, "3")]).await, "skipped");
    assert_eq!(connector.taken_off(), ["contact of anna@example.se"]);
    assert_eq!(bench.table.items_of("user").len(), 1);
}

#[tokio::test]
async fn check_tells_whether_table_and_schedules_work() {
    let (bench, _) = start().await;
    let works = ["table of what is remembered", "schedules of wake-ups"];
    for what in works {
        let code = bench.check_code(what).await;
        assert_eq!(code, Some(shared::check::CheckCode::Works), "{what}");
    }
    bench.table.fail(true);
    bench.table.fail_schedules(Some(false));
    for what in works {
        let code = bench.check_code(what).await;
        assert_eq!(
            code,
            Some(shared::check::CheckCode::ApiUnreachable),
            "{what}"
        );
    }
}

#[tokio::test]
async fn preview_changes_nothing_of_what_is_remembered() {
    let (bench, _) = start().await;
    bench
        .sesamy
        .put_user(with_access_until(bench.clock.now() + HOUR));
    bench.preview(USER).await;
    assert_eq!(bench.table.items(), [].into());
    bench.synced(USER, "a").await;
    let (before, wake_up) = (bench.table.items(), bench.table.wake_up(&key(USER)));
    bench.sesamy.put_user(User::new(USER).email("anna@new.se"));
    bench.preview(USER).await;
    bench.sesamy.remove_user(USER);
    bench
        .sesamy
        .put_user(User::new("other").email("other@example.se"));
    bench.preview(USER).await;
    assert_eq!(bench.table.items(), before);
    assert_eq!(bench.table.wake_up(&key(USER)), wake_up);
}

#[tokio::test]
async fn forget_deletes_what_is_remembered_and_the_wake_up() {
    let (bench, _) = start().await;
    bench
        .sesamy
        .put_user(with_access_until(bench.clock.now() + HOUR));
    bench.synced(USER, "a").await;
    assert_eq!(bench.forget(USER, None).await.outcome, "forgotten");
    assert_eq!(bench.table.items(), [].into());
    assert_eq!(bench.table.wake_up(&key(USER)), None);

    bench.synced(USER, "b").await;
    bench.table.fail(true);
    assert_eq!(bench.forget(USER, None).await.outcome, "error");
}

#[tokio::test]
async fn forget_finds_the_contact_of_an_earlier_address_too() {
    let (bench, connector) = start().await;
    bench.synced(USER, "a").await;
    bench.sesamy.put_user(User::new(USER).email("anna@new.se"));
    let forgotten = bench.forget(USER, None).await;
    assert_eq!(forgotten.contacts.len(), 2);
    assert_eq!(connector.taken_off(), ["contact of anna@example.se"]);
}

#[tokio::test]
async fn event_type_of_a_covered_message_does_not_matter() {
    let (bench, connector) = start().await;
    bench.synced(USER, "first").await;
    let types = ["userVendor.1#new", "contract#cancelRequest"];
    let batch = types.map(|kind| bench.received(SECOND * 9, event(kind, USER, kind, kind)));
    assert_eq!(outcomes(&bench, batch).await, "covered");
    assert_eq!(connector.delivered(), [2]);
}
