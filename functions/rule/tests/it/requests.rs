//! The exact requests for readers of every kind, to be reviewed as snapshots.

use bench::{Bench, transcripts};
use rule::Rule;
use serde_json::json;
use stand_ins::Api;

async fn start() -> Bench<Rule> {
    let bench = Bench::new(Rule::default()).await;
    bench.stand_ins.rule().add_account("account", "key");
    bench.put_connector_secret(&json!({ "apiKey": "key", "apiUrl": bench.stand_ins.urls().rule }));
    bench
}

#[tokio::test]
async fn the_requests_for_each_reader_are_those_reviewed() {
    for (name, transcript) in transcripts(start, Api::Rule).await {
        insta::assert_json_snapshot!(name, transcript);
    }
}
