//! Members follow a user to a new address.

use conformance::{Bench, EMAIL, TestedCrm, USER, record};
use fakes::mailchimp::{AudienceHandle, Member, Status};
use fakes::sesamy::User;
use fakes::{Api, Fault};
use mailchimp::Mailchimp;

use crate::crm::{MailchimpCrm, daily_subscriber, put_secret, start};

const NEW: &str = "anna@new.example.se";

fn moved_user() -> User {
    daily_subscriber().email(NEW)
}

/// A member that was synced, and has this status since.
async fn synced(status: Status) -> (Bench<Mailchimp>, AudienceHandle) {
    let (bench, audience) = start().await;
    audience.put_member(MailchimpCrm::contact(&["vip"]));
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    audience.put_member(audience.member(EMAIL).unwrap().status(status));
    bench.sesamy.put_user(moved_user());
    bench.fakes.clear_requests();
    (bench, audience)
}

fn assert_cleared(member: &Member) {
    assert_eq!(member.tags, ["vip"]);
    let fields: Vec<_> = member.merge_fields.keys().collect();
    assert_eq!(fields, ["FNAME", "LNAME", "PHONE", "SHOE"]);
}

#[tokio::test]
async fn a_subscribed_member_moves_with_all_it_has() {
    let (bench, audience) = synced(Status::Subscribed).await;
    let before = audience.member(EMAIL).unwrap();
    bench.resynced(USER).await;
    let calls = bench.calls(Api::Mailchimp);
    let kinds: Vec<_> = calls
        .iter()
        .map(|call| call.split('/').next().unwrap())
        .collect();
    assert_eq!(kinds, ["GET ", "GET ", "PATCH "], "nothing else differs");
    let members = audience.members();
    assert_eq!(members, [MailchimpCrm::with_email(before, NEW)]);
    bench.resynced(USER).await;
    assert_eq!(bench.calls(Api::Mailchimp).len(), 1);
}

#[tokio::test]
async fn a_move_announced_by_an_event_is_synced_and_delivered() {
    let (bench, audience) = synced(Status::Subscribed).await;
    bench.sesamy.put_user(conformance::anna().email(NEW));
    bench.synced(USER, "b").await;
    let member = audience.member(NEW).unwrap();
    assert_eq!(member.tags, ["vip"]);
    assert_eq!(member.merge_fields["SMYSUBSC"], "False");
    assert_eq!(member.events.len(), 2);
    assert_eq!(audience.member(EMAIL), None);
}

struct StatusCase {
    old: Status,
    new_status: &'static str,
    expected: Status,
}

const fn case(old: Status, new_status: &'static str, expected: Status) -> StatusCase {
    StatusCase {
        old,
        new_status,
        expected,
    }
}

const STATUS_CASES: [StatusCase; 9] = [
    case(Status::Unsubscribed, "subscribed", Status::Unsubscribed),
    case(Status::Unsubscribed, "pending", Status::Unsubscribed),
    case(Status::Unsubscribed, "transactional", Status::Unsubscribed),
    case(Status::Cleaned, "subscribed", Status::Subscribed),
    case(Status::Cleaned, "transactional", Status::Transactional),
    case(Status::Pending, "subscribed", Status::Pending),
    case(Status::Pending, "transactional", Status::Transactional),
    case(Status::Transactional, "subscribed", Status::Transactional),
    case(Status::Archived, "subscribed", Status::Unsubscribed),
];

#[tokio::test]
async fn a_new_member_has_no_more_consent_than_one_that_cannot_move() {
    for StatusCase {
        old,
        new_status,
        expected,
    } in STATUS_CASES
    {
        let name = format!("{old:?} {new_status}");
        let (bench, audience) = synced(old).await;
        put_secret(&bench, "newStatus", new_status);
        // Another secret comes into use with another function instance.
        let mut bench = bench;
        bench.restart(Mailchimp::default());
        bench.resynced(USER).await;
        let left = audience.member(EMAIL).unwrap();
        assert_eq!(left.status, old, "{name}");
        assert_cleared(&left);
        let new = audience.member(NEW).unwrap();
        assert_eq!(new.status, expected, "{name}");
        assert_eq!(new.tags, ["sesamy_active_subscriber"], "{name}");
        assert_eq!(new.merge_fields["FNAME"], "Anna", "{name}");
        bench.fakes.clear_requests();
        bench.resynced(USER).await;
        assert_eq!(bench.calls(Api::Mailchimp).len(), 1, "{name}: unchanged");
    }
}

#[tokio::test]
async fn a_member_of_the_new_address_is_synced_and_the_old_one_cleared() {
    for status in [Status::Subscribed, Status::Unsubscribed] {
        let (bench, audience) = synced(status).await;
        audience.put_member(
            Member::new(NEW)
                .status(Status::Unsubscribed)
                .tags(&["loyal"]),
        );
        bench.resynced(USER).await;
        let old = audience.member(EMAIL).unwrap();
        assert_cleared(&old);
        assert_eq!(old.status, status);
        let new = audience.member(NEW).unwrap();
        assert_eq!(new.tags, ["loyal", "sesamy_active_subscriber"]);
        assert_eq!(new.status, Status::Unsubscribed);
    }
}

#[tokio::test]
async fn a_refused_move_makes_a_new_member_and_clears_the_old_one() {
    let (bench, audience) = synced(Status::Subscribed).await;
    MailchimpCrm::set_settings(&audience, MailchimpCrm::settings_that_refuse_moves());
    bench.resynced(USER).await;
    assert_cleared(&audience.member(EMAIL).unwrap());
    let new = audience.member(NEW).unwrap();
    assert_eq!(new.status, Status::Subscribed);
    assert_eq!(new.tags, ["sesamy_active_subscriber"]);
}

#[tokio::test]
async fn an_address_that_can_never_come_back_has_no_member() {
    let (bench, audience) = synced(Status::Subscribed).await;
    audience.forget_address(NEW);
    bench.resynced(USER).await;
    assert_cleared(&audience.member(EMAIL).unwrap());
    assert_eq!(audience.members().len(), 1);
}

#[tokio::test]
async fn a_member_whose_address_the_publisher_changed_stays_there() {
    let (bench, audience) = synced(Status::Subscribed).await;
    let elsewhere = "anna@elsewhere.example.se";
    let member = audience.member(EMAIL).unwrap();
    audience.put_member(MailchimpCrm::with_email(member, elsewhere));
    bench.resynced(USER).await;
    assert_cleared(&audience.member(elsewhere).unwrap());
    assert_eq!(
        audience.member(NEW).unwrap().tags,
        ["sesamy_active_subscriber"]
    );
}

#[tokio::test]
async fn a_member_that_is_gone_is_created_again() {
    let (bench, audience) = synced(Status::Subscribed).await;
    audience.remove_member(EMAIL);
    bench.resynced(USER).await;
    assert_eq!(audience.members().len(), 1);
    assert_eq!(audience.member(NEW).unwrap().status, Status::Subscribed);
}

#[tokio::test]
async fn a_move_that_breaks_off_is_finished_by_the_next_try() {
    let reset = Fault::reset().on(Api::Mailchimp).method("PATCH");
    for fault in [reset.clone().after_effect(), reset] {
        let case = format!("{fault:?}");
        let (bench, audience) = synced(Status::Subscribed).await;
        bench.fakes.fault(fault.once());
        assert_eq!(
            bench.handle([record("1", USER, "b")]).await,
            ["1"],
            "{case}"
        );
        assert_eq!(
            bench.handle([record("1", USER, "b")]).await,
            [""; 0],
            "{case}"
        );
        let members = audience.members();
        assert_eq!(members.len(), 1, "{case}");
        assert_eq!(members[0].email_address, NEW, "{case}");
        assert_eq!(
            members[0].tags,
            ["vip", "sesamy_active_subscriber"],
            "{case}"
        );
        assert_eq!(members[0].merge_fields["SHOE"], 38, "{case}");
    }
}

#[tokio::test]
async fn a_preview_shows_a_move() {
    let (bench, _) = synced(Status::Subscribed).await;
    let preview = bench.previewed_and_synced::<MailchimpCrm>(USER).await;
    let shown = serde_json::to_value(&preview).unwrap();
    assert_eq!(shown["writes"].as_array().unwrap().len(), 1, "{shown}");
}
