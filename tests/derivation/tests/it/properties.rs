//! What holds for every reader.
//!
//! A failure prints the seed; `PROPTEST_RNG_SEED=<seed>` repeats the run,
//! `PROPTEST_CASES=<number>` makes it longer.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};

use derivation_tests::read_state;
use jiff::Timestamp;
use jiff::civil::Date;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestError, TestRunner};
use serde_json::{Value, json};
use shared::derivation::{
    Derivation, PERMANENT_TAG, Policy, Subscriber, TAG_PREFIX, Tag, Tags, derive, reconcile,
};
use shared::identity::{ContractId, UserId};
use shared::message::{Event, EventType};
use shared::sesamy::model::{Bill, Contract, Dropped, Entitlement, Profile, UserState};

use crate::generate::{self, Bodies};

/// Runs a property with a seed that is told where it fails.
fn holds<S: Strategy>(strategy: S, test: impl Fn(S::Value) -> TestCaseResult) {
    let mut config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    if matches!(config.rng_seed, RngSeed::Random) {
        config.rng_seed = RngSeed::Fixed(RandomState::new().hash_one(0));
    }
    let seed = config.rng_seed;
    match TestRunner::new(config).run(&strategy, test) {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => {
            panic!("PROPTEST_RNG_SEED={seed}\n{why}\n{input:#?}")
        }
        Err(TestError::Abort(why)) => panic!("PROPTEST_RNG_SEED={seed}\n{why}"),
    }
}

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn state(bodies: &Bodies) -> Option<UserState> {
    let Bodies {
        profile,
        contracts,
        entitlements,
        bills,
        ..
    } = bodies;
    read_state(profile, contracts, entitlements, bills).0
}

fn derived(bodies: &Bodies) -> Option<Derivation> {
    let user = UserId::try_from(bodies.user.as_str()).unwrap();
    Some(derive(&user, &state(bodies)?, Policy::default(), now()))
}

fn subscriber(bodies: &Bodies) -> Option<Box<Subscriber>> {
    match derived(bodies)? {
        Derivation::Subscriber(subscriber) => Some(subscriber),
        Derivation::Skipped(_) => None,
    }
}

/// An event of the first contract that is made up.
fn event() -> Event {
    Event {
        event_type: EventType::ContractUpdate,
        occurred_at: Timestamp::UNIX_EPOCH,
        contract_id: ContractId::try_from("c0").ok(),
        entitlement_id: None,
        checkout_id: None,
    }
}

/// Everything that every CRM would be told.
fn told(subscriber: &Subscriber) -> Vec<Value> {
    let tags: Vec<String> = names(&subscriber.tags);
    let mut told = vec![make::mapping::subscriber(subscriber, &tags)];
    told.extend(make::mapping::products(subscriber));
    told.extend(make::mapping::subscriptions(subscriber));
    let fields = rule::mapping::fields(subscriber);
    let fields = fields
        .into_iter()
        .chain(rule::mapping::event_fields(&event(), subscriber));
    told.extend(fields.map(|field| json!({ field.key: field.value })));
    let fields = mailmojo::mapping::fields(subscriber);
    told.extend(fields.map(|field| json!({ field.name: field.value })));
    told
}

fn names(tags: &Tags) -> Vec<String> {
    tags.keys().map(|tag| tag.as_str().to_owned()).collect()
}

#[test]
fn any_json_can_be_read() {
    holds(generate::json(), |json| {
        let mut dropped = Dropped::default();
        Profile::read(&json, &mut dropped);
        Contract::read(&json, &mut dropped);
        Entitlement::read(&json, &mut dropped);
        Bill::read(&json, &mut dropped);
        Ok(())
    });
}

#[test]
fn any_reader_however_spoilt_can_be_derived_and_told() {
    holds(generate::spoilt_bodies(), |bodies| {
        if let Some(subscriber) = subscriber(&bodies) {
            told(&subscriber);
        }
        Ok(())
    });
}

#[test]
fn of_what_sesamy_would_send_nothing_is_dropped() {
    holds(generate::bodies(), |bodies| {
        let Bodies {
            profile,
            contracts,
            entitlements,
            bills,
            ..
        } = &bodies;
        let (state, dropped) = read_state(profile, contracts, entitlements, bills);
        prop_assert_eq!(dropped.values().to_string(), "");
        prop_assert_eq!(state.unwrap().contracts.len(), contracts.len());
        Ok(())
    });
}

#[test]
fn one_odd_value_costs_nothing_else() {
    let fields = [
        "status",
        "isActive",
        "contractDuration",
        "recurringInterval",
        "createdAt",
        "updatedAt",
        "expiresAt",
        "nextBillAt",
        "willCancelAt",
        "cancelRequestedAt",
        "issuesRemaining",
        "payer",
        "payerId",
        "isGift",
        "items",
    ];
    let odd = (
        generate::bodies(),
        any::<prop::sample::Index>(),
        prop::sample::select(fields.to_vec()),
        prop_oneof![Just(json!([[]])), Just(json!({ "": 0 })), Just(json!("?"))],
    );
    holds(odd, |(mut bodies, which, field, value)| {
        if bodies.contracts.is_empty() {
            return Ok(());
        }
        let which = which.index(bodies.contracts.len());
        let mut without = bodies.clone();
        without.contracts[which]
            .as_object_mut()
            .unwrap()
            .remove(field);
        bodies.contracts[which][field] = value.clone();

        let is_text = value.is_string();
        let (odd, without) = (state(&bodies).unwrap(), state(&without).unwrap());
        prop_assert_eq!(odd.contracts.len(), bodies.contracts.len());
        // A text is as good as any where any text is understood.
        let takes_any_text = ["status", "contractDuration", "recurringInterval", "payerId"];
        if !(is_text && takes_any_text.contains(&field)) {
            prop_assert_eq!(odd, without);
        }
        Ok(())
    });
}

#[test]
fn what_was_dropped_is_told_by_places_of_the_models_alone() {
    let mut seen = BTreeSet::new();
    let places = std::cell::RefCell::new(&mut seen);
    holds(generate::spoilt_bodies(), |bodies| {
        let Bodies {
            profile,
            contracts,
            entitlements,
            bills,
            ..
        } = &bodies;
        let (_, dropped) = read_state(profile, contracts, entitlements, bills);
        for (path, count) in dropped.values().paths().chain(dropped.unknown().paths()) {
            prop_assert!(count > 0);
            let is_place = path
                .bytes()
                .all(|b| b.is_ascii_alphabetic() || b".[]_".contains(&b));
            prop_assert!(is_place, "{path}");
            places.borrow_mut().insert(path);
        }
        prop_assert_eq!(
            dropped.values().total(),
            dropped
                .values()
                .paths()
                .map(|(_, count)| count)
                .sum::<usize>()
        );
        Ok(())
    });
    assert!(seen.len() < 80, "{seen:?}");
}

#[test]
fn the_order_of_what_sesamy_sends_does_not_matter() {
    let shuffled = generate::spoilt_bodies().prop_flat_map(|bodies| {
        let lists = (
            Just(bodies.contracts.clone()).prop_shuffle(),
            Just(bodies.entitlements.clone()).prop_shuffle(),
            Just(bodies.bills.clone()).prop_shuffle(),
        );
        (Just(bodies), lists)
    });
    holds(shuffled, |(bodies, (contracts, entitlements, bills))| {
        let shuffled = Bodies {
            contracts,
            entitlements,
            bills,
            ..bodies.clone()
        };
        prop_assert_eq!(derived(&bodies), derived(&shuffled));
        Ok(())
    });
}

#[test]
fn what_comes_twice_counts_once() {
    holds(generate::spoilt_bodies(), |bodies| {
        let twice = |list: &[Value]| [list, list].concat();
        let doubled = Bodies {
            contracts: twice(&bodies.contracts),
            entitlements: twice(&bodies.entitlements),
            bills: twice(&bodies.bills),
            ..bodies.clone()
        };
        prop_assert_eq!(derived(&bodies), derived(&doubled));
        Ok(())
    });
}

#[test]
fn every_tag_is_a_tag() {
    holds(generate::spoilt_bodies(), |bodies| {
        let Some(subscriber) = subscriber(&bodies) else {
            return Ok(());
        };
        for (tag, reasons) in &subscriber.tags {
            let name = tag.as_str();
            prop_assert_eq!(&Tag::parse(name), &Some(tag.clone()));
            let own = name.strip_prefix("sesamy_").unwrap();
            prop_assert!((1..=92).contains(&own.len()), "{name}");
            let is_spelt = own
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
            prop_assert!(is_spelt, "{name}");
            prop_assert!(!name.ends_with(['-', '_']), "{name}");
            prop_assert!(!name.contains("--"), "{name}");
            prop_assert!(!name.starts_with("sesamy_event_"), "{name}");
            prop_assert!(!reasons.is_empty(), "{name}");
        }
        Ok(())
    });
}

#[test]
fn every_date_is_a_date_and_every_value_has_its_fields_type() {
    holds(generate::spoilt_bodies(), |bodies| {
        let Some(subscriber) = subscriber(&bodies) else {
            return Ok(());
        };
        let fields = rule::mapping::fields(&subscriber);
        for field in fields
            .iter()
            .chain(&rule::mapping::event_fields(&event(), &subscriber))
        {
            use rule::mapping::FieldType;
            let definition = (field.key, field.kind);
            prop_assert!(
                rule::mapping::DEFINITIONS.contains(&definition),
                "{field:?}"
            );
            let is_cleared = field.value == "";
            let fits = match field.kind {
                FieldType::Text => field.value.is_string(),
                FieldType::Date => is_cleared || is_date(&field.value),
                FieldType::Multiple => is_cleared || is_list_of_texts(&field.value),
            };
            prop_assert!(fits, "{field:?} {}", field.value);
        }
        let fields = mailmojo::mapping::fields(&subscriber);
        prop_assert_eq!(
            fields.each_ref().map(|field| (field.name, field.kind)),
            mailmojo::mapping::DEFINITIONS
        );
        for field in &fields {
            use mailmojo::mapping::FieldType;
            let fits = match field.kind {
                FieldType::Text => field.value.is_string(),
                FieldType::Boolean => field.value.is_boolean(),
                FieldType::Number => field.value.is_number(),
                FieldType::Date => is_date(&field.value),
            };
            prop_assert!(fits || field.value.is_null(), "{field:?} {}", field.value);
        }
        for subscription in make::mapping::subscriptions(&subscriber) {
            let start = subscription.get("start_date");
            prop_assert!(start.is_none_or(is_date), "{subscription}");
            let end = subscription.get("end_date");
            prop_assert!(
                end.is_some_and(|end| end.is_null() || is_date(end)),
                "{subscription}"
            );
        }
        Ok(())
    });
}

fn is_date(value: &Value) -> bool {
    value.as_str().is_some_and(|text| {
        let form = text.bytes().enumerate().all(|(position, byte)| {
            if matches!(position, 4 | 7) {
                byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        });
        form && text.len() == 10 && text.parse::<Date>().is_ok()
    })
}

fn is_list_of_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|list| {
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
        !list.is_empty() && list.iter().all(is_text)
    })
}

#[test]
fn products_and_subscriptions_are_unique() {
    holds(generate::spoilt_bodies(), |bodies| {
        let Some(subscriber) = subscriber(&bodies) else {
            return Ok(());
        };
        let products = &subscriber.active_products;
        for list in [&products.skus, &products.titles, &products.option_titles] {
            let distinct: BTreeSet<_> = list.iter().collect();
            prop_assert_eq!(distinct.len(), list.len(), "{:?}", list);
        }
        let catalogue = &subscriber.catalogue;
        let distinct: BTreeSet<_> = catalogue.iter().map(|p| &p.external_id).collect();
        prop_assert_eq!(distinct.len(), catalogue.len());
        let records = &subscriber.subscriptions;
        let distinct: BTreeSet<_> = records.iter().map(|r| &r.contract_id).collect();
        prop_assert_eq!(distinct.len(), records.len());
        Ok(())
    });
}

#[test]
fn counts_and_tags_agree_with_each_other() {
    holds(generate::spoilt_bodies(), |bodies| {
        let Some(subscriber) = subscriber(&bodies) else {
            return Ok(());
        };
        let has = |name: &str| subscriber.tags.contains_key(&Tag::parse(name).unwrap());
        let account = &subscriber.account;
        let active = account.has_active_subscription;
        prop_assert_eq!(has("sesamy_active_subscriber"), active);
        prop_assert_eq!(account.active_subscriptions > 0, active);
        prop_assert_eq!(has(PERMANENT_TAG), account.articles_purchased > 0);
        prop_assert!(active || !has("sesamy_has_gifted_subscription"));
        prop_assert!(active || account.subscription_expires_at.is_none());
        prop_assert!(active || account.will_cancel_at.is_none());
        prop_assert_eq!(
            account.ended_subscriptions,
            account.canceled_subscriptions + account.expired_subscriptions
        );
        prop_assert!(account.next_payment_date.is_none_or(|date| date >= today()));
        prop_assert!(!active || subscriber.primary_subscription.is_some());
        Ok(())
    });
}

#[test]
fn one_more_purchase_never_lowers_the_articles_purchased() {
    let purchase = (any::<bool>(), prop::option::of("[ab][0-9]|s1|s2"));
    holds(
        (generate::spoilt_bodies(), purchase),
        |(mut bodies, (is_article, sku))| {
            let Some(before) = subscriber(&bodies) else {
                return Ok(());
            };
            if is_article {
                let origin = json!({ "type": "PAYMENTS" });
                let article =
                    json!({ "id": "new", "type": "article", "sku": sku, "origin": origin });
                bodies.entitlements.push(article);
            } else {
                let items = json!([{ "sku": sku }]);
                let contract =
                    json!({ "id": "new", "contractDuration": "PERPETUAL", "items": items });
                bodies.contracts.push(contract);
            }
            let after = subscriber(&bodies).unwrap().account.articles_purchased;
            let before = before.account.articles_purchased;
            prop_assert!(after == before || after == before + 1, "{before} {after}");
            prop_assert!(after > 0);
            Ok(())
        },
    );
}

#[test]
fn a_contract_that_never_came_about_changes_nothing() {
    let status = prop::sample::select(vec!["DRAFT", "PENDING", "deleted", "Voided"]);
    let contracts = (generate::contract(), status);
    holds(
        (generate::spoilt_bodies(), contracts),
        |(bodies, (mut contract, status))| {
            contract["id"] = json!("new");
            contract["status"] = json!(status);
            let mut more = bodies.clone();
            more.contracts.push(contract);
            prop_assert_eq!(derived(&bodies), derived(&more));
            Ok(())
        },
    );
}

#[test]
fn where_unconfirmed_users_are_synced_they_are_synced_like_any_other() {
    holds(generate::bodies(), |bodies| {
        let user = UserId::try_from(bodies.user.as_str()).unwrap();
        let with = |verified: Option<bool>, policy| {
            let mut bodies = bodies.clone();
            bodies.profile["emailVerified"] = json!(verified);
            derive_as(&user, &bodies, policy)
        };
        let all = Policy {
            sync_unconfirmed: true,
        };
        let known = with(None, Policy::default());
        prop_assert_eq!(&with(Some(true), Policy::default()), &known);
        prop_assert_eq!(&with(Some(false), all), &known);
        let unconfirmed = with(Some(false), Policy::default());
        let is_skipped = matches!(unconfirmed, Derivation::Skipped(_));
        prop_assert!(is_skipped);
        Ok(())
    });
}

/// What becomes of a user whose state has a profile.
fn derive_as(user: &UserId, bodies: &Bodies, policy: Policy) -> Derivation {
    derive(user, &state(bodies).unwrap(), policy, now())
}

fn today() -> Date {
    "2026-06-15".parse().unwrap()
}

#[test]
fn personal_data_does_not_show_in_debug_output() {
    holds(generate::bodies(), |bodies| {
        let printed = format!("{:?} {:?}", state(&bodies), derived(&bodies));
        prop_assert!(!printed.contains(generate::PERSONAL), "{printed}");
        if let Some(subscriber) = subscriber(&bodies) {
            let fields = (
                rule::mapping::fields(&subscriber),
                mailmojo::mapping::fields(&subscriber),
            );
            let printed = format!("{fields:?}");
            prop_assert!(!printed.contains(generate::PERSONAL), "{printed}");
        }
        Ok(())
    });
}

/// Tags a CRM holds, a reader whose tags are wanted, and what is kept.
fn reconciliations() -> impl Strategy<Value = (Vec<String>, Tags, Vec<&'static str>)> {
    let kept = prop_oneof![Just(vec![]), Just(vec!["sesamy_event_"])];
    (generate::present_tags(), generate::bodies(), kept).prop_map(|(present, bodies, kept)| {
        let subscriber = subscriber(&bodies);
        let wanted = subscriber.map_or_else(BTreeMap::new, |subscriber| subscriber.tags);
        (present, wanted, kept)
    })
}

#[test]
fn a_reconciliation_leaves_foreign_tags_alone() {
    holds(reconciliations(), |(present, wanted, kept)| {
        let changes = reconcile(&present, &wanted, &kept);
        let ours = |tag: &&String| tag.starts_with(TAG_PREFIX);
        prop_assert!(changes.remove.iter().all(|tag| ours(&tag)));
        for tag in changes.add.iter().chain(&changes.restore) {
            prop_assert!(tag.as_str().starts_with(TAG_PREFIX));
        }
        let after = changes.apply(&present);
        let foreign = |tags: &[String]| -> Vec<String> {
            tags.iter().filter(|tag| !ours(tag)).cloned().collect()
        };
        prop_assert_eq!(foreign(&after), foreign(&present));
        Ok(())
    });
}

#[test]
fn a_reconciliation_gives_what_is_wanted_and_nothing_else() {
    holds(reconciliations(), |(present, wanted, kept)| {
        let changes = reconcile(&present, &wanted, &kept);
        let after = changes.apply(&present);
        for name in names(&wanted) {
            prop_assert!(after.contains(&name), "{name}");
        }
        for tag in after.iter().filter(|tag| tag.starts_with(TAG_PREFIX)) {
            let stays = kept.iter().any(|prefix| tag.starts_with(prefix)) || tag == PERMANENT_TAG;
            prop_assert!(stays || names(&wanted).contains(tag), "{tag}");
        }
        Ok(())
    });
}

#[test]
fn a_second_reconciliation_changes_nothing() {
    holds(reconciliations(), |(present, wanted, kept)| {
        let after = reconcile(&present, &wanted, &kept).apply(&present);
        let again = reconcile(&after, &wanted, &kept);
        prop_assert!(again.is_empty(), "{again:?}");
        prop_assert_eq!(again.apply(&after), after);
        Ok(())
    });
}

#[test]
fn a_reconciliation_never_takes_the_permanent_tag_away() {
    holds(reconciliations(), |(present, wanted, kept)| {
        let changes = reconcile(&present, &wanted, &kept);
        prop_assert!(!changes.remove.iter().any(|tag| tag == PERMANENT_TAG));
        let had = present.iter().any(|tag| tag == PERMANENT_TAG);
        let has = changes
            .apply(&present)
            .iter()
            .any(|tag| tag == PERMANENT_TAG);
        prop_assert!(has || !had);
        Ok(())
    });
}

/// A CRM that takes two spellings of a tag for one, and keeps the first.
#[derive(Debug, Clone)]
struct Folding(Vec<String>);

impl Folding {
    fn add(&mut self, tag: &str) {
        if !self
            .0
            .iter()
            .any(|t| t.to_lowercase() == tag.to_lowercase())
        {
            self.0.push(tag.to_owned());
        }
    }

    fn remove(&mut self, tag: &str) {
        self.0.retain(|t| t.to_lowercase() != tag.to_lowercase());
    }
}

#[test]
fn a_crm_that_folds_letter_case_ends_up_with_the_wanted_tags_too() {
    holds(reconciliations(), |(present, wanted, kept)| {
        // A foreign tag that is a wanted one in other letters cannot be helped.
        let in_the_way = |tag: &String| {
            !tag.starts_with(TAG_PREFIX) && tag.to_lowercase().starts_with(TAG_PREFIX)
        };
        let mut crm = Folding(Vec::new());
        for tag in present.iter().filter(|tag| !in_the_way(tag)) {
            crm.add(tag);
        }
        // The wanted tags first, as with CRMs that add while they create.
        let had_permanent = crm.0.iter().any(|tag| tag.to_lowercase() == PERMANENT_TAG);
        for tag in wanted.keys() {
            crm.add(tag.as_str());
        }
        let changes = reconcile(&crm.0, &wanted, &kept);
        for tag in &changes.add {
            crm.add(tag.as_str());
        }
        for tag in &changes.remove {
            crm.remove(tag);
        }
        for tag in &changes.restore {
            crm.add(tag.as_str());
        }
        for name in names(&wanted) {
            prop_assert!(crm.0.contains(&name), "{name} in {crm:?}");
        }
        prop_assert!(!had_permanent || crm.0.iter().any(|tag| tag == PERMANENT_TAG));
        Ok(())
    });
}

#[test]
fn a_reader_with_thousands_of_contracts_is_derived_like_any_other() {
    let contracts: Vec<Value> = (0..5_000)
        .map(|n| json!({ "id": format!("c{n}"), "contractDuration": "RECURRING", "status": "ACTIVE", "items": [{ "sku": format!("s{n}"), "name": format!("Product {n}") }] }))
        .collect();
    let bodies = Bodies {
        user: "email|anna".to_owned(),
        profile: json!({ "email": "anna@example.se" }),
        contracts,
        entitlements: (0..5_000)
            .map(|n| json!({ "id": format!("e{n}"), "sku": format!("s{n}"), "title": format!("Product {n}") }))
            .collect(),
        bills: Vec::new(),
    };
    let subscriber = subscriber(&bodies).unwrap();
    assert_eq!(subscriber.account.active_subscriptions, 5_000);
    assert_eq!(subscriber.active_products.titles.len(), 5_000);
    assert_eq!(subscriber.tags.len(), 10_001);
    let present: Vec<String> = (0..10_000).map(|n| format!("sesamy_old_{n}")).collect();
    let changes = reconcile(&present, &subscriber.tags, &[]);
    assert_eq!(changes.remove.len(), 10_000);
    assert_eq!(changes.apply(&present).len(), 10_001);
}
