//! What connectors remember of users between syncs.

use std::time::Duration;

use fakes::{
    Api, Contract, Entitlement, User, ViolationKind,
    mailmojo::{self, MailmojoAccount},
    make::{self, MakeAccount},
    rule,
};
use harness::{Connector, FifoMessage, LoggedSync, Result, eventually};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::{
    digest::digest,
    identity::{ContractId, EntitlementId, EventId},
    message::{Event, EventType, Message},
};

use crate::environment::{Publisher, SOON, TestEnvironment, group, run_test, text, user_key};

/// The syncs of a user that ended well.
async fn done(
    env: &TestEnvironment,
    publisher: &Publisher,
    connector: Connector,
    user_id: &str,
) -> Result<Vec<LoggedSync>> {
    let mut syncs = env.stack.syncs(connector).await?;
    syncs.retain(|sync| sync.vendor == publisher.id && sync.user == user_id);
    syncs.retain(|sync| ["synced", "unchanged", "covered"].contains(&&*sync.outcome));
    Ok(syncs)
}

/// Announces an event and waits until every connector has synced it.
async fn announce_and_wait(
    env: &TestEnvironment,
    publisher: &Publisher,
    event_type: &str,
    user_id: &str,
) -> Result<()> {
    let mut before = Vec::new();
    for connector in Connector::ALL {
        before.push(done(env, publisher, connector, user_id).await?.len());
    }
    publisher.announce(event_type, user_id).await?;
    for (connector, before) in Connector::ALL.into_iter().zip(before) {
        let what = format!("{connector} to sync {user_id}");
        eventually(&what, SOON, async || {
            let syncs = done(env, publisher, connector, user_id).await?;
            Ok((syncs.len() > before).then_some(()))
        })
        .await?;
    }
    Ok(())
}

fn access_until(end: Timestamp) -> Entitlement {
    Entitlement::new("e1", "sid:premium", "Premium").set("expiresAt", end.to_string())
}

/// Whether a tag says that a user has access.
fn is_of_access(tag: &str) -> bool {
    tag.starts_with("sesamy_active_")
}

/// FIFO queues have no batching window, so of a burst the first message may come alone.
#[test]
fn purchase_in_two_batches_is_one_sync_with_each_event_once() {
    run_test(async |env| {
        let publisher = env.publisher("two-batches");
        let (user_id, email) = ("email|tora", "tora.batches@example.com");
        let mut user = User::new(user_id).email(email);
        user = user.contract(Contract::active("c1"));
        let entitlement = Entitlement::new("e1", "sid:premium", "Premium");
        publisher
            .sesamy
            .put_user(user.entitlement(entitlement.from_contract("c1")));

        let posted_at = Timestamp::now();
        let first = publisher.announce("userVendor.1#new", user_id).await?;
        let syncs = eventually("the first event to be synced", SOON, async || {
            let syncs = done(env, &publisher, Connector::Rule, user_id).await?;
            Ok((!syncs.is_empty()).then_some(syncs))
        });
        assert_eq!(syncs.await?[0].outcome, "synced");
        let reads = publisher.requests(Api::Sesamy).len();

        // The others were received within a second of the first, and come now.
        let user = user_key(publisher.id, user_id);
        let event = |event_type, entitlement: Option<&str>| Event {
            event_type,
            occurred_at: posted_at,
            contract_id: Some(ContractId::try_from("c1").unwrap()),
            entitlement_id: entitlement.map(|id| EntitlementId::try_from(id).unwrap()),
            checkout_id: None,
        };
        let events = [
            event(EventType::CheckoutConfirm, None),
            event(EventType::ContractPurchased, None),
            event(EventType::EntitlementNew, Some("e1")),
        ];
        let later = events.into_iter().map(|event| {
            let id = event.id(&user.vendor_id, &user.user_id);
            (id, event)
        });
        // Sesamy repeats the first one.
        let repeated = event(EventType::UserVendorNew, None);
        let repeated = (EventId::try_from(&*first).unwrap(), repeated);
        let messages = later.chain([repeated]).zip(1..).map(|((id, event), n)| {
            let message = Message {
                event_id: id,
                user: user.clone(),
                received_at: posted_at + SignedDuration::from_millis(300 * n),
                event: Some(event),
            };
            FifoMessage {
                group: user.message_group(),
                body: message.to_json(),
            }
        });
        let messages: Vec<_> = messages.collect();
        env.stack.enqueue(Connector::Rule, &messages).await?;
        let tags = [
            "sesamy_event_uservendor-new",
            "sesamy_event_checkout-confirm",
            "sesamy_event_contract-purchased",
            "sesamy_event_entitlement-new",
        ];
        for tag in tags {
            publisher.tag_arrives(email, tag).await?;
        }
        eventually("the other events to be logged", SOON, async || {
            let syncs = env.stack.syncs(Connector::Rule).await?;
            let of_user = syncs.iter().filter(|sync| sync.vendor == publisher.id);
            let outcomes: Vec<_> = of_user.map(|sync| &*sync.outcome).collect();
            let later = &outcomes[1..];
            assert!(later.iter().all(|later| *later == "covered"), "{later:?}");
            Ok((!later.is_empty()).then_some(()))
        })
        .await?;
        for tag in tags {
            assert_eq!(publisher.rule.started(email, tag), 1, "{tag}");
        }
        assert_eq!(publisher.requests(Api::Sesamy).len(), reads);
        assert_eq!(publisher.upserts(), 1);
        assert_eq!(publisher.violation_kinds(), []);
        Ok(())
    });
}

#[test]
fn access_that_expires_loses_its_tags_without_a_webhook() {
    /// The wake-up is due after a minute, and comes within another.
    const TIMEOUT: Duration = Duration::from_secs(120);

    run_test(async |env| {
        let publisher = env.publisher("expiring");
        let (mailmojo, make) = publisher.other_crms().await?;
        let (mailchimp, hubspot) = publisher.newer_crms().await?;
        let (user_id, email) = ("email|elin", "elin.expiring@example.com");
        let end = Timestamp::now() + SignedDuration::from_secs(60);
        publisher.sesamy.put_user(
            User::new(user_id)
                .email(email)
                .contract(Contract::expired("c1"))
                .entitlement(access_until(end)),
        );
        let tags = || {
            let rule = publisher.rule.subscriber(email).map(|contact| contact.tags);
            let mailmojo = mailmojo.contact(email).map(|contact| contact.tags);
            let make = make.subscriber(email).map(|contact| contact.tags);
            let mailchimp = mailchimp.member(email).map(|member| member.tags);
            let hubspot = hubspot.contact(email);
            let hubspot = hubspot.map(|contact| contact.values("sesamy_tags"));
            let tags = [rule, mailmojo, make, mailchimp, hubspot].map(Option::unwrap_or_default);
            tags.map(|mut tags| {
                tags.retain(|tag| is_of_access(tag));
                tags
            })
        };
        announce_and_wait(env, &publisher, "userVendor.1#new", user_id).await?;
        for tags in tags() {
            assert_eq!(
                tags,
                [
                    "sesamy_active_entitlement_premium",
                    "sesamy_active_sku_sid-premium"
                ]
            );
        }
        eventually("the tags of expired access to go", TIMEOUT, async || {
            Ok(tags().iter().all(Vec::is_empty).then_some(()))
        })
        .await?;
        assert!(Timestamp::now() > end);
        // A wake-up deletes itself.
        let name = group(publisher.id, user_id);
        for connector in Connector::ALL {
            assert_eq!(env.stack.schedule(connector, &name).await?, None);
        }
        assert_eq!(publisher.violation_kinds(), []);
        Ok(())
    });
}

/// One user's address at Sesamy before and after.
struct Moving {
    user_id: &'static str,
    old: &'static str,
    new: &'static str,
    is_unsubscribed: bool,
}

impl Moving {
    /// The publisher has had contacts of the user for longer than Sesamy.
    fn put_contacts(&self, publisher: &Publisher, mailmojo: &MailmojoAccount, make: &MakeAccount) {
        use mailmojo::Status::{Active, Unsubscribed};
        let mut in_rule = rule::Subscriber::new(self.old).tags(&["vip"]);
        let mut in_make = make::Subscriber::new(self.old).tags(&["vip"]).on_list(77);
        let mut status = Active;
        if self.is_unsubscribed {
            in_rule = in_rule.unsubscribed();
            in_make = in_make.unsubscribed();
            status = Unsubscribed;
        }
        publisher.rule.put_subscriber(in_rule);
        make.put_subscriber(in_make);
        let in_mailmojo = mailmojo::Contact::new(self.old).tags(&["vip"]);
        mailmojo.put_contact(in_mailmojo.on_list(42, status));
    }

    fn put_user(&self, publisher: &Publisher, email: &str) {
        publisher.sesamy.put_user(
            User::new(self.user_id)
                .email(email)
                .contract(Contract::active("c1"))
                .entitlement(Entitlement::new("e1", "sid:premium", "Premium")),
        );
    }
}

#[test]
fn contacts_follow_a_new_address_and_consent_stays() {
    const USERS: [Moving; 2] = [
        Moving {
            user_id: "email|max",
            old: "max.moving@example.com",
            new: "max.moved@example.com",
            is_unsubscribed: true,
        },
        Moving {
            user_id: "email|mira",
            old: "mira.moving@example.com",
            new: "mira.moved@example.com",
            is_unsubscribed: false,
        },
    ];
    run_test(async |env| {
        let publisher = env.publisher("moving");
        let (mailmojo, make) = publisher.other_crms().await?;
        for user in &USERS {
            user.put_contacts(&publisher, &mailmojo, &make);
            user.put_user(&publisher, user.old);
            announce_and_wait(env, &publisher, "userVendor.1#new", user.user_id).await?;
        }
        for user in &USERS {
            user.put_user(&publisher, user.new);
            announce_and_wait(env, &publisher, "userVendor.1#update", user.user_id).await?;
        }

        let new: Vec<_> = USERS.iter().map(|user| user.new).collect();
        let sorted = |mut emails: Vec<String>| {
            emails.sort();
            emails
        };
        let in_rule = publisher.rule.subscribers().into_iter();
        assert_eq!(sorted(in_rule.map(|contact| contact.email).collect()), new);
        let in_mailmojo = mailmojo.contacts().into_iter();
        let in_mailmojo = in_mailmojo.map(|contact| contact.email).collect();
        assert_eq!(sorted(in_mailmojo), new);
        let in_make = make.subscribers().into_iter();
        assert_eq!(sorted(in_make.map(|contact| contact.email).collect()), new);

        for user in &USERS {
            let in_rule = publisher.rule.subscriber(user.new).unwrap();
            let in_mailmojo = mailmojo.contact(user.new).unwrap();
            let in_make = make.subscriber(user.new).unwrap();
            for tags in [&in_rule.tags, &in_mailmojo.tags, &in_make.tags] {
                for tag in ["vip", "sesamy_active_subscriber"] {
                    assert!(tags.iter().any(|other| other == tag), "{tag}: {tags:?}");
                }
            }
            let is_unsubscribed = user.is_unsubscribed;
            assert_eq!(in_rule.opted_in, !is_unsubscribed);
            assert_eq!(in_rule.suppressed.is_empty(), !is_unsubscribed);
            let unsubscribed = Some(mailmojo::Status::Unsubscribed);
            assert_eq!(in_mailmojo.on(42) == unsubscribed, is_unsubscribed);
            assert_eq!(in_make.email_status == "unsubscribed", is_unsubscribed);
        }
        let none: [ViolationKind; 0] = [];
        assert_eq!(publisher.violation_kinds(), none);
        Ok(())
    });
}

#[test]
fn forget_deletes_what_is_remembered_and_the_wake_up() {
    run_test(async |env| {
        let publisher = env.publisher("forgotten");
        publisher.other_crms().await?;
        let (user_id, email) = ("email|frej", "frej.forgotten@example.com");
        let end = Timestamp::now() + SignedDuration::from_hours(1);
        let user = User::new(user_id).email(email);
        publisher
            .sesamy
            .put_user(user.entitlement(access_until(end)));
        announce_and_wait(env, &publisher, "userVendor.1#new", user_id).await?;

        let name = group(publisher.id, user_id);
        let address = digest(&["address", publisher.id, email]);
        for connector in Connector::ALL {
            let own = connector.name();
            let keys = [
                format!("{own}#user#{name}"),
                format!("{own}#address#{address}"),
            ];
            for key in &keys {
                let item = env.stack.remembered(key).await?;
                let item = item.unwrap_or_else(|| panic!("{key} is missing"));
                // Mailmojo knows contacts by nothing but their address.
                let may_hold_address = connector == Connector::Mailmojo;
                assert!(!item.contains(email) || may_hold_address, "{item}");
            }
            let wake_up = env.stack.schedule(connector, &name).await?;
            let wake_up = wake_up.unwrap_or_else(|| panic!("{connector} has no wake-up"));
            let queue = env.stack.variable(connector.function(), "QUEUE_ARN");
            assert_eq!(wake_up["Target"]["Arn"], queue.await?, "{wake_up}");
            let group_id = &wake_up["Target"]["SqsParameters"]["MessageGroupId"];
            assert_eq!(*group_id, *name, "{wake_up}");
            assert_eq!(wake_up["ActionAfterCompletion"], "DELETE", "{wake_up}");
            let message = text(&wake_up["Target"], "Input");
            let message: Value = serde_json::from_str(&message).unwrap();
            assert_eq!(text(&message, "userId"), user_id);

            let forget = json!({
                "action": "forget",
                "vendorId": publisher.id,
                "userId": user_id,
            });
            let answer = env.stack.invoke(connector.function(), &forget).await?;
            assert_eq!(answer["outcome"], "forgotten", "{answer}");
            for key in &keys {
                assert_eq!(env.stack.remembered(key).await?, None, "{key}");
            }
            assert_eq!(env.stack.schedule(connector, &name).await?, None);
        }
        Ok(())
    });
}
