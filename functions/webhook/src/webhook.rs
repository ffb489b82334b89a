//! A webhook's body: read, then believed once its sender has proved who it is.
//!
//! Source: Sesamy's guide to webhooks (documented) for the fields, of which it
//! shows neither limits nor a schema; the limits are decided.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use shared::identity::{IdError, UserId, VendorId};
use shared::message::{Event, EventType, Reader};
use thiserror::Error;

use crate::authentication::Proof;
use crate::timestamp;

/// The most characters of an unknown event type that are logged.
const MAX_UNKNOWN_TYPE: usize = 64;

/// How far an event may lie ahead. Decided: more than any clock is wrong by, or
/// any time zone is taken for another. One that lies far ahead would look newer
/// than every true event of its user for as long.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// The field that a fault of the whole body is told under.
const BODY: &str = "body";

/// One thing that is wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The field as Sesamy spells it; `body` for the body as a whole.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What can be wrong with a field. Never quotes what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Reason {
    /// The body is not JSON.
    #[error("must be JSON in UTF-8")]
    NotJson,
    /// The body is JSON, but no object.
    #[error("must be a JSON object")]
    NotAnObject,
    /// The field is missing or null.
    #[error("is required")]
    Missing,
    /// The field is an empty text.
    #[error("must not be empty")]
    Empty,
    /// The field is no text.
    #[error("must be a text")]
    NotText,
    /// The field is given several times, so that it is unclear which counts.
    #[error("must be given once only")]
    Repeated,
    /// The text is no id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The text is no timestamp.
    #[error("must be an RFC 3339 date and time with seconds and offset, like 2025-11-10T12:00:00Z")]
    NotATimestamp,
    /// The timestamp lies in the future, by more than clocks differ.
    #[error("must be at most a day ahead")]
    TooFarAhead,
    /// Both spellings of the timestamp are given and differ.
    #[error("must be the same instant as occured_at")]
    Differs,
}

/// Everything that is wrong with a body, in the order of Sesamy's documentation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} fault(s) in the body", .0.len())]
pub struct Invalid(pub Vec<Fault>);

/// A webhook that anybody may have sent. Nothing of it can be used but the
/// vendor it claims to come from, until that is proved.
#[derive(Debug)]
pub struct Unverified {
    vendor_id: VendorId,
    content: Result<Content, Invalid>,
}

/// What a webhook announces, besides the vendor.
#[derive(Debug)]
struct Content {
    user_id: UserId,
    announced: Announced,
}

/// A webhook of a vendor who proved to be its sender.
#[derive(Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Whom it is about.
    pub reader: Reader,
    /// What it says.
    pub announced: Announced,
}

/// What a webhook says.
#[derive(Debug, PartialEq, Eq)]
pub enum Announced {
    /// One of the events this system knows.
    Known(Event),
    /// An event of a type that it does not know.
    Unknown(UnknownType),
}

/// The name of an unknown event type, fit for a log: short and printable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownType(String);

impl UnknownType {
    fn of(name: &str) -> Self {
        let printable = |c: char| if c.is_ascii_graphic() { c } else { '?' };
        Self(name.chars().take(MAX_UNKNOWN_TYPE).map(printable).collect())
    }
}

impl fmt::Display for UnknownType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Unverified {
    /// Reads a body as far as to know which vendor it claims to come from.
    ///
    /// Unknown fields are ignored, whatever they hold. `now` is when it came.
    ///
    /// # Errors
    /// All faults of the body, where it does not name a vendor.
    pub fn read(body: &[u8], now: Timestamp) -> Result<Self, Invalid> {
        let fields = Fields::read(body).map_err(|reason| {
            Invalid(vec![Fault {
                field: BODY,
                reason,
            }])
        })?;
        let mut faults = Faults::default();
        let event_type = faults.take("eventType", required(&fields.event_type));
        let vendor_id = faults.take("vendorId", id(&fields.vendor_id));
        let user_id = faults.take("userId", id(&fields.user_id));
        let occurred_at = faults.timestamp(&fields, now);
        let contract_id = faults.take("contractId", optional_id(&fields.contract_id));
        let entitlement_id = faults.take("entitlementId", optional_id(&fields.entitlement_id));
        let checkout_id = faults.take("checkoutId", optional_id(&fields.checkout_id));
        let Some(vendor_id) = vendor_id else {
            return Err(Invalid(faults.0));
        };
        let content = match (event_type, user_id, occurred_at) {
            (Some(event_type), Some(user_id), Some(occurred_at)) if faults.0.is_empty() => {
                Ok(Content {
                    user_id,
                    announced: match EventType::from_name(&event_type) {
                        Some(event_type) => Announced::Known(Event {
                            event_type,
                            occurred_at,
                            contract_id: contract_id.flatten(),
                            entitlement_id: entitlement_id.flatten(),
                            checkout_id: checkout_id.flatten(),
                        }),
                        None => Announced::Unknown(UnknownType::of(&event_type)),
                    },
                })
            }
            _ => Err(Invalid(faults.0)),
        };
        Ok(Self { vendor_id, content })
    }

    /// The vendor it claims to come from.
    pub fn vendor_id(&self) -> &VendorId {
        &self.vendor_id
    }

    /// The webhook's content, for the vendor who proved to be its sender.
    ///
    /// # Errors
    /// All faults of the body.
    pub fn verified(self, proof: Proof) -> Result<Webhook, Invalid> {
        let Content { user_id, announced } = self.content?;
        let reader = Reader {
            // Not the vendor claimed but the one proved, should they ever differ.
            vendor_id: proof.into_vendor_id(),
            user_id,
        };
        Ok(Webhook { reader, announced })
    }
}

/// The faults found so far.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn take<T>(&mut self, field: &'static str, value: Result<T, Reason>) -> Option<T> {
        value
            .map_err(|reason| self.0.push(Fault { field, reason }))
            .ok()
    }

    /// The instant of the event under either spelling, or under both if they agree.
    fn timestamp(&mut self, fields: &Fields<'_>, now: Timestamp) -> Option<Timestamp> {
        const SESAMYS: &str = "occured_at";
        const CORRECT: &str = "occurred_at";
        let read = |field: &Given<'_>| {
            let text = field.text()?;
            text.map(|text| instant(&text, now)).transpose()
        };
        let sesamys = self.take(SESAMYS, read(&fields.occured_at));
        let correct = self.take(CORRECT, read(&fields.occurred_at));
        let agreed = match (sesamys?, correct?) {
            (Some(sesamys), Some(correct)) if sesamys != correct => {
                return self.take(CORRECT, Err(Reason::Differs));
            }
            (sesamys, correct) => sesamys.or(correct),
        };
        self.take(SESAMYS, agreed.ok_or(Reason::Missing))
    }
}

/// The instant that a text names.
fn instant(text: &str, now: Timestamp) -> Result<Timestamp, Reason> {
    let instant = timestamp::parse(text).ok_or(Reason::NotATimestamp)?;
    if instant.duration_since(now) > MAX_AHEAD {
        return Err(Reason::TooFarAhead);
    }
    Ok(instant)
}

/// A text that must be there and hold more than blanks.
fn required(field: &Given<'_>) -> Result<String, Reason> {
    let text = field.text()?.ok_or(Reason::Missing)?;
    if text.trim().is_empty() {
        return Err(Reason::Empty);
    }
    Ok(text)
}

/// An id that must be there.
fn id<T: TryFrom<String, Error = IdError>>(field: &Given<'_>) -> Result<T, Reason> {
    let text = field.text()?.ok_or(Reason::Missing)?;
    Ok(T::try_from(text)?)
}

/// An id that may be missing, null or empty.
fn optional_id<T: TryFrom<String, Error = IdError>>(
    field: &Given<'_>,
) -> Result<Option<T>, Reason> {
    let text = field.text()?.filter(|text| !text.is_empty());
    Ok(text.map(T::try_from).transpose()?)
}

/// What a body gives for one field.
#[derive(Debug, Clone, Copy, Default)]
enum Given<'a> {
    #[default]
    Nothing,
    Once(&'a RawValue),
    Repeated,
}

impl<'a> Given<'a> {
    fn add(&mut self, value: &'a RawValue) {
        *self = match self {
            Self::Nothing => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }

    /// The text given. `None` where the field is missing or null.
    fn text(&self) -> Result<Option<String>, Reason> {
        match self {
            Self::Nothing => Ok(None),
            Self::Repeated => Err(Reason::Repeated),
            Self::Once(value) if value.get() == "null" => Ok(None),
            // Also fails for a text with half a surrogate pair, which is no Unicode.
            Self::Once(value) => serde_json::from_str::<String>(value.get())
                .map(Some)
                .map_err(|_| Reason::NotText),
        }
    }
}

/// The fields of a body, each as it stands there.
#[derive(Debug, Default)]
struct Fields<'a> {
    event_type: Given<'a>,
    vendor_id: Given<'a>,
    user_id: Given<'a>,
    occured_at: Given<'a>,
    occurred_at: Given<'a>,
    contract_id: Given<'a>,
    entitlement_id: Given<'a>,
    checkout_id: Given<'a>,
}

impl<'a> Fields<'a> {
    fn read(body: &'a [u8]) -> Result<Self, Reason> {
        let text = str::from_utf8(body).map_err(|_| Reason::NotJson)?;
        serde_json::from_str(text).map_err(|error| {
            if error.is_data() {
                Reason::NotAnObject
            } else {
                Reason::NotJson
            }
        })
    }

    fn named(&mut self, name: &str) -> Option<&mut Given<'a>> {
        Some(match name {
            "eventType" => &mut self.event_type,
            "vendorId" => &mut self.vendor_id,
            "userId" => &mut self.user_id,
            "occured_at" => &mut self.occured_at,
            "occurred_at" => &mut self.occurred_at,
            "contractId" => &mut self.contract_id,
            "entitlementId" => &mut self.entitlement_id,
            "checkoutId" => &mut self.checkout_id,
            _ => return None,
        })
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = Fields::default();
                while let Some(name) = map.next_key::<String>()? {
                    match fields.named(&name) {
                        Some(field) => field.add(map.next_value()?),
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use shared::secrets::FromSecret as _;

    use super::*;
    use crate::authentication::{Presented, Tokens};

    /// A proof of the vendor `v`, and of no other.
    fn proof() -> Proof {
        let secret = json!({ "vendors": { "v": { "tokens": ["the-token-of-v-00"] } } });
        let tokens = Tokens::from_secret(&secret).ok().unwrap();
        let vendor = VendorId::try_from("v").unwrap();
        tokens
            .prove(&vendor, &Presented::read(b"the-token-of-v-00").unwrap())
            .unwrap()
    }

    /// When every body of these tests came.
    fn now() -> Timestamp {
        "2025-11-10T12:00:01Z".parse().unwrap()
    }

    fn read(body: &str) -> Result<Webhook, Invalid> {
        Unverified::read(body.as_bytes(), now())?.verified(proof())
    }

    /// The faults of a body as `field: reason`.
    fn faults(body: &str) -> Vec<String> {
        let Err(Invalid(faults)) = read(body) else {
            panic!("accepted: {body}");
        };
        faults
            .iter()
            .map(|fault| format!("{}: {}", fault.field, fault.reason))
            .collect()
    }

    /// A valid body with some fields replaced, or removed where `Null` stands.
    fn body(changes: Value) -> Value {
        let mut body = json!({
            "eventType": "contract.1#purchased",
            "vendorId": "v",
            "userId": "email|1",
            "occured_at": "2025-11-10T12:00:00Z",
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    fn event(webhook: Webhook) -> Event {
        match webhook.announced {
            Announced::Known(event) => event,
            Announced::Unknown(name) => panic!("unknown type {name}"),
        }
    }

    #[test]
    fn the_example_of_sesamys_guide_is_read() {
        let webhook = read(
            r#"{
              "eventType": "userVendor.1#new", "vendorId": "v", "userId": "user_456",
              "contractId": "contract_789", "entitlementId": "entitlement_012",
              "checkoutId": "checkout_345", "occured_at": "2025-11-10T12:00:00Z"
            }"#,
        )
        .unwrap();
        assert_eq!(webhook.reader.vendor_id.as_str(), "v");
        assert_eq!(webhook.reader.user_id.as_str(), "user_456");
        let event = event(webhook);
        assert_eq!(event.event_type, EventType::UserVendorNew);
        assert_eq!(event.occurred_at.to_string(), "2025-11-10T12:00:00Z");
        let ids = (event.contract_id, event.entitlement_id, event.checkout_id);
        let texts = (
            ids.0.unwrap().to_string(),
            ids.1.unwrap().to_string(),
            ids.2.unwrap().to_string(),
        );
        assert_eq!(
            texts,
            (
                "contract_789".to_owned(),
                "entitlement_012".to_owned(),
                "checkout_345".to_owned()
            )
        );
    }

    #[test]
    fn all_eight_types_are_known_and_any_other_is_announced_as_unknown() {
        for known in EventType::ALL {
            let body = body(json!({ "eventType": known.name() }));
            assert_eq!(event(read(&body.to_string()).unwrap()).event_type, known);
        }
        let long = "x".repeat(5_000);
        let cases = [
            ("Contract.1#purchased", "Contract.1#purchased"),
            (" contract.1#purchased", "?contract.1#purchased"),
            ("user.2#deleted", "user.2#deleted"),
            ("a\nb\u{1b}[31må", "a?b?[31m?"),
            (long.as_str(), &long[..64]),
        ];
        for (name, told) in cases {
            let webhook = read(&body(json!({ "eventType": name })).to_string()).unwrap();
            assert_eq!(
                webhook.announced,
                Announced::Unknown(UnknownType(told.to_owned()))
            );
        }
    }

    #[test]
    fn every_fault_is_told_under_its_field() {
        let too_long = "x".repeat(257);
        let timestamp =
            "must be an RFC 3339 date and time with seconds and offset, like 2025-11-10T12:00:00Z";
        let blank = "must not contain blank, control or format characters";
        let cases = [
            (
                json!({ "eventType": null }),
                vec!["eventType: is required".to_owned()],
            ),
            (
                json!({ "eventType": "" }),
                vec!["eventType: must not be empty".to_owned()],
            ),
            (
                json!({ "eventType": " " }),
                vec!["eventType: must not be empty".to_owned()],
            ),
            (
                json!({ "eventType": 1 }),
                vec!["eventType: must be a text".to_owned()],
            ),
            (
                json!({ "vendorId": null }),
                vec!["vendorId: is required".to_owned()],
            ),
            (
                json!({ "vendorId": "" }),
                vec!["vendorId: must not be empty".to_owned()],
            ),
            (
                json!({ "vendorId": true }),
                vec!["vendorId: must be a text".to_owned()],
            ),
            (
                json!({ "vendorId": " " }),
                vec![format!("vendorId: {blank}")],
            ),
            (
                json!({ "vendorId": "a b" }),
                vec![format!("vendorId: {blank}")],
            ),
            (
                json!({ "vendorId": "a/b" }),
                vec!["vendorId: must not contain a slash".to_owned()],
            ),
            (
                json!({ "userId": "a\u{200b}" }),
                vec![format!("userId: {blank}")],
            ),
            (
                json!({ "userId": null }),
                vec!["userId: is required".to_owned()],
            ),
            (
                json!({ "userId": "" }),
                vec!["userId: must not be empty".to_owned()],
            ),
            (
                json!({ "userId": "a\u{0}" }),
                vec![format!("userId: {blank}")],
            ),
            (json!({ "userId": "a\n" }), vec![format!("userId: {blank}")]),
            (
                json!({ "userId": too_long }),
                vec!["userId: must be at most 256 bytes".to_owned()],
            ),
            (
                json!({ "userId": ["a"] }),
                vec!["userId: must be a text".to_owned()],
            ),
            (
                json!({ "userId": { "id": "a" } }),
                vec!["userId: must be a text".to_owned()],
            ),
            (
                json!({ "occured_at": null }),
                vec!["occured_at: is required".to_owned()],
            ),
            (
                json!({ "occured_at": "" }),
                vec![format!("occured_at: {timestamp}")],
            ),
            (
                json!({ "occured_at": "2025-11-10" }),
                vec![format!("occured_at: {timestamp}")],
            ),
            (
                json!({ "occured_at": 1_762_776_000 }),
                vec!["occured_at: must be a text".to_owned()],
            ),
            (
                json!({ "contractId": " " }),
                vec![format!("contractId: {blank}")],
            ),
            (
                json!({ "contractId": 7 }),
                vec!["contractId: must be a text".to_owned()],
            ),
            (
                json!({ "entitlementId": too_long }),
                vec!["entitlementId: must be at most 256 bytes".to_owned()],
            ),
            (
                json!({ "checkoutId": [] }),
                vec!["checkoutId: must be a text".to_owned()],
            ),
            (
                json!({ "checkoutId": false }),
                vec!["checkoutId: must be a text".to_owned()],
            ),
        ];
        for (changes, expected) in cases {
            assert_eq!(faults(&body(changes).to_string()), expected);
        }
    }

    #[test]
    fn all_faults_are_told_at_once_whether_or_not_the_vendor_is_known() {
        let rest = [
            "userId: must not be empty",
            "occured_at: is required",
            "contractId: must be a text",
        ];
        let changes = json!({ "userId": "", "occured_at": null, "contractId": 1 });
        assert_eq!(faults(&body(changes.clone()).to_string()), rest);
        let mut without_vendor = body(changes);
        without_vendor["vendorId"] = Value::Null;
        let mut all = vec!["vendorId: is required"];
        all.extend(rest);
        assert_eq!(faults(&without_vendor.to_string()), all);
        assert_eq!(
            faults("{}"),
            [
                "eventType: is required",
                "vendorId: is required",
                "userId: is required",
                "occured_at: is required",
            ]
        );
    }

    #[test]
    fn what_is_no_json_object_is_told_as_a_fault_of_the_body() {
        let not_json = "body: must be JSON in UTF-8";
        let no_object = "body: must be a JSON object";
        let valid = body(json!({})).to_string();
        let deep = "[".repeat(60_000);
        let cases = [
            (String::new(), not_json),
            (" ".to_owned(), not_json),
            ("vendorId=v".to_owned(), not_json),
            ("{".to_owned(), not_json),
            (format!("{valid}{valid}"), not_json),
            (format!("{valid},"), not_json),
            (format!("\u{feff}{valid}"), not_json),
            (valid.replace('"', "'"), not_json),
            (valid.replace("}", ",}"), not_json),
            (valid.replace("}", ",\"x\":01}"), not_json),
            (valid.replace("}", ",\"x\":NaN}"), not_json),
            (valid.replace("}", &format!(",\"x\":{deep}}}")), not_json),
            ("null".to_owned(), no_object),
            ("[]".to_owned(), no_object),
            (format!("[{valid}]"), no_object),
            ("\"text\"".to_owned(), no_object),
            ("7".to_owned(), no_object),
        ];
        for (body, fault) in cases {
            assert_eq!(faults(&body), [fault], "{}", &body[..body.len().min(80)]);
        }
        let Err(Invalid(faults)) = Unverified::read(b"{\"vendorId\":\"\xff\"}", now()) else {
            panic!("accepted");
        };
        assert_eq!(faults[0].reason, Reason::NotJson);
    }

    #[test]
    fn either_spelling_of_the_timestamp_will_do_and_both_must_agree() {
        let cases = [
            (
                json!({ "occured_at": null, "occurred_at": "2025-11-10T12:00:00Z" }),
                None,
            ),
            (json!({ "occurred_at": null }), None),
            (json!({ "occurred_at": "2025-11-10T12:00:00Z" }), None),
            (
                json!({ "occurred_at": "2025-11-10T13:00:00.000+01:00" }),
                None,
            ),
            (
                json!({ "occurred_at": "2025-11-10T12:00:01Z" }),
                Some("occurred_at: must be the same instant as occured_at"),
            ),
            (
                json!({ "occurred_at": 5 }),
                Some("occurred_at: must be a text"),
            ),
        ];
        for (changes, fault) in cases {
            let body = body(changes).to_string();
            match fault {
                None => assert_eq!(
                    event(read(&body).unwrap()).occurred_at.to_string(),
                    "2025-11-10T12:00:00Z"
                ),
                Some(fault) => assert_eq!(faults(&body), [fault], "{body}"),
            }
        }
        let both_bad = body(json!({ "occured_at": 5, "occurred_at": 6 })).to_string();
        assert_eq!(
            faults(&both_bad),
            ["occured_at: must be a text", "occurred_at: must be a text"]
        );
    }

    #[test]
    fn an_event_lies_at_most_a_day_ahead() {
        let ahead = "must be at most a day ahead";
        let cases = [
            (json!({ "occured_at": "2025-11-11T12:00:01Z" }), vec![]),
            (
                json!({ "occured_at": "2025-11-11T12:00:01.001Z" }),
                vec![format!("occured_at: {ahead}")],
            ),
            (
                json!({ "occured_at": null, "occurred_at": "9999-12-30T00:00:00Z" }),
                vec![format!("occurred_at: {ahead}")],
            ),
            (json!({ "occured_at": "0000-01-01T00:00:00Z" }), vec![]),
        ];
        for (changes, expected) in cases {
            let body = body(changes).to_string();
            match read(&body) {
                Ok(_) => assert_eq!(expected, Vec::<String>::new(), "{body}"),
                Err(_) => assert_eq!(faults(&body), expected),
            }
        }
    }

    #[test]
    fn an_optional_id_that_is_null_or_empty_counts_as_absent() {
        let without = read(&body(json!({})).to_string()).unwrap();
        for absent in [json!(null), json!("")] {
            let given = body(json!({
                "contractId": absent, "entitlementId": absent, "checkoutId": absent,
            }));
            assert_eq!(read(&given.to_string()).unwrap(), without);
        }
    }

    #[test]
    fn a_known_field_given_twice_is_a_fault_and_an_unknown_one_is_not() {
        let valid = body(json!({})).to_string();
        let with = |more: &str| valid.replace('}', &format!(",{more}}}"));
        let cases = [
            (r#""vendorId":"v""#, "vendorId"),
            (r#""vendorId":"other""#, "vendorId"),
            (r#""vendor\u0049d":"other""#, "vendorId"),
            (r#""userId":null"#, "userId"),
            (r#""contractId":"a","contractId":"a""#, "contractId"),
            (r#""occured_at":"2025-11-10T12:00:00Z""#, "occured_at"),
        ];
        for (more, field) in cases {
            assert_eq!(
                faults(&with(more)),
                [format!("{field}: must be given once only")]
            );
        }
        assert!(read(&with(r#""x":1,"x":2"#)).is_ok());
    }

    #[test]
    fn unknown_fields_are_ignored_whatever_they_hold() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let valid = body(json!({})).to_string();
        for value in [r#""\ud800""#, "1e999", "-0.0", "null", "{}", &deep] {
            let body = valid.replace('}', &format!(",\"more\":{value}}}"));
            assert!(read(&body).is_ok(), "{}", &value[..value.len().min(80)]);
        }
    }

    #[test]
    fn numbers_too_large_and_half_surrogates_are_faults_of_their_field_alone() {
        let valid = body(json!({})).to_string();
        for value in ["1e999", r#""\ud800""#] {
            let body = valid.replace('}', &format!(",\"contractId\":{value}}}"));
            assert_eq!(faults(&body), ["contractId: must be a text"]);
        }
    }

    #[test]
    fn the_content_belongs_to_the_vendor_who_is_proved() {
        let body = body(json!({ "vendorId": "other" })).to_string();
        let unverified = Unverified::read(body.as_bytes(), now()).unwrap();
        assert_eq!(unverified.vendor_id().as_str(), "other");
        let webhook = unverified.verified(proof()).unwrap();
        assert_eq!(webhook.reader.vendor_id.as_str(), "v");
    }

    /// Any JSON, also such as a body would never hold.
    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The fields of a valid webhook, in Sesamy's order.
    fn valid_fields() -> impl Strategy<Value = Vec<(String, Value)>> {
        let id = || "[^\\s\\p{Cc}\\p{Cf}]{1,60}";
        let optional = || {
            prop_oneof![
                Just(None),
                Just(Some(Value::Null)),
                Just(Some(json!(""))),
                id().prop_map(|id| Some(json!(id)))
            ]
        };
        let second = 0..now().as_second() + 86_400;
        (
            prop::sample::select(EventType::ALL.as_slice()),
            id(),
            second,
            optional(),
            optional(),
            optional(),
        )
            .prop_map(|(event, user, second, contract, entitlement, checkout)| {
                let at = Timestamp::from_second(second).unwrap().to_string();
                let mut fields = vec![
                    ("eventType".to_owned(), json!(event.name())),
                    ("vendorId".to_owned(), json!("v")),
                    ("userId".to_owned(), json!(user)),
                    ("occured_at".to_owned(), json!(at)),
                ];
                for (name, id) in [
                    ("contractId", contract),
                    ("entitlementId", entitlement),
                    ("checkoutId", checkout),
                ] {
                    fields.extend(id.map(|id| (name.to_owned(), id)));
                }
                fields
            })
    }

    fn written(fields: &[(String, Value)]) -> String {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{}: {value}", json!(name)))
            .collect();
        format!("{{{}}}", fields.join(" ,\n"))
    }

    proptest! {
        #[test]
        fn a_valid_webhook_says_the_same_in_any_order_and_with_unknown_fields(
            (fields, shuffled) in valid_fields().prop_flat_map(|fields| {
                (Just(fields.clone()), Just(fields).prop_shuffle())
            }),
            unknown in prop::collection::vec(("x[a-zA-Z]{0,8}", json_value()), 0..4),
            place in any::<prop::sample::Index>(),
        ) {
            let plain = read(&written(&fields)).unwrap();
            let mut more = shuffled;
            let place = place.index(more.len() + 1);
            more.splice(place..place, unknown);
            let again = read(&written(&more)).unwrap();
            prop_assert_eq!(&again, &plain);
            let ids = [again, plain].map(|webhook| {
                let reader = webhook.reader.clone();
                event(webhook).id(&reader.vendor_id, &reader.user_id)
            });
            prop_assert_eq!(&ids[0], &ids[1]);
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes in any::<Vec<u8>>()) {
            if let Err(Invalid(faults)) = Unverified::read(&bytes, now()) {
                prop_assert!(!faults.is_empty());
            }
        }

        #[test]
        fn no_json_in_any_field_makes_reading_panic(
            values in prop::collection::vec(json_value(), 8),
        ) {
            let names = [
                "eventType", "vendorId", "userId", "occured_at", "occurred_at", "contractId",
                "entitlementId", "checkoutId",
            ];
            let fields: Vec<_> = names.map(str::to_owned).into_iter().zip(values).collect();
            if let Err(Invalid(faults)) = Unverified::read(written(&fields).as_bytes(), now()) {
                prop_assert!(!faults.is_empty());
            }
        }
    }
}
