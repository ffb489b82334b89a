//! The number of calls that a sync makes, which count against the rate limits of Sesamy
//! and the CRMs.

use conformance::{Bench, record};
use hubspot::HubSpot;
use mailchimp::Mailchimp;
use mailmojo::Mailmojo;
use make::Make;
use perf::{ApiCalls, PaymentState, user};
use rule::Rule;
use serde_json::json;
use shared::connector::Connector;

const USER: &str = "email|typical";

/// Handles one batch with these events of a user in this state.
async fn sync<C: Connector>(bench: &Bench<C>, payment: PaymentState, events: &[&str]) -> ApiCalls {
    bench.sesamy.put_user(user(USER, 5, payment));
    bench.fakes.clear_requests();
    let records = events.iter().map(|event| record(event, USER, event));
    assert_eq!(bench.handle(records).await, [""; 0]);
    assert_eq!(bench.queue.dead_letters(), []);
    assert_eq!(bench.fakes.violations(), []);
    ApiCalls::take(&bench.fakes)
}

#[derive(Debug, PartialEq)]
struct CallsOfSyncs {
    change: ApiCalls,
    no_change: ApiCalls,
    /// Ten events in one batch, with a change.
    burst: ApiCalls,
}

async fn syncs<C: Connector>(bench: Bench<C>) -> CallsOfSyncs {
    const BURST: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    sync(&bench, PaymentState::Paid, &["first"]).await;
    CallsOfSyncs {
        change: sync(&bench, PaymentState::Overdue, &["change"]).await,
        no_change: sync(&bench, PaymentState::Overdue, &["unchanged"]).await,
        burst: sync(&bench, PaymentState::Paid, &BURST).await,
    }
}

const fn calls(sesamy_reads: usize, crm: usize) -> ApiCalls {
    ApiCalls {
        sesamy_tokens: 0,
        sesamy_reads,
        crm,
    }
}

#[tokio::test]
async fn rule_gets_two_calls_and_one_per_stale_tag_and_two_per_repeated_event() {
    let bench = Bench::new(Rule::default()).await;
    bench.fakes.rule().add_account("account", "key");
    bench.put_connector_secret(&json!({ "apiKey": "key", "apiUrl": bench.fakes.urls().rule }));
    // All events have the same type, so each one first removes the tag of the previous
    // one. The burst also removes the tag of the overdue contract.
    let expected = CallsOfSyncs {
        change: calls(4, 2 + 2),
        no_change: calls(4, 2 + 2),
        burst: calls(4, 2 + 10 * 2 + 1),
    };
    assert_eq!(syncs(bench).await, expected);
}

#[tokio::test]
async fn mailmojo_gets_two_calls_or_one_without_a_change() {
    let bench = Bench::new(Mailmojo::default()).await;
    let account = bench.fakes.mailmojo().add_account("account", "token");
    account.add_list(42, "Users");
    bench.put_connector_secret(&json!({
        "apiToken": "token", "listId": "42", "apiUrl": bench.fakes.urls().mailmojo,
    }));
    let expected = CallsOfSyncs {
        change: calls(4, 2),
        no_change: calls(4, 1),
        burst: calls(4, 2),
    };
    assert_eq!(syncs(bench).await, expected);
}

#[tokio::test]
async fn make_gets_four_calls_or_three_without_a_change() {
    let bench = Bench::new(Make).await;
    let account = bench.fakes.make().add_account("account", "user", "key");
    account.add_list(77, "Users");
    bench.put_connector_secret(&json!({
        "userId": "user", "apiKey": "key", "listId": "77", "apiUrl": bench.fakes.urls().make,
    }));
    let expected = CallsOfSyncs {
        change: calls(3, 4),
        no_change: calls(3, 3),
        burst: calls(3, 4),
    };
    assert_eq!(syncs(bench).await, expected);
}

#[tokio::test]
async fn mailchimp_gets_a_read_and_what_differs_and_one_call_per_event() {
    let bench = Bench::new(Mailchimp::default()).await;
    let account = bench.fakes.mailchimp().add_account("account", "key");
    account.add_audience("list", "Users");
    bench.put_connector_secret(&json!({
        "apiKey": "key", "listId": "list", "newStatus": "subscribed",
        "apiUrl": bench.fakes.urls().mailchimp,
    }));
    let expected = CallsOfSyncs {
        // The change is one of tags alone.
        change: calls(4, 2 + 1),
        no_change: calls(4, 1 + 1),
        burst: calls(4, 2 + 10),
    };
    assert_eq!(syncs(bench).await, expected);
}

#[tokio::test]
async fn hubspot_gets_two_calls_or_one_without_a_change() {
    let bench = Bench::new(HubSpot::default()).await;
    bench.fakes.hubspot().add_account("account", "token");
    bench.put_connector_secret(&json!({
        "accessToken": "token", "apiUrl": bench.fakes.urls().hubspot,
    }));
    let expected = CallsOfSyncs {
        change: calls(4, 2),
        no_change: calls(4, 1),
        burst: calls(4, 2),
    };
    assert_eq!(syncs(bench).await, expected);
}
