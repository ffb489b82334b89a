//! Stacks that are broken on purpose.

use std::time::Duration;

use local_aws::{Connector, Function, Reply, eventually};
use stand_ins::{Api, Fault, User};

use crate::stage::{SOON, on_stage, text};

/// That Sesamy is told to come back.
fn assert_unavailable(reply: &Reply) {
    assert_eq!(reply.status, 503, "{reply:?}");
    let seconds = reply.retry_after.as_deref().map(str::parse::<u32>);
    assert!(matches!(seconds, Some(Ok(1..))), "{reply:?}");
}

#[test]
fn without_its_secret_or_a_queue_the_webhook_asks_sesamy_to_come_back() {
    on_stage(async |stage| {
        let publisher = stage.publisher("outage");
        let stack = stage.another_stack("e2e-outage").await?;
        let body = publisher.webhook("userVendor.1#new", "email|anna");

        stack.delete_secret("webhook").await?;
        assert_unavailable(&publisher.post_to(&stack, &body).await?);

        stage.store_secrets(&stack).await?;
        // What it knows of the missing secret may be kept for some seconds.
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
fn a_function_that_dies_in_the_middle_of_a_sync_loses_nothing() {
    on_stage(async |stage| {
        let publisher = stage.publisher("crash");
        let email = "bo.crash@example.com";
        publisher
            .sesamy
            .put_user(User::new("email|bo").email(email));
        let stack = stage.another_stack("e2e-crash").await?;
        // What it was at comes back after this; the template's six minutes are too long here.
        let rule = Connector::Rule;
        stack
            .set_queue_attribute(rule, "VisibilityTimeout", "5")
            .await?;
        let slow = Fault::slow(Duration::from_secs(20)).on(Api::Rule);
        let slow = slow.account(publisher.id).before_effect();
        stage.stand_ins.fault(slow.once());

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
            .tag_arrives(email, "sesamy_event_uservendor-new", SOON)
            .await?;
        assert_eq!(stack.dead_letter_depth(rule).await?.total(), 0);

        // The webhook's function as well is simply started again. Who meets
        // the dead one gets a 5xx, after which Sesamy sends again.
        assert_eq!(stack.kill_function(Function::Webhook).await?, 1);
        let body = publisher.webhook("userVendor.1#update", "email|bo");
        eventually("the webhook to be taken", SOON, async || {
            let reply = publisher.post_to(&stack, &body).await?;
            assert!(reply.status == 202 || reply.status >= 500, "{reply:?}");
            Ok((reply.status == 202).then_some(()))
        })
        .await?;
        publisher
            .tag_arrives(email, "sesamy_event_uservendor-update", SOON)
            .await
    });
}
