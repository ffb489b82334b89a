//! What becomes of messages whose sync fails.

use std::time::Duration;

use local_aws::{Connector, DeadLetter, Result, eventually};
use stand_ins::{Api, Fault, User};

use crate::stage::{SOON, Stage, on_stage};

/// The first wait is half a minute, and jittered.
const FIRST_RETRY: Duration = Duration::from_secs(120);

async fn dead_letters(stage: &Stage, of: impl Fn(&DeadLetter) -> bool) -> Result<Vec<DeadLetter>> {
    let mut letters = stage.stack.dead_letters(Connector::Rule).await?;
    letters.retain(of);
    Ok(letters)
}

#[test]
fn a_crm_that_fails_once_gets_the_reader_later() {
    on_stage(async |stage| {
        let publisher = stage.publisher("recovers");
        let email = "anna.recovers@example.com";
        publisher
            .sesamy
            .put_user(User::new("email|anna").email(email));
        let failing = Fault::status(500).on(Api::Rule).method("POST");
        let failing = failing.path("/v2/subscribers").account(publisher.id);
        stage.stand_ins.fault(failing.once());

        publisher.announce("userVendor.1#new", "email|anna").await?;
        publisher.log_says("retry").await?;
        assert_eq!(publisher.rule.subscriber(email), None);
        publisher
            .tag_arrives(email, "sesamy_event_uservendor-new", FIRST_RETRY)
            .await?;
        let of_publisher = |letter: &DeadLetter| letter.body["vendorId"] == publisher.id;
        assert!(dead_letters(stage, of_publisher).await?.is_empty());
        Ok(())
    });
}

#[test]
fn what_a_crm_rejects_is_a_dead_letter_that_says_why() {
    on_stage(async |stage| {
        let publisher = stage.publisher("rejected");
        let email = "bo.rejected@example.com";
        publisher
            .sesamy
            .put_user(User::new("email|bo").email(email));
        let rejecting = Fault::status(422).on(Api::Rule).method("POST");
        let rejecting = rejecting.path("/v2/subscribers").account(publisher.id);
        stage.stand_ins.fault(rejecting.once());

        let event = publisher.announce("userVendor.1#new", "email|bo").await?;
        let letter = eventually("the dead letter", SOON, async || {
            let of_event = |letter: &DeadLetter| letter.body["eventId"] == event.as_str();
            Ok(dead_letters(stage, of_event).await?.pop())
        });
        let letter = letter.await?;
        assert_eq!(
            letter.attributes["errorKind"], "rejected_by_api",
            "{letter:?}"
        );
        assert_eq!(letter.attributes["status"], "422", "{letter:?}");
        assert!(!format!("{letter:?}").contains("rejected@"), "{letter:?}");

        // The reader is not stuck behind it.
        publisher
            .announce("userVendor.1#update", "email|bo")
            .await?;
        publisher
            .tag_arrives(email, "sesamy_event_uservendor-update", SOON)
            .await
    });
}

#[test]
fn what_is_no_message_becomes_a_dead_letter_and_stops_nobody() {
    on_stage(async |stage| {
        let publisher = stage.publisher("poisoned-neighbour");
        let email = "cilla.neighbour@example.com";
        publisher
            .sesamy
            .put_user(User::new("email|cilla").email(email));
        let poison = "this is no message";
        stage
            .stack
            .enqueue(Connector::Rule, "poison", poison)
            .await?;
        publisher
            .announce("userVendor.1#new", "email|cilla")
            .await?;
        publisher
            .tag_arrives(email, "sesamy_event_uservendor-new", SOON)
            .await?;

        let letter = eventually("the dead letter", SOON, async || {
            let is_poison = |letter: &DeadLetter| letter.body == poison;
            Ok(dead_letters(stage, is_poison).await?.pop())
        });
        let letter = letter.await?;
        assert_eq!(
            letter.attributes["errorKind"], "unreadable_message",
            "{letter:?}"
        );
        Ok(())
    });
}

#[test]
fn a_new_key_is_used_at_once() {
    on_stage(async |stage| {
        let publisher = stage.publisher("rotated");
        let email = "dan.rotated@example.com";
        publisher
            .sesamy
            .put_user(User::new("email|dan").email(email));
        publisher.announce("userVendor.1#new", "email|dan").await?;
        publisher
            .tag_arrives(email, "sesamy_event_uservendor-new", SOON)
            .await?;

        publisher.rule.set_api_key("another-key");
        let secret = stage.rule_secret("another-key");
        stage
            .stack
            .put_secret(&format!("{}/rule", publisher.id), &secret)
            .await?;
        publisher
            .announce("userVendor.1#update", "email|dan")
            .await?;
        publisher
            .tag_arrives(email, "sesamy_event_uservendor-update", SOON)
            .await
    });
}

#[test]
fn a_vendor_without_a_secret_has_the_connector_switched_off() {
    on_stage(async |stage| {
        let publisher = stage.publisher("not-configured");
        publisher
            .sesamy
            .put_user(User::new("email|eva").email("eva@example.com"));
        stage
            .stack
            .delete_secret(&format!("{}/rule", publisher.id))
            .await?;
        let event = publisher.announce("userVendor.1#new", "email|eva").await?;
        publisher.log_says("not_configured").await?;
        assert_eq!(publisher.requests(Api::Rule), []);
        let of_event = |letter: &DeadLetter| letter.body["eventId"] == event.as_str();
        assert!(dead_letters(stage, of_event).await?.is_empty());
        Ok(())
    });
}
