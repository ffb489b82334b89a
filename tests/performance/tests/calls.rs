//! How many calls a sync makes, which is what Sesamy's limit and the CRMs'
//! patience are spent on. The numbers are exact, whatever the machine.

use bench::{Bench, record};
use mailmojo::Mailmojo;
use make::Make;
use performance::{Payment, reader};
use rule::Rule;
use serde_json::json;
use shared::consumer::Connector;
use stand_ins::Api;

const READER: &str = "email|typical";

/// Calls of Sesamy's Management API and of the CRM.
#[derive(Debug, PartialEq)]
struct Calls {
    reads: usize,
    crm: usize,
}

/// What is called for a reader with five contracts whose state this is, when
/// so many events of theirs come in one batch.
async fn sync<C: Connector>(
    bench: &Bench<C>,
    crm: Api,
    payment: Payment,
    events: &[&str],
) -> Calls {
    bench.sesamy.put_user(reader(READER, 5, payment));
    bench.stand_ins.clear_requests();
    let records = events.iter().map(|event| record(event, READER, event));
    assert_eq!(bench.handle(records).await, [""; 0]);
    assert_eq!(bench.queue.dead_letters(), []);
    assert_eq!(bench.stand_ins.violations(), []);
    Calls {
        reads: bench.stand_ins.requests_to(Api::Sesamy).len(),
        crm: bench.stand_ins.requests_to(crm).len(),
    }
}

/// After the first sync: of a change, of no change, and of a burst of ten
/// events that bring a change.
async fn syncs<C: Connector>(bench: Bench<C>, crm: Api) -> [Calls; 3] {
    const BURST: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    sync(&bench, crm, Payment::Made, &["first"]).await;
    [
        sync(&bench, crm, Payment::Overdue, &["change"]).await,
        sync(&bench, crm, Payment::Overdue, &["unchanged"]).await,
        sync(&bench, crm, Payment::Made, &BURST).await,
    ]
}

#[tokio::test]
async fn rule_is_called_twice_and_once_for_each_stale_tag_and_twice_for_each_repeated_event() {
    let bench = Bench::new(Rule::default()).await;
    bench.stand_ins.rule().add_account("account", "key");
    bench.put_connector_secret(&json!({ "apiKey": "key", "apiUrl": bench.stand_ins.urls().rule }));
    // Each event is of one type, so the tag of the one before is removed first.
    // The last change takes one tag away, that of the overdue contract.
    let expected = [(4, 2 + 2), (4, 2 + 2), (4, 2 + 10 * 2 + 1)];
    let expected = expected.map(|(reads, crm)| Calls { reads, crm });
    assert_eq!(syncs(bench, Api::Rule).await, expected);
}

#[tokio::test]
async fn mailmojo_is_called_twice_and_once_where_nothing_changed() {
    let bench = Bench::new(Mailmojo::default()).await;
    let account = bench.stand_ins.mailmojo().add_account("account", "token");
    account.add_list(42, "Readers");
    bench.put_connector_secret(&json!({
        "apiToken": "token", "listId": "42", "apiUrl": bench.stand_ins.urls().mailmojo,
    }));
    let expected = [(4, 2), (4, 1), (4, 2)].map(|(reads, crm)| Calls { reads, crm });
    assert_eq!(syncs(bench, Api::Mailmojo).await, expected);
}

#[tokio::test]
async fn make_is_called_four_times_and_three_times_where_the_subscriber_is_unchanged() {
    let bench = Bench::new(Make).await;
    let account = bench.stand_ins.make().add_account("account", "user", "key");
    account.add_list(77, "Readers");
    bench.put_connector_secret(&json!({
        "userId": "user", "apiKey": "key", "listId": "77", "apiUrl": bench.stand_ins.urls().make,
    }));
    let expected = [(3, 4), (3, 3), (3, 4)].map(|(reads, crm)| Calls { reads, crm });
    assert_eq!(syncs(bench, Api::Make).await, expected);
}
