use std::time::Duration;

use fakes::{Contract, Fakes, Fault, Resource, User};
use futures_util::future::try_join_all;
use harness::{Connector, Deployment, Result, eventually, start_fakes};
use soak::{Publisher, webhook_secret};

use crate::run_test;

/// Ample time for three syncs, one of them slow, and the queue's delay.
const SOON: Duration = Duration::from_secs(60);

/// Ample time even if a sync fails on a busy machine and is retried.
const SOON_WITH_RETRY: Duration = Duration::from_secs(180);

/// State B replaces A after a sync has read A's contracts, and B's webhook arrives while
/// that sync still writes. The CRMs must end up with B.
#[test]
fn state_that_changes_during_a_sync_wins() {
    let deployment = Deployment::new("race").log_level("info");
    run_test(deployment, async |stack| {
        let fakes = start_fakes(Fakes::builder()).await?;
        // One publisher per CRM, so that only one sync sees the change.
        let publishers = Connector::ALL.map(|connector| {
            let id = format!("race-{}", connector.name());
            (connector, Publisher::open(&fakes, id.leak(), 1))
        });
        for (connector, publisher) in &publishers {
            let is_needed = |name: &str| {
                let (_, api) = name.split_once('/').unwrap();
                api == "sesamy" || api == connector.name()
            };
            let secrets = publisher.secrets(&fakes, 1).into_iter();
            let secrets = secrets.filter(|(name, _)| is_needed(name));
            stack.put_secrets(secrets).await?;
        }
        let all = publishers.iter().map(|(_, publisher)| publisher);
        let webhook = webhook_secret(all, &[1]);
        stack.put_secret("webhook", &webhook).await?;

        let races = publishers.iter().map(async |(connector, publisher)| {
            let connector = *connector;
            let id = format!("email|{connector}");
            let email = format!("{connector}@example.com");
            let announce = async |time: &str| {
                let event_type = "contract.1#update";
                publisher.announce(&stack, event_type, &id, time).await
            };
            let user = || User::new(&id).email(&email);
            let before = user().contract(Contract::active("c1")).tags(&["before"]);
            let after = user().contract(Contract::expired("c1")).tags(&["after"]);
            publisher.sesamy.put_user(before);
            publisher
                .sesamy
                .after_read(Resource::Contracts, &id, 1, Some(after.clone()));
            // The sync of A still writes when B's webhook arrives.
            let slow = Fault::slow(Duration::from_secs(4)).before_effect();
            fakes.fault(slow.on(connector.api()).once());

            announce("2026-01-15T09:30:00Z").await?;
            eventually("the state to change during the sync", SOON, async || {
                Ok((publisher.sesamy.user(&id).as_ref() == Some(&after)).then_some(()))
            })
            .await?;
            announce("2026-01-15T09:30:01Z").await?;

            eventually("both syncs to end", SOON_WITH_RETRY, async || {
                let syncs = stack.syncs(connector).await?;
                let ended = syncs.iter().filter(|sync| sync.user == id);
                let ended = ended.filter(|sync| sync.outcome != "retry");
                Ok((ended.count() >= 2).then_some(()))
            })
            .await?;
            let mut tags = publisher.tags(connector, &email).unwrap();
            tags.retain(|tag| tag.starts_with("sesamy_") && !tag.contains("_event_"));
            assert_eq!(tags, ["sesamy_tag_after"], "{connector}");
            Result::Ok(())
        });
        try_join_all(races).await?;
        assert_eq!(fakes.violation_kinds(), []);
        Ok(())
    });
}
