//! Readers who are synced alone, and what is left where the function dies of one.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lambda_events::sqs::SqsMessage;
use bench::record;
use stand_ins::Api;
use stand_ins::sesamy::{Contract, User};

use crate::scripted::{Step, start};

/// How long an invocation lives of which the function dies.
const UNTIL_DEATH: Duration = Duration::from_secs(1);

/// A message of a reader that was received so many times.
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
async fn a_message_the_function_dies_of_takes_nobody_with_it() {
    let (bench, crm) = start().await;
    let users = ["email|a", "email|b", "email|c", "email|poison", "email|z"];
    for user in users {
        bench
            .sesamy
            .put_user(User::new(user).email(&format!("{}@example.se", &user[6..])));
    }
    // It hangs until the function is gone, each time.
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
        // The function dies: whatever it did not settle with the queue comes back.
        let lived = tokio::time::timeout(UNTIL_DEATH, bench.handle(batch)).await;
        assert!(lived.is_err(), "nothing killed the function");
        let deleted = bench.queue.deleted();
        counts.retain(|user, _| !deleted.contains(&receipt(user)));
    }
    assert_eq!(counts.keys().collect::<Vec<_>>(), [&"email|poison"]);
    assert!(deliveries > 3, "the first three are handled together");
}

#[tokio::test]
async fn what_was_received_often_begins_once_all_others_are_settled() {
    let (bench, crm) = start().await;
    for user in ["email|new", "email|busy", "email|poison"] {
        bench.sesamy.put_user(User::new(user).email("a@example.se"));
    }
    crm.script("email|poison", [Step::Hang]);
    let busy = crate::scripted::error(shared::http::Fault::Timeout);
    crm.script("email|busy", [Step::Fail(busy)]);
    let batch = [
        received("email|poison", 4),
        received("email|new", 1),
        received("email|busy", 3),
        bench::raw("5", "not a message"),
    ];
    let lived = tokio::time::timeout(UNTIL_DEATH, bench.handle(batch)).await;
    assert!(lived.is_err(), "nothing killed the function");
    let mut deleted = bench.queue.deleted();
    deleted.sort();
    assert_eq!(deleted, ["receipt-5".to_owned(), receipt("email|new")]);
    let hidden: Vec<_> = bench.queue.hidden().into_iter().map(|(r, _)| r).collect();
    assert_eq!(hidden, [receipt("email|busy")]);
    assert_eq!(bench.queue.dead_letters().len(), 1);
}

#[tokio::test]
async fn who_lives_through_it_is_done_as_always() {
    let (bench, crm) = start().await;
    for user in ["email|a", "email|b", "email|c"] {
        bench.sesamy.put_user(User::new(user).email("a@example.se"));
    }
    let busy = crate::scripted::error(shared::http::Fault::Timeout);
    crm.script("email|b", [Step::Fail(busy)]);
    let batch = [
        received("email|a", 900),
        received("email|b", 900),
        received("email|c", 1),
    ];
    assert_eq!(bench.handle(batch).await, ["email|b"]);
    assert_eq!(crm.syncs().len(), 3);
    assert_eq!(bench.queue.hidden().len(), 1);
}

#[tokio::test]
async fn a_reader_too_large_to_be_held_beside_others_is_synced_alone_after_them() {
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
        let requests = bench.stand_ins.requests_to(Api::Sesamy).into_iter();
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

    // Who comes alone is read once, and nothing is deleted by the function.
    bench.stand_ins.clear_requests();
    let failures = bench.handle([received("email|large", 1)]).await;
    assert_eq!(failures, [""; 0]);
    assert_eq!((first_pages(), bench.queue.deleted().len()), (1, 2));
}
