//! A sync writes what the derivation says, keeps everything else, and can be repeated.

use std::collections::BTreeSet;

use fakes::sesamy::User;
use fakes::{Fault, RetryAfter};
use proptest::collection::vec;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::accounts::test_with_new_accounts;
use crate::crm::{only_contact, state};
use crate::{
    EMAIL, TestedCrm, USER, any_state, customer, derived, our_tags, record, seeded, split_tags,
    start,
};

fn base_tags<C: TestedCrm>() -> impl Iterator<Item = String> {
    C::BASE_TAGS.iter().map(|&tag| tag.to_owned())
}

pub async fn second_sync_changes_nothing<C: TestedCrm>() {
    let (bench, account) = start::<C>().await;
    bench.sesamy.put_user(customer());
    bench.resynced(USER).await;
    let before = state::<C>(&account);
    let preview = bench.previewed_and_synced::<C>(USER).await;
    assert_eq!(state::<C>(&account), before);
    let writes = preview.dry_run_calls.iter();
    let writes: Vec<_> = writes
        .map(|call| format!("{} {}", call.method, call.endpoint))
        .collect();
    assert_eq!(writes, C::UNCONDITIONAL_WRITES);
}

pub async fn tag_in_another_case_is_replaced<C: TestedCrm>() {
    for ignores_case in [false, true] {
        if C::ALWAYS_IGNORES_CASE && !ignores_case {
            continue;
        }
        let (bench, account) = start::<C>().await;
        if ignores_case {
            C::set_settings(&account, C::settings_that_ignore_case());
        }
        C::put_contact(&account, C::contact(&["sesamy_Active_Subscriber", "vip"]));
        bench.sesamy.put_user(customer());
        bench.resynced(USER).await;
        let tags = C::data(&only_contact::<C>(&account)).tag_set();
        let mut expected = our_tags(&derived(&customer()), &BTreeSet::new());
        expected.extend(base_tags::<C>().chain(["vip".to_owned()]));
        if ignores_case && C::KEEPS_FIRST_SPELLING {
            let tags: BTreeSet<_> = tags.iter().map(|tag| tag.to_lowercase()).collect();
            assert_eq!(tags, expected);
        } else {
            assert_eq!(tags, expected, "ignores case: {ignores_case}");
        }
    }
}

pub async fn address_in_capitals_is_the_same_contact<C: TestedCrm>() {
    let (bench, account) = start::<C>().await;
    C::put_contact(&account, C::contact(&["vip"]));
    bench.sesamy.put_user(customer().email(" Anna@Example.SE "));
    bench.resynced(USER).await;
    let tags = C::data(&only_contact::<C>(&account)).tag_set();
    assert!(tags.contains("sesamy_active_subscriber"), "{tags:?}");
}

/// A CRM that gets no events has no deliveries, and its connector delivers none.
pub async fn delivered_events_are_those_that_the_crm_got<C: TestedCrm>() {
    let (bench, account) = start::<C>().await;
    bench.sesamy.put_user(customer());
    for event in ["a", "b"] {
        bench.synced(USER, event).await;
    }
    let [record] = bench.table.items_of("user").try_into().unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let delivered = record["delivered"].as_array().unwrap();
    assert_eq!(C::deliveries(&account).len(), delivered.len());
}

pub async fn each_failed_call_is_recovered_by_the_next_try<C: TestedCrm>() {
    for call in C::sync_calls() {
        let (bench, account) = start::<C>().await;
        C::put_contact(&account, call.before.clone());
        bench.sesamy.put_user(customer());
        bench.synced(USER, "a").await;
        let expected = state::<C>(&account);
        for fault in [
            Fault::status(500),
            Fault::bad_gateway(),
            Fault::reset(),
            Fault::too_many_requests(RetryAfter::Seconds(0)),
        ] {
            let case = format!("{} {}", call.method, call.path);
            let (bench, account) = start::<C>().await;
            C::put_contact(&account, call.before.clone());
            bench.sesamy.put_user(customer());
            let fault = fault.on(C::API).method(call.method).path(call.path);
            bench.fakes.fault(fault.once());
            assert_eq!(
                bench.handle([record("1", USER, "a")]).await,
                ["1"],
                "{case}"
            );
            let retried = bench.handle([record("1", USER, "a")]).await;
            assert_eq!(retried, [""; 0], "{case}");
            assert_eq!(bench.queue.dead_letters(), [], "{case}");
            assert_eq!(state::<C>(&account), expected, "{case}");
            C::check_records(&account, &derived(&customer()));
        }
    }
}

pub fn foreign_data_survives_any_sequence_of_states<C: TestedCrm>() {
    let runtime = Runtime::new().unwrap();
    let (bench, account) = runtime.block_on(start::<C>());
    bench.sesamy.set_rate_limit(None);
    let sequences = vec(any_state(USER, EMAIL), 1..5);
    let run = |states: Vec<User>| {
        let foreign = C::contact(&["vip", "SESAMY_x"]);
        let foreign_fields = C::data(&foreign).fields;
        let mut foreign_tags = C::data(&foreign).tag_set();
        foreign_tags.extend(base_tags::<C>());
        C::put_contact(&account, C::contact(&["vip", "SESAMY_x", "sesamy_stale"]));
        let mut ours = BTreeSet::new();
        for state in states {
            let desired = derived(&state);
            bench.sesamy.put_user(state);
            runtime.block_on(bench.resynced(USER));
            let data = C::data(&only_contact::<C>(&account));
            ours = our_tags(&desired, &ours);
            assert_eq!(split_tags(&data.tags), (ours.clone(), foreign_tags.clone()));
            for (key, value) in &foreign_fields {
                assert_eq!(data.fields.get(key), Some(value), "{key}");
            }
            for (key, value) in C::desired_fields(&desired) {
                assert_eq!(data.fields.get(&key), value.as_ref(), "{key}");
            }
            C::check_records(&account, &desired);
        }
        Ok(())
    };
    seeded(200).run(&sequences, run).unwrap();
}

/// A contact keeps its status, and joins the list only if the CRM's rules allow it.
pub fn no_sync_changes_consent<C: TestedCrm>() {
    let states = vec(any_state(USER, EMAIL), 1..4);
    let cases = (C::any_contact(), C::any_settings(), states);
    test_with_new_accounts::<C, _>(100, &cases, |runtime, bench, account, case| {
        let (before, settings, states) = case;
        C::set_settings(account, settings.clone());
        C::put_contact(account, before);
        let before = only_contact::<C>(account);
        let mut foreign_tags = split_tags(&C::data(&before).tags).1;
        foreign_tags.extend(base_tags::<C>());
        for (n, state) in states.into_iter().enumerate() {
            bench.sesamy.put_user(state);
            runtime.block_on(bench.synced(USER, &n.to_string()));
            let after = only_contact::<C>(account);
            assert_eq!(
                C::consent(&after),
                C::consent_after_sync(&before, &settings)
            );
            assert_eq!(split_tags(&C::data(&after).tags).1, foreign_tags);
        }
    });
}
