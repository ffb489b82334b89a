//! The exact requests for readers of every kind, to be reviewed as snapshots.

#![allow(clippy::unwrap_used, reason = "tests")]

use bench::{Bench, readers, record};
use mailmojo::Mailmojo;
use serde_json::json;
use stand_ins::Api;

async fn start() -> Bench<Mailmojo> {
    let bench = Bench::new(Mailmojo::default()).await;
    let account = bench.stand_ins.mailmojo().add_account("account", "token");
    account.add_list(42, "Readers");
    bench.put_connector_secret(&json!({
        "apiToken": "token",
        "listId": "42",
        "apiUrl": bench.stand_ins.urls().mailmojo,
    }));
    bench
}

#[tokio::test]
async fn the_requests_for_each_reader_are_those_reviewed() {
    for (name, states) in readers() {
        let bench = start().await;
        for state in states {
            let user = state.id.clone();
            bench.sesamy.put_user(state);
            assert_eq!(bench.handle([record("1", &user, "a")]).await, [""; 0]);
        }
        assert_eq!(bench.stand_ins.violations(), []);
        insta::assert_json_snapshot!(name, bench.transcript(Api::Mailmojo));
    }
}
