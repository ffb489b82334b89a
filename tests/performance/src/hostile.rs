//! The worst that Sesamy and the CRMs can answer, to ten readers of one batch
//! at once, and how much memory a real function holds at its peak meanwhile.

use std::path::Path;

use serde_json::json;
use stand_ins::{Api, Fault};

use crate::{Connector, Function, Payment, Result, Stage};

/// The memory that a connector's function has in the template, less a sixteenth
/// for what Lambda runs beside it, in bytes.
pub const MEMORY: u64 = 240 * 1024 * 1024;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How many readers a batch has. As many as Lambda hands over at once.
const READERS: usize = 10;

/// The kinds of body: what it is, how it begins, what comes over and over, and
/// how it ends.
type Kind = (&'static str, [&'static str; 3]);

/// Small on the wire and large in memory.
const MAPS: Kind = ("maps", ["[", r#"{"":0},"#, "]"]);

const EVERY_LIST: &[&str] = &["/contracts", "/entitlements", "/bills"];

/// Answers of Sesamy of which no sync comes: on which paths, and of how many bytes.
const REFUSED: [(Kind, &[&str], usize); 9] = [
    (MAPS, EVERY_LIST, 2 * MIB),
    (MAPS, EVERY_LIST, 8 * MIB),
    (("numbers", ["[", "0,", "]"]), EVERY_LIST, 450 * KIB),
    (
        ("lists in lists", ["[", "[0],", "]"]),
        EVERY_LIST,
        500 * KIB,
    ),
    (("brackets", ["", "[", ""]), EVERY_LIST, 2 * MIB),
    (
        ("an item of maps", [r#"[{"x":["#, r#"{"":0},"#, "]}]"]),
        &["/contracts"],
        380 * KIB,
    ),
    (
        (
            "page after page",
            [r#"{"total":99999999,"data":["#, r#"{"id":"%"},"#, "]}"],
        ),
        &["/contracts"],
        64 * KIB,
    ),
    (TAGS, &["/users/*"], 2 * MIB),
    (
        (
            "a long name",
            [r#"{"email":"a@example.se","firstName":""#, "a", r#""}"#],
        ),
        &["/users/*"],
        2 * MIB,
    ),
];

/// Answers of Sesamy that are synced, or would be if they were a little
/// smaller: those of many readers at once, and of one who must be alone.
const SYNCED: [(Kind, &[&str], usize); 6] = [
    (
        (
            "ids",
            [r#"{"hasMore":false,"data":["#, r#"{"id":"%"},"#, "]}"],
        ),
        EVERY_LIST,
        16 * KIB,
    ),
    (
        (
            "items of a contract",
            [
                r#"{"hasMore":false,"data":[{"id":"a","isActive":true,"contractDuration":"RECURRING","items":["#,
                r#"{"sku":"%","name":"%"},"#,
                "]}]}",
            ],
        ),
        &["/contracts"],
        300 * KIB,
    ),
    (PRODUCTS, &["/entitlements"], 150 * KIB),
    (PRODUCTS, &["/entitlements"], 500 * KIB),
    (TAGS, &["/users/*"], 64 * KIB),
    (
        (
            "unknown fields",
            [r#"{"email":"a@example.se""#, r#","x%":{"":0}"#, "}"],
        ),
        &["/users/*"],
        20 * KIB,
    ),
];

const TAGS: Kind = (
    "tags",
    [r#"{"email":"a@example.se","tags":["#, r#""%","#, "]}"],
);

const PRODUCTS: Kind = (
    "products",
    [
        r#"{"hasMore":false,"data":["#,
        r#"{"id":"%","title":"%","sku":"%","purchaseOption":"%"},"#,
        "]}",
    ],
);

/// What each CRM tells of a contact, on which path, and of how many bytes:
/// beside others, alone, too much.
fn contacts(connector: Connector) -> [(&'static str, [&'static str; 3], usize); 4] {
    let tags = |path, body| [(path, body, 160 * KIB), (path, body, 2 * MIB)];
    match connector {
        Connector::Rule => {
            let [some, many] = tags("*/tags", [r#"{"tags":["#, r#""%","#, "]}"]);
            let objects = [r#"{"tags":["#, r#"{"name":"%"},"#, "]}"];
            let fields = [r#"{"subscriber":{"id":1"#, r#","x%":{}"#, "}}"];
            [
                some,
                many,
                ("*/tags", objects, 800 * KIB),
                ("/v2/subscribers", fields, 400 * KIB),
            ]
        }
        Connector::Mailmojo => {
            let path = "/v1/contacts/*";
            let [some, many] = tags(path, [r#"{"tags":["#, r#""%","#, "]}"]);
            let custom = [r#"{"custom":{"#, r#""f%":"","#, "}}"];
            let lists = [r#"{"list_associations":["#, r#"{"list_id":%},"#, "]}"];
            [
                some,
                many,
                (path, custom, 800 * KIB),
                (path, lists, 800 * KIB),
            ]
        }
        Connector::Make => {
            let path = "*/by_email";
            let [some, many] = tags(path, [r#"{"id":1,"tags":["#, r#""t%","#, "]}"]);
            let ids = [r#"{"id":1,"tags":["#, r#""%","#, "]}"];
            let fields = [r#"{"id":1"#, r#","x%":{"":0}"#, "}"];
            [
                some,
                many,
                (path, ids, 800 * KIB),
                (path, fields, 400 * KIB),
            ]
        }
    }
}

/// What the CRM answers to all that is written. The stand-in itself would look
/// at each of the tags, which takes longer than a call may.
fn agreeable(crm: Api) -> Vec<Fault> {
    let nobody = Fault::json(404, json!({})).on(crm).path("*/by_email");
    let written = json!({ "subscriber": { "id": 1 } });
    let write = |method| Fault::json(200, written.clone()).on(crm).method(method);
    let writes = ["POST", "PUT", "PATCH", "DELETE"].map(write);
    std::iter::once(nobody).chain(writes).collect()
}

/// Every kind of hostile answer: what it is, and the faults that make it.
fn kinds(connector: Connector) -> Vec<(String, Vec<Fault>)> {
    let crm = match connector {
        Connector::Rule => Api::Rule,
        Connector::Mailmojo => Api::Mailmojo,
        Connector::Make => Api::Make,
    };
    let mut kinds = Vec::new();
    let mut add = |name: &str, paths: &[&str], of: (Api, u16, [&str; 3], usize)| {
        let (api, status, body, bytes) = of;
        let fault = |path: &&str| Fault::flood(status, body, bytes).on(api).path(path);
        let name = format!("{api:?} {paths:?} {status}: {name}, {} KiB", bytes / KIB);
        let faults = paths.iter().map(fault).chain(agreeable(crm));
        kinds.push((name, faults.collect()));
    };
    for ((name, body), paths, bytes) in SYNCED {
        add(name, paths, (Api::Sesamy, 200, body, bytes));
    }
    for (path, body, bytes) in contacts(connector) {
        add(&body.concat(), &[path], (crm, 200, body, bytes));
    }
    let (name, maps) = MAPS;
    add(name, &["*"], (crm, 200, maps, 2 * MIB));
    add(name, &["*"], (crm, 400, maps, 64 * KIB));
    add(name, &["*"], (crm, 500, maps, 8 * MIB));
    // Where no connector comes into play one is enough.
    if connector == Connector::Mailmojo {
        for ((name, body), paths, bytes) in REFUSED {
            add(name, paths, (Api::Sesamy, 200, body, bytes));
        }
        for api in [Api::Sesamy, Api::SesamyToken] {
            add(name, &["*"], (api, 200, maps, 2 * MIB));
            add(name, &["*"], (api, 400, maps, 64 * KIB));
            add(name, &["*"], (api, 500, maps, 8 * MIB));
        }
    }
    kinds
}

/// Gives a function, started anew each time, every kind of hostile answer for
/// ten readers of one batch. The peak of its memory at each, in bytes.
///
/// # Errors
/// When the function dies or does not answer.
pub fn endure(connector: Connector, binary: &Path) -> Result<Vec<(String, u64)>> {
    let function = Function::Consumer(connector);
    let stage = Stage::set()?;
    let readers: Vec<_> = (0..READERS).map(|n| format!("email|{n}")).collect();
    let readers: Vec<_> = readers.iter().map(String::as_str).collect();
    let mut peaks = Vec::new();
    for (number, (name, faults)) in kinds(connector).into_iter().enumerate() {
        stage.reset();
        for reader in &readers {
            stage.put_reader(reader, 5, Payment::Made);
        }
        stage.set_faults(faults);
        let (mut instance, _) = stage.start_binary(function, binary)?;
        instance.invoke(Stage::event(function, number, &readers))?;
        peaks.push((name, instance.peak_memory()?));
    }
    Ok(peaks)
}
