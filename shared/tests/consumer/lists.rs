//! Lists of Sesamy that are not what was asked for.

use bench::record;
use serde_json::json;
use shared::consumer::DeadLetterKind;
use stand_ins::sesamy::{Bill, Contract, Entitlement, Envelope, ListFault, User};
use stand_ins::{Api, Fault};

use crate::scripted::{USER, start};

/// What a sync of a user with 150 contracts comes to.
enum Then {
    Synced,
    Malformed,
}

#[tokio::test]
async fn a_part_of_a_list_is_never_taken_for_the_whole() {
    let cases = [
        (ListFault::None, Envelope::Bare, Then::Synced),
        (ListFault::None, Envelope::Data, Then::Synced),
        (ListFault::IgnoresOffset, Envelope::Data, Then::Malformed),
        (ListFault::IgnoresPaging, Envelope::Data, Then::Synced),
        // Nothing tells, so that the first page again means an unpaged list.
        (ListFault::IgnoresOffset, Envelope::Bare, Then::Synced),
        (ListFault::IgnoresPaging, Envelope::Bare, Then::Synced),
    ];
    for (fault, envelope, then) in cases {
        let (bench, crm) = start().await;
        let user = User::new(USER).email("anna@example.se");
        let user = (0..150).fold(user, |user, n| {
            user.contract(Contract::active(&format!("c{n:03}")))
        });
        bench.sesamy.put_user(user);
        bench.sesamy.set_envelope(envelope);
        bench.sesamy.set_list_fault(fault);
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        let (synced, dead_letters) = (crm.syncs().len(), bench.queue.dead_letters());
        match then {
            Then::Synced => assert_eq!(
                (synced, dead_letters.len()),
                (1, 0),
                "{fault:?} {envelope:?}"
            ),
            Then::Malformed => {
                assert_eq!(
                    (synced, dead_letters.len()),
                    (0, 1),
                    "{fault:?} {envelope:?}"
                );
                let kind = DeadLetterKind::MalformedAnswer.name();
                assert_eq!(dead_letters[0].1, kind);
            }
        }
    }
}

#[tokio::test]
async fn a_page_of_more_items_than_asked_for_is_not_taken_for_the_whole_list() {
    let (bench, crm) = start().await;
    let user = User::new(USER).email("anna@example.se");
    let contract = |n| Contract::active(&format!("c{n:03}"));
    bench
        .sesamy
        .put_user((0..150).fold(user, |user, n| user.contract(contract(n))));
    bench.sesamy.set_list_fault(ListFault::IgnoresLimit);
    bench.sesamy.set_page_cap(120);
    bench.synced(USER, "a").await;
    assert_eq!(crm.syncs().len(), 1);
    let requests = bench.stand_ins.requests_to(Api::Sesamy).into_iter();
    let contracts = requests.filter(|request| request.path == "/contracts");
    let asked: Vec<_> = contracts.map(|request| request.query).collect();
    let page = |offset| format!("limit=100&offset={offset}&userId=email%7C84cc");
    assert_eq!(asked, [0, 120, 150].map(page));
}

#[tokio::test]
async fn repeated_items_without_an_id_do_not_count_toward_a_total() {
    // (what the items say, whether the list is whole).
    let entitlement = |title: &str| json!({ "title": title, "sku": "s", "type": "pass" });
    let cases = [
        (vec![entitlement("A"), entitlement("B")], 4, false),
        (vec![entitlement("A"), entitlement("B")], 2, true),
    ];
    for (items, total, whole) in cases {
        let (bench, crm) = start().await;
        // The same page whatever is asked for, and half of what it tells of.
        let answer = json!({ "data": items, "pagination": { "total": total } });
        let fault = Fault::json(200, answer).on(Api::Sesamy);
        bench.stand_ins.fault(fault.path("/entitlements"));
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        assert_eq!(crm.syncs().len(), usize::from(whole), "{total}");
        let dead_letters = bench.queue.dead_letters();
        let kinds: Vec<_> = dead_letters
            .iter()
            .map(|(_, kind, _)| kind.as_str())
            .collect();
        let malformed = DeadLetterKind::MalformedAnswer.name();
        assert_eq!(kinds, vec![malformed; usize::from(!whole)], "{total}");
    }
}

/// What Sesamy answers in place of the user's own data.
type Foreign = (&'static str, fn() -> User);

const FOREIGN: [Foreign; 6] = [
    ("a profile that names another by userId", || {
        own().set("userId", "email|2")
    }),
    ("a profile that names another by id", || {
        own().set("id", "email|2")
    }),
    (
        "a profile that names another by userId, and the user by id",
        || own().set("id", USER).set("userId", "email|2"),
    ),
    ("a contract of another", || {
        own().contract(Contract::active("theirs").set("userId", "email|2"))
    }),
    ("an entitlement of another", || {
        let theirs = Entitlement::new("theirs", "sid:1", "Dagens Nytt");
        own().entitlement(theirs.set("userId", "email|2"))
    }),
    ("a bill of another", || {
        let own = own().contract(Contract::active("mine"));
        own.bill(Bill::paid("theirs", "mine").set("userId", "email|2"))
    }),
];

fn own() -> User {
    User::new(USER).email("anna@example.se")
}

#[tokio::test]
async fn data_that_names_another_user_is_malformed_whatever_is_asked() {
    for (name, state) in FOREIGN {
        let (bench, crm) = start().await;
        bench.put_connector_secret(&json!({ "key": "first", "bills": true }));
        bench.sesamy.put_user(state());
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        let dead_letters = bench.queue.dead_letters();
        let kinds: Vec<_> = dead_letters
            .iter()
            .map(|(_, kind, _)| kind.as_str())
            .collect();
        assert_eq!(kinds, ["malformed_answer"], "{name}");

        let preview = bench.preview(USER).await;
        let preview = serde_json::to_value(preview).unwrap();
        assert_eq!(preview["outcome"], "error", "{name}: {preview}");
        assert_eq!(preview["error"]["code"], "malformed_answer", "{name}");
        assert_eq!(crm.syncs(), [], "{name}");

        // Forgetting needs the address alone, and reads no bills.
        if name != "a bill of another" {
            let forgotten = bench.forget(USER, None).await;
            let forgotten = serde_json::to_value(forgotten).unwrap();
            assert_eq!(forgotten["outcome"], "error", "{name}: {forgotten}");
            assert_eq!(forgotten["error"]["code"], "malformed_answer", "{name}");
            assert_eq!(forgotten["contacts"], json!([]), "{name}");
        }
    }
}

#[tokio::test]
async fn data_of_another_user_is_never_synced() {
    let (bench, crm) = start().await;
    let another = User::new("email|2").email("ask@example.se");
    bench
        .sesamy
        .put_user(another.contract(Contract::active("theirs")));
    bench.sesamy.set_list_fault(ListFault::IgnoresUser);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    assert_eq!(crm.syncs(), []);
    assert_eq!(bench.queue.dead_letters().len(), 1);
}
