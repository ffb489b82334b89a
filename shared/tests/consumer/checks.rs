//! What a check finds of secrets and of Sesamy.

use bench::{Bench, VENDOR, secret_name};
use serde_json::{Value, json};
use shared::check::{Code, Verdict};
use stand_ins::sesamy::{Contract, Entitlement, Envelope, ListFault, User};
use stand_ins::{Api, Fault, RetryAfter};

use crate::scripted::{Scripted, USER, start};
use crate::unconfirmed::sync_unconfirmed;

/// A name, what is wrong, and what is found.
type Case = (
    &'static str,
    fn(&Bench<Scripted>),
    &'static [(&'static str, Code)],
);

const CASES: &[Case] = &[
    ("nothing is wrong", |_| {}, &[]),
    (
        "the connector's secret is missing",
        |bench| bench.secrets.remove(&secret_name("crm")),
        &[("secret test/vendor/crm", Code::SecretMissing)],
    ),
    (
        "the connector's secret lacks a key",
        |bench| bench.secrets.put(&secret_name("crm"), "{}"),
        &[("secret test/vendor/crm", Code::SecretMalformed)],
    ),
    (
        "the connector's secret cannot be read",
        |bench| bench.secrets.fail(&secret_name("crm")),
        &[("secret test/vendor/crm", Code::SecretUnreadable)],
    ),
    (
        "Sesamy's secret is missing",
        |bench| bench.secrets.remove(&secret_name("sesamy")),
        &[("secret test/vendor/sesamy", Code::SecretMissing)],
    ),
    (
        "Sesamy's secret is no JSON",
        |bench| bench.secrets.put(&secret_name("sesamy"), "secret"),
        &[("secret test/vendor/sesamy", Code::SecretMalformed)],
    ),
    (
        "Sesamy refuses the client",
        |bench| bench.put_sesamy_secret("wrong"),
        &[("Sesamy: token", Code::CredentialsRefused)],
    ),
    (
        "Sesamy's tokens are not to be had",
        |bench| fault(bench, Fault::reset().on(Api::SesamyToken)),
        &[("Sesamy: token", Code::ApiUnreachable)],
    ),
    (
        "Sesamy refuses the token",
        |bench| fault(bench, Fault::status(401).on(Api::Sesamy)),
        &[("Sesamy: list users", Code::CredentialsRefused)],
    ),
    (
        "the client may not read users",
        |bench| fault(bench, Fault::status(403).on(Api::Sesamy).path("/users*")),
        &[("Sesamy: list users", Code::PermissionMissing)],
    ),
    (
        "the client may not read contracts",
        |bench| {
            fault(bench, Fault::status(403).on(Api::Sesamy).path("/contracts"));
        },
        &[("Sesamy: list contracts", Code::PermissionMissing)],
    ),
    (
        "the client may not read entitlements",
        |bench| {
            fault(
                bench,
                Fault::status(403).on(Api::Sesamy).path("/entitlements"),
            );
        },
        &[("Sesamy: list entitlements", Code::PermissionMissing)],
    ),
    (
        "Sesamy breaks connections",
        |bench| fault(bench, Fault::reset().on(Api::Sesamy).path("/contracts")),
        &[("Sesamy: list contracts", Code::ApiUnreachable)],
    ),
    (
        "Sesamy has a fault of its own",
        |bench| fault(bench, Fault::status(500).on(Api::Sesamy).path("/contracts")),
        &[("Sesamy: list contracts", Code::ApiFailing)],
    ),
    (
        "Sesamy asks to wait",
        |bench| {
            let wait = Fault::too_many_requests(RetryAfter::Seconds(60)).on(Api::Sesamy);
            fault(bench, wait.path("/users"));
        },
        &[
            ("Sesamy: list users", Code::ApiAsksToWait),
            ("Sesamy: list contracts", Code::ApiAsksToWait),
            ("Sesamy: list entitlements", Code::ApiAsksToWait),
        ],
    ),
    (
        "Sesamy answers what is no list",
        |bench| {
            fault(
                bench,
                Fault::json(200, json!({ "message": "hello" }))
                    .on(Api::Sesamy)
                    .path("/contracts"),
            );
        },
        &[("Sesamy: list contracts", Code::UnexpectedAnswer)],
    ),
    (
        "Sesamy gives one user another's contracts",
        |bench| {
            let other = json!([{ "id": "c", "userId": "email|other" }]);
            fault(
                bench,
                Fault::json(200, other).on(Api::Sesamy).path("/contracts"),
            );
        },
        &[(
            "assumption: contracts are filtered by userId",
            Code::AssumptionFails,
        )],
    ),
    (
        "Sesamy caps its pages below ten and does not tell",
        |bench| {
            bench.sesamy.set_envelope(Envelope::Bare);
            bench.sesamy.set_page_cap(5);
            for n in 0..7 {
                bench.sesamy.put_user(User::new(&format!("email|{n}")));
            }
        },
        &[(
            "assumption: a short page of a list is its last",
            Code::AssumptionFails,
        )],
    ),
];

fn fault(bench: &Bench<Scripted>, fault: Fault) {
    bench.stand_ins.fault(fault);
}

#[tokio::test]
async fn each_thing_that_is_wrong_is_found_and_named() {
    for (name, spoil, expected) in CASES {
        let (bench, _) = start().await;
        spoil(&bench);
        bench.finds(name, expected).await;
    }
}

#[tokio::test]
async fn a_mended_secret_counts_at_once() {
    let (bench, _) = start().await;
    bench.synced(USER, "a").await;
    bench.put_sesamy_secret("wrong");
    assert_eq!(bench.check().await.outcome, Verdict::Problem);
    bench.put_sesamy_secret("secret");
    assert_eq!(bench.check().await.outcome, Verdict::Ok);
}

#[tokio::test]
async fn what_reading_shows_of_the_assumptions_is_told() {
    let (bench, _) = start().await;
    let codes = async || {
        let findings = bench.check().await.findings.into_iter();
        let told = findings.filter(|finding| finding.what.starts_with("assumption"));
        told.map(|finding| finding.code).collect::<Vec<_>>()
    };
    let untold = [
        Code::AssumptionHolds,
        Code::CannotBeTold,
        Code::CannotBeTold,
        Code::CannotBeTold,
    ];
    let what = "pages, guests, unconfirmed users, the filter";
    assert_eq!(codes().await, untold, "{what}");
    bench.sesamy.put_user(
        User::new(USER)
            .guest()
            .contract(Contract::active("c1").set("userId", USER)),
    );
    let told = [
        Code::AssumptionHolds,
        Code::AssumptionHolds,
        // The list of users does not say whose address is verified.
        Code::CannotBeTold,
        Code::AssumptionHolds,
    ];
    assert_eq!(codes().await, told, "{what}");
}

#[tokio::test]
async fn the_share_of_unverified_addresses_is_told() {
    struct Case {
        name: &'static str,
        users: Value,
        sync_unconfirmed: bool,
        code: Code,
        say: &'static str,
    }
    let cases = [
        Case {
            name: "some are unverified; one who does not say counts as confirmed",
            users: json!([
                { "id": USER, "emailVerified": true },
                { "id": "email|2", "emailVerified": false },
                { "id": "email|3" },
                { "id": "email|4", "emailVerified": true },
            ]),
            sync_unconfirmed: false,
            code: Code::CannotBeTold,
            say: "1 of 4 users on the first page (25 %) has an unverified address and is not synced",
        },
        Case {
            name: "all are unverified",
            users: json!([{ "id": USER, "emailVerified": false }, { "id": "email|2", "emailVerified": false }]),
            sync_unconfirmed: false,
            code: Code::CannotBeTold,
            say: "2 of 2 users on the first page (100 %) have an unverified address and are not synced",
        },
        Case {
            name: "all are unverified and synced all the same",
            users: json!([{ "id": USER, "emailVerified": false }, { "id": "email|2", "emailVerified": false }]),
            sync_unconfirmed: true,
            code: Code::Works,
            say: "2 of 2 users on the first page (100 %) have an unverified address and are synced all the same, as \"syncUnconfirmed\" says",
        },
        Case {
            name: "none is unverified",
            users: json!([{ "id": USER, "emailVerified": true }, { "id": "email|2" }]),
            sync_unconfirmed: false,
            code: Code::AssumptionHolds,
            say: "0 of 2 users on the first page (0 %) have an unverified address",
        },
        Case {
            name: "the list does not say",
            users: json!([{ "id": USER }, { "id": "email|2", "emailVerified": "false" }]),
            sync_unconfirmed: false,
            code: Code::CannotBeTold,
            say: "the list of users does not say; the address of the one user that was read is verified",
        },
        Case {
            name: "there is nobody",
            users: json!([]),
            sync_unconfirmed: false,
            code: Code::CannotBeTold,
            say: "no profile that was read says whether its address is verified; all count as confirmed",
        },
    ];
    for case in cases {
        let (bench, _) = start().await;
        if case.sync_unconfirmed {
            sync_unconfirmed(&bench);
        }
        fault(
            &bench,
            Fault::json(200, case.users).on(Api::Sesamy).path("/users"),
        );
        let findings = bench.check().await.findings;
        let finding = findings
            .into_iter()
            .find(|f| f.what.contains("emailVerified"));
        let finding = finding.unwrap_or_else(|| panic!("{}", case.name));
        assert_eq!(
            (finding.code, finding.say.as_str()),
            (case.code, case.say),
            "{}",
            case.name
        );
    }
}

#[tokio::test]
async fn a_list_that_comes_whole_whatever_page_is_asked_for_is_told_as_unpaged() {
    let cases = [
        (ListFault::IgnoresPaging, Envelope::Bare, true),
        (ListFault::None, Envelope::Bare, false),
        // The envelope tells, so that nothing more is asked.
        (ListFault::IgnoresPaging, Envelope::Data, false),
    ];
    for (fault, envelope, unpaged) in cases {
        let (bench, _) = start().await;
        let user = User::new(USER).entitlement(Entitlement::new("e", "sid:1", "Dagens Nytt"));
        bench.sesamy.put_user(user);
        bench.sesamy.set_list_fault(fault);
        bench.sesamy.set_envelope(envelope);
        let check = bench.check().await;
        assert_ne!(check.outcome, Verdict::Problem, "{check:?}");
        let of = |name: &str| check.findings.iter().find(|f| f.what == name).unwrap();
        let (told, empty) = (
            of("Sesamy: list entitlements"),
            of("Sesamy: list contracts"),
        );
        assert_eq!(told.say.contains("unpaged"), unpaged, "{told:?}");
        assert_eq!(told.code, Code::Works);
        assert_eq!(empty.say, "works", "an empty list cannot tell");
    }
}

#[tokio::test]
async fn a_check_reads_only_and_tells_nothing_personal() {
    let (bench, _) = start().await;
    let check = serde_json::to_string(&bench.check().await).unwrap();
    assert!(check.contains(VENDOR) && !check.contains("anna"), "{check}");
    let requests = bench.stand_ins.requests_to(Api::Sesamy);
    assert!(requests.iter().all(|request| request.method == "GET"));
    assert!(requests.len() <= 5, "{}", requests.len());
    assert_eq!(bench.stand_ins.violations(), []);
}
