//! Random states of a user at Sesamy, and what the derivation makes of them.

use std::collections::BTreeSet;

use fakes::sesamy as fake;
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use shared::derivation::{Derivation, DesiredContact, Policy, derive};
use shared::identity::UserId;
use shared::sesamy::model::{Bill, Contract, Dropped, Entitlement, Profile, UserState};

/// A random state of a user: anything from a bare address to a handful of
/// contracts, entitlements and bills of every kind.
pub fn any_state(id: &'static str, email: &'static str) -> impl Strategy<Value = fake::User> {
    let profile = (any::<bool>(), any::<bool>(), any::<bool>());
    let tags = vec(prop::sample::select(vec!["VIP", "Åre", "early bird"]), 0..3);
    (
        profile,
        tags,
        vec(contract(), 0..4),
        vec(entitlement(), 0..4),
    )
        .prop_map(
            move |((has_name, has_phone, has_company), tags, contracts, entitlements)| {
                let mut user = fake::User::new(id).email(email).tags(&tags);
                if has_name {
                    user = user.name("Anna", "Ask");
                }
                if has_phone {
                    user = user.phone_number("+4790000001");
                }
                if has_company {
                    user = user.company("X AS");
                }
                for (n, contract) in contracts.into_iter().enumerate() {
                    let bill = fake::Bill::paid(&format!("b{n}"), &format!("c{n}"));
                    user = user
                        .contract(contract.set("id", format!("c{n}")))
                        .bill(bill);
                }
                for (n, entitlement) in entitlements.into_iter().enumerate() {
                    user = user.entitlement(entitlement.set("id", format!("e{n}")));
                }
                user
            },
        )
}

fn contract() -> impl Strategy<Value = fake::Contract> {
    let kind = prop::sample::select(vec![
        fake::Contract::active as fn(&str) -> fake::Contract,
        fake::Contract::overdue,
        fake::Contract::canceled,
        fake::Contract::expired,
        fake::Contract::single_purchase,
    ]);
    (kind, product(), any::<bool>(), any::<bool>()).prop_map(
        |(kind, (sku, title), is_gift, is_issue_package)| {
            let mut contract = kind("c").item(sku, title, "po1", "Monthly");
            if is_gift {
                contract = contract.paid_by("email|giver");
            }
            if is_issue_package {
                contract = contract.issues_remaining(3);
            }
            contract
        },
    )
}

fn entitlement() -> impl Strategy<Value = fake::Entitlement> {
    (product(), 0..5_u8).prop_map(|((sku, title), kind)| match kind {
        0 => fake::Entitlement::new("e", sku, title).from_contract("c0"),
        1 => fake::Entitlement::new("e", sku, title).external("list", "Partner"),
        2 => fake::Entitlement::new("e", sku, title).option("po1"),
        3 => fake::Entitlement::article("e", sku, title).from_contract("c0"),
        _ => fake::Entitlement::new("e", sku, title).no_access(),
    })
}

fn product() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![
        ("sid:Daily", "The Daily"),
        ("sid:weekend", "Helg & Søndag"),
        ("SKU_3", "Ærlig talt!"),
    ])
}

pub fn derived(user: &fake::User) -> DesiredContact {
    derived_at(user, Timestamp::now())
}

pub fn derived_at(user: &fake::User, now: Timestamp) -> DesiredContact {
    fn raw(json: &Value) -> Box<RawValue> {
        to_raw_value(json).unwrap()
    }
    fn all<T>(list: &Value, read: fn(&RawValue, &mut Dropped) -> Option<T>) -> Vec<T> {
        let mut dropped = Dropped::default();
        let items = list.as_array().unwrap().iter();
        items
            .filter_map(|item| read(&raw(item), &mut dropped))
            .collect()
    }
    let state = UserState {
        profile: Profile::read(&raw(&user.profile), &mut Dropped::default()).unwrap(),
        contracts: all(&user.contracts, Contract::read),
        entitlements: all(&user.entitlements, Entitlement::read),
        bills: all(&user.bills, Bill::read),
    };
    let id = UserId::try_from(user.id.as_str()).unwrap();
    match derive(&id, &state, Policy::default(), now) {
        Derivation::Contact(desired) => *desired,
        Derivation::Skipped(skip) => panic!("skipped: {skip:?}"),
    }
}

/// Our tags that a contact should have: the desired ones, and the permanent tag if
/// the contact had it before.
pub fn our_tags(desired: &DesiredContact, before: &BTreeSet<String>) -> BTreeSet<String> {
    const PERMANENT: &str = "sesamy_made_single_purchase";
    let tags = desired.tags.keys().map(|tag| tag.as_str().to_owned());
    let kept = before.get(PERMANENT).cloned();
    tags.chain(kept).collect()
}

/// Splits tags into ours, which begin with `sesamy_`, and foreign ones.
pub fn split_tags(tags: &[String]) -> (BTreeSet<String>, BTreeSet<String>) {
    tags.iter()
        .cloned()
        .partition(|tag| tag.starts_with("sesamy_"))
}

/// Tags that the publisher, an earlier sync or another system may have left.
pub fn any_tags() -> impl Strategy<Value = Vec<&'static str>> {
    let tags = [
        "vip",
        "SESAMY_x",
        "sesamy",
        "sesamy_stale",
        "sesamy_active_subscriber",
        "sesamy_Overdue_Contract",
        "sesamy_tag_vip",
        "sesamy_made_single_purchase",
        "sesamy_event_checkout-confirm",
    ];
    proptest::sample::subsequence(tags.to_vec(), 0..=tags.len())
}
