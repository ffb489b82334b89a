//! A user whose address changes takes the contact along.

use fakes::Fault;
use fakes::sesamy::User;
use jiff::SignedDuration;

use crate::crm::{only_contact, state};
use crate::{
    Bench, ContactData, EMAIL, TestedCrm, USER, anna, customer, derived, our_tags, record, resync,
    split_tags, start,
};

const NEW_EMAIL: &str = "anna@new.example";

fn moved() -> User {
    customer().email(NEW_EMAIL)
}

/// The vendor's only user is synced at the old address; at the new address there is
/// no contact.
async fn synced<C: TestedCrm>(contact: C::Contact) -> (Bench<C::Connector>, C::Account) {
    let (bench, account) = start::<C>().await;
    C::put_contact(&account, contact);
    bench.sesamy.put_user(customer());
    bench.synced(USER, "a").await;
    (bench, account)
}

fn contact_at<C: TestedCrm>(account: &C::Account, email: &str) -> C::Contact {
    let contacts = C::contacts(account).into_iter();
    let mut contacts = contacts.filter(|contact| C::email(contact) == email);
    contacts.next().unwrap()
}

fn ours(data: &ContactData) -> usize {
    split_tags(&data.tags).0.len()
}

fn kinds_of_contacts<C: TestedCrm>() -> [C::Contact; 2] {
    let contact = C::contact(&["vip"]);
    [contact.clone(), C::unsubscribed(contact)]
}

fn contacts_that_move<C: TestedCrm>() -> impl Iterator<Item = C::Contact> {
    let kinds = if C::CONSENT_MOVES { 2 } else { 1 };
    kinds_of_contacts::<C>().into_iter().take(kinds)
}

pub async fn contact_moves_with_its_consent_and_the_publishers_data<C: TestedCrm>() {
    for contact in contacts_that_move::<C>() {
        let (bench, account) = synced::<C>(contact).await;
        let before = state::<C>(&account);
        bench.sesamy.put_user(moved());
        let preview = bench.preview(USER).await;
        assert_eq!(C::email(&only_contact::<C>(&account)), EMAIL, "a preview");
        bench.synced(USER, "a").await;
        let consent = C::consent(&contact_at::<C>(&account, NEW_EMAIL));
        assert_eq!(consent, before.1);
        if C::contacts(&account).len() > 1 {
            assert!(C::COPIES_UNSUBSCRIBED);
            let old = contact_at::<C>(&account, EMAIL);
            assert_eq!((ours(&C::data(&old)), C::consent(&old)), (0, consent));
            let new = C::data(&contact_at::<C>(&account, NEW_EMAIL));
            assert_eq!(split_tags(&new.tags).0, split_tags(&before.0.tags).0);
        } else {
            assert!(
                preview
                    .contacts
                    .iter()
                    .all(|contact| contact.moved && !contact.new)
            );
            assert_eq!(state::<C>(&account), before);
        }
        C::check_records(&account, &derived(&moved()));
    }
}

pub async fn move_is_finished_after_any_failed_call<C: TestedCrm>() {
    for call in 0.. {
        let (bench, account) = synced::<C>(C::contact(&["vip"])).await;
        let before = state::<C>(&account);
        bench.sesamy.put_user(moved());
        bench
            .fakes
            .fault(Fault::status(500).on(C::API).skip(call).once());
        let failed = bench.handle([resync("1", USER)]).await;
        if failed.is_empty() {
            // There are no more calls.
            assert!(call > 2, "{call}");
            break;
        }
        bench.resynced(USER).await;
        assert_eq!(C::email(&only_contact::<C>(&account)), NEW_EMAIL, "{call}");
        assert_eq!(state::<C>(&account), before, "{call}");
    }
}

pub async fn contact_of_the_new_address_is_synced_and_the_other_cleared<C: TestedCrm>() {
    for contact in kinds_of_contacts::<C>() {
        let (bench, account) = synced::<C>(contact).await;
        let other = C::with_email(C::contact(&["sesamy_stale", "other"]), NEW_EMAIL);
        C::put_contact(&account, other);
        let consents = || {
            let mut contacts = C::contacts(&account);
            contacts.sort_by_key(C::email);
            contacts.iter().map(C::consent).collect::<Vec<_>>()
        };
        let before = consents();
        bench.sesamy.put_user(moved());
        let preview = bench.preview(USER).await;
        let earlier = preview.contacts.iter().filter(|contact| contact.earlier);
        assert_eq!(earlier.count(), 1, "{preview:?}");
        bench.resynced(USER).await;

        let old = C::data(&contact_at::<C>(&account, EMAIL));
        assert_eq!(ours(&old), 0, "{old:?}");
        assert!(old.tag_set().contains("vip"), "{old:?}");
        let new = C::data(&contact_at::<C>(&account, NEW_EMAIL));
        let expected = our_tags(&derived(&moved()), &Default::default());
        assert_eq!(split_tags(&new.tags).0, expected);
        assert!(new.tag_set().contains("other"), "{new:?}");
        assert_eq!(consents(), before);
    }
}

/// A new subscribed contact would be mailed without consent.
pub async fn unsubscribed_user_whose_move_is_refused_stays_unsubscribed<C: TestedCrm>() {
    let (bench, account) = synced::<C>(C::unsubscribed(C::contact(&["vip"]))).await;
    let consent = C::consent(&only_contact::<C>(&account));
    C::set_settings(&account, C::settings_that_refuse_moves());
    bench.sesamy.put_user(moved());
    for event in ["b", "c"] {
        bench.synced(USER, event).await;
        let contact = contact_at::<C>(&account, EMAIL);
        assert_eq!(ours(&C::data(&contact)), 0);
        for contact in C::contacts(&account) {
            assert_eq!(C::consent(&contact), consent);
        }
        let count = 1 + usize::from(C::COPIES_UNSUBSCRIBED);
        assert_eq!(C::contacts(&account).len(), count);
    }
    if !C::CONSENT_MOVES {
        return;
    }
    // Once the CRM allows it, the contact moves.
    C::set_settings(&account, C::Settings::default());
    bench.synced(USER, "d").await;
    let contact = contact_at::<C>(&account, NEW_EMAIL);
    assert_eq!(C::consent(&contact), consent);
    assert_ne!(ours(&C::data(&contact)), 0);
}

pub async fn subscribed_user_whose_move_is_refused_gets_a_new_contact<C: TestedCrm>() {
    let (bench, account) = synced::<C>(C::contact(&["vip"])).await;
    C::set_settings(&account, C::settings_that_refuse_moves());
    bench.sesamy.put_user(moved());
    bench.resynced(USER).await;
    assert_eq!(ours(&C::data(&contact_at::<C>(&account, EMAIL))), 0);
    assert_ne!(ours(&C::data(&contact_at::<C>(&account, NEW_EMAIL))), 0);
}

/// Its id may be another person's in another account.
pub async fn contact_of_another_user_is_never_moved_or_cleared<C: TestedCrm>() {
    let (mut bench, _) = synced::<C>(C::contact(&["vip"])).await;
    let other = C::add_account(&bench.fakes, "other");
    bench.put_connector_secret(&C::secret(&bench.fakes, "other"));
    bench.restart(C::Connector::default());
    let stranger = C::with_email(C::contact(&["vip"]), "stranger@example.se");
    C::put_contact(&other, stranger);
    let before = state::<C>(&other);
    bench.sesamy.put_user(moved());
    bench.resynced(USER).await;
    let stranger = contact_at::<C>(&other, "stranger@example.se");
    assert_eq!((C::data(&stranger), C::consent(&stranger)), before);
    assert_ne!(ours(&C::data(&contact_at::<C>(&other, NEW_EMAIL))), 0);
}

pub async fn user_who_is_gone_from_sesamy_loses_our_data<C: TestedCrm>() {
    const LONG_AGO: SignedDuration = SignedDuration::from_mins(16);
    let (bench, account) = synced::<C>(C::contact(&["vip"])).await;
    let consent = C::consent(&only_contact::<C>(&account));
    bench.sesamy.remove_user(USER);
    let gone = bench.received(LONG_AGO, resync("1", USER));
    // Credentials that see no user at all prove nothing.
    assert_eq!(bench.handle([gone.clone()]).await, ["1"]);
    assert_ne!(ours(&C::data(&only_contact::<C>(&account))), 0);

    bench
        .sesamy
        .put_user(User::new("email|other").email("other@example.se"));
    bench.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(bench.handle([gone]).await, [""; 0]);
    let contact = only_contact::<C>(&account);
    assert_eq!(ours(&C::data(&contact)), 0);
    assert!(C::data(&contact).tag_set().contains("vip"));
    assert_eq!(C::consent(&contact), consent);
    assert!(bench.table.items().is_empty());
}

/// Four webhooks of a purchase come within a second; the queue may hand them out in
/// two batches.
pub async fn second_batch_of_a_burst_reads_nothing_of_sesamy<C: TestedCrm>() {
    let (bench, account) = start::<C>().await;
    bench.sesamy.put_user(customer());
    bench.synced(USER, "a").await;
    let before = state::<C>(&account);
    bench.fakes.clear_requests();
    let five_seconds = SignedDuration::from_secs(5);
    let late = ["b", "c", "a"].map(|id| bench.received(five_seconds, record(id, USER, id)));
    assert_eq!(bench.handle(late).await, [""; 0]);
    assert_eq!(bench.fakes.requests_to(fakes::Api::Sesamy), []);
    assert_eq!(state::<C>(&account), before);
}

pub async fn users_of_one_address_share_the_contact_of_the_one_with_access<C: TestedCrm>() {
    const OTHER: &str = "email|other";
    let (bench, account) = start::<C>().await;
    bench.sesamy.put_user(customer());
    bench.sesamy.put_user(
        User {
            id: OTHER.to_owned(),
            ..anna()
        }
        .set("userId", OTHER),
    );
    bench.resynced(OTHER).await;
    bench.resynced(USER).await;
    let expected = state::<C>(&account);
    bench.resynced(OTHER).await;
    assert_eq!(state::<C>(&account), expected);
}
