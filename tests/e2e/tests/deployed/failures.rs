//! Messages whose sync fails.

use std::time::Duration;

use fakes::Api;
use harness::{Connector, FifoMessage, secrets};

use crate::environment::run_test;

/// Ample time for the first wait, which is half a minute with jitter.
const FIRST_RETRY: Duration = Duration::from_secs(120);

#[test]
fn sync_is_retried_after_a_crm_fails_once() {
    run_test(async |env| {
        let publisher = env.publisher("recovers");
        let email = "anna.recovers@example.com";
        publisher.put_user("email|anna", email);
        publisher.fail_next_upsert(500);

        publisher.announce("userVendor.1#new", "email|anna").await?;
        publisher.wait_for_log("retry").await?;
        assert_eq!(publisher.rule.subscriber(email), None);
        publisher
            .tag_arrives_within(FIRST_RETRY, email, "sesamy_event_uservendor-new")
            .await?;
        publisher.assert_no_dead_letters().await
    });
}

#[test]
fn rejected_sync_becomes_a_dead_letter_message_with_its_reason() {
    run_test(async |env| {
        let publisher = env.publisher("rejected");
        let email = "bo.rejected@example.com";
        publisher.put_user("email|bo", email);
        publisher.fail_next_upsert(422);

        let event = publisher.announce("userVendor.1#new", "email|bo").await?;
        let message = env
            .wait_for_dead_letter(|message| message.field("eventId") == event)
            .await?;
        assert_eq!(message.attribute("errorKind"), "rejected_by_api");
        assert_eq!(message.attribute("status"), "422", "{message:?}");
        assert!(!format!("{message:?}").contains("rejected@"), "{message:?}");

        // It does not block later events of the user.
        publisher
            .announce_and_wait("update", "email|bo", email)
            .await
    });
}

#[test]
fn unreadable_message_moves_to_the_dead_letter_queue_and_blocks_no_user() {
    run_test(async |env| {
        let publisher = env.publisher("poisoned-neighbour");
        let email = "cilla.neighbour@example.com";
        publisher.put_user("email|cilla", email);
        let poison = FifoMessage {
            group: "poison".to_owned(),
            body: "this is not a message".to_owned(),
        };
        let messages = std::slice::from_ref(&poison);
        env.stack.enqueue(Connector::Rule, messages).await?;
        publisher
            .announce_and_wait("new", "email|cilla", email)
            .await?;

        let message = env
            .wait_for_dead_letter(|message| message.body == poison.body)
            .await?;
        assert_eq!(message.attribute("errorKind"), "unreadable_message");
        Ok(())
    });
}

#[test]
fn new_api_key_is_used_immediately() {
    run_test(async |env| {
        let publisher = env.publisher("rotated");
        let email = "dan.rotated@example.com";
        publisher.put_user("email|dan", email);
        publisher
            .announce_and_wait("new", "email|dan", email)
            .await?;

        publisher.rule.set_api_key("another-key");
        let secret = secrets::rule(env.fakes.urls(), "another-key");
        env.stack
            .put_secret(&format!("{}/rule", publisher.id), &secret)
            .await?;
        publisher
            .announce_and_wait("update", "email|dan", email)
            .await
    });
}

#[test]
fn connector_is_off_for_a_vendor_without_a_secret() {
    run_test(async |env| {
        let publisher = env.publisher("not-configured");
        publisher.put_user("email|eva", "eva@example.com");
        env.stack
            .delete_secret(&format!("{}/rule", publisher.id))
            .await?;
        publisher.announce("userVendor.1#new", "email|eva").await?;
        publisher.wait_for_log("not_configured").await?;
        assert_eq!(publisher.requests(Api::Rule), []);
        publisher.assert_no_dead_letters().await
    });
}
