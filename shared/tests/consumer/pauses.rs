//! APIs that asked to wait.

use conformance::record;
use fakes::sesamy::User;
use fakes::{Api, Fault, RetryAfter};
use shared::http::Url;

use crate::scripted::{Step, USER, start};

#[tokio::test]
async fn no_call_is_made_for_a_vendor_while_sesamy_asks_to_wait() {
    let (bench, _) = start().await;
    let wait = Fault::too_many_requests(RetryAfter::Body(600));
    bench.fakes.fault(wait.on(Api::Sesamy));
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    bench.fakes.clear_faults();
    bench.fakes.clear_requests();
    assert_eq!(bench.handle([record("2", "email|other", "b")]).await, ["2"]);
    assert_eq!(bench.fakes.requests().len(), 0);
    for (_, wait) in bench.queue.visibility_changes() {
        assert!((595..=900).contains(&wait.as_secs()), "{wait:?}");
    }
}

#[tokio::test]
async fn sesamy_is_not_called_for_a_vendor_while_the_crm_asks_to_wait() {
    const OTHER: &str = "email|other";
    let (bench, crm) = start().await;
    let other = User::new(OTHER).email("bo@example.se");
    bench.sesamy.put_user(other);
    let wait = Fault::too_many_requests(RetryAfter::Seconds(600));
    bench.fakes.fault(wait.on(Api::Rule));
    let address: Url = bench.fakes.urls().rule.parse().unwrap();
    crm.script(USER, [Step::Call(address)]);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    assert_eq!(bench.fakes.requests_to(Api::Rule).len(), 1);
    bench.fakes.clear_requests();

    assert_eq!(bench.handle([record("2", OTHER, "b")]).await, ["2"]);
    assert_eq!(bench.fakes.requests().len(), 0);
    assert_eq!(crm.syncs(), [(USER.to_owned(), 1)]);
    for (_, wait) in bench.queue.visibility_changes() {
        assert!((595..=900).contains(&wait.as_secs()), "{wait:?}");
    }
}
