//! From the webhook to the CRMs.

use fakes::mailchimp::{Member, Status};
use fakes::{Api, Contract, Entitlement, User};
use harness::{Connector, Function, eventually};

use crate::environment::{SOON, run_test};

#[test]
fn webhook_syncs_the_user_to_rule() {
    run_test(async |env| {
        let publisher = env.publisher("arrives");
        publisher.sesamy.put_user(
            User::new("email|anna")
                .email("anna.arrives@example.com")
                .name("Anna", "Berg")
                .contract(Contract::active("c1"))
                .entitlement(Entitlement::new("e1", "sid:premium", "Premium")),
        );
        let event = publisher
            .announce("contract.1#purchased", "email|anna")
            .await?;
        let email = "anna.arrives@example.com";
        let last = "sesamy_event_contract-purchased";
        publisher.tag_arrives(email, last).await?;

        let subscriber = publisher.rule.subscriber(email).unwrap();
        let mut tags = subscriber.tags;
        tags.sort();
        assert_eq!(
            tags,
            [
                "sesamy",
                "sesamy_active_entitlement_premium",
                "sesamy_active_sku_sid-premium",
                "sesamy_active_subscriber",
                "sesamy_event_contract-purchased",
            ]
        );
        assert_eq!(subscriber.fields["Sesamy_User.FirstName"], "Anna");
        assert_eq!(subscriber.fields["Sesamy_Subscription.Status"], "ACTIVE");
        assert_eq!(publisher.violation_kinds(), []);
        // The publisher has no other CRM.
        assert_eq!(publisher.requests(Api::Mailmojo), []);
        assert_eq!(publisher.requests(Api::Make), []);
        assert_eq!(publisher.requests(Api::Mailchimp), []);
        assert_eq!(publisher.requests(Api::HubSpot), []);

        // Both functions log the event and no personal data.
        publisher.wait_for_log(&event).await?;
        for function in [Function::Webhook, Connector::Rule.function()] {
            let logs = env.stack.logs(function).await?;
            assert!(logs.iter().any(|line| line.contains(&event)), "{function}");
            for personal in ["anna.arrives", "Berg", "token-of-", "key-of-"] {
                let leak = logs.iter().find(|line| line.contains(personal));
                assert_eq!(leak, None, "{function} logs {personal}");
            }
        }
        Ok(())
    });
}

#[test]
fn one_webhook_syncs_the_user_to_all_five_crms() {
    run_test(async |env| {
        let publisher = env.publisher("all-five");
        let (mailmojo, make) = publisher.other_crms().await?;
        let (mailchimp, hubspot) = publisher.newer_crms().await?;
        let email = "elsa.five@example.com";
        publisher.sesamy.put_user(
            User::new("email|elsa")
                .email(email)
                .name("Elsa", "Ek")
                .contract(Contract::active("c1"))
                .entitlement(Entitlement::new("e1", "sid:premium", "Premium")),
        );
        publisher
            .announce("contract.1#purchased", "email|elsa")
            .await?;
        let last = "sesamy_event_contract-purchased";
        publisher.tag_arrives(email, last).await?;
        eventually("Elsa to reach the other CRMs", SOON, async || {
            let has_activity = |member: Member| !member.events.is_empty();
            let arrived = mailmojo.contact(email).is_some()
                && !make.subscriptions_of(email).is_empty()
                && mailchimp.member(email).is_some_and(has_activity)
                && hubspot.contact(email).is_some();
            Ok(arrived.then_some(()))
        })
        .await?;

        let tags = [
            "sesamy_active_entitlement_premium",
            "sesamy_active_sku_sid-premium",
            "sesamy_active_subscriber",
        ];
        let contact = mailmojo.contact(email).unwrap();
        assert_eq!(contact.tags, tags);
        assert_eq!(contact.first_name.as_deref(), Some("Elsa"));
        assert_eq!(contact.custom["Active Subscriptions"], 1);
        let subscriber = make.subscriber(email).unwrap();
        assert_eq!(subscriber.tags, tags);
        assert_eq!(subscriber.external_id.as_deref(), Some("email|elsa"));
        let subscription = &make.subscriptions_of(email)[0];
        assert_eq!(subscription.external_id, "c1");
        assert_eq!(subscription.status, "active");
        let member = mailchimp.member(email).unwrap();
        assert_eq!(member.tags, tags);
        assert_eq!(member.status, Status::Subscribed);
        assert_eq!(member.merge_fields["SMYACTSUBS"], 1);
        assert_eq!(member.events[0].name, "sesamy_contract_purchased");
        let contact = hubspot.contact(email).unwrap();
        assert_eq!(contact.values("sesamy_tags"), tags);
        assert_eq!(contact.get("has_active_subscription"), Some("true"));
        assert_eq!(contact.get("sesamy_user_id"), Some("email|elsa"));
        assert_eq!(publisher.violation_kinds(), []);
        Ok(())
    });
}

#[test]
fn webhook_delivered_twice_is_one_sync() {
    run_test(async |env| {
        let publisher = env.publisher("twice");
        let email = "bo.twice@example.com";
        publisher.put_user("email|bo", email);
        let first = publisher.announce("userVendor.1#new", "email|bo").await?;
        let second = publisher.announce("userVendor.1#new", "email|bo").await?;
        assert_eq!(first, second);
        publisher
            .tag_arrives(email, "sesamy_event_uservendor-new")
            .await?;

        // By the time that a later event is synced, a second sync would have ended.
        publisher
            .announce_and_wait("update", "email|bo", email)
            .await?;
        assert_eq!(publisher.upserts(), 2);
        assert_eq!(
            publisher.rule.started(email, "sesamy_event_uservendor-new"),
            1
        );
        Ok(())
    });
}

#[test]
fn burst_of_a_purchase_is_one_sync_with_four_event_tags() {
    run_test(async |env| {
        let publisher = env.publisher("burst");
        let email = "cilla.burst@example.com";
        publisher.sesamy.put_user(
            User::new("email|cilla")
                .email(email)
                .contract(Contract::active("c1"))
                .entitlement(Entitlement::new("e1", "sid:premium", "Premium")),
        );
        // Receiving is off until all messages are visible, and no other test uses this
        // stack, so the next batch is exactly the burst.
        let stack = env.another_stack("e2e-burst").await?;
        stack.set_receiving(Connector::Rule, false).await?;
        for event_type in [
            "checkout.1#confirm",
            "contract.1#purchased",
            "entitlement.1#new",
            "userVendor.1#new",
        ] {
            let webhook = publisher.webhook(event_type, "email|cilla");
            let reply = publisher.post_to(&stack, &webhook).await?;
            assert_eq!(reply.status, 202, "{reply:?}");
        }
        eventually("the queue's delay to pass", SOON, async || {
            let depth = stack.queue_depth(Connector::Rule).await?;
            Ok((depth.visible == 4).then_some(()))
        })
        .await?;
        stack.set_receiving(Connector::Rule, true).await?;
        publisher
            .tag_arrives(email, "sesamy_event_uservendor-new")
            .await?;
        assert_eq!(publisher.upserts(), 1);
        let reads = publisher.requests(Api::Sesamy);
        let profile_reads = reads
            .iter()
            .filter(|request| request.path.ends_with("cilla"));
        assert_eq!(profile_reads.count(), 1);
        for tag in [
            "sesamy_event_checkout-confirm",
            "sesamy_event_contract-purchased",
            "sesamy_event_entitlement-new",
            "sesamy_event_uservendor-new",
        ] {
            assert_eq!(publisher.rule.started(email, tag), 1, "{tag}");
        }
        Ok(())
    });
}

#[test]
fn guest_is_skipped() {
    run_test(async |env| {
        let publisher = env.publisher("guest");
        publisher.sesamy.put_user(
            User::new("guest|dora")
                .email("dora.guest@example.com")
                .guest(),
        );
        publisher.announce("userVendor.1#new", "guest|dora").await?;
        publisher.wait_for_log("skipped").await?;
        assert_eq!(publisher.requests(Api::Rule), []);
        Ok(())
    });
}
