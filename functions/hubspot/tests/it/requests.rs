//! The exact requests for users of every kind, reviewed as snapshots.

use crate::crm::HubSpotCrm;

#[tokio::test]
async fn requests_match_the_reviewed_snapshots() {
    for (name, transcript) in conformance::transcripts::<HubSpotCrm>().await {
        insta::assert_json_snapshot!(name, transcript);
    }
}
