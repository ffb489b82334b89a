//! APIs that asked to be left alone.

use bench::record;
use shared::http::Url;
use stand_ins::sesamy::User;
use stand_ins::{Api, Fault, RetryAfter};

use crate::scripted::{Step, USER, start};

#[tokio::test]
async fn while_sesamy_says_wait_others_of_the_vendor_are_put_back_without_a_call() {
    let (bench, _) = start().await;
    let wait = Fault::too_many_requests(RetryAfter::Body(600));
    bench.stand_ins.fault(wait.on(Api::Sesamy));
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    bench.stand_ins.clear_faults();
    bench.stand_ins.clear_requests();
    assert_eq!(bench.handle([record("2", "email|other", "b")]).await, ["2"]);
    assert_eq!(bench.stand_ins.requests().len(), 0);
    for (_, wait) in bench.queue.hidden() {
        assert!((595..=900).contains(&wait.as_secs()), "{wait:?}");
    }
}

#[tokio::test]
async fn while_the_crm_says_wait_sesamy_is_not_asked_for_others_of_the_vendor() {
    const OTHER: &str = "email|other";
    let (bench, crm) = start().await;
    let other = User::new(OTHER).email("bo@example.se");
    bench.sesamy.put_user(other);
    let wait = Fault::too_many_requests(RetryAfter::Seconds(600));
    bench.stand_ins.fault(wait.on(Api::Rule));
    let address: Url = bench.stand_ins.urls().rule.parse().unwrap();
    crm.script(USER, [Step::Call(address)]);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    assert_eq!(bench.stand_ins.requests_to(Api::Rule).len(), 1);
    bench.stand_ins.clear_requests();

    assert_eq!(bench.handle([record("2", OTHER, "b")]).await, ["2"]);
    assert_eq!(bench.stand_ins.requests().len(), 0);
    assert_eq!(crm.syncs(), [(USER.to_owned(), 1)]);
    for (_, wait) in bench.queue.hidden() {
        assert!((595..=900).contains(&wait.as_secs()), "{wait:?}");
    }
}
