//! The peak memory of a function when Sesamy or a CRM gives the worst possible responses
//! for all ten users of a batch.

use std::path::Path;

use fakes::{Api, Fault};
use serde_json::json;

use crate::measure::{MAX_BATCH, TYPICAL};
use crate::{ConnectorKind, Fixture, Function, PaymentState, Result, user_ids};

/// In bytes: a connector's memory in the template, minus a sixteenth for Lambda's own
/// processes.
pub const MAX_MEMORY: u64 = 240 * 1024 * 1024;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The start of a body, the part that it repeats (each `%` becomes a new number), and its
/// end.
type Body = [&'static str; 3];

/// A large body as the response to several paths.
#[derive(Clone, Copy)]
struct Flood {
    name: &'static str,
    body: Body,
    paths: &'static [&'static str],
    bytes: usize,
}

const fn flood(
    name: &'static str,
    body: Body,
    paths: &'static [&'static str],
    bytes: usize,
) -> Flood {
    Flood {
        name,
        body,
        paths,
        bytes,
    }
}

/// Small on the wire and large in memory.
const MAPS: Body = ["[", r#"{"":0},"#, "]"];
const TAGS: Body = [r#"{"email":"a@example.se","tags":["#, r#""%","#, "]}"];
const PRODUCTS: Body = [
    r#"{"hasMore":false,"data":["#,
    r#"{"id":"%","title":"%","sku":"%","purchaseOption":"%"},"#,
    "]}",
];

const LISTS: &[&str] = &["/contracts", "/entitlements", "/bills"];
const CONTRACTS: &[&str] = &["/contracts"];
const ENTITLEMENTS: &[&str] = &["/entitlements"];
const USER: &[&str] = &["/users/*"];

/// Responses of Sesamy that make every sync fail.
const UNUSABLE: [Flood; 9] = [
    flood("maps", MAPS, LISTS, 2 * MIB),
    flood("maps", MAPS, LISTS, 8 * MIB),
    flood("numbers", ["[", "0,", "]"], LISTS, 450 * KIB),
    flood("lists in lists", ["[", "[0],", "]"], LISTS, 500 * KIB),
    flood("brackets", ["", "[", ""], LISTS, 2 * MIB),
    flood(
        "an item of maps",
        [r#"[{"x":["#, r#"{"":0},"#, "]}]"],
        CONTRACTS,
        380 * KIB,
    ),
    flood(
        "page after page",
        [r#"{"total":99999999,"data":["#, r#"{"id":"%"},"#, "]}"],
        CONTRACTS,
        64 * KIB,
    ),
    flood("tags", TAGS, USER, 2 * MIB),
    flood(
        "a long name",
        [r#"{"email":"a@example.se","firstName":""#, "a", r#""}"#],
        USER,
        2 * MIB,
    ),
];

/// Responses of Sesamy that are synced, or that are just too large for it. Some fit into
/// memory for many users together, others only for one user.
const USABLE: [Flood; 6] = [
    flood(
        "ids",
        [r#"{"hasMore":false,"data":["#, r#"{"id":"%"},"#, "]}"],
        LISTS,
        16 * KIB,
    ),
    flood(
        "items of a contract",
        [
            r#"{"hasMore":false,"data":[{"id":"a","isActive":true,"contractDuration":"RECURRING","items":["#,
            r#"{"sku":"%","name":"%"},"#,
            "]}]}",
        ],
        CONTRACTS,
        300 * KIB,
    ),
    flood("products", PRODUCTS, ENTITLEMENTS, 150 * KIB),
    flood("products", PRODUCTS, ENTITLEMENTS, 500 * KIB),
    flood("tags", TAGS, USER, 64 * KIB),
    flood(
        "unknown fields",
        [r#"{"email":"a@example.se""#, r#","x%":{"":0}"#, "}"],
        USER,
        20 * KIB,
    ),
];

/// A CRM's responses about a contact. Some fit into memory for many users together, some
/// only for one user, and some are too large.
fn contacts(connector: ConnectorKind) -> Vec<Flood> {
    const RULE_TAGS: Body = [r#"{"tags":["#, r#""%","#, "]}"];
    const RULE_TAG_OBJECTS: Body = [r#"{"tags":["#, r#"{"name":"%"},"#, "]}"];
    const RULE_FIELDS: Body = [r#"{"subscriber":{"id":1"#, r#","x%":{}"#, "}}"];
    const MAILMOJO: &[&str] = &["/v1/contacts/*"];
    const MAILMOJO_FIELDS: Body = [r#"{"custom":{"#, r#""f%":"","#, "}}"];
    const MAILMOJO_LISTS: Body = [r#"{"list_associations":["#, r#"{"list_id":%},"#, "]}"];
    const MAKE: &[&str] = &["*/by_email"];
    const MAKE_TAGS: Body = [r#"{"id":1,"tags":["#, r#""t%","#, "]}"];
    const MAKE_TAG_IDS: Body = [r#"{"id":1,"tags":["#, r#""%","#, "]}"];
    const MAKE_FIELDS: Body = [r#"{"id":1"#, r#","x%":{"":0}"#, "}"];
    const MAILCHIMP: &[&str] = &["/lists/*/members/*"];
    const MAILCHIMP_TAGS: Body = [
        r#"{"id":"a","email_address":"a@example.se","status":"subscribed","merge_fields":{},"tags":["#,
        r#"{"id":1,"name":"%"},"#,
        "]}",
    ];
    const MAILCHIMP_FIELDS: Body = [
        r#"{"id":"a","email_address":"a@example.se","status":"subscribed","tags":[],"merge_fields":{"#,
        r#""F%":"","#,
        "}}",
    ];
    const HUBSPOT: &[&str] = &["/crm/v3/objects/contacts/*"];
    const HUBSPOT_FIELDS: Body = [r#"{"id":"1","properties":{"#, r#""p%":"","#, "}}"];
    const HUBSPOT_TAGS: Body = [
        r#"{"id":"1","properties":{"sesamy_tags":""#,
        "t%;",
        r#""}}"#,
    ];
    match connector {
        ConnectorKind::Mailchimp => vec![
            flood("tags", MAILCHIMP_TAGS, MAILCHIMP, 160 * KIB),
            flood("tags", MAILCHIMP_TAGS, MAILCHIMP, 2 * MIB),
            flood("fields", MAILCHIMP_FIELDS, MAILCHIMP, 800 * KIB),
        ],
        ConnectorKind::Hubspot => vec![
            flood("fields", HUBSPOT_FIELDS, HUBSPOT, 400 * KIB),
            flood("tags", HUBSPOT_TAGS, HUBSPOT, 160 * KIB),
            flood("tags", HUBSPOT_TAGS, HUBSPOT, 2 * MIB),
        ],
        ConnectorKind::Rule => vec![
            flood("tags", RULE_TAGS, &["*/tags"], 160 * KIB),
            flood("tags", RULE_TAGS, &["*/tags"], 2 * MIB),
            flood("tag objects", RULE_TAG_OBJECTS, &["*/tags"], 800 * KIB),
            flood("fields", RULE_FIELDS, &["/v2/subscribers"], 400 * KIB),
        ],
        ConnectorKind::Mailmojo => vec![
            flood("tags", RULE_TAGS, MAILMOJO, 160 * KIB),
            flood("tags", RULE_TAGS, MAILMOJO, 2 * MIB),
            flood("fields", MAILMOJO_FIELDS, MAILMOJO, 800 * KIB),
            flood("lists", MAILMOJO_LISTS, MAILMOJO, 800 * KIB),
        ],
        ConnectorKind::Make => vec![
            flood("tags", MAKE_TAGS, MAKE, 160 * KIB),
            flood("tags", MAKE_TAGS, MAKE, 2 * MIB),
            flood("tag ids", MAKE_TAG_IDS, MAKE, 800 * KIB),
            flood("fields", MAKE_FIELDS, MAKE, 400 * KIB),
        ],
    }
}

/// Accepts every write unchecked: checking each tag takes the fakes longer than a call's
/// timeout.
fn accept_writes(crm: Api) -> Vec<Fault> {
    let not_found = Fault::json(404, json!({})).on(crm).path("*/by_email");
    let written = json!({ "subscriber": { "id": 1 } });
    let write = |method| Fault::json(200, written.clone()).on(crm).method(method);
    let writes = ["POST", "PUT", "PATCH", "DELETE"].map(write);
    std::iter::once(not_found).chain(writes).collect()
}

struct Case {
    name: String,
    faults: Vec<Fault>,
}

fn cases(connector: ConnectorKind) -> Vec<Case> {
    let crm = connector.api();
    let mut cases = Vec::new();
    let mut add = |api: Api, status, flood: Flood| {
        let Flood {
            name,
            body,
            paths,
            bytes,
        } = flood;
        let fault = |path: &&str| Fault::flood(status, body, bytes).on(api).path(path);
        cases.push(Case {
            name: format!("{api:?} {paths:?} {status}: {name}, {} KiB", bytes / KIB),
            faults: paths.iter().map(fault).chain(accept_writes(crm)).collect(),
        });
    };
    for flood in USABLE {
        add(Api::Sesamy, 200, flood);
    }
    for flood in contacts(connector) {
        add(crm, 200, flood);
    }
    let mut apis = vec![crm];
    // Unusable responses of Sesamy never reach a connector's code, so one connector is
    // enough.
    if connector == ConnectorKind::Mailmojo {
        apis.extend([Api::Sesamy, Api::SesamyToken]);
        for flood in UNUSABLE {
            add(Api::Sesamy, 200, flood);
        }
    }
    for api in apis {
        add(api, 200, flood("maps", MAPS, &["*"], 2 * MIB));
        add(api, 400, flood("maps", MAPS, &["*"], 64 * KIB));
        add(api, 500, flood("maps", MAPS, &["*"], 8 * MIB));
    }
    cases
}

/// Runs a new instance for every case, with a batch of ten users. Returns each case's
/// name and peak memory in bytes. Fails if the function ends or does not respond.
pub fn memory_peaks(connector: ConnectorKind, binary: &Path) -> Result<Vec<(String, u64)>> {
    let function = Function::Consumer(connector);
    let fixture = Fixture::start()?;
    let users = user_ids(MAX_BATCH);
    let mut peaks = Vec::new();
    for (number, case) in cases(connector).into_iter().enumerate() {
        fixture.reset();
        fixture.put_users(&users, TYPICAL, PaymentState::Paid);
        fixture.set_faults(case.faults);
        let (mut instance, _) = fixture.start_binary(function, binary)?;
        instance.invoke(Fixture::event(function, number, &users))?;
        peaks.push((case.name, instance.peak_memory()?));
    }
    Ok(peaks)
}
