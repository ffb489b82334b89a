//! A stack that is replaced while events flow.

use std::time::Duration;

use futures_util::future;
use local_aws::{Connector, eventually};
use stand_ins::User;

use crate::stage::{SOON, on_stage};

/// How many readers have an event while the stack is upgraded, and how far apart.
const READERS: u32 = 60;
const APART: Duration = Duration::from_millis(200);

#[test]
fn an_upgrade_while_events_flow_loses_none() {
    on_stage(async |stage| {
        let publisher = stage.publisher("upgraded");
        // So many at once are more than Sesamy allows in a minute.
        publisher.sesamy.set_rate_limit(None);
        let stack = stage.another_stack("e2e-upgrade").await?;
        // The local AWS ends a function that is replaced, whatever it is at;
        // that comes back after this. The template's six minutes are too long here.
        stack
            .set_queue_attribute(Connector::Rule, "VisibilityTimeout", "5")
            .await?;
        let email = |reader: u32| format!("reader-{reader}.upgraded@example.com");
        let events = async {
            for reader in 0..READERS {
                let user = format!("email|{reader}");
                publisher
                    .sesamy
                    .put_user(User::new(&user).email(&email(reader)));
                let body = publisher.webhook("userVendor.1#new", &user);
                // Who meets a function that is just replaced gets a 5xx, after
                // which Sesamy sends again.
                eventually("the webhook to be taken", SOON, async || {
                    let reply = publisher.post_to(&stack, &body).await?;
                    assert!(reply.status == 202 || reply.status >= 500, "{reply:?}");
                    Ok((reply.status == 202).then_some(()))
                })
                .await?;
                tokio::time::sleep(APART).await;
            }
            Ok(())
        };
        future::try_join(events, stage.upgrade("e2e-upgrade")).await?;

        for reader in 0..READERS {
            let last = "sesamy_event_uservendor-new";
            publisher.tag_arrives(&email(reader), last, SOON).await?;
        }
        let left = stack.dead_letter_depth(Connector::Rule).await?;
        assert_eq!(left.total(), 0);
        Ok(())
    });
}
