//! Users that are synced alone, and what returns if one kills the function.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lambda_events::sqs::SqsMessage;
use conformance::record;
use fakes::Api;
use fakes::sesamy::{Contract, User};

use crate::scripted::{Step, start};

const TIME_TO_KILL: Duration = Duration::from_secs(1);

fn received(user: &str, count: u32) -> SqsMessage {
    let mut record = record(user, user, user);
    let count = count.to_string();
    record
        .attributes
        .insert("ApproximateReceiveCount".into(), count);
    record
}

fn receipt(user: &str) -> String {
    format!("receipt-{user}")
}

#[tokio::test]
async fn message_that_kills_the_function_fails_alone() {
    let (bench, crm) = start().await;
    let users = ["email|a", "email|b", "email|c", "email|poison", "email|z"];
    for user in users {
        bench
            .sesamy
            .put_user(User::new(user).email(&format!("{}@example.se", &user[6..])));
    }
    // Hangs each time until the function is killed.
    crm.script("email|poison", vec![Step::Hang; 1_000]);
    let mut counts: BTreeMap<&str, u32> = users.map(|user| (user, 0)).into();
    let mut deliveries = 0;
    while counts.len() > 1 {
        deliveries += 1;
        assert!(deliveries < 40, "{counts:?} are left");
        for count in counts.values_mut() {
            *count += 1;
        }
        let batch = counts.iter().map(|(user, count)| received(user, *count));
        // The function is killed. Every message not yet settled with SQS returns.
        let handled = tokio::time::timeout(TIME_TO_KILL, bench.handle(batch)).await;
        assert!(handled.is_err(), "the function was not killed");
        let deleted = bench.queue.deleted();
        counts.retain(|user, _| !deleted.contains(&receipt(user)));
    }
    assert_eq!(counts.keys().collect::<Vec<_>>(), [&"email|poison"]);
    assert!(deliveries > 3, "the first three are handled together");
}

#[tokio::test]
async fn often_received_message_begins_after_all_others_are_settled() {
    let (bench, crm) = start().await;
    for user in ["email|new", "email|slow", "email|poison"] {
        bench.sesamy.put_user(User::new(user).email("a@example.se"));
    }
    crm.script("email|poison", [Step::Hang]);
    let timeout = crate::scripted::error(shared::http::ApiErrorKind::Timeout);
    crm.script("email|slow", [Step::Fail(timeout)]);
    let batch = [
        received("email|poison", 4),
        received("email|new", 1),
        received("email|slow", 3),
        conformance::raw("5", "not a message"),
    ];
    let handled = tokio::time::timeout(TIME_TO_KILL, bench.handle(batch)).await;
    assert!(handled.is_err(), "the function was not killed");
    let mut deleted = bench.queue.deleted();
    deleted.sort();
    assert_eq!(deleted, ["receipt-5".to_owned(), receipt("email|new")]);
    let changes = bench.queue.visibility_changes().into_iter();
    let retried: Vec<_> = changes.map(|(receipt, _)| receipt).collect();
    assert_eq!(retried, [receipt("email|slow")]);
    assert_eq!(bench.queue.dead_letters().len(), 1);
}

#[tokio::test]
async fn suspect_that_does_not_kill_the_function_is_settled_normally() {
    let (bench, crm) = start().await;
    for user in ["email|a", "email|b", "email|c"] {
        bench.sesamy.put_user(User::new(user).email("a@example.se"));
    }
    let timeout = crate::scripted::error(shared::http::ApiErrorKind::Timeout);
    crm.script("email|b", [Step::Fail(timeout)]);
    let batch = [
        received("email|a", 900),
        received("email|b", 900),
        received("email|c", 1),
    ];
    assert_eq!(bench.handle(batch).await, ["email|b"]);
    assert_eq!(crm.syncs().len(), 3);
    assert_eq!(bench.queue.visibility_changes().len(), 1);
}

#[tokio::test]
async fn of_the_users_synced_alone_only_the_first_begins_after_eight_seconds() {
    let (bench, crm) = start().await;
    for user in ["email|slow", "email|a", "email|b", "email|c"] {
        bench.sesamy.put_user(User::new(user).email("a@example.se"));
    }
    crm.script("email|slow", [Step::DoAfter(Duration::from_millis(8_100))]);
    let batch = [
        received("email|slow", 1),
        received("email|a", 900),
        received("email|b", 900),
        received("email|c", 900),
    ];
    assert_eq!(bench.handle(batch).await.len(), 2);
    assert_eq!(crm.syncs().len(), 2, "the slow user's and one suspect's");
}

#[tokio::test]
async fn too_large_user_is_synced_alone_after_the_others() {
    let (bench, crm) = start().await;
    bench.sesamy.set_rate_limit(None);
    let contract = |n| Contract::active(&format!("c{n:04}"));
    let large = User::new("email|large").email("large@example.se");
    let large = (0..2_000).fold(large, |user, n| user.contract(contract(n)));
    bench.sesamy.put_user(large);
    for user in ["email|a", "email|b"] {
        bench.sesamy.put_user(User::new(user).email("a@example.se"));
    }
    let first_pages = || {
        let requests = bench.fakes.requests_to(Api::Sesamy).into_iter();
        let first = requests.filter(|request| {
            request.path == "/contracts"
                && request.query.contains("large")
                && request.query.contains("offset=0")
        });
        first.count()
    };
    let batch = ["email|large", "email|a", "email|b"].map(|user| received(user, 1));
    assert_eq!(bench.handle(batch).await, [""; 0]);
    assert_eq!(bench.queue.dead_letters(), []);
    let synced: Vec<_> = crm.syncs().into_iter().map(|(user, _)| user).collect();
    assert_eq!(synced.last().map(String::as_str), Some("email|large"));
    assert_eq!(synced.len(), 3);
    assert_eq!(first_pages(), 2, "once beside others, once alone");
    assert_eq!(bench.queue.deleted().len(), 2);

    // The only user of a batch is read once, and the function deletes nothing.
    bench.fakes.clear_requests();
    let failures = bench.handle([received("email|large", 1)]).await;
    assert_eq!(failures, [""; 0]);
    assert_eq!((first_pages(), bench.queue.deleted().len()), (1, 2));
}
