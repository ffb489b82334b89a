//! A stack that is upgraded while events arrive.

use std::time::Duration;

use futures_util::future;
use harness::Connector;

use crate::environment::run_test;

/// How many users have an event during the upgrade.
const USERS: u32 = 60;
const INTERVAL: Duration = Duration::from_millis(200);

#[test]
fn upgrade_during_traffic_loses_no_event() {
    run_test(async |env| {
        let publisher = env.publisher("upgraded");
        // The syncs exceed Sesamy's rate limit.
        publisher.sesamy.set_rate_limit(None);
        let stack = env.another_stack("e2e-upgrade").await?;
        // The local AWS kills a replaced function. Its messages become visible after this
        // timeout. The template's six minutes would be too long for a test.
        stack
            .set_queue_attribute(Connector::Rule, "VisibilityTimeout", "5")
            .await?;
        let email = |user: u32| format!("user-{user}.upgraded@example.com");
        let events = async {
            for number in 0..USERS {
                let user = format!("email|{number}");
                publisher.put_user(&user, &email(number));
                let body = publisher.webhook("userVendor.1#new", &user);
                publisher.post_until_accepted(&stack, &body).await?;
                tokio::time::sleep(INTERVAL).await;
            }
            Ok(())
        };
        future::try_join(events, env.upgrade("e2e-upgrade")).await?;

        for user in 0..USERS {
            let last = "sesamy_event_uservendor-new";
            publisher.tag_arrives(&email(user), last).await?;
        }
        let dead_letters = stack.dead_letter_depth(Connector::Rule).await?;
        assert_eq!(dead_letters.total(), 0);
        Ok(())
    });
}
