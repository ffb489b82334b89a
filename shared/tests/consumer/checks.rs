//! Checks of secrets and of Sesamy.

use conformance::{Bench, VENDOR, secret_name};
use fakes::sesamy::{Contract, Entitlement, Envelope, ListFault, User};
use fakes::{Api, Fault, RetryAfter};
use serde_json::{Value, json};
use shared::check::{CheckCode, CheckStatus};

use crate::scripted::{Scripted, USER, start};
use crate::unconfirmed::sync_unconfirmed;

struct Case {
    name: &'static str,
    spoil: fn(&Bench<Scripted>),
    /// What was checked, and its code.
    expected: &'static [(&'static str, CheckCode)],
}

const fn case(
    name: &'static str,
    spoil: fn(&Bench<Scripted>),
    expected: &'static [(&'static str, CheckCode)],
) -> Case {
    Case {
        name,
        spoil,
        expected,
    }
}

const CASES: &[Case] = &[
    case("no fault", |_| {}, &[]),
    case(
        "the connector's secret is missing",
        |bench| bench.secrets.remove(&secret_name("crm")),
        &[("secret test/vendor/crm", CheckCode::SecretMissing)],
    ),
    case(
        "the connector's secret lacks a key",
        |bench| bench.secrets.put(&secret_name("crm"), "{}"),
        &[("secret test/vendor/crm", CheckCode::SecretMalformed)],
    ),
    case(
        "the connector's secret cannot be read",
        |bench| bench.secrets.fail(&secret_name("crm")),
        &[("secret test/vendor/crm", CheckCode::SecretUnreadable)],
    ),
    case(
        "Sesamy's secret is missing",
        |bench| bench.secrets.remove(&secret_name("sesamy")),
        &[("secret test/vendor/sesamy", CheckCode::SecretMissing)],
    ),
    case(
        "Sesamy's secret is not JSON",
        |bench| bench.secrets.put(&secret_name("sesamy"), "secret"),
        &[("secret test/vendor/sesamy", CheckCode::SecretMalformed)],
    ),
    case(
        "Sesamy refuses the client",
        |bench| bench.put_sesamy_secret("wrong"),
        &[("Sesamy: token", CheckCode::CredentialsRefused)],
    ),
    case(
        "Sesamy's token endpoint breaks connections",
        |bench| fault(bench, Fault::reset().on(Api::SesamyToken)),
        &[("Sesamy: token", CheckCode::ApiUnreachable)],
    ),
    case(
        "Sesamy refuses the token",
        |bench| fault(bench, Fault::status(401).on(Api::Sesamy)),
        &[("Sesamy: list users", CheckCode::CredentialsRefused)],
    ),
    case(
        "the client may not read users",
        |bench| fault(bench, Fault::status(403).on(Api::Sesamy).path("/users*")),
        &[("Sesamy: list users", CheckCode::PermissionMissing)],
    ),
    case(
        "the client may not read contracts",
        |bench| {
            fault(bench, Fault::status(403).on(Api::Sesamy).path("/contracts"));
        },
        &[("Sesamy: list contracts", CheckCode::PermissionMissing)],
    ),
    case(
        "the client may not read entitlements",
        |bench| {
            fault(
                bench,
                Fault::status(403).on(Api::Sesamy).path("/entitlements"),
            );
        },
        &[("Sesamy: list entitlements", CheckCode::PermissionMissing)],
    ),
    case(
        "Sesamy breaks connections",
        |bench| fault(bench, Fault::reset().on(Api::Sesamy).path("/contracts")),
        &[("Sesamy: list contracts", CheckCode::ApiUnreachable)],
    ),
    case(
        "Sesamy answers 500",
        |bench| fault(bench, Fault::status(500).on(Api::Sesamy).path("/contracts")),
        &[("Sesamy: list contracts", CheckCode::ApiFailing)],
    ),
    case(
        "Sesamy asks to wait",
        |bench| {
            let wait = Fault::too_many_requests(RetryAfter::Seconds(60)).on(Api::Sesamy);
            fault(bench, wait.path("/users"));
        },
        &[
            ("Sesamy: list users", CheckCode::ApiAsksToWait),
            ("Sesamy: list contracts", CheckCode::ApiAsksToWait),
            ("Sesamy: list entitlements", CheckCode::ApiAsksToWait),
        ],
    ),
    case(
        "Sesamy answers with something other than a list",
        |bench| {
            fault(
                bench,
                Fault::json(200, json!({ "message": "hello" }))
                    .on(Api::Sesamy)
                    .path("/contracts"),
            );
        },
        &[("Sesamy: list contracts", CheckCode::UnexpectedAnswer)],
    ),
    case(
        "Sesamy ignores the filter by user",
        |bench| {
            let other = json!([{ "id": "c", "userId": "email|other" }]);
            fault(
                bench,
                Fault::json(200, other).on(Api::Sesamy).path("/contracts"),
            );
        },
        &[(
            "assumption: contracts are filtered by userId",
            CheckCode::AssumptionFails,
        )],
    ),
    case(
        "Sesamy caps its pages below ten without saying so",
        |bench| {
            bench.sesamy.set_envelope(Envelope::Bare);
            bench.sesamy.set_page_cap(5);
            for n in 0..7 {
                bench.sesamy.put_user(User::new(&format!("email|{n}")));
            }
        },
        &[(
            "assumption: a short page of a list is its last",
            CheckCode::AssumptionFails,
        )],
    ),
];

fn fault(bench: &Bench<Scripted>, fault: Fault) {
    bench.fakes.fault(fault);
}

#[tokio::test]
async fn every_fault_is_found_and_named() {
    for case in CASES {
        let (bench, _) = start().await;
        (case.spoil)(&bench);
        bench.assert_problems(case.name, case.expected).await;
    }
}

#[tokio::test]
async fn fixed_secret_takes_effect_immediately() {
    let (bench, _) = start().await;
    bench.synced(USER, "a").await;
    bench.put_sesamy_secret("wrong");
    assert_eq!(bench.check().await.outcome, CheckStatus::Problem);
    bench.put_sesamy_secret("secret");
    assert_eq!(bench.check().await.outcome, CheckStatus::Ok);
}

#[tokio::test]
async fn check_reports_which_assumptions_hold() {
    let (bench, _) = start().await;
    let codes = async || {
        let findings = bench.check().await.findings.into_iter();
        let assumptions = findings.filter(|finding| finding.what.starts_with("assumption"));
        assumptions.map(|finding| finding.code).collect::<Vec<_>>()
    };
    let unknown = [
        CheckCode::AssumptionHolds,
        CheckCode::CannotBeTold,
        CheckCode::CannotBeTold,
        CheckCode::CannotBeTold,
    ];
    let order = "pages, guests, unconfirmed users, user filter";
    assert_eq!(codes().await, unknown, "{order}");
    bench.sesamy.put_user(
        User::new(USER)
            .guest()
            .contract(Contract::active("c1").set("userId", USER)),
    );
    let known = [
        CheckCode::AssumptionHolds,
        CheckCode::AssumptionHolds,
        // The list of users does not say which addresses are verified.
        CheckCode::CannotBeTold,
        CheckCode::AssumptionHolds,
    ];
    assert_eq!(codes().await, known, "{order}");
}

#[tokio::test]
async fn check_reports_the_share_of_unverified_addresses() {
    struct Case {
        name: &'static str,
        users: Value,
        sync_unconfirmed: bool,
        code: CheckCode,
        say: &'static str,
    }
    let cases = [
        Case {
            name: "some are unverified; a user without the flag counts as confirmed",
            users: json!([
                { "id": USER, "emailVerified": true },
                { "id": "email|2", "emailVerified": false },
                { "id": "email|3" },
                { "id": "email|4", "emailVerified": true },
            ]),
            sync_unconfirmed: false,
            code: CheckCode::CannotBeTold,
            say: "1 of 4 users on the first page (25 %) has an unverified address and is not synced",
        },
        Case {
            name: "all are unverified",
            users: json!([{ "id": USER, "emailVerified": false }, { "id": "email|2", "emailVerified": false }]),
            sync_unconfirmed: false,
            code: CheckCode::CannotBeTold,
            say: "2 of 2 users on the first page (100 %) have an unverified address and are not synced",
        },
        Case {
            name: "all are unverified and synced anyway",
            users: json!([{ "id": USER, "emailVerified": false }, { "id": "email|2", "emailVerified": false }]),
            sync_unconfirmed: true,
            code: CheckCode::Works,
            say: "2 of 2 users on the first page (100 %) have an unverified address and are synced all the same, as \"syncUnconfirmed\" says",
        },
        Case {
            name: "none is unverified",
            users: json!([{ "id": USER, "emailVerified": true }, { "id": "email|2" }]),
            sync_unconfirmed: false,
            code: CheckCode::AssumptionHolds,
            say: "0 of 2 users on the first page (0 %) have an unverified address",
        },
        Case {
            name: "the list does not say",
            users: json!([{ "id": USER }, { "id": "email|2", "emailVerified": "false" }]),
            sync_unconfirmed: false,
            code: CheckCode::CannotBeTold,
            say: "the list of users does not say; the address of the one user that was read is verified",
        },
        Case {
            name: "there are no users",
            users: json!([]),
            sync_unconfirmed: false,
            code: CheckCode::CannotBeTold,
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
async fn check_reports_a_list_that_ignores_paging() {
    struct Case {
        fault: ListFault,
        envelope: Envelope,
        is_unpaged: bool,
    }
    let case = |fault, envelope, is_unpaged| Case {
        fault,
        envelope,
        is_unpaged,
    };
    for case in [
        case(ListFault::IgnoresPaging, Envelope::Bare, true),
        case(ListFault::None, Envelope::Bare, false),
        // The envelope states the total, so the check reads no second page.
        case(ListFault::IgnoresPaging, Envelope::Data, false),
    ] {
        let (bench, _) = start().await;
        let user = User::new(USER).entitlement(Entitlement::new("e", "sid:1", "Dagens Nytt"));
        bench.sesamy.put_user(user);
        bench.sesamy.set_list_fault(case.fault);
        bench.sesamy.set_envelope(case.envelope);
        let check = bench.check().await;
        assert_ne!(check.outcome, CheckStatus::Problem, "{check:?}");
        let finding = |name: &str| check.findings.iter().find(|f| f.what == name).unwrap();
        let filled = finding("Sesamy: list entitlements");
        let empty = finding("Sesamy: list contracts");
        assert_eq!(
            filled.say.contains("unpaged"),
            case.is_unpaged,
            "{filled:?}"
        );
        assert_eq!(filled.code, CheckCode::Works);
        assert_eq!(empty.say, "works", "an empty list shows nothing");
    }
}

#[tokio::test]
async fn check_only_reads_and_shows_no_personal_data() {
    let (bench, _) = start().await;
    let check = serde_json::to_string(&bench.check().await).unwrap();
    assert!(check.contains(VENDOR) && !check.contains("anna"), "{check}");
    let requests = bench.fakes.requests_to(Api::Sesamy);
    assert!(requests.iter().all(|request| request.method == "GET"));
    assert!(requests.len() <= 5, "{}", requests.len());
    assert_eq!(bench.fakes.violations(), []);
}
