//! A publisher whose CRMs do not answer as they should, and another who must not notice.

use std::time::{Duration, Instant};

use local_aws::{Connector, eventually};
use stand_ins::{Api, Fault, RetryAfter, User};

use crate::stage::on_stage;

/// Readers of the noisy publisher: several batches.
const READERS: usize = 40;

/// As many syncs have failed once a publisher is in trouble.
const FAILED: usize = 5;

/// Until they have: all that a call may take, and what the queue takes before.
const FAILING: Duration = Duration::from_secs(90);

/// How long the other publisher's event may take, the queue's delay included.
const UNNOTICED: Duration = Duration::from_secs(20);

fn email(reader: usize) -> String {
    format!("reader-{reader}.noisy@example.com")
}

#[test]
fn crms_that_hang_trickle_or_refuse_hold_up_no_other_publisher() {
    on_stage(async |stage| {
        let (noisy, neighbour) = (stage.publisher("noisy"), stage.publisher("neighbour"));
        let stack = stage.another_stack("e2e-noisy").await?;
        noisy.other_crms_of(&stack).await?;
        let (mailmojo, make) = neighbour.other_crms_of(&stack).await?;
        let faults = [
            Fault::slow(Duration::from_secs(60)).on(Api::Rule),
            Fault::slow(Duration::from_secs(9)).on(Api::Mailmojo),
            Fault::too_many_requests(RetryAfter::Seconds(0)).on(Api::Make),
        ];
        let faults = faults.map(|fault| {
            let fault = fault.account(noisy.id).before_effect();
            stage.stand_ins.fault(fault)
        });
        let gerd = "gerd.neighbour@example.com";
        neighbour
            .sesamy
            .put_user(User::new("email|gerd").email(gerd));

        for reader in 0..READERS {
            let id = format!("email|{reader}");
            noisy.sesamy.put_user(User::new(&id).email(&email(reader)));
            let body = noisy.webhook("userVendor.1#new", &id);
            let reply = noisy.post_to(&stack, &body).await?;
            assert_eq!(reply.status, 202, "{reply:?}");
        }
        for connector in Connector::ALL {
            eventually("the noisy publisher's syncs to fail", FAILING, async || {
                let logs = stack.logs(connector.function()).await?;
                let failed = logs.iter().filter(|line| {
                    line.contains("\"vendor_id\":\"noisy\"")
                        && line.contains("\"outcome\":\"retry\"")
                });
                Ok((failed.count() >= FAILED).then_some(()))
            })
            .await?;
        }

        let body = neighbour.webhook("userVendor.1#new", "email|gerd");
        let posted = Instant::now();
        let reply = neighbour.post_to(&stack, &body).await?;
        assert_eq!(reply.status, 202, "{reply:?}");
        neighbour
            .tag_arrives(gerd, "sesamy_event_uservendor-new", UNNOTICED)
            .await?;
        let left = UNNOTICED.saturating_sub(posted.elapsed());
        eventually("Gerd to reach Mailmojo and Make.as", left, async || {
            let there = mailmojo.contact(gerd).is_some() && make.subscriber(gerd).is_some();
            Ok(there.then_some(()))
        })
        .await?;

        // Nothing of the noisy publisher's is lost either: all of it waits. The
        // neighbour's own message stays until the batch that it came in has ended.
        for connector in [Connector::Rule, Connector::Make] {
            eventually("only the noisy publisher to wait", FAILING, async || {
                let waiting = stack.queue_depth(connector).await?.total();
                Ok((waiting == READERS as u64).then_some(()))
            })
            .await?;
        }
        for connector in Connector::ALL {
            assert_eq!(stack.dead_letter_depth(connector).await?.total(), 0);
        }
        // Their calls would go on for as long as the other tests run.
        for fault in faults {
            stage.stand_ins.remove_fault(fault);
        }
        Ok(())
    });
}
