//! One publisher's failing CRMs must not affect another publisher.

use std::time::{Duration, Instant};

use fakes::{Api, Fault, RetryAfter};
use harness::{Connector, eventually};

use crate::environment::run_test;

/// Users of the noisy publisher, enough for several batches.
const USERS: usize = 40;

/// How many failed syncs show that the publisher's CRMs are failing.
const FAILED_SYNCS: usize = 5;

/// Longer than the queue's delay and the longest call.
const FAILURE_TIMEOUT: Duration = Duration::from_secs(90);

/// How long the other publisher's event may take, including the queue's delay.
const MAX_DELAY: Duration = Duration::from_secs(20);

fn email(user: usize) -> String {
    format!("user-{user}.noisy@example.com")
}

#[test]
fn failing_crms_of_one_publisher_do_not_delay_another() {
    run_test(async |env| {
        let (noisy, neighbour) = (env.publisher("noisy"), env.publisher("neighbour"));
        let stack = env.another_stack("e2e-noisy").await?;
        noisy.other_crms_of(&stack).await?;
        let (mailmojo, make) = neighbour.other_crms_of(&stack).await?;
        let faults = [
            Fault::slow(Duration::from_secs(60)).on(Api::Rule),
            Fault::slow(Duration::from_secs(9)).on(Api::Mailmojo),
            Fault::too_many_requests(RetryAfter::Seconds(0)).on(Api::Make),
            Fault::slow(Duration::from_secs(60)).on(Api::Mailchimp),
            Fault::too_many_requests(RetryAfter::Seconds(0)).on(Api::HubSpot),
        ];
        let faults = faults.map(|fault| {
            let fault = fault.account(noisy.id).before_effect();
            env.fakes.fault(fault)
        });
        let gerd = "gerd.neighbour@example.com";
        neighbour.put_user("email|gerd", gerd);

        for user in 0..USERS {
            let id = format!("email|{user}");
            noisy.put_user(&id, &email(user));
            let body = noisy.webhook("userVendor.1#new", &id);
            let reply = noisy.post_to(&stack, &body).await?;
            assert_eq!(reply.status, 202, "{reply:?}");
        }
        for connector in Connector::ALL {
            eventually(
                "the noisy publisher's syncs to fail",
                FAILURE_TIMEOUT,
                async || {
                    let logs = stack.logs(connector.function()).await?;
                    let failed = logs.iter().filter(|line| {
                        line.contains("\"vendor_id\":\"noisy\"")
                            && line.contains("\"outcome\":\"retry\"")
                    });
                    Ok((failed.count() >= FAILED_SYNCS).then_some(()))
                },
            )
            .await?;
        }

        let body = neighbour.webhook("userVendor.1#new", "email|gerd");
        let posted = Instant::now();
        let reply = neighbour.post_to(&stack, &body).await?;
        assert_eq!(reply.status, 202, "{reply:?}");
        neighbour
            .tag_arrives_within(MAX_DELAY, gerd, "sesamy_event_uservendor-new")
            .await?;
        let remaining = MAX_DELAY.saturating_sub(posted.elapsed());
        eventually(
            "Gerd to reach Mailmojo and Make.as",
            remaining,
            async || {
                let arrived = mailmojo.contact(gerd).is_some() && make.subscriber(gerd).is_some();
                Ok(arrived.then_some(()))
            },
        )
        .await?;

        // No message of the noisy publisher is lost: all of them wait. The neighbour's
        // message stays in the queue until its batch has ended.
        for connector in [Connector::Rule, Connector::Make] {
            eventually(
                "only the noisy publisher to wait",
                FAILURE_TIMEOUT,
                async || {
                    let waiting = stack.queue_depth(connector).await?.total();
                    Ok((waiting == USERS as u64).then_some(()))
                },
            )
            .await?;
        }
        for connector in Connector::ALL {
            assert_eq!(stack.dead_letter_depth(connector).await?.total(), 0);
        }
        // Otherwise the retries would continue while the other tests run.
        for fault in faults {
            env.fakes.remove_fault(fault);
        }
        Ok(())
    });
}
