//! A user whose address changes takes the contact along.

use conformance::{Bench, EMAIL, USER, anna};
use fakes::hubspot::{Contact, HubSpotAccount, HubSpotSettings};
use fakes::{Api, Fault};
use hubspot::HubSpot;
use hubspot::mapping::TAGS;

use crate::crm::{daily_subscriber, start};

const NEW: &str = "anna@new.example";
const OURS: &str = "sesamy_active_subscriber";

/// A contact of the publisher's, with our data.
async fn synced(contact: Contact) -> (Bench<HubSpot>, HubSpotAccount, Contact) {
    let (bench, account) = start().await;
    account.put_contact(contact.tags(&["vip"]).property("shoe_size", "38"));
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let contact = account.contact(EMAIL).unwrap();
    assert_eq!(contact.values(TAGS), ["vip", OURS]);
    bench.sesamy.put_user(daily_subscriber().email(NEW));
    (bench, account, contact)
}

fn tags_of(account: &HubSpotAccount, email: &str) -> Option<Vec<String>> {
    account.contact(email).map(|contact| contact.values(TAGS))
}

#[tokio::test]
async fn contact_moves_by_one_write_and_keeps_all_it_has() {
    for keep_old_address in [false, true] {
        let (bench, account, before) = synced(Contact::new(EMAIL)).await;
        account.set_settings(HubSpotSettings {
            keep_old_address,
            ..HubSpotSettings::default()
        });
        let preview = bench.preview(USER).await;
        assert!(preview.contacts[0].moved);
        bench.calls(Api::HubSpot);
        bench.synced(USER, "b").await;
        let writes = bench.calls(Api::HubSpot);
        let writes = writes.iter().filter(|call| !call.starts_with("GET"));
        assert_eq!(
            writes.collect::<Vec<_>>(),
            ["PATCH /crm/v3/objects/contacts/101"]
        );
        let after = account.contact(NEW).unwrap();
        assert_eq!(after.email, NEW);
        assert_eq!(after.id, before.id);
        assert_eq!(after.properties, before.properties);
        bench.synced(USER, "c").await;
        let calls = bench.calls(Api::HubSpot);
        assert_eq!(calls, ["GET /crm/v3/objects/contacts/101"]);
    }
}

#[tokio::test]
async fn contact_is_found_by_its_user_after_everything_was_forgotten() {
    let (bench, account, before) = synced(Contact::new(EMAIL)).await;
    bench.table.lose();
    bench.synced(USER, "b").await;
    assert_eq!(account.contact(NEW).unwrap().id, before.id);
    assert_eq!(account.contacts().len(), 1);
}

#[tokio::test]
async fn contact_of_the_new_address_is_synced_and_the_other_cleared() {
    for opted_out in [false, true] {
        let earlier = Contact::new(EMAIL);
        let earlier = if opted_out {
            earlier.opted_out()
        } else {
            earlier
        };
        let (bench, account, before) = synced(earlier).await;
        let other = Contact::new(NEW).tags(&["other"]).opted_out_of(7);
        account.put_contact(other);
        bench.synced(USER, "b").await;
        let old = account.contact(EMAIL).unwrap();
        assert_eq!(old.values(TAGS), ["vip"]);
        assert_eq!(old.get("shoe_size"), Some("38"));
        assert_eq!(old.get("sesamy_user_id"), None);
        assert_eq!(old.opt_outs, before.opt_outs);
        let new = account.contact(NEW).unwrap();
        assert_eq!(new.values(TAGS), ["other", OURS]);
        assert_eq!(new.get("sesamy_user_id"), Some(USER));
        assert_eq!(new.opt_outs.len(), 1);
    }
}

#[tokio::test]
async fn contact_of_the_new_address_is_synced_after_any_failed_call() {
    for call in 0.. {
        let (bench, account, _) = synced(Contact::new(EMAIL)).await;
        account.put_contact(Contact::new(NEW).tags(&["other"]));
        let fault = Fault::status(500).on(Api::HubSpot).skip(call).once();
        bench.fakes.fault(fault);
        let failed = bench.handle([conformance::resync("1", USER)]).await;
        bench.fakes.clear_faults();
        bench.resynced(USER).await;
        let tags = |email| tags_of(&account, email).unwrap();
        assert_eq!(tags(EMAIL), ["vip"], "{call}");
        assert_eq!(tags(NEW), ["other", OURS], "{call}");
        if failed.is_empty() {
            assert!(call > 2, "{call}");
            break;
        }
    }
}

/// Opt-outs belong to the address, so that the new one would get mail.
#[tokio::test]
async fn user_who_has_opted_out_of_anything_gets_no_new_address() {
    for contact in [
        Contact::new(EMAIL).opted_out(),
        Contact::new(EMAIL).opted_out_of(7),
    ] {
        let (bench, account, before) = synced(contact).await;
        for event in ["b", "c"] {
            bench.synced(USER, event).await;
            let [contact] = account.contacts().try_into().unwrap();
            assert_eq!(contact.email, EMAIL);
            assert_eq!(contact.opt_outs, before.opt_outs);
            assert_eq!(contact.values(TAGS), ["vip"]);
        }
        // The publisher subscribes them again.
        account.put_contact(Contact {
            opt_outs: Default::default(),
            ..account.contact(EMAIL).unwrap()
        });
        bench.synced(USER, "d").await;
        let [contact] = account.contacts().try_into().unwrap();
        assert_eq!((contact.id, contact.email.as_str()), (before.id, NEW));
        assert_eq!(contact.values(TAGS), ["vip", OURS]);
    }
}

#[tokio::test]
async fn user_whose_move_is_refused_gets_a_new_contact() {
    let (bench, account, _) = synced(Contact::new(EMAIL)).await;
    account.set_settings(HubSpotSettings {
        refuse_moves: true,
        ..HubSpotSettings::default()
    });
    bench.synced(USER, "b").await;
    assert_eq!(tags_of(&account, EMAIL).unwrap(), ["vip"]);
    assert_eq!(tags_of(&account, NEW).unwrap(), [OURS]);
    bench.calls(Api::HubSpot);
    bench.synced(USER, "c").await;
    assert_eq!(
        bench.calls(Api::HubSpot),
        ["GET /crm/v3/objects/contacts/102"]
    );
}

#[tokio::test]
async fn secondary_address_is_left_secondary() {
    let (bench, account, before) = synced(Contact::new(EMAIL)).await;
    account.put_contact(before.clone().secondary_email(NEW));
    bench.synced(USER, "b").await;
    let contact = account.contact(NEW).unwrap();
    assert_eq!(contact, before.secondary_email(NEW));
}

/// The first contact's address was changed by hand.
#[tokio::test]
async fn contact_of_the_users_address_is_the_users_and_contacts_are_never_merged() {
    let (bench, account, before) = synced(Contact::new(EMAIL)).await;
    bench.sesamy.put_user(daily_subscriber());
    let by_hand = "by-hand@example.se";
    account.put_contact(Contact {
        email: by_hand.to_owned(),
        ..before
    });
    account.put_contact(Contact::new(EMAIL).tags(&["other"]));
    bench.synced(USER, "b").await;
    assert_eq!(tags_of(&account, by_hand).unwrap(), ["vip"]);
    assert_eq!(tags_of(&account, EMAIL).unwrap(), ["other", OURS]);
}

/// The publisher changed its address by hand.
#[tokio::test]
async fn contact_gets_the_users_address_unless_it_has_opted_out() {
    for opted_out in [false, true] {
        let (bench, account, before) = synced(Contact::new(EMAIL)).await;
        bench.sesamy.put_user(anna());
        let by_hand = Contact {
            email: "by-hand@example.se".to_owned(),
            ..before
        };
        let by_hand = if opted_out {
            by_hand.opted_out()
        } else {
            by_hand
        };
        account.put_contact(by_hand.clone());
        bench.synced(USER, "b").await;
        let [contact] = account.contacts().try_into().unwrap();
        let expected = if opted_out {
            by_hand.email.as_str()
        } else {
            EMAIL
        };
        assert_eq!(contact.email, expected);
        assert_eq!(contact.values(TAGS), ["vip"], "the rest is written");
        assert_eq!(contact.opt_outs, by_hand.opt_outs);
    }
}

#[tokio::test]
async fn contact_in_another_account_is_not_taken_for_the_users() {
    let (mut bench, _, before) = synced(Contact::new(EMAIL)).await;
    let other = bench.fakes.hubspot().add_account("other", "other");
    let stranger = Contact::new("stranger@example.se").tags(&["vip"]);
    assert_eq!(other.put_contact(stranger), before.id);
    let secret = serde_json::json!({
        "accessToken": "other",
        "apiUrl": bench.fakes.urls().hubspot,
    });
    bench.put_connector_secret(&secret);
    bench.restart(HubSpot::default());
    bench.synced(USER, "b").await;
    assert_eq!(tags_of(&other, "stranger@example.se").unwrap(), ["vip"]);
    assert_eq!(tags_of(&other, NEW).unwrap(), [OURS]);
}
