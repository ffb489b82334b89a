//! Forgetting a user removes our data from the contact and keeps everything else.

use std::collections::{BTreeMap, BTreeSet};

use fakes::Fault;
use fakes::sesamy::User;

use crate::crm::{only_contact, state};
use crate::{Bench, ContactData, EMAIL, TestedCrm, USER, anna, customer, split_tags, start};

const FOREIGN_TAGS: [&str; 3] = ["vip", "SESAMY_x", "sesamyfan"];

/// A synced contact of the publisher's that unsubscribed afterwards.
struct Synced<C: TestedCrm> {
    bench: Bench<C::Connector>,
    account: C::Account,
    before: C::Contact,
}

async fn synced<C: TestedCrm>() -> Synced<C> {
    let (bench, account) = start::<C>().await;
    C::put_contact(&account, C::contact(&FOREIGN_TAGS));
    bench.sesamy.put_user(customer());
    bench.synced(USER, "a").await;
    C::put_contact(&account, C::unsubscribed(only_contact::<C>(&account)));
    let before = only_contact::<C>(&account);
    Synced {
        bench,
        account,
        before,
    }
}

impl<C: TestedCrm> Synced<C> {
    /// Every tag but the foreign ones.
    fn our_tags(&self) -> BTreeSet<String> {
        let mut tags = C::data(&self.before).tag_set();
        tags.retain(|tag| !FOREIGN_TAGS.contains(&tag.as_str()));
        tags
    }

    /// What the publisher keeps.
    fn remaining(&self) -> ContactData {
        let foreign = C::data(&C::contact(&FOREIGN_TAGS));
        let mut fields = C::data(&self.before).fields;
        fields.retain(|key, _| {
            foreign.fields.contains_key(key) || C::SHARED_FIELDS.contains(&key.as_str())
        });
        ContactData {
            tags: foreign.tags,
            fields,
        }
    }

    fn assert_forgotten(&self, case: &str) {
        let expected = (self.remaining(), C::consent(&self.before));
        assert_eq!(state::<C>(&self.account), expected, "{case}");
    }
}

pub async fn removes_what_syncs_wrote_and_keeps_the_publishers_data<C: TestedCrm>() {
    let synced = synced::<C>().await;
    let forgotten = synced.bench.forget(USER, None).await;
    assert_eq!(forgotten.outcome, "forgotten");
    synced.assert_forgotten("");
    assert_eq!(synced.bench.fakes.violations(), []);

    let answer = serde_json::to_string(&forgotten).unwrap();
    for personal in [EMAIL, "Anna", "Ask"] {
        assert!(!answer.contains(personal), "{personal} in {answer}");
    }
    let [contact] = forgotten.contacts.as_slice() else {
        panic!("one contact: {forgotten:?}");
    };
    let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(set(&contact.tags.removed), synced.our_tags());
    let (had, has) = (C::data(&synced.before).fields, synced.remaining().fields);
    let cleared = had.into_keys().filter(|key| !has.contains_key(key));
    assert_eq!(set(&contact.fields.removed), cleared.collect());
}

pub async fn finds_nothing_the_second_time<C: TestedCrm>() {
    let Synced { bench, .. } = synced::<C>().await;
    bench.forget(USER, None).await;
    bench.fakes.clear_requests();
    assert_eq!(bench.forget(USER, None).await.outcome, "nothing_to_forget");
    assert!(bench.fakes.requests_to(C::API).iter().all(C::is_read));
}

pub async fn creates_no_contact<C: TestedCrm>() {
    let (bench, account) = start::<C>().await;
    bench.sesamy.put_user(anna());
    let forgotten = bench.forget(USER, None).await;
    assert_eq!(forgotten.outcome, "nothing_to_forget");
    assert!(forgotten.contacts.iter().all(|contact| !contact.found));
    assert!(C::contacts(&account).is_empty());
}

pub async fn finds_a_user_who_is_gone_from_sesamy<C: TestedCrm>() {
    let synced = synced::<C>().await;
    synced.bench.sesamy.remove_user(USER);
    assert_eq!(synced.bench.forget(USER, None).await.outcome, "forgotten");
    synced.assert_forgotten("");
    assert_eq!(synced.bench.table.items(), BTreeMap::new());
}

pub async fn finds_a_user_who_is_gone_from_sesamy_by_address<C: TestedCrm>() {
    let synced = synced::<C>().await;
    synced.bench.sesamy.remove_user(USER);
    synced.bench.table.lose();
    let unknown = serde_json::to_value(synced.bench.forget(USER, None).await).unwrap();
    assert_eq!(unknown["outcome"], "error");
    assert_eq!(unknown["error"]["code"], "address_unknown");
    let forgotten = synced.bench.forget(USER, Some(" Anna@Example.SE ")).await;
    assert_eq!(forgotten.outcome, "forgotten");
    synced.assert_forgotten("");
}

pub async fn leaves_the_contact_of_another_user_alone<C: TestedCrm>() {
    let Synced { bench, account, .. } = synced::<C>().await;
    let before = state::<C>(&account);
    let forgotten = bench.forget("email|other", Some(EMAIL)).await;
    assert_eq!(forgotten.outcome, "incomplete");
    let error = forgotten.contacts[0].error.as_ref().unwrap();
    assert_eq!(error.code, "another_user");
    assert_eq!(state::<C>(&account), before);
}

pub async fn forgets_guests_too<C: TestedCrm>() {
    let (bench, account) = start::<C>().await;
    C::put_contact(&account, C::contact(&["sesamy_active_subscriber"]));
    let guest = User::new("guest|1").email(EMAIL).guest();
    bench.sesamy.put_user(guest);
    assert_eq!(bench.forget("guest|1", None).await.outcome, "forgotten");
    let (ours, _) = split_tags(&C::data(&only_contact::<C>(&account)).tags);
    assert_eq!(ours, BTreeSet::new());
}

pub async fn reports_each_failed_call_and_finishes_at_the_next_try<C: TestedCrm>() {
    for call in C::forget_calls() {
        for fault in [Fault::status(500), Fault::reset(), Fault::status(400)] {
            let case = format!("{} {} after {}", call.method, call.path, call.skip);
            let synced = synced::<C>().await;
            let fault = fault.on(C::API).method(call.method).path(call.path);
            synced.bench.fakes.fault(fault.skip(call.skip).once());

            let failed = synced.bench.forget(USER, None).await;
            let contact = &failed.contacts[0];
            assert!(contact.error.is_some(), "{case}");
            assert_eq!(contact.tags.removed.len(), call.removed_tags, "{case}");
            if contact.found {
                let left = synced.our_tags().len() - call.removed_tags;
                assert_eq!(contact.tags.left.len(), left, "{case}");
                assert!(!contact.fields.left.is_empty(), "{case}");
                assert_eq!(failed.outcome, "incomplete", "{case}");
            } else {
                assert_eq!(failed.outcome, "error", "{case}");
            }
            let forgotten = synced.bench.forget(USER, None).await;
            assert_eq!(forgotten.outcome, "forgotten", "{case}");
            synced.assert_forgotten(&case);
        }
    }
}
