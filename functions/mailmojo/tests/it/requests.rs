//! The exact requests for readers of every kind, to be reviewed as snapshots.

use bench::{Bench, transcripts};
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
    for (name, transcript) in transcripts(start, Api::Mailmojo).await {
        insta::assert_json_snapshot!(name, transcript);
    }
}
