//! Stacks that the tests break.

use std::time::Duration;

use fakes::{Api, Fault};
use harness::{Connector, Function, WebhookReply, eventually};

use crate::environment::{SOON, run_test, text};

fn assert_unavailable(reply: &WebhookReply) {
    assert_eq!(reply.status, 503, "{reply:?}");
    let seconds = reply.retry_after.as_deref().map(str::parse::<u32>);
    assert!(matches!(seconds, Some(Ok(1..))), "{reply:?}");
}

#[test]
fn webhook_asks_sesamy_to_retry_without_its_secret_or_a_queue() {
    run_test(async |env| {
        let publisher = env.publisher("outage");
        let stack = env.another_stack("e2e-outage").await?;
        let body = publisher.webhook("userVendor.1#new", "email|anna");

        stack.delete_secret("webhook").await?;
        assert_unavailable(&publisher.post_to(&stack, &body).await?);

        env.store_secrets(&stack).await?;
        // The function caches for some seconds that the secret is missing.
        let reply = eventually("the secret to be read", SOON, async || {
            let reply = publisher.post_to(&stack, &body).await?;
            Ok((reply.status != 503).then_some(reply))
        });
        let reply = reply.await?;
        assert_eq!(text(&reply.body, "status"), "queued", "{reply:?}");

        stack.delete_queue(Connector::Rule).await?;
        let body = publisher.webhook("userVendor.1#update", "email|anna");
        assert_unavailable(&publisher.post_to(&stack, &body).await?);
        Ok(())
    });
}

#[test]
fn function_that_dies_during_a_sync_loses_nothing() {
    run_test(async |env| {
        let publisher = env.publisher("crash");
        let email = "bo.crash@example.com";
        publisher.put_user("email|bo", email);
        let stack = env.another_stack("e2e-crash").await?;
        // The killed function's messages become visible after this timeout. The
        // template's six minutes would be too long for a test.
        let rule = Connector::Rule;
        stack
            .set_queue_attribute(rule, "VisibilityTimeout", "12")
            .await?;
        let slow = Fault::slow(Duration::from_secs(20)).on(Api::Rule);
        let slow = slow.account(publisher.id).before_effect();
        env.fakes.fault(slow.once());

        let reply = publisher
            .post_to(&stack, &publisher.webhook("userVendor.1#new", "email|bo"))
            .await?;
        assert_eq!(reply.status, 202, "{reply:?}");
        eventually("the sync to begin", SOON, async || {
            Ok((!publisher.requests(Api::Sesamy).is_empty()).then_some(()))
        })
        .await?;
        assert_eq!(stack.kill_function(rule.function()).await?, 1);
        publisher
            .tag_arrives(email, "sesamy_event_uservendor-new")
            .await?;
        assert_eq!(stack.dead_letter_depth(rule).await?.total(), 0);

        // A killed webhook function is restarted too.
        assert_eq!(stack.kill_function(Function::Webhook).await?, 1);
        let body = publisher.webhook("userVendor.1#update", "email|bo");
        publisher.post_until_accepted(&stack, &body).await?;
        publisher
            .tag_arrives(email, "sesamy_event_uservendor-update")
            .await
    });
}
