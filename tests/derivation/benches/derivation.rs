//! Time per user on one core: reading the answers, deriving, mapping to every
//! CRM's fields, comparing tags. Run `cargo bench -p derivation-tests`.
//!
//! Only prints figures, because a busy machine must not fail a build.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "benchmark"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use derivation_tests::Answers;
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::derivation::{Derivation, DesiredContact, Policy, Tag, derive, diff_tags};
use shared::identity::UserId;
use shared::sesamy::model::UserState;

/// Per figure.
const MEASURING_TIME: Duration = Duration::from_millis(600);

struct Size {
    name: &'static str,
    contracts: usize,
    entitlements: usize,
    bills: usize,
}

const SIZES: [Size; 5] = [
    Size {
        name: "small",
        contracts: 1,
        entitlements: 1,
        bills: 3,
    },
    Size {
        name: "typical",
        contracts: 5,
        entitlements: 10,
        bills: 20,
    },
    huge("huge", 500),
    huge("huge x2", 1_000),
    huge("huge x4", 2_000),
];

const fn huge(name: &'static str, count: usize) -> Size {
    Size {
        name,
        contracts: count,
        entitlements: count,
        bills: count,
    }
}

fn main() {
    println!("microseconds per user, median; per second: derived on one core, reading excluded\n");
    println!(
        "{:>8} {:>10} {:>10} {:>10} {:>10} {:>12} {:>16}",
        "", "parse", "derive", "map", "tag diff", "per second", "derive/contract"
    );
    let mut previous: Option<f64> = None;
    for size in SIZES {
        let text = answers(&size);
        let user = UserId::try_from("email|84cccf985de28a2a84824786").unwrap();
        let now: Timestamp = "2026-06-15T12:00:00Z".parse().unwrap();
        let state = read(&text);
        let contact = derived(&user, &state, now);
        let current = current_tags(&contact);

        let parse = median_microseconds(|| read(black_box(&text)));
        let derive =
            median_microseconds(|| derive(&user, black_box(&state), Policy::default(), now));
        let map = median_microseconds(|| all_mappings(black_box(&contact)));
        let diff = median_microseconds(|| diff_tags(black_box(&current), &contact.tags, &[]));
        println!(
            "{:>8} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>12.0} {:>16.2}{}",
            size.name,
            parse,
            derive,
            map,
            diff,
            1e6 / derive,
            derive / size.contracts as f64,
            previous.filter(|_| size.name.contains('x')).map_or_else(
                String::new,
                |before| format!(
                    "   {:.2} times the time for twice the size",
                    derive / before
                )
            ),
        );
        previous = Some(derive);
    }
}

fn median_microseconds<T>(mut call: impl FnMut() -> T) -> f64 {
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < MEASURING_TIME || times.len() < 10 {
        let before = Instant::now();
        black_box(call());
        times.push(before.elapsed());
    }
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    middle.as_secs_f64() * 1e6
}

fn derived(user: &UserId, state: &UserState, now: Timestamp) -> Box<DesiredContact> {
    match derive(user, state, Policy::default(), now) {
        Derivation::Contact(contact) => contact,
        Derivation::Skipped(skip) => panic!("skipped: {skip:?}"),
    }
}

/// Half of the desired tags, and as many stale and foreign tags.
fn current_tags(contact: &DesiredContact) -> Vec<String> {
    let desired = contact.tags.keys().map(Tag::as_str);
    desired
        .enumerate()
        .map(|(position, tag)| match position % 4 {
            0 | 1 => tag.to_owned(),
            2 => format!("{tag}-before"),
            _ => format!("user {position}"),
        })
        .collect()
}

fn all_mappings(contact: &DesiredContact) -> impl Sized {
    let tags: Vec<String> = contact
        .tags
        .keys()
        .map(|tag| tag.as_str().to_owned())
        .collect();
    (
        rule::mapping::fields(contact),
        mailmojo::mapping::fields(contact),
        make::mapping::contact(contact, &tags),
        make::mapping::products(contact),
        make::mapping::subscriptions(contact),
    )
}

fn read(text: &str) -> UserState {
    let answers: Answers<Box<RawValue>> = serde_json::from_str(text).unwrap();
    let (state, dropped) = answers.read();
    assert_eq!(dropped.values().total(), 0, "{}", dropped.values());
    state.unwrap()
}

/// Every field that Sesamy documents, so that reading costs what it does in production.
fn answers(size: &Size) -> String {
    let answers = json!({
        "profile": {
            "userId": "email|84cccf985de28a2a84824786", "firstName": "Anna", "lastName": "Ask",
            "email": "anna@example.se", "emailVerified": true, "locale": "sv-SE",
            "mobilePhone": "+46701234567", "tags": ["Tidig läsare", "vip"],
            "billingAddress": { "firstName": "Anna", "lastName": "Ask", "street": "Bergsjösvängen 1", "city": "Göteborg", "zip": "41560", "country": "SE" },
            "createdAt": "2025-03-01T08:00:00.000Z", "updatedAt": "2026-06-01T08:00:00.000Z",
        },
        "contracts": (0..size.contracts).map(contract).collect::<Vec<_>>(),
        "entitlements": (0..size.entitlements).map(entitlement).collect::<Vec<_>>(),
        "bills": (0..size.bills).map(bill).collect::<Vec<_>>(),
    });
    answers.to_string()
}

fn contract(n: usize) -> Value {
    let (status, is_active) = match n % 4 {
        0 | 1 => ("ACTIVE", true),
        2 => ("EXPIRED", false),
        _ => ("CANCELED", false),
    };
    json!({
        "id": format!("1d78271264b9c76d5842911dd{n:07}"), "name": format!("Dagbladet {n}"),
        "userId": "email|84cccf985de28a2a84824786", "createdAt": timestamp(n), "updatedAt": timestamp(n + 1),
        "price": 99, "nextBillAt": timestamp(n + 40), "nextPrice": 99, "currency": "SEK",
        "manageUrl": "https://example.se/manage", "contractDuration": "RECURRING",
        "issuesRemaining": 3,
        "items": [{ "sku": format!("sid:fGb4GbMUclADQtB{n}"), "purchaseOptionId": "VDuH_poxqIPKW638Ok43q", "purchaseOptionName": "Månad", "name": format!("Dagbladet på söndag {n}"), "cover": "https://example.se/cover.png", "purchaseType": "RECURRING" }],
        "status": status, "isActive": is_active, "recurringInterval": "MONTH", "recurringTime": 1,
        "willCancelAt": null, "expiresAt": timestamp(n + 40),
        "paymentData": { "method": "CARD", "description": "1234", "brand": "visa" }, "appliedDiscounts": [],
    })
}

fn entitlement(n: usize) -> Value {
    let kind = if n % 5 == 4 { "article" } else { "publication" };
    json!({
        "id": format!("ent-{n}"), "sku": format!("sid:fGb4GbMUclADQtB{n}"), "purchaseOption": "VDuH_poxqIPKW638Ok43q",
        "cover": "https://example.se/cover.png", "title": format!("Dagbladet på söndag {n}"), "type": kind,
        "origin": { "type": "PAYMENTS", "contractId": format!("1d78271264b9c76d5842911dd{n:07}") },
        "hasAccess": true, "createdAt": timestamp(n), "updatedAt": timestamp(n), "expiresAt": timestamp(n + 400),
    })
}

fn bill(n: usize) -> Value {
    json!({
        "id": format!("bill-{n}"), "contractId": format!("1d78271264b9c76d5842911dd{n:07}"),
        "items": [{ "sku": "sid:fGb4GbMUclADQtB", "title": "Dagbladet", "purchaseOptionId": "VDuH" }],
        "price": 99, "currency": "SEK", "receiptUrl": "https://example.se/r", "paymentProvider": "stripe",
        "paymentMethod": "CARD", "status": "PAID", "updatedAt": timestamp(n), "createdAt": timestamp(n),
    })
}

/// A different day from June 2025 on for each number below 550.
fn timestamp(n: usize) -> String {
    let start: Timestamp = "2025-06-01T08:05:00.123Z".parse().unwrap();
    let days = i64::try_from(n % 550).unwrap();
    (start + jiff::SignedDuration::from_hours(24 * days)).to_string()
}
