//! Which calls there are, how each can fail, and what must come of it.
//!
//! [`FAULTS`] says what a fault comes to at any call; [`EXCEPTIONS`] says where
//! it comes to something else, and why.

use std::time::Duration;

use serde_json::json;
use soak::{
    Crm,
    marks::{MARK, PHONE},
};
use stand_ins::{Api, Fault, FaultKind, RetryAfter};

/// What becomes of a message whose sync meets a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Tried again until the fault ends, then done.
    Retried,
    /// Tried again once: the call was carried out although it failed, so that
    /// the next try has nothing left to do there.
    RetriedOnce,
    /// The message waits for a person, hidden for a quarter of an hour.
    Refused,
    /// A dead letter of this kind, with this status where there is one.
    Buried(&'static str, Option<u16>),
    /// Done at the first try.
    Done,
    /// There is nothing to sync; done.
    Skipped,
    /// Not decided; the publisher's own data must survive it.
    Undecided,
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Often {
    /// The first call.
    Once,
    /// Every call, until it is taken off.
    Always,
}

/// One call of a sync.
pub struct Call {
    /// Its name in the table.
    pub name: &'static str,
    /// The connector whose sync makes it.
    pub by: Crm,
    /// The API.
    pub api: Api,
    /// The method.
    pub method: &'static str,
    /// The path, as faults take it.
    pub path: &'static str,
    /// How many calls to it come before: an event is an upsert like that of
    /// the state.
    pub skip: u32,
}

const fn call(
    name: &'static str,
    by: Crm,
    api: Api,
    method: &'static str,
    path: &'static str,
) -> Call {
    Call {
        name,
        by,
        api,
        method,
        path,
        skip: 0,
    }
}

/// Every call that a sync makes. Sesamy's are shared by all connectors; each is
/// looked at through one.
pub const CALLS: [Call; 22] = [
    call("token", Crm::Make, Api::SesamyToken, "POST", "/oauth/token"),
    call("user", Crm::Make, Api::Sesamy, "GET", "/users/*"),
    call("contracts", Crm::Make, Api::Sesamy, "GET", "/contracts"),
    call(
        "entitlements",
        Crm::Mailmojo,
        Api::Sesamy,
        "GET",
        "/entitlements",
    ),
    call("bills", Crm::Mailmojo, Api::Sesamy, "GET", "/bills"),
    call(
        "rule-fields",
        Crm::Rule,
        Api::Rule,
        "POST",
        "/v2/customizations",
    ),
    call(
        "rule-upsert",
        Crm::Rule,
        Api::Rule,
        "POST",
        "/v2/subscribers",
    ),
    call(
        "rule-tags",
        Crm::Rule,
        Api::Rule,
        "GET",
        "/v2/subscribers/*/tags",
    ),
    call(
        "rule-untag",
        Crm::Rule,
        Api::Rule,
        "DELETE",
        "/v2/subscribers/*/tags/*",
    ),
    call(
        "rule-phone",
        Crm::Rule,
        Api::Rule,
        "PUT",
        "/v2/subscribers/*",
    ),
    Call {
        skip: 1,
        ..call(
            "rule-event",
            Crm::Rule,
            Api::Rule,
            "POST",
            "/v2/subscribers",
        )
    },
    call(
        "mailmojo-fields",
        Crm::Mailmojo,
        Api::Mailmojo,
        "GET",
        "/v1/fields/",
    ),
    call(
        "mailmojo-define",
        Crm::Mailmojo,
        Api::Mailmojo,
        "POST",
        "/v1/fields/",
    ),
    call(
        "mailmojo-contact",
        Crm::Mailmojo,
        Api::Mailmojo,
        "GET",
        "/v1/contacts/*",
    ),
    call(
        "mailmojo-update",
        Crm::Mailmojo,
        Api::Mailmojo,
        "PATCH",
        "/v1/contacts/*",
    ),
    call(
        "mailmojo-subscribe",
        Crm::Mailmojo,
        Api::Mailmojo,
        "POST",
        "/v1/lists/*",
    ),
    call(
        "make-subscriber",
        Crm::Make,
        Api::Make,
        "POST",
        "/subscribers/by_email",
    ),
    call("make-join", Crm::Make, Api::Make, "POST", "/subscribers"),
    call(
        "make-change",
        Crm::Make,
        Api::Make,
        "PATCH",
        "/subscribers/*",
    ),
    call("make-tags", Crm::Make, Api::Make, "GET", "/subscriber_tags"),
    call(
        "make-products",
        Crm::Make,
        Api::Make,
        "POST",
        "/subscribers/subscriptions/products/bulkinsert",
    ),
    call(
        "make-subscriptions",
        Crm::Make,
        Api::Make,
        "POST",
        "/subscribers/subscriptions/bulkinsert",
    ),
];

/// A way to fail.
pub struct Way {
    /// Its name in the table.
    pub name: &'static str,
    /// The fault, for every call.
    pub fault: fn() -> Fault,
    /// What it comes to.
    pub then: Then,
}

const fn way(name: &'static str, fault: fn() -> Fault, then: Then) -> Way {
    Way { name, fault, then }
}

/// A refusal that only a person can mend, as a dead letter says it.
const fn rejected(status: u16) -> Then {
    Then::Buried("rejected_by_api", Some(status))
}

const MALFORMED: Then = Then::Buried("malformed_answer", None);

/// Longer than a call may take.
const TOO_SLOW: Duration = Duration::from_millis(10_500);

/// Every way to fail, and what it comes to at any call but the [`EXCEPTIONS`].
pub const FAULTS: [Way; 24] = [
    way("429", || wait(RetryAfter::Unsaid), Then::Retried),
    way(
        "429-seconds",
        || wait(RetryAfter::Seconds(2)),
        Then::Retried,
    ),
    way("429-date", || wait(RetryAfter::HttpDate(3)), Then::Retried),
    way(
        "429-stockholm",
        || wait(RetryAfter::Stockholm(3)),
        Then::Retried,
    ),
    way(
        "429-text",
        || wait(RetryAfter::StockholmText(3)),
        Then::Retried,
    ),
    way("429-body", || wait(RetryAfter::Body(2)), Then::Retried),
    way("408", || Fault::status(408), Then::Retried),
    way("500", || Fault::status(500), Then::Retried),
    way("502", Fault::bad_gateway, Then::Retried),
    way(
        "503",
        || Fault::status(503).header("retry-after", "2"),
        Then::Retried,
    ),
    way("slow", || Fault::slow(TOO_SLOW), Then::Retried),
    way("reset", Fault::reset, Then::Retried),
    way("truncated", Fault::truncated, Then::Retried),
    way(
        "malformed",
        || Fault::new(FaultKind::MalformedJson),
        MALFORMED,
    ),
    way("wrong-types", Fault::wrong_types, MALFORMED),
    way("400", || Fault::status(400), rejected(400)),
    way("401", || Fault::status(401), Then::Refused),
    way("403", || Fault::status(403), Then::Refused),
    way("404", || Fault::status(404), rejected(404)),
    way("409", || Fault::status(409), rejected(409)),
    way("413", || Fault::status(413), rejected(413)),
    way("422", || Fault::status(422), rejected(422)),
    way("501", || Fault::status(501), rejected(501)),
    // An API that quotes what it refuses.
    way("400-quoting", quoting, rejected(400)),
];

fn quoting() -> Fault {
    let body = json!({
        "error": format!("{MARK}@reader.example"),
        "code": MARK,
        "message": format!("{MARK} is no address, nor is {PHONE}"),
        "errors": {"email": [format!("{MARK} is taken")]},
    });
    Fault::json(400, body).header("x-error", MARK)
}

fn wait(how: RetryAfter) -> Fault {
    Fault::too_many_requests(how)
}

/// Where a fault comes to something else.
pub struct Exception {
    calls: &'static [&'static str],
    ways: &'static [&'static str],
    /// How often; absent for both.
    often: Option<Often>,
    then: Then,
}

const fn except(
    calls: &'static [&'static str],
    ways: &'static [&'static str],
    then: Then,
) -> Exception {
    Exception {
        calls,
        ways,
        often: None,
        then,
    }
}

/// Calls whose answer nobody reads beyond its status.
pub const UNREAD: [&str; 11] = [
    "rule-fields",
    "rule-untag",
    "rule-phone",
    "rule-event",
    "mailmojo-define",
    "mailmojo-update",
    "mailmojo-subscribe",
    "make-join",
    "make-change",
    "make-products",
    "make-subscriptions",
];

/// Where a fault comes to something else, with the reason.
pub const EXCEPTIONS: [Exception; 11] = [
    // A reader whom Sesamy does not know is nobody to sync.
    except(&["user"], &["404"], Then::Skipped),
    // A token that is refused is replaced at once.
    Exception {
        calls: &["user", "contracts", "entitlements", "bills"],
        ways: &["401", "403"],
        often: Some(Often::Once),
        then: Then::Done,
    },
    // The call was carried out, and that is all one wants to know.
    except(&UNREAD, &["malformed", "wrong-types"], Then::Done),
    // The answer to the upsert tells the phone number, which stands in a field
    // as well, and whether the reader may be written to, which is yes unless
    // it is said.
    except(&["rule-upsert"], &["wrong-types"], Then::Done),
    // A tag that is not there is taken off already.
    except(&["rule-untag"], &["404"], Then::Done),
    // Two readers may share a number, which Rule refuses; it stands in a field.
    except(
        &["rule-phone"],
        &["400", "400-quoting", "404", "409", "413", "422", "501"],
        Then::Done,
    ),
    // Where fields are defined is not known for sure, so that an account that
    // does not let them be is synced without.
    except(
        &["mailmojo-fields", "mailmojo-define"],
        &["403", "404"],
        Then::Done,
    ),
    // A contact that the CRM does not know is a new one.
    except(
        &["mailmojo-contact", "make-subscriber"],
        &["404"],
        Then::Done,
    ),
    // Mailmojo keeps who complained off its lists; their data is synced.
    except(&["mailmojo-subscribe"], &["400", "400-quoting"], Then::Done),
    // A write that only differences lead to is not made twice.
    Exception {
        calls: &[
            "rule-untag",
            "rule-phone",
            "mailmojo-define",
            "mailmojo-update",
            "mailmojo-subscribe",
            "make-join",
            "make-change",
        ],
        ways: &["slow", "truncated"],
        often: Some(Often::Always),
        then: Then::RetriedOnce,
    },
    // Odd values of Sesamy's are left out one by one, by the rules of the
    // derivation. A contract without a readable id is none, so that a list of
    // such is malformed; whether entitlements and bills of nothing but odd
    // values should take a reader's tags away, as they do, is an open question.
    except(
        &["user", "entitlements", "bills"],
        &["wrong-types"],
        Then::Undecided,
    ),
];

/// What a fault at a call comes to.
pub fn then(call: &Call, way: &Way, often: Often) -> Then {
    let exception = EXCEPTIONS.iter().find(|exception| {
        exception.calls.contains(&call.name)
            && exception.ways.contains(&way.name)
            && exception.often.is_none_or(|only| only == often)
    });
    exception.map_or(way.then, |exception| exception.then)
}
