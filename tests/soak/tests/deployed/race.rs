//! Two versions of a reader's state while a sync is under way.

use std::time::Duration;

use local_aws::{Error, eventually};
use serde_json::{Map, json};
use soak::{Crm, Publisher};
use stand_ins::{Contract, Fault, Resource, StandIns, User};

use crate::stages::on_stack;

/// Longer than three syncs, one of them slow, and the queue's delay.
const SOON: Duration = Duration::from_secs(60);

/// The same where a sync fails on a busy machine and is tried again.
const ENDED: Duration = Duration::from_secs(180);

/// State B takes the place of A after a sync has read A's contracts, and B's
/// webhook comes while that sync still writes what it read. Whatever order the
/// two end in, the CRMs hold B.
#[test]
fn a_state_that_changes_during_a_sync_never_leaves_the_older_one() {
    on_stack("race", "info", async |deployed| {
        let stand_ins = StandIns::start().await;
        let stand_ins = stand_ins.map_err(|error| Error::new(error.to_string()))?;
        // A publisher per CRM, with no other: only one sync is to see the change.
        let publishers = [
            (Crm::Rule, Publisher::open(&stand_ins, "race-rule", 1)),
            (
                Crm::Mailmojo,
                Publisher::open(&stand_ins, "race-mailmojo", 1),
            ),
            (Crm::Make, Publisher::open(&stand_ins, "race-make", 1)),
        ];
        let mut vendors = Map::new();
        for (crm, publisher) in &publishers {
            vendors.insert(publisher.id.into(), json!({"tokens": [publisher.token(1)]}));
            let mut secrets = publisher.secrets(&stand_ins, 1).to_vec();
            secrets.retain(|(name, _)| name.ends_with("/sesamy") || name.ends_with(crm.name()));
            deployed.put_secrets(&secrets).await?;
        }
        let webhook = json!({"vendors": vendors});
        deployed.stack.put_secret("webhook", &webhook).await?;

        for (crm, publisher) in &publishers {
            let crm = *crm;
            let (id, email) = (format!("email|{crm}"), format!("{crm}@example.com"));
            let announce = async |moment: &str| {
                let body = json!({
                    "eventType": "contract.1#update",
                    "vendorId": publisher.id,
                    "userId": id,
                    "occured_at": moment,
                });
                let authorization = format!("Bearer {}", publisher.token(1));
                let reply = deployed.stack.post(Some(&authorization), body.to_string());
                assert_eq!(reply.await?.status, 202);
                Ok::<_, Error>(())
            };
            let user = || User::new(&id).email(&email);
            let before = user().contract(Contract::active("c1")).tags(&["before"]);
            let after = user().contract(Contract::expired("c1")).tags(&["after"]);
            publisher.sesamy.put_user(before);
            publisher
                .sesamy
                .after_read(Resource::Contracts, &id, 1, Some(after.clone()));
            // The sync of A writes for so long that B's webhook comes meanwhile.
            let slow = Fault::slow(Duration::from_secs(4)).before_effect();
            stand_ins.fault(slow.on(crm.api()).once());

            announce("2026-01-15T09:30:00Z").await?;
            eventually("the state to change during the sync", SOON, async || {
                Ok((publisher.sesamy.user(&id).as_ref() == Some(&after)).then_some(()))
            })
            .await?;
            announce("2026-01-15T09:30:01Z").await?;

            let ours = || {
                let tags = match crm {
                    Crm::Rule => publisher.rule.subscriber(&email)?.tags,
                    Crm::Mailmojo => publisher.mailmojo.contact(&email)?.tags,
                    Crm::Make => publisher.make.first()?.0.subscriber(&email)?.tags,
                };
                let mut tags: Vec<_> = tags
                    .into_iter()
                    .filter(|tag| tag.starts_with("sesamy_") && !tag.contains("_event_"))
                    .collect();
                tags.sort();
                Some(tags)
            };
            eventually("both syncs to end", ENDED, async || {
                let lines = deployed.syncs(crm).await?;
                let ended = lines.iter().filter(|line| line.user == id);
                let ended = ended.filter(|line| line.outcome != "retry");
                Ok((ended.count() >= 2).then_some(()))
            })
            .await?;
            assert_eq!(ours().unwrap(), ["sesamy_tag_after"], "{crm}");
        }
        assert_eq!(stand_ins.harms(), []);
        Ok(())
    });
}
