//! The exact requests for readers of every kind, to be reviewed as snapshots.

use bench::{Bench, transcripts};
use make::Make;
use serde_json::json;
use stand_ins::Api;

async fn start() -> Bench<Make> {
    let bench = Bench::new(Make).await;
    let account = bench.stand_ins.make().add_account("account", "user", "key");
    account.add_list(77, "Readers");
    bench.put_connector_secret(&json!({
        "userId": "user",
        "apiKey": "key",
        "listId": "77",
        "apiUrl": bench.stand_ins.urls().make,
    }));
    bench
}

#[tokio::test]
async fn the_requests_for_each_reader_are_those_reviewed() {
    for (name, transcript) in transcripts(start, Api::Make).await {
        insta::assert_json_snapshot!(name, transcript);
    }
}
