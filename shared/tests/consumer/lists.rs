//! Lists from Sesamy that differ from what was requested.

use conformance::{Bench, record};
use fakes::sesamy::{Bill, Contract, Entitlement, Envelope, ListFault, User};
use fakes::{Api, Fault};
use serde_json::json;
use shared::connector::DeadLetterKind;

use crate::scripted::{Scripted, USER, start};

#[tokio::test]
async fn partial_list_is_never_treated_as_complete() {
    struct Case {
        fault: ListFault,
        envelope: Envelope,
        is_synced: bool,
    }
    let case = |fault, envelope, is_synced| Case {
        fault,
        envelope,
        is_synced,
    };
    let cases = [
        case(ListFault::None, Envelope::Bare, true),
        case(ListFault::None, Envelope::Data, true),
        case(ListFault::IgnoresOffset, Envelope::Data, false),
        case(ListFault::IgnoresPaging, Envelope::Data, true),
        // Without an envelope, the same first page again means an unpaged list.
        case(ListFault::IgnoresOffset, Envelope::Bare, true),
        case(ListFault::IgnoresPaging, Envelope::Bare, true),
    ];
    for case in cases {
        let (bench, crm) = start().await;
        bench.sesamy.put_user(with_150_contracts());
        bench.sesamy.set_envelope(case.envelope);
        bench.sesamy.set_list_fault(case.fault);
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        let name = format!("{:?} {:?}", case.fault, case.envelope);
        assert_eq!(crm.syncs().len(), usize::from(case.is_synced), "{name}");
        assert_eq!(is_malformed(&bench), !case.is_synced, "{name}");
    }
}

fn with_150_contracts() -> User {
    let contract = |n| Contract::active(&format!("c{n:03}"));
    (0..150).fold(user(), |user, n| user.contract(contract(n)))
}

/// Whether the only message is a dead-letter message for a malformed answer.
fn is_malformed(bench: &Bench<Scripted>) -> bool {
    let dead_letters = bench.queue.dead_letters();
    let kinds: Vec<_> = dead_letters.iter().map(|(_, kind, _)| &**kind).collect();
    match kinds[..] {
        [] => false,
        [kind] => {
            assert_eq!(kind, DeadLetterKind::MalformedAnswer.name());
            true
        }
        _ => panic!("{kinds:?}"),
    }
}

#[tokio::test]
async fn oversized_page_is_not_treated_as_the_whole_list() {
    let (bench, crm) = start().await;
    bench.sesamy.put_user(with_150_contracts());
    bench.sesamy.set_list_fault(ListFault::IgnoresLimit);
    bench.sesamy.set_page_cap(120);
    bench.synced(USER, "a").await;
    assert_eq!(crm.syncs().len(), 1);
    let requests = bench.fakes.requests_to(Api::Sesamy).into_iter();
    let contracts = requests.filter(|request| request.path == "/contracts");
    let queries: Vec<_> = contracts.map(|request| request.query).collect();
    let page = |offset| format!("limit=100&offset={offset}&userId=email%7C84cc");
    assert_eq!(queries, [0, 120, 150].map(page));
}

#[tokio::test]
async fn repeated_items_without_an_id_do_not_count_toward_a_total() {
    let entitlement = |title: &str| json!({ "title": title, "sku": "s", "type": "pass" });
    let items = json!([entitlement("A"), entitlement("B")]);
    for (total, is_complete) in [(4, false), (2, true)] {
        let (bench, crm) = start().await;
        // The same page for every request.
        let answer = json!({ "data": items, "pagination": { "total": total } });
        let fault = Fault::json(200, answer).on(Api::Sesamy);
        bench.fakes.fault(fault.path("/entitlements"));
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        assert_eq!(crm.syncs().len(), usize::from(is_complete), "{total}");
        assert_eq!(is_malformed(&bench), !is_complete, "{total}");
    }
}

/// Data of another user in the answers about a user.
type Foreign = (&'static str, fn() -> User);

const FOREIGN: [Foreign; 6] = [
    ("a profile that names another user by userId", || {
        user().set("userId", "email|2")
    }),
    ("a profile that names another user by id", || {
        user().set("id", "email|2")
    }),
    (
        "a profile that names another user by userId, and this user by id",
        || user().set("id", USER).set("userId", "email|2"),
    ),
    ("a contract of another user", || {
        user().contract(Contract::active("theirs").set("userId", "email|2"))
    }),
    ("an entitlement of another user", || {
        let theirs = Entitlement::new("theirs", "sid:1", "Dagens Nytt");
        user().entitlement(theirs.set("userId", "email|2"))
    }),
    ("a bill of another user", || {
        let user = user().contract(Contract::active("mine"));
        user.bill(Bill::paid("theirs", "mine").set("userId", "email|2"))
    }),
];

fn user() -> User {
    User::new(USER).email("anna@example.se")
}

#[tokio::test]
async fn data_of_another_user_is_malformed_for_every_action() {
    for (name, state) in FOREIGN {
        let (bench, crm) = start().await;
        bench.put_connector_secret(&json!({ "key": "first", "bills": true }));
        bench.sesamy.put_user(state());
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        assert!(is_malformed(&bench), "{name}");
        let preview = bench.preview(USER).await;
        let preview = serde_json::to_value(preview).unwrap();
        assert_eq!(preview["outcome"], "error", "{name}: {preview}");
        assert_eq!(preview["error"]["code"], "malformed_answer", "{name}");
        assert_eq!(crm.syncs(), [], "{name}");

        // Forget only needs the address, and reads no bills.
        if name != "a bill of another user" {
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
