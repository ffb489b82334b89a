//! Random users: well-formed, and corrupted in every way.

use derivation_tests::Answers;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    pub answers: Answers<Value>,
}

/// Well-formed answers.
pub fn user() -> impl Strategy<Value = User> {
    (
        select(vec!["email|anna", "auth0|6171", "guest|1", "plain"]),
        profile(),
        vec(contract(), 0..6),
        vec(entitlement(), 0..6),
        vec(bill(), 0..5),
    )
        .prop_map(|(id, profile, contracts, entitlements, bills)| User {
            id: id.to_owned(),
            answers: Answers {
                profile,
                contracts,
                entitlements,
                bills,
            },
        })
}

/// Answers with some values, at any depth, replaced, removed or repeated.
pub fn corrupted_user() -> impl Strategy<Value = User> {
    (user(), vec((any::<Index>(), corruption()), 0..12)).prop_map(|(user, corruptions)| {
        let answers = user.answers;
        let mut whole = json!({
            "profile": answers.profile,
            "contracts": answers.contracts,
            "entitlements": answers.entitlements,
            "bills": answers.bills,
        });
        for (index, corruption) in corruptions {
            let values = count(&whole);
            corrupt(&mut whole, &mut index.index(values), &corruption);
        }
        let list = |name: &str| whole[name].as_array().cloned().unwrap_or_default();
        User {
            id: user.id,
            answers: Answers {
                profile: whole["profile"].clone(),
                contracts: list("contracts"),
                entitlements: list("entitlements"),
                bills: list("bills"),
            },
        }
    })
}

pub fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        odd_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((key(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Tags that a CRM may hold: ours, foreign ones, and some that only look like ours.
pub fn current_tags() -> impl Strategy<Value = Vec<String>> {
    let own = select(vec![
        "sesamy_active_subscriber",
        "sesamy_overdue_contract",
        "sesamy_made_single_purchase",
        "sesamy_Made_Single_Purchase",
        "sesamy_MADE_SINGLE_PURCHASE",
        "sesamy_Active_Subscriber",
        "sesamy_tag_vip",
        "sesamy_tag_VIP",
        "sesamy_event_checkout-confirm",
        "sesamy_Event_x",
        "sesamy_",
        "sesamy_active_entitlement_Premium Magazine",
    ])
    .prop_map(str::to_owned);
    let foreign = prop_oneof![
        select(vec![
            "sesamy",
            "vip",
            "SESAMY_x",
            "Sesamy_y",
            " sesamy_z",
            ""
        ])
        .prop_map(str::to_owned),
        text(),
    ];
    let any_own = text().prop_map(|text| format!("sesamy_{text}"));
    vec(prop_oneof![4 => own, 2 => foreign, 1 => any_own], 0..12)
}

fn profile() -> impl Strategy<Value = Value> {
    let email = prop_oneof![
        9 => one_of(&["anna@example.se", " Bo@Example.NO "]),
        1 => one_of(&["", " "]),
    ];
    let fields = object([
        (
            "userId",
            select(vec![json!("email|anna"), json!("auth0|6171")]).boxed(),
        ),
        ("firstName", name()),
        ("lastName", name()),
        ("given_name", name()),
        ("family_name", name()),
        ("mobilePhone", name()),
        ("phone_number", name()),
        ("workPhone", name()),
        ("homePhone", name()),
        ("company", name()),
        ("tags", vec(title(), 0..4).prop_map(Value::from).boxed()),
        ("billingAddress", address()),
        ("createdAt", timestamp()),
        (
            "emailVerified",
            prop_oneof![9 => Just(json!(true)), 1 => Just(json!(false))].boxed(),
        ),
        (
            "isGuest",
            prop_oneof![9 => Just(json!(false)), 1 => Just(json!(true))].boxed(),
        ),
    ]);
    // Most users have an address; the others are skipped.
    (fields, email).prop_map(|(mut fields, email)| {
        fields["email"] = email;
        fields
    })
}

fn address() -> BoxedStrategy<Value> {
    object([
        ("firstName", name()),
        ("lastName", name()),
        ("co", name()),
        ("street", name()),
        ("city", name()),
        ("zip", name()),
        ("country", name()),
        ("department", name()),
    ])
    .boxed()
}

pub fn contract() -> impl Strategy<Value = Value> {
    let fields = object([
        (
            "status",
            one_of(&[
                "ACTIVE",
                "active",
                "OVERDUE",
                "CANCELED",
                "Cancelled",
                "EXPIRED",
                "PAUSED",
                "DELETED",
                "pending",
                "VOIDED",
            ]),
        ),
        ("isActive", any::<bool>().prop_map(Value::from).boxed()),
        (
            "contractDuration",
            one_of(&["RECURRING", "renewable", "PERPETUAL", "LIFETIME"]),
        ),
        ("recurringInterval", one_of(&["MONTH", "YEAR"])),
        ("createdAt", timestamp()),
        ("updatedAt", timestamp()),
        ("expiresAt", timestamp()),
        ("nextBillAt", timestamp()),
        ("willCancelAt", timestamp()),
        ("cancelRequestedAt", timestamp()),
        (
            "issuesRemaining",
            prop_oneof![
                (0..20).prop_map(Value::from),
                (0..20).prop_map(|n: i32| json!(n.to_string())),
                (0.0..9.0).prop_map(Value::from)
            ]
            .boxed(),
        ),
        (
            "payer",
            select(vec![
                json!({"id": "email|anna"}),
                json!({"id": "email|bo"}),
                json!({"userId": "email|bo"}),
            ])
            .boxed(),
        ),
        ("payerId", one_of(&["email|anna", "email|bo"])),
        ("isGift", any::<bool>().prop_map(Value::from).boxed()),
        ("items", vec(item(), 0..4).prop_map(Value::from).boxed()),
    ]);
    with_id("c", fields)
}

fn item() -> impl Strategy<Value = Value> {
    object([
        ("sku", sku()),
        ("name", title().prop_map(Value::from).boxed()),
        ("purchaseOptionId", one_of(&["po1", "po2"])),
        ("purchaseOptionName", title().prop_map(Value::from).boxed()),
        ("listPriceId", one_of(&["lp1", "lp2"])),
        (
            "purchaseType",
            one_of(&["OWN", "SINGLE", "RECURRING", "RENTAL"]),
        ),
    ])
}

fn entitlement() -> impl Strategy<Value = Value> {
    let fields = object([
        ("title", title().prop_map(Value::from).boxed()),
        ("sku", sku()),
        ("purchaseOption", title().prop_map(Value::from).boxed()),
        (
            "type",
            one_of(&[
                "article",
                "Article",
                "pass",
                "publication",
                "physical_issue",
                "new",
            ]),
        ),
        (
            "origin",
            select(vec![
                json!({"type": "EXTERNAL"}),
                json!({"type": "payments", "contractId": "c1"}),
                json!({"type": "OTHER"}),
            ])
            .boxed(),
        ),
        (
            "hasAccess",
            prop_oneof![4 => Just(json!(true)), 1 => Just(json!(false))].boxed(),
        ),
        ("createdAt", timestamp()),
        ("updatedAt", timestamp()),
        ("expiresAt", timestamp()),
    ]);
    with_id("e", fields)
}

fn bill() -> impl Strategy<Value = Value> {
    let fields = object([
        ("contractId", one_of(&["c0", "c1", "c2"])),
        ("status", one_of(&["PAID", "paid", "PENDING", "OVERDUE"])),
        (
            "price",
            prop_oneof![
                (0..500).prop_map(Value::from),
                Just(json!("149.00")),
                Just(json!(99.5))
            ]
            .boxed(),
        ),
        ("currency", one_of(&["SEK", "NOK"])),
        ("receiptUrl", name()),
        ("createdAt", timestamp()),
        ("updatedAt", timestamp()),
    ]);
    with_id("b", fields)
}

/// An object with some of the fields.
fn object<const N: usize>(
    fields: [(&'static str, BoxedStrategy<Value>); N],
) -> impl Strategy<Value = Value> {
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| option::weighted(0.6, value).prop_map(move |value| (name, value)))
        .collect();
    fields.prop_map(|fields| {
        let chosen = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(chosen.collect())
    })
}

/// Few ids, so that some items appear twice, in different versions.
fn with_id(
    prefix: &'static str,
    fields: impl Strategy<Value = Value>,
) -> impl Strategy<Value = Value> {
    (0..8, fields).prop_map(move |(number, mut fields)| {
        fields["id"] = json!(format!("{prefix}{number}"));
        fields
    })
}

fn one_of(values: &[&'static str]) -> BoxedStrategy<Value> {
    select(values.to_vec()).prop_map(Value::from).boxed()
}

/// Part of every personal text, so that tests can look for it.
pub const PERSONAL: &str = "Persönlich";

fn name() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(json!("")),
        (0..9).prop_map(|n| json!(format!("{PERSONAL}{n}")))
    ]
    .boxed()
}

fn sku() -> BoxedStrategy<Value> {
    prop_oneof![
        one_of(&["s1", "s2", "sid:Ab_1", "SID:AB-1", ":"]),
        text().prop_map(Value::from)
    ]
    .boxed()
}

fn title() -> BoxedStrategy<String> {
    let known = select(vec![
        "Dagbladet",
        "dagbladet!",
        "Året Runt",
        "aret-runt",
        "Ærlig talt",
        "!!!",
        "",
        "北京",
        "🗞️ Nytt",
    ]);
    prop_oneof![3 => known.prop_map(str::to_owned), 1 => text(), 1 => long_text()].boxed()
}

fn text() -> BoxedStrategy<String> {
    vec(any::<char>(), 0..12)
        .prop_map(String::from_iter)
        .boxed()
}

/// Longer than any tag.
fn long_text() -> BoxedStrategy<String> {
    vec(select(vec!['a', 'b', '-', 'ß', '北']), 60..140)
        .prop_map(String::from_iter)
        .boxed()
}

fn timestamp() -> BoxedStrategy<Value> {
    let around_now = (0..400_i64, 0..86_400_i64).prop_map(|(day, second)| {
        let start: jiff::Timestamp = "2025-12-01T00:00:00Z".parse().unwrap();
        let moment = start + jiff::SignedDuration::from_secs(day * 86_400 + second);
        json!(moment.to_string())
    });
    let chosen = one_of(&[
        "2026-06-15T12:00:00Z",
        "2026-06-15T12:00:00.001Z",
        "2026-06-15",
        "2026-06-15T14:00:00+02:00",
        "2026-12-31T23:30:00-05:00",
        "2024-02-29T00:00:00.000Z",
    ]);
    prop_oneof![around_now, chosen].boxed()
}

/// Texts that look almost like valid values.
fn odd_text() -> BoxedStrategy<String> {
    let known = select(vec![
        "",
        " ",
        "\u{0}",
        "NaN",
        "inf",
        "-0",
        "1e308",
        "1e999",
        "0x10",
        "true",
        "null",
        "2026-06-15T12:00:00",
        "2026-02-30",
        "9999-12-31T23:59:59-23:59",
        "-009999-01-01T00:00:00Z",
        "0000-01-01T00:00:00+14:00",
        "2026-06-15T24:00:00Z",
        "2026-06-15T23:59:60Z",
        "1687532004",
        "ACTIVE",
        "guest|",
        "\u{212a}",
        "\u{1f5de}\u{fe0f}",
        "a\u{30a}",
        "\u{e000}",
    ]);
    prop_oneof![known.prop_map(str::to_owned), text(), long_text()].boxed()
}

fn key() -> BoxedStrategy<String> {
    let known = select(vec![
        "id",
        "email",
        "tags",
        "items",
        "origin",
        "type",
        "payer",
        "status",
        "isActive",
        "expiresAt",
        "createdAt",
        "sku",
        "title",
        "price",
        "billingAddress",
        "issuesRemaining",
        "hasAccess",
    ]);
    prop_oneof![known.prop_map(str::to_owned), text()].boxed()
}

#[derive(Debug, Clone)]
enum Corruption {
    Replace(Value),
    Remove,
    Repeat,
}

fn corruption() -> impl Strategy<Value = Corruption> {
    prop_oneof![
        4 => json().prop_map(Corruption::Replace),
        1 => Just(Corruption::Remove),
        1 => Just(Corruption::Repeat),
    ]
}

/// The number of values in a value, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// Corrupts the value at a position in depth-first order. Returns whether the
/// position was reached.
fn corrupt(value: &mut Value, position: &mut usize, corruption: &Corruption) -> bool {
    if *position == 0 {
        if let Corruption::Replace(other) = corruption {
            *value = other.clone();
        }
        return true;
    }
    *position -= 1;
    match value {
        Value::Array(list) => {
            for index in 0..list.len() {
                let is_target = *position == 0;
                if corrupt(&mut list[index], position, corruption) {
                    match corruption {
                        Corruption::Remove if is_target => drop(list.remove(index)),
                        Corruption::Repeat if is_target => list.push(list[index].clone()),
                        _ => {}
                    }
                    return true;
                }
            }
            false
        }
        Value::Object(fields) => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            for key in keys {
                let is_target = *position == 0;
                if corrupt(&mut fields[&key], position, corruption) {
                    if matches!(corruption, Corruption::Remove) && is_target {
                        fields.remove(&key);
                    }
                    return true;
                }
            }
            false
        }
        _ => false,
    }
}
