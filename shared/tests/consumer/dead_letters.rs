//! Messages that are moved to the dead-letter queue.

use std::time::Duration;

use conformance::raw;

use crate::scripted::start;

#[tokio::test]
async fn dead_letter_that_cannot_be_moved_stays_in_the_queue() {
    let (bench, _) = start().await;
    bench.queue.refuse_dead_letter("2");
    let batch = ["1", "2", "3"].map(|id| raw(id, "poison"));
    assert_eq!(bench.handle(batch).await, ["2"]);
    let (receipt, wait) = bench.queue.visibility_changes().remove(0);
    assert_eq!(receipt, "receipt-2");
    assert!(wait >= Duration::from_secs(30), "{wait:?}");
    let dead_letters = bench.queue.dead_letters().into_iter().map(|(id, ..)| id);
    assert_eq!(dead_letters.collect::<Vec<_>>(), ["1", "3"]);
}

/// Ten separate calls could take longer than the time left to the invocation.
/// Messages that were already moved would then return and be moved again.
#[tokio::test]
async fn dead_letters_of_a_batch_are_moved_in_one_call() {
    let (bench, _) = start().await;
    let batch: Vec<_> = (0..10).map(|n| raw(&n.to_string(), "poison")).collect();
    assert_eq!(bench.handle(batch).await, [""; 0]);
    assert_eq!(bench.queue.dead_letters().len(), 10);
    assert_eq!(bench.queue.dead_letter_calls(), 1);
}

#[tokio::test]
async fn redriven_message_that_fails_again_is_not_a_duplicate() {
    let (bench, _) = start().await;
    let mut again = raw("1", "poison");
    again.receipt_handle = Some("another receipt".into());
    bench.handle([raw("1", "poison")]).await;
    bench.handle([again]).await;
    let ids = bench.queue.deduplication_ids();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}
