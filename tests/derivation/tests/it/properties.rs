//! Properties that hold for every user.
//!
//! A failure prints the seed. `PROPTEST_RNG_SEED=<seed>` repeats the run;
//! `PROPTEST_CASES=<number>` makes it longer.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};

use derivation_tests::{Answers, raw};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestError, TestRunner};
use serde_json::{Value, json};
use shared::derivation::{
    Derivation, DesiredContact, PERMANENT_TAG, Policy, TAG_PREFIX, Tag, Tags, ValueKind, derive,
    diff_tags,
};
use shared::identity::{ContractId, UserId};
use shared::message::{Event, EventType};
use shared::sesamy::model::{Bill, Contract, Dropped, Entitlement, Profile, UserState};

use crate::generate::{self, User};

/// Checks a property, and prints the seed on failure.
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
        Err(TestError::Fail(reason, input)) => {
            panic!("PROPTEST_RNG_SEED={seed}\n{reason}\n{input:#?}")
        }
        Err(TestError::Abort(reason)) => panic!("PROPTEST_RNG_SEED={seed}\n{reason}"),
    }
}

/// Checks a property of the contacts of corrupted users.
fn holds_for_contacts(test: impl Fn(&DesiredContact) -> TestCaseResult) {
    holds(generate::corrupted_user(), |user| {
        desired_contact(&user).map_or(Ok(()), |contact| test(&contact))
    });
}

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn state(user: &User) -> Option<UserState> {
    user.answers.read().0
}

fn derived(user: &User) -> Option<Derivation> {
    derived_with(Policy::default(), user)
}

fn derived_with(policy: Policy, user: &User) -> Option<Derivation> {
    let id = UserId::try_from(user.id.as_str()).unwrap();
    Some(derive(&id, &state(user)?, policy, now()))
}

fn desired_contact(user: &User) -> Option<Box<DesiredContact>> {
    match derived(user)? {
        Derivation::Contact(contact) => Some(contact),
        Derivation::Skipped(_) => None,
    }
}

/// An event of the first generated contract.
fn event() -> Event {
    Event {
        event_type: EventType::ContractUpdate,
        occurred_at: Timestamp::UNIX_EPOCH,
        contract_id: ContractId::try_from("c0").ok(),
        entitlement_id: None,
        checkout_id: None,
    }
}

/// Everything that a sync would send to every CRM.
fn all_mappings(contact: &DesiredContact) -> Vec<Value> {
    let tags: Vec<String> = names(&contact.tags);
    let mut values = vec![make::mapping::contact(contact, &tags)];
    values.extend(make::mapping::products(contact));
    values.extend(make::mapping::subscriptions(contact));
    let fields = rule::mapping::fields(contact);
    let fields = fields
        .into_iter()
        .chain(rule::mapping::event_fields(&event()))
        .chain(rule::mapping::payment_fields(&event(), contact));
    values.extend(fields.map(|field| json!({ field.key: field.value })));
    let fields = mailmojo::mapping::fields(contact);
    values.extend(fields.map(|field| json!({ field.name: field.value })));
    values
}

fn names(tags: &Tags) -> Vec<String> {
    tags.keys().map(|tag| tag.as_str().to_owned()).collect()
}

/// Time alone changes nothing before `next_change`.
#[test]
fn result_changes_by_time_at_next_change_and_not_before() {
    holds(
        (generate::corrupted_user(), 0..20_000_000_i64),
        |(user, later)| {
            let Some(contact) = desired_contact(&user) else {
                return Ok(());
            };
            let at = |now| {
                let id = UserId::try_from(user.id.as_str()).unwrap();
                match derive(&id, &state(&user).unwrap(), Policy::default(), now) {
                    Derivation::Contact(contact) => DesiredContact {
                        next_change: None,
                        ..*contact
                    },
                    Derivation::Skipped(skip) => panic!("{skip:?}"),
                }
            };
            let before = at(now());
            if let Some(change) = contact.next_change {
                prop_assert!(change > now());
                prop_assert_eq!(&at(change - SignedDuration::from_nanos(1)), &before);
            }
            let later = now() + SignedDuration::from_secs(later);
            if contact.next_change.is_none_or(|change| later < change) {
                prop_assert_eq!(&at(later), &before);
            }
            Ok(())
        },
    );
}

#[test]
fn any_json_can_be_read() {
    holds(generate::json(), |json| {
        let (json, mut dropped) = (raw(&json), Dropped::default());
        Profile::read(&json, &mut dropped);
        Contract::read(&json, &mut dropped);
        Entitlement::read(&json, &mut dropped);
        Bill::read(&json, &mut dropped);
        Ok(())
    });
}

#[test]
fn any_corrupted_user_can_be_derived_and_mapped() {
    holds_for_contacts(|contact| {
        all_mappings(contact);
        Ok(())
    });
}

#[test]
fn well_formed_answers_have_no_dropped_values() {
    holds(generate::user(), |user| {
        let (state, dropped) = user.answers.read();
        prop_assert_eq!(dropped.values().to_string(), "");
        let contracts = state.unwrap().contracts.len();
        prop_assert_eq!(contracts, user.answers.contracts.len());
        Ok(())
    });
}

#[test]
fn one_unusable_value_affects_nothing_else() {
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
        generate::user(),
        any::<prop::sample::Index>(),
        prop::sample::select(fields.to_vec()),
        prop_oneof![Just(json!([[]])), Just(json!({ "": 0 })), Just(json!("?"))],
    );
    holds(odd, |(mut user, index, field, value)| {
        if user.answers.contracts.is_empty() {
            return Ok(());
        }
        let index = index.index(user.answers.contracts.len());
        let mut without = user.clone();
        let contract = without.answers.contracts[index].as_object_mut();
        contract.unwrap().remove(field);
        user.answers.contracts[index][field] = value.clone();

        let is_text = value.is_string();
        let (odd, without) = (state(&user).unwrap(), state(&without).unwrap());
        prop_assert_eq!(odd.contracts.len(), user.answers.contracts.len());
        // These fields accept any text.
        let takes_any_text = ["status", "contractDuration", "recurringInterval", "payerId"];
        if !(is_text && takes_any_text.contains(&field)) {
            prop_assert_eq!(odd, without);
        }
        Ok(())
    });
}

#[test]
fn dropped_paths_come_from_the_models_not_from_the_data() {
    let mut seen = BTreeSet::new();
    let paths = std::cell::RefCell::new(&mut seen);
    holds(generate::corrupted_user(), |user| {
        let (_, dropped) = user.answers.read();
        for (path, count) in dropped.values().paths().chain(dropped.unknown().paths()) {
            prop_assert!(count > 0);
            let is_model_path = path
                .bytes()
                .all(|b| b.is_ascii_alphabetic() || b".[]_".contains(&b));
            prop_assert!(is_model_path, "{path}");
            paths.borrow_mut().insert(path);
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
fn order_of_items_does_not_matter() {
    let shuffled = generate::corrupted_user().prop_flat_map(|user| {
        let lists = (
            Just(user.answers.contracts.clone()).prop_shuffle(),
            Just(user.answers.entitlements.clone()).prop_shuffle(),
            Just(user.answers.bills.clone()).prop_shuffle(),
        );
        (Just(user), lists)
    });
    holds(shuffled, |(user, (contracts, entitlements, bills))| {
        let mut shuffled = user.clone();
        shuffled.answers = Answers {
            profile: user.answers.profile.clone(),
            contracts,
            entitlements,
            bills,
        };
        prop_assert_eq!(derived(&user), derived(&shuffled));
        Ok(())
    });
}

#[test]
fn repeated_items_count_once() {
    holds(generate::corrupted_user(), |user| {
        let mut doubled = user.clone();
        let answers = &mut doubled.answers;
        for list in [
            &mut answers.contracts,
            &mut answers.entitlements,
            &mut answers.bills,
        ] {
            list.extend_from_within(..);
        }
        prop_assert_eq!(derived(&user), derived(&doubled));
        Ok(())
    });
}

#[test]
fn every_tag_is_valid() {
    holds_for_contacts(|contact| {
        for (tag, reasons) in &contact.tags {
            let name = tag.as_str();
            prop_assert_eq!(&Tag::parse(name), &Some(tag.clone()));
            let own = name.strip_prefix("sesamy_").unwrap();
            prop_assert!((1..=92).contains(&own.len()), "{name}");
            let is_allowed = own
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
            prop_assert!(is_allowed, "{name}");
            prop_assert!(!name.ends_with(['-', '_']), "{name}");
            prop_assert!(!name.contains("--"), "{name}");
            prop_assert!(!name.starts_with("sesamy_event_"), "{name}");
            prop_assert!(!reasons.is_empty(), "{name}");
        }
        Ok(())
    });
}

#[test]
fn every_value_has_the_type_of_its_field() {
    holds_for_contacts(|contact| {
        let fields = rule::mapping::fields(contact);
        for field in fields
            .iter()
            .chain(&rule::mapping::event_fields(&event()))
            .chain(&rule::mapping::payment_fields(&event(), contact))
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
        let fields = mailmojo::mapping::fields(contact);
        prop_assert_eq!(
            fields.each_ref().map(|field| field.attribute),
            mailmojo::mapping::FIELDS
        );
        for field in &fields {
            let fits = match field.attribute.kind() {
                ValueKind::Text => field.value.is_string(),
                ValueKind::Boolean => field.value.is_boolean(),
                ValueKind::Number => field.value.is_number(),
                ValueKind::Date => is_date(&field.value),
                ValueKind::Texts => is_list_of_texts(&field.value),
            };
            prop_assert!(fits || field.value.is_null(), "{field:?} {}", field.value);
        }
        for subscription in make::mapping::subscriptions(contact) {
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
    holds_for_contacts(|contact| {
        let products = &contact.active_products;
        for list in [&products.skus, &products.titles, &products.option_titles] {
            let distinct: BTreeSet<_> = list.iter().collect();
            prop_assert_eq!(distinct.len(), list.len(), "{:?}", list);
        }
        let catalogue = &contact.catalogue;
        let distinct: BTreeSet<_> = catalogue.iter().map(|p| &p.external_id).collect();
        prop_assert_eq!(distinct.len(), catalogue.len());
        let records = &contact.subscriptions;
        let distinct: BTreeSet<_> = records.iter().map(|r| &r.contract_id).collect();
        prop_assert_eq!(distinct.len(), records.len());
        Ok(())
    });
}

#[test]
fn counts_and_tags_agree() {
    holds_for_contacts(|contact| {
        let has = |name: &str| contact.tags.contains_key(&Tag::parse(name).unwrap());
        let account = &contact.account;
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
        prop_assert!(!active || contact.primary_subscription.is_some());
        Ok(())
    });
}

#[test]
fn one_more_purchase_never_lowers_the_articles_purchased() {
    let purchase = (any::<bool>(), prop::option::of("[ab][0-9]|s1|s2"));
    holds(
        (generate::corrupted_user(), purchase),
        |(mut user, (is_article, sku))| {
            let Some(before) = desired_contact(&user) else {
                return Ok(());
            };
            if is_article {
                let origin = json!({ "type": "PAYMENTS" });
                let article =
                    json!({ "id": "new", "type": "article", "sku": sku, "origin": origin });
                user.answers.entitlements.push(article);
            } else {
                let items = json!([{ "sku": sku }]);
                let contract =
                    json!({ "id": "new", "contractDuration": "PERPETUAL", "items": items });
                user.answers.contracts.push(contract);
            }
            let after = desired_contact(&user).unwrap().account.articles_purchased;
            let before = before.account.articles_purchased;
            prop_assert!(after == before || after == before + 1, "{before} {after}");
            prop_assert!(after > 0);
            Ok(())
        },
    );
}

#[test]
fn contract_that_never_took_effect_changes_nothing() {
    let status = prop::sample::select(vec!["DRAFT", "PENDING", "deleted", "Voided"]);
    let contracts = (generate::contract(), status);
    holds(
        (generate::corrupted_user(), contracts),
        |(user, (mut contract, status))| {
            contract["id"] = json!("new");
            contract["status"] = json!(status);
            let mut more = user.clone();
            more.answers.contracts.push(contract);
            prop_assert_eq!(derived(&user), derived(&more));
            Ok(())
        },
    );
}

#[test]
fn unconfirmed_users_are_synced_like_confirmed_ones_if_allowed() {
    holds(generate::user(), |user| {
        let with = |verified: Option<bool>, policy| {
            let mut user = user.clone();
            user.answers.profile["emailVerified"] = json!(verified);
            derived_with(policy, &user).unwrap()
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

fn today() -> Date {
    "2026-06-15".parse().unwrap()
}

#[test]
fn debug_output_omits_personal_data() {
    holds(generate::user(), |user| {
        let printed = format!("{:?} {:?}", state(&user), derived(&user));
        prop_assert!(!printed.contains(generate::PERSONAL), "{printed}");
        if let Some(contact) = desired_contact(&user) {
            let fields = (
                rule::mapping::fields(&contact),
                mailmojo::mapping::fields(&contact),
            );
            let printed = format!("{fields:?}");
            prop_assert!(!printed.contains(generate::PERSONAL), "{printed}");
        }
        Ok(())
    });
}

/// Current tags, desired tags and kept prefixes.
fn tag_diff_inputs() -> impl Strategy<Value = (Vec<String>, Tags, Vec<&'static str>)> {
    let kept = prop_oneof![Just(vec![]), Just(vec!["sesamy_event_"])];
    (generate::current_tags(), generate::user(), kept).prop_map(|(current, user, kept)| {
        let contact = desired_contact(&user);
        let desired = contact.map_or_else(BTreeMap::new, |contact| contact.tags);
        (current, desired, kept)
    })
}

#[test]
fn tag_diff_never_touches_foreign_tags() {
    holds(tag_diff_inputs(), |(current, desired, kept)| {
        let changes = diff_tags(&current, &desired, &kept);
        let is_ours = |tag: &String| tag.starts_with(TAG_PREFIX);
        prop_assert!(changes.remove.iter().all(is_ours));
        for tag in changes.add.iter().chain(&changes.restore) {
            prop_assert!(tag.as_str().starts_with(TAG_PREFIX));
        }
        let after = changes.apply(&current);
        let foreign = |tags: &[String]| -> Vec<String> {
            tags.iter().filter(|tag| !is_ours(tag)).cloned().collect()
        };
        prop_assert_eq!(foreign(&after), foreign(&current));
        Ok(())
    });
}

#[test]
fn tag_diff_results_in_the_desired_tags_only() {
    holds(tag_diff_inputs(), |(current, desired, kept)| {
        let changes = diff_tags(&current, &desired, &kept);
        let after = changes.apply(&current);
        for name in names(&desired) {
            prop_assert!(after.contains(&name), "{name}");
        }
        for tag in after.iter().filter(|tag| tag.starts_with(TAG_PREFIX)) {
            let stays = kept.iter().any(|prefix| tag.starts_with(prefix)) || tag == PERMANENT_TAG;
            prop_assert!(stays || names(&desired).contains(tag), "{tag}");
        }
        Ok(())
    });
}

#[test]
fn second_tag_diff_changes_nothing() {
    holds(tag_diff_inputs(), |(current, desired, kept)| {
        let after = diff_tags(&current, &desired, &kept).apply(&current);
        let again = diff_tags(&after, &desired, &kept);
        prop_assert!(again.is_empty(), "{again:?}");
        prop_assert_eq!(again.apply(&after), after);
        Ok(())
    });
}

#[test]
fn tag_diff_never_removes_the_permanent_tag() {
    holds(tag_diff_inputs(), |(current, desired, kept)| {
        let changes = diff_tags(&current, &desired, &kept);
        prop_assert!(!changes.remove.iter().any(|tag| tag == PERMANENT_TAG));
        let had = current.iter().any(|tag| tag == PERMANENT_TAG);
        let has = changes
            .apply(&current)
            .iter()
            .any(|tag| tag == PERMANENT_TAG);
        prop_assert!(has || !had);
        Ok(())
    });
}

/// A CRM that ignores letter case and keeps the first spelling of a tag.
#[derive(Debug, Clone)]
struct CaseInsensitiveCrm(Vec<String>);

impl CaseInsensitiveCrm {
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
fn case_insensitive_crm_ends_up_with_the_desired_tags() {
    holds(tag_diff_inputs(), |(current, desired, kept)| {
        // Syncs cannot remove a foreign tag that differs only by letter case.
        let hides_our_tag = |tag: &String| {
            !tag.starts_with(TAG_PREFIX) && tag.to_lowercase().starts_with(TAG_PREFIX)
        };
        let mut crm = CaseInsensitiveCrm(Vec::new());
        for tag in current.iter().filter(|tag| !hides_our_tag(tag)) {
            crm.add(tag);
        }
        // Some CRMs receive the desired tags before the tags are compared.
        let had_permanent = crm.0.iter().any(|tag| tag.to_lowercase() == PERMANENT_TAG);
        for tag in desired.keys() {
            crm.add(tag.as_str());
        }
        let changes = diff_tags(&crm.0, &desired, &kept);
        for tag in &changes.add {
            crm.add(tag.as_str());
        }
        for tag in &changes.remove {
            crm.remove(tag);
        }
        for tag in &changes.restore {
            crm.add(tag.as_str());
        }
        for name in names(&desired) {
            prop_assert!(crm.0.contains(&name), "{name} in {crm:?}");
        }
        prop_assert!(!had_permanent || crm.0.iter().any(|tag| tag == PERMANENT_TAG));
        Ok(())
    });
}

#[test]
fn user_with_thousands_of_contracts_is_derived() {
    let contracts: Vec<Value> = (0..5_000)
        .map(|n| json!({ "id": format!("c{n}"), "contractDuration": "RECURRING", "status": "ACTIVE", "items": [{ "sku": format!("s{n}"), "name": format!("Product {n}") }] }))
        .collect();
    let user = User {
        id: "email|anna".to_owned(),
        answers: Answers {
            profile: json!({ "email": "anna@example.se" }),
            contracts,
            entitlements: (0..5_000)
                .map(|n| json!({ "id": format!("e{n}"), "sku": format!("s{n}"), "title": format!("Product {n}") }))
                .collect(),
            bills: Vec::new(),
        },
    };
    let contact = desired_contact(&user).unwrap();
    assert_eq!(contact.account.active_subscriptions, 5_000);
    assert_eq!(contact.active_products.titles.len(), 5_000);
    assert_eq!(contact.tags.len(), 10_001);
    let current: Vec<String> = (0..10_000).map(|n| format!("sesamy_old_{n}")).collect();
    let changes = diff_tags(&current, &contact.tags, &[]);
    assert_eq!(changes.remove.len(), 10_000);
    assert_eq!(changes.apply(&current).len(), 10_001);
}
