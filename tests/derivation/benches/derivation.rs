//! How long one reader takes on one core: reading the bodies, deriving, and
//! writing down what every CRM is told.
//!
//! It prints figures and judges nothing: a machine that is busy is no fault of
//! the code. `cargo bench -p derivation-tests`

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a program for people"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use derivation_tests::read_state;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::derivation::{Derivation, Policy, Subscriber, Tag, derive, reconcile};
use shared::identity::UserId;
use shared::sesamy::model::UserState;

/// How long each figure is measured.
const MEASURED: Duration = Duration::from_millis(600);

/// A reader's size: how many contracts, entitlements and bills.
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
    Size {
        name: "huge",
        contracts: 500,
        entitlements: 500,
        bills: 500,
    },
    Size {
        name: "huge x2",
        contracts: 1_000,
        entitlements: 1_000,
        bills: 1_000,
    },
    Size {
        name: "huge x4",
        contracts: 2_000,
        entitlements: 2_000,
        bills: 2_000,
    },
];

fn main() {
    println!(
        "microseconds per reader, median; per second: derived on one core, reading excluded\n"
    );
    println!(
        "{:>8} {:>10} {:>10} {:>10} {:>10} {:>12} {:>16}",
        "", "parse", "derive", "map", "reconcile", "per second", "derive/contract"
    );
    let mut previous: Option<f64> = None;
    for size in SIZES {
        let bodies = bodies(&size);
        let text = bodies.to_string();
        let user = UserId::try_from("email|84cccf985de28a2a84824786").unwrap();
        let now: Timestamp = "2026-06-15T12:00:00Z".parse().unwrap();
        let state = read(&bodies);
        let subscriber = derived(&user, &state, now);
        let present = present_tags(&subscriber);

        let parse = median(|| read(&serde_json::from_str(black_box(&text)).unwrap()));
        let derive = median(|| derive(&user, black_box(&state), Policy::default(), now));
        let map = median(|| told(black_box(&subscriber)));
        let reconcile = median(|| reconcile(black_box(&present), &subscriber.tags, &[]));
        println!(
            "{:>8} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>12.0} {:>16.2}{}",
            size.name,
            parse,
            derive,
            map,
            reconcile,
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

/// The median time of a call in microseconds.
fn median<T>(mut call: impl FnMut() -> T) -> f64 {
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < MEASURED || times.len() < 10 {
        let before = Instant::now();
        black_box(call());
        times.push(before.elapsed());
    }
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    middle.as_secs_f64() * 1e6
}

fn derived(user: &UserId, state: &UserState, now: Timestamp) -> Box<Subscriber> {
    match derive(user, state, Policy::default(), now) {
        Derivation::Subscriber(subscriber) => subscriber,
        Derivation::Skipped(skip) => panic!("skipped: {skip:?}"),
    }
}

/// Half of the wanted tags, and as many stale and foreign ones.
fn present_tags(subscriber: &Subscriber) -> Vec<String> {
    let wanted = subscriber.tags.keys().map(Tag::as_str);
    wanted
        .enumerate()
        .map(|(position, tag)| match position % 4 {
            0 | 1 => tag.to_owned(),
            2 => format!("{tag}-before"),
            _ => format!("reader {position}"),
        })
        .collect()
}

fn told(subscriber: &Subscriber) -> impl Sized {
    let tags: Vec<String> = subscriber
        .tags
        .keys()
        .map(|tag| tag.as_str().to_owned())
        .collect();
    (
        rule::mapping::fields(subscriber),
        mailmojo::mapping::fields(subscriber),
        make::mapping::subscriber(subscriber, &tags),
        make::mapping::products(subscriber),
        make::mapping::subscriptions(subscriber),
    )
}

fn read(bodies: &Value) -> UserState {
    let list = |name: &str| {
        bodies
            .get(name)
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default()
    };
    let profile = bodies.get("profile").unwrap();
    let lists = (list("contracts"), list("entitlements"), list("bills"));
    let (state, dropped) = read_state(profile, lists.0, lists.1, lists.2);
    assert_eq!(dropped.values().total(), 0, "{}", dropped.values());
    state.unwrap()
}

/// Bodies with every field that Sesamy documents, so that reading is not made
/// to look cheaper than it is.
fn bodies(size: &Size) -> Value {
    json!({
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
    })
}

fn contract(n: usize) -> Value {
    let (status, is_active) = match n % 4 {
        0 | 1 => ("ACTIVE", true),
        2 => ("EXPIRED", false),
        _ => ("CANCELED", false),
    };
    json!({
        "id": format!("1d78271264b9c76d5842911dd{n:07}"), "name": format!("Dagbladet {n}"),
        "userId": "email|84cccf985de28a2a84824786", "createdAt": moment(n), "updatedAt": moment(n + 1),
        "price": 99, "nextBillAt": moment(n + 40), "nextPrice": 99, "currency": "SEK",
        "manageUrl": "https://example.se/manage", "contractDuration": "RECURRING",
        "issuesRemaining": 3,
        "items": [{ "sku": format!("sid:fGb4GbMUclADQtB{n}"), "purchaseOptionId": "VDuH_poxqIPKW638Ok43q", "purchaseOptionName": "Månad", "name": format!("Dagbladet på söndag {n}"), "cover": "https://example.se/cover.png", "purchaseType": "RECURRING" }],
        "status": status, "isActive": is_active, "recurringInterval": "MONTH", "recurringTime": 1,
        "willCancelAt": null, "expiresAt": moment(n + 40),
        "paymentData": { "method": "CARD", "description": "1234", "brand": "visa" }, "appliedDiscounts": [],
    })
}

fn entitlement(n: usize) -> Value {
    let kind = if n % 5 == 4 { "article" } else { "publication" };
    json!({
        "id": format!("ent-{n}"), "sku": format!("sid:fGb4GbMUclADQtB{n}"), "purchaseOption": "VDuH_poxqIPKW638Ok43q",
        "cover": "https://example.se/cover.png", "title": format!("Dagbladet på söndag {n}"), "type": kind,
        "origin": { "type": "PAYMENTS", "contractId": format!("1d78271264b9c76d5842911dd{n:07}") },
        "hasAccess": true, "createdAt": moment(n), "updatedAt": moment(n), "expiresAt": moment(n + 400),
    })
}

fn bill(n: usize) -> Value {
    json!({
        "id": format!("bill-{n}"), "contractId": format!("1d78271264b9c76d5842911dd{n:07}"),
        "items": [{ "sku": "sid:fGb4GbMUclADQtB", "title": "Dagbladet", "purchaseOptionId": "VDuH" }],
        "price": 99, "currency": "SEK", "receiptUrl": "https://example.se/r", "paymentProvider": "stripe",
        "paymentMethod": "CARD", "status": "PAID", "updatedAt": moment(n), "createdAt": moment(n),
    })
}

/// Some day after June 2025, another for each number up to a year and a half.
fn moment(n: usize) -> String {
    let start: Timestamp = "2025-06-01T08:05:00.123Z".parse().unwrap();
    let days = i64::try_from(n % 550).unwrap();
    (start + jiff::SignedDuration::from_hours(24 * days)).to_string()
}
