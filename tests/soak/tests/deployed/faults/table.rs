//! The calls of a sync, the faults, and the expected outcome of each fault at each
//! call: [`FAULTS`], except for the [`EXCEPTIONS`].

use std::time::Duration;

use fakes::{Api, Fault, FaultKind, RetryAfter};
use harness::Connector::{self, Hubspot, Mailchimp, Mailmojo, Make, Rule};
use serde_json::json;
use soak::leaks::{MARKER, PHONE};

use Expected::{DeadLetter, Done, Refused, Retried, RetriedOnce, Skipped, Undecided};

/// The outcome of a message whose sync meets a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Retried until the fault ends, then done.
    Retried,
    /// Retried once: the API carried out the failed call, so the next try has
    /// nothing left to do there.
    RetriedOnce,
    /// The message stays in flight and is retried slowly until an operator acts.
    Refused,
    /// With this error kind and HTTP status.
    DeadLetter(&'static str, Option<u16>),
    /// Done at the first try.
    Done,
    Skipped,
    /// Any outcome is accepted, but foreign data must survive.
    Undecided,
}

/// How often a fault strikes its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frequency {
    Once,
    /// Until the fault is removed.
    Always,
}

/// An API call that a sync makes.
pub struct ApiCall {
    pub name: &'static str,
    /// The connector whose sync makes the call.
    pub connector: Connector,
    pub api: Api,
    pub method: &'static str,
    /// The pattern for [`Fault::path`].
    pub path: &'static str,
    /// How many calls with the same path come first.
    pub skip: u32,
}

const fn call(
    name: &'static str,
    connector: Connector,
    method: &'static str,
    path: &'static str,
) -> ApiCall {
    ApiCall {
        name,
        connector,
        api: connector.api(),
        method,
        path,
        skip: 0,
    }
}

const fn sesamy(name: &'static str, connector: Connector, path: &'static str) -> ApiCall {
    ApiCall {
        api: Api::Sesamy,
        ..call(name, connector, "GET", path)
    }
}

/// Every API call of every sync. All connectors make the calls to Sesamy, and each of those
/// is tested through one connector.
pub const CALLS: [ApiCall; 38] = [
    ApiCall {
        api: Api::SesamyToken,
        ..call("token", Rule, "POST", "/oauth/token")
    },
    sesamy("user", Mailmojo, "/users/*"),
    sesamy("contracts", Make, "/contracts"),
    sesamy("entitlements", Mailmojo, "/entitlements"),
    sesamy("bills", Rule, "/bills"),
    call("rule-fields", Rule, "POST", "/v2/customizations"),
    call("rule-upsert", Rule, "POST", "/v2/subscribers"),
    call("rule-tags", Rule, "GET", "/v2/subscribers/*/tags"),
    call("rule-untag", Rule, "DELETE", "/v2/subscribers/*/tags/*"),
    call("rule-phone", Rule, "PUT", "/v2/subscribers/*"),
    // The upsert of the state comes before that of the event.
    ApiCall {
        skip: 1,
        ..call("rule-event", Rule, "POST", "/v2/subscribers")
    },
    call("mailmojo-fields", Mailmojo, "GET", "/v1/fields/"),
    call("mailmojo-define", Mailmojo, "POST", "/v1/fields/"),
    call("mailmojo-contact", Mailmojo, "GET", "/v1/contacts/*"),
    call("mailmojo-update", Mailmojo, "PATCH", "/v1/contacts/*"),
    call("mailmojo-subscribe", Mailmojo, "POST", "/v1/lists/*"),
    call("make-subscriber", Make, "POST", "/subscribers/by_email"),
    call("make-join", Make, "POST", "/subscribers"),
    call("make-change", Make, "PATCH", "/subscribers/*"),
    call("make-tags", Make, "GET", "/subscriber_tags"),
    call(
        "make-products",
        Make,
        "POST",
        "/subscribers/subscriptions/products/bulkinsert",
    ),
    call(
        "make-subscriptions",
        Make,
        "POST",
        "/subscribers/subscriptions/bulkinsert",
    ),
    call("mailchimp-member", Mailchimp, "GET", "/lists/*/members/*"),
    call(
        "mailchimp-fields",
        Mailchimp,
        "GET",
        "/lists/*/merge-fields",
    ),
    call(
        "mailchimp-define",
        Mailchimp,
        "POST",
        "/lists/*/merge-fields",
    ),
    call("mailchimp-update", Mailchimp, "PATCH", "/lists/*/members/*"),
    call("mailchimp-create", Mailchimp, "PUT", "/lists/*/members/*"),
    call(
        "mailchimp-tags",
        Mailchimp,
        "POST",
        "/lists/*/members/*/tags",
    ),
    call(
        "mailchimp-event",
        Mailchimp,
        "POST",
        "/lists/*/members/*/events",
    ),
    call(
        "hubspot-properties",
        Hubspot,
        "POST",
        "/crm/v3/properties/contacts/batch/read",
    ),
    call(
        "hubspot-group",
        Hubspot,
        "POST",
        "/crm/v3/properties/contacts/groups",
    ),
    call(
        "hubspot-define",
        Hubspot,
        "POST",
        "/crm/v3/properties/contacts",
    ),
    call(
        "hubspot-user",
        Hubspot,
        "GET",
        "/crm/v3/objects/contacts/email%7C*",
    ),
    call(
        "hubspot-contact",
        Hubspot,
        "GET",
        "/crm/v3/objects/contacts/*%40*",
    ),
    call(
        "hubspot-options",
        Hubspot,
        "GET",
        "/crm/v3/properties/contacts/sesamy_tags",
    ),
    call(
        "hubspot-add-options",
        Hubspot,
        "PATCH",
        "/crm/v3/properties/contacts/sesamy_tags",
    ),
    call(
        "hubspot-update",
        Hubspot,
        "PATCH",
        "/crm/v3/objects/contacts/*",
    ),
    call(
        "hubspot-create",
        Hubspot,
        "POST",
        "/crm/v3/objects/contacts",
    ),
];

/// A call to each API, at which a rate limit is tested in all of its forms. They are read
/// in the same way at the other calls.
pub const ONE_OF_EACH_API: [&str; 7] = [
    "token",
    "user",
    "rule-upsert",
    "mailmojo-contact",
    "make-subscriber",
    "mailchimp-member",
    "hubspot-contact",
];

/// Ways to say when to retry.
pub const RATE_LIMIT_FORMS: [&str; 5] = [
    "429-seconds",
    "429-date",
    "429-stockholm",
    "429-text",
    "429-body",
];

/// A fault and its usual outcome.
pub struct NamedFault {
    pub name: &'static str,
    pub fault: fn() -> Fault,
    pub expected: Expected,
}

const fn fault(name: &'static str, fault: fn() -> Fault, expected: Expected) -> NamedFault {
    NamedFault {
        name,
        fault,
        expected,
    }
}

const fn rejected(status: u16) -> Expected {
    DeadLetter("rejected_by_api", Some(status))
}

const MALFORMED: Expected = DeadLetter("malformed_answer", None);

/// Longer than the timeout of a call.
const TOO_SLOW: Duration = Duration::from_millis(10_500);

/// Every fault, with its outcome at all calls except the [`EXCEPTIONS`].
pub const FAULTS: [NamedFault; 24] = [
    fault("429", || rate_limited(RetryAfter::Missing), Retried),
    fault(
        "429-seconds",
        || rate_limited(RetryAfter::Seconds(2)),
        Retried,
    ),
    fault(
        "429-date",
        || rate_limited(RetryAfter::HttpDate(3)),
        Retried,
    ),
    fault(
        "429-stockholm",
        || rate_limited(RetryAfter::Stockholm(3)),
        Retried,
    ),
    fault(
        "429-text",
        || rate_limited(RetryAfter::StockholmText(3)),
        Retried,
    ),
    fault("429-body", || rate_limited(RetryAfter::Body(2)), Retried),
    fault("408", || Fault::status(408), Retried),
    fault("500", || Fault::status(500), Retried),
    fault("502", Fault::bad_gateway, Retried),
    fault(
        "503",
        || Fault::status(503).header("retry-after", "2"),
        Retried,
    ),
    fault("slow", || Fault::slow(TOO_SLOW), Retried),
    fault("reset", Fault::reset, Retried),
    fault("truncated", Fault::truncated, Retried),
    fault(
        "malformed",
        || Fault::new(FaultKind::MalformedJson),
        MALFORMED,
    ),
    fault("wrong-types", Fault::wrong_types, MALFORMED),
    fault("400", || Fault::status(400), rejected(400)),
    fault("401", || Fault::status(401), Refused),
    fault("403", || Fault::status(403), Refused),
    fault("404", || Fault::status(404), rejected(404)),
    fault("409", || Fault::status(409), rejected(409)),
    fault("413", || Fault::status(413), rejected(413)),
    fault("422", || Fault::status(422), rejected(422)),
    fault("501", || Fault::status(501), rejected(501)),
    fault("400-quoting", quoting, rejected(400)),
];

/// An error that quotes the refused data.
fn quoting() -> Fault {
    let body = json!({
        "error": format!("{MARKER}@user.example"),
        "code": MARKER,
        "message": format!("{MARKER} is no address, nor is {PHONE}"),
        "errors": {"email": [format!("{MARKER} is taken")]},
    });
    Fault::json(400, body).header("x-error", MARKER)
}

fn rate_limited(retry_after: RetryAfter) -> Fault {
    Fault::too_many_requests(retry_after)
}

/// Calls at which some faults have another outcome.
pub struct Exception {
    calls: &'static [&'static str],
    faults: &'static [&'static str],
    /// `None` means every frequency.
    frequency: Option<Frequency>,
    expected: Expected,
}

const fn except(
    calls: &'static [&'static str],
    faults: &'static [&'static str],
    expected: Expected,
) -> Exception {
    Exception {
        calls,
        faults,
        frequency: None,
        expected,
    }
}

/// The calls where the sync reads only the status of the answer.
pub const ONLY_STATUS_READ: [&str; 16] = [
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
    "mailchimp-define",
    "mailchimp-tags",
    "mailchimp-event",
    "hubspot-add-options",
    "hubspot-update",
];

/// Refusals of a call that are not of the vendor's credentials.
const REJECTED: &[&str] = &["400", "400-quoting", "404", "409", "413", "422", "501"];

pub const EXCEPTIONS: [Exception; 20] = [
    // A 4xx from the token endpoint is about the vendor's secret, not about one user.
    except(
        &["token"],
        &["400", "400-quoting", "404", "409", "413", "422"],
        Refused,
    ),
    // Sesamy does not know the user, so there is nothing to sync.
    except(&["user"], &["404"], Skipped),
    // The sync gets a new token and repeats the call.
    Exception {
        calls: &["user", "contracts", "entitlements", "bills"],
        faults: &["401", "403"],
        frequency: Some(Frequency::Once),
        expected: Done,
    },
    // The status says that the call was carried out.
    except(&ONLY_STATUS_READ, &["malformed", "wrong-types"], Done),
    // The sync reads two values of the upsert's answer: the phone number, which is also
    // in a field, and the consent, which it assumes unless the answer denies it.
    except(&["rule-upsert"], &["wrong-types"], Done),
    // The tag is already removed.
    except(&["rule-untag"], &["404"], Done),
    // Rule refuses a phone number that another user has. The number is also in a field.
    except(&["rule-phone"], REJECTED, Done),
    // Assumed: an account may forbid defining fields. The sync then leaves them out.
    except(
        &["mailmojo-fields", "mailmojo-define"],
        &["403", "404"],
        Done,
    ),
    // The contact is new.
    except(
        &[
            "mailmojo-contact",
            "make-subscriber",
            "mailchimp-member",
            "hubspot-contact",
        ],
        &["404"],
        Done,
    ),
    // No contact has the user yet: the right answer is a 404, whose body is not read.
    except(
        &["hubspot-user"],
        &["404", "truncated", "wrong-types"],
        Done,
    ),
    // An audience that does not exist concerns all of the vendor's users.
    except(&["mailchimp-fields", "mailchimp-create"], &["404"], Refused),
    // There may be no room for more fields, properties or options. Contacts do without.
    except(
        &["mailchimp-define", "hubspot-define", "hubspot-add-options"],
        REJECTED,
        Done,
    ),
    // What the answer does not define is left out.
    except(&["hubspot-define"], &["malformed", "wrong-types"], Done),
    // Assumed: none of the properties exists. The definition is in the account's words.
    except(&["hubspot-properties", "hubspot-options"], &["404"], Done),
    // The group exists already: the right answer is a 409, whose body is not read.
    except(
        &["hubspot-group"],
        &["409", "malformed", "truncated", "wrong-types"],
        Done,
    ),
    // The answer has no body that could be cut off.
    except(&["mailchimp-tags", "mailchimp-event"], &["truncated"], Done),
    // HubSpot does not take the address.
    except(&["hubspot-create"], &["400", "400-quoting", "409"], Done),
    // Mailmojo keeps suppressed addresses off its lists. Their data is still synced.
    except(&["mailmojo-subscribe"], &["400", "400-quoting"], Done),
    // The API carried out the write, so the next try finds no difference to write.
    Exception {
        calls: &[
            "rule-untag",
            "rule-phone",
            "mailmojo-define",
            "mailmojo-update",
            "mailmojo-subscribe",
            "make-join",
            "make-change",
            "mailchimp-define",
            "mailchimp-update",
            "mailchimp-create",
            "mailchimp-tags",
            "hubspot-define",
            "hubspot-update",
            "hubspot-create",
        ],
        faults: &["slow", "truncated"],
        frequency: Some(Frequency::Always),
        expected: RetriedOnce,
    },
    // The derivation drops each malformed value. Contracts need ids, so a list without any
    // is malformed. Lists of entitlements or bills with only malformed values remove the
    // user's tags today; whether they should is not decided.
    except(
        &["user", "entitlements", "bills"],
        &["wrong-types"],
        Undecided,
    ),
];

pub fn expected(call: &ApiCall, fault: &NamedFault, frequency: Frequency) -> Expected {
    let exception = EXCEPTIONS.iter().find(|exception| {
        exception.calls.contains(&call.name)
            && exception.faults.contains(&fault.name)
            && exception.frequency.is_none_or(|only| only == frequency)
    });
    exception.map_or(fault.expected, |exception| exception.expected)
}
