//! A webhook's body, which is used only once its sender is verified.
//!
//! Sesamy's webhook guide documents the fields, but no schema and no limits. The
//! limits are decided.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use shared::identity::{IdError, UserId, VendorId};
use shared::message::{Event, EventType, UserKey};
use thiserror::Error;

use crate::authentication::VerifiedVendor;
use crate::timestamp;

/// In characters.
const MAX_LOGGED_EVENT_TYPE: usize = 64;

/// How far in the future an event may be. Decided: a wrong clock or time zone
/// explains no more. A later event would look newer than every real one.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} {kind}")]
pub struct FieldError {
    /// In Sesamy's spelling; `body` for the body as a whole.
    pub field: &'static str,
    pub kind: FieldErrorKind,
}

/// Never quotes the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FieldErrorKind {
    #[error("must be JSON in UTF-8")]
    NotJson,
    #[error("must be a JSON object")]
    NotAnObject,
    #[error("is required")]
    Missing,
    #[error("must not be empty")]
    Empty,
    #[error("must be a text")]
    NotText,
    #[error("must be given once only")]
    Repeated,
    #[error(transparent)]
    InvalidId(#[from] IdError),
    #[error("must be an RFC 3339 date and time with seconds and offset, like 2025-11-10T12:00:00Z")]
    NotATimestamp,
    #[error("must be at most a day ahead")]
    TooFarAhead,
    #[error("must be the same instant as occured_at")]
    SpellingsDiffer,
}

/// All errors of a body, in the order of Sesamy's documentation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.iter().map(FieldError::to_string).collect::<Vec<_>>().join("; "))]
pub struct InvalidBody(pub Vec<FieldError>);

/// A webhook of an unverified sender. Only the claimed vendor is readable.
#[derive(Debug)]
pub struct UnverifiedWebhook {
    vendor_id: VendorId,
    content: Result<(UserId, WebhookEvent), InvalidBody>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Webhook {
    pub user: UserKey,
    pub event: WebhookEvent,
}

#[derive(Debug, PartialEq, Eq)]
pub enum WebhookEvent {
    Known(Event),
    Unknown(UnknownEventType),
}

/// An event type's name, truncated and made printable for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownEventType(String);

impl UnknownEventType {
    fn of(name: &str) -> Self {
        let printable = |c: char| if c.is_ascii_graphic() { c } else { '?' };
        let name = name.chars().take(MAX_LOGGED_EVENT_TYPE);
        Self(name.map(printable).collect())
    }
}

impl fmt::Display for UnknownEventType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl UnverifiedWebhook {
    /// Reads a body received at `now`. Unknown fields are ignored.
    ///
    /// Fails only if the body names no vendor. [`Self::verified`] returns any other
    /// error, because the contract checks the token first.
    pub fn read(body: &[u8], now: Timestamp) -> Result<Self, InvalidBody> {
        let fields = RawFields::read(body).map_err(|kind| {
            InvalidBody(vec![FieldError {
                field: "body",
                kind,
            }])
        })?;
        let mut errors = FieldErrors::default();
        let event_type = errors.check("eventType", required(&fields.event_type));
        let vendor_id = errors.check("vendorId", id(&fields.vendor_id));
        let user_id = errors.check("userId", id(&fields.user_id));
        let occurred_at = errors.check_timestamps(&fields, now);
        let contract_id = errors.check("contractId", optional_id(&fields.contract_id));
        let entitlement_id = errors.check("entitlementId", optional_id(&fields.entitlement_id));
        let checkout_id = errors.check("checkoutId", optional_id(&fields.checkout_id));
        let Some(vendor_id) = vendor_id else {
            return Err(InvalidBody(errors.0));
        };
        let content = match (event_type, user_id, occurred_at) {
            (Some(event_type), Some(user_id), Some(occurred_at)) if errors.0.is_empty() => {
                let event = match EventType::from_name(&event_type) {
                    Some(event_type) => WebhookEvent::Known(Event {
                        event_type,
                        occurred_at,
                        contract_id: contract_id.flatten(),
                        entitlement_id: entitlement_id.flatten(),
                        checkout_id: checkout_id.flatten(),
                    }),
                    None => WebhookEvent::Unknown(UnknownEventType::of(&event_type)),
                };
                Ok((user_id, event))
            }
            _ => Err(InvalidBody(errors.0)),
        };
        Ok(Self { vendor_id, content })
    }

    pub fn vendor_id(&self) -> &VendorId {
        &self.vendor_id
    }

    pub fn verified(self, vendor: VerifiedVendor) -> Result<Webhook, InvalidBody> {
        let (user_id, event) = self.content?;
        let user = UserKey {
            // Not the claimed vendor, in case the two ever differ.
            vendor_id: vendor.into_vendor_id(),
            user_id,
        };
        Ok(Webhook { user, event })
    }
}

#[derive(Default)]
struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    fn check<T>(&mut self, field: &'static str, value: Result<T, FieldErrorKind>) -> Option<T> {
        value
            .map_err(|kind| self.0.push(FieldError { field, kind }))
            .ok()
    }

    /// Accepts either spelling of the timestamp, or both if they agree.
    fn check_timestamps(&mut self, fields: &RawFields<'_>, now: Timestamp) -> Option<Timestamp> {
        const MISSPELT: &str = "occured_at";
        const CORRECT: &str = "occurred_at";
        let misspelt = self.check(MISSPELT, optional_timestamp(&fields.occured_at, now));
        let correct = self.check(CORRECT, optional_timestamp(&fields.occurred_at, now));
        let agreed = match (misspelt?, correct?) {
            (Some(misspelt), Some(correct)) if misspelt != correct => {
                return self.check(CORRECT, Err(FieldErrorKind::SpellingsDiffer));
            }
            (misspelt, correct) => misspelt.or(correct),
        };
        self.check(MISSPELT, agreed.ok_or(FieldErrorKind::Missing))
    }
}

fn optional_timestamp(
    field: &RawField<'_>,
    now: Timestamp,
) -> Result<Option<Timestamp>, FieldErrorKind> {
    let Some(text) = field.text()? else {
        return Ok(None);
    };
    let timestamp = timestamp::parse(&text).ok_or(FieldErrorKind::NotATimestamp)?;
    if timestamp.duration_since(now) > MAX_AHEAD {
        return Err(FieldErrorKind::TooFarAhead);
    }
    Ok(Some(timestamp))
}

fn required(field: &RawField<'_>) -> Result<String, FieldErrorKind> {
    let text = field.text()?.ok_or(FieldErrorKind::Missing)?;
    if text.trim().is_empty() {
        return Err(FieldErrorKind::Empty);
    }
    Ok(text)
}

fn id<T: TryFrom<String, Error = IdError>>(field: &RawField<'_>) -> Result<T, FieldErrorKind> {
    let text = field.text()?.ok_or(FieldErrorKind::Missing)?;
    Ok(T::try_from(text)?)
}

/// An empty id counts as absent.
fn optional_id<T: TryFrom<String, Error = IdError>>(
    field: &RawField<'_>,
) -> Result<Option<T>, FieldErrorKind> {
    let text = field.text()?.filter(|text| !text.is_empty());
    Ok(text.map(T::try_from).transpose()?)
}

#[derive(Debug, Clone, Copy, Default)]
enum RawField<'a> {
    #[default]
    Absent,
    Once(&'a RawValue),
    Repeated,
}

impl<'a> RawField<'a> {
    fn add(&mut self, value: &'a RawValue) {
        *self = match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }

    /// `None` if the field is missing or null.
    fn text(&self) -> Result<Option<String>, FieldErrorKind> {
        match self {
            Self::Absent => Ok(None),
            Self::Repeated => Err(FieldErrorKind::Repeated),
            Self::Once(value) if value.get() == "null" => Ok(None),
            // Also fails for a lone surrogate, which is not valid Unicode.
            Self::Once(value) => serde_json::from_str::<String>(value.get())
                .map(Some)
                .map_err(|_| FieldErrorKind::NotText),
        }
    }
}

/// The known fields, unparsed, so that all errors of a body are found together.
#[derive(Debug, Default)]
struct RawFields<'a> {
    event_type: RawField<'a>,
    vendor_id: RawField<'a>,
    user_id: RawField<'a>,
    occured_at: RawField<'a>,
    occurred_at: RawField<'a>,
    contract_id: RawField<'a>,
    entitlement_id: RawField<'a>,
    checkout_id: RawField<'a>,
}

impl<'a> RawFields<'a> {
    fn read(body: &'a [u8]) -> Result<Self, FieldErrorKind> {
        let text = str::from_utf8(body).map_err(|_| FieldErrorKind::NotJson)?;
        serde_json::from_str(text).map_err(|error| {
            if error.is_data() {
                FieldErrorKind::NotAnObject
            } else {
                FieldErrorKind::NotJson
            }
        })
    }

    fn field_mut(&mut self, name: &str) -> Option<&mut RawField<'a>> {
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

impl<'de> Deserialize<'de> for RawFields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = RawFields<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = RawFields::default();
                while let Some(name) = map.next_key::<String>()? {
                    match fields.field_mut(&name) {
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
    use crate::authentication::{PresentedToken, VendorTokens};

    fn verified_vendor() -> VerifiedVendor {
        let secret = json!({ "vendors": { "v": { "tokens": ["the-token-of-v-00"] } } });
        let tokens = VendorTokens::from_secret(&secret).ok().unwrap();
        let vendor = VendorId::try_from("v").unwrap();
        let presented = PresentedToken::from_header(b"the-token-of-v-00").unwrap();
        tokens.verify(&vendor, &presented).unwrap()
    }

    /// When these tests receive every body.
    fn now() -> Timestamp {
        "2025-11-10T12:00:01Z".parse().unwrap()
    }

    fn read(body: &str) -> Result<Webhook, InvalidBody> {
        UnverifiedWebhook::read(body.as_bytes(), now())?.verified(verified_vendor())
    }

    /// The errors of a body as `field: kind`.
    fn errors(body: &str) -> Vec<String> {
        let Err(InvalidBody(errors)) = read(body) else {
            panic!("accepted: {body}");
        };
        errors
            .iter()
            .map(|error| format!("{}: {}", error.field, error.kind))
            .collect()
    }

    /// A valid body with some fields replaced.
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
        match webhook.event {
            WebhookEvent::Known(event) => event,
            WebhookEvent::Unknown(name) => panic!("unknown type {name}"),
        }
    }

    #[test]
    fn example_from_sesamys_guide_is_read() {
        let webhook = read(
            r#"{
              "eventType": "userVendor.1#new", "vendorId": "v", "userId": "user_456",
              "contractId": "contract_789", "entitlementId": "entitlement_012",
              "checkoutId": "checkout_345", "occured_at": "2025-11-10T12:00:00Z"
            }"#,
        )
        .unwrap();
        assert_eq!(webhook.user.vendor_id.as_str(), "v");
        assert_eq!(webhook.user.user_id.as_str(), "user_456");
        let event = event(webhook);
        assert_eq!(event.event_type, EventType::UserVendorNew);
        assert_eq!(event.occurred_at.to_string(), "2025-11-10T12:00:00Z");
        assert_eq!(event.contract_id.unwrap().as_str(), "contract_789");
        assert_eq!(event.entitlement_id.unwrap().as_str(), "entitlement_012");
        assert_eq!(event.checkout_id.unwrap().as_str(), "checkout_345");
    }

    #[test]
    fn eight_event_types_are_known_and_all_others_unknown() {
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
        for (name, logged) in cases {
            let webhook = read(&body(json!({ "eventType": name })).to_string()).unwrap();
            let unknown = WebhookEvent::Unknown(UnknownEventType(logged.to_owned()));
            assert_eq!(webhook.event, unknown);
        }
    }

    #[test]
    fn every_error_names_its_field() {
        let too_long = "x".repeat(257);
        let timestamp =
            "must be an RFC 3339 date and time with seconds and offset, like 2025-11-10T12:00:00Z";
        let blank = "must not contain blank, control or format characters";
        let cases = [
            (json!({ "eventType": null }), "is required"),
            (json!({ "eventType": "" }), "must not be empty"),
            (json!({ "eventType": " " }), "must not be empty"),
            (json!({ "eventType": 1 }), "must be a text"),
            (json!({ "vendorId": null }), "is required"),
            (json!({ "vendorId": "" }), "must not be empty"),
            (json!({ "vendorId": true }), "must be a text"),
            (json!({ "vendorId": " " }), blank),
            (json!({ "vendorId": "a b" }), blank),
            (json!({ "vendorId": "a/b" }), "must not contain a slash"),
            (json!({ "userId": "a\u{200b}" }), blank),
            (json!({ "userId": null }), "is required"),
            (json!({ "userId": "" }), "must not be empty"),
            (json!({ "userId": "a\u{0}" }), blank),
            (json!({ "userId": "a\n" }), blank),
            (json!({ "userId": too_long }), "must be at most 256 bytes"),
            (json!({ "userId": ["a"] }), "must be a text"),
            (json!({ "userId": { "id": "a" } }), "must be a text"),
            (json!({ "occured_at": null }), "is required"),
            (json!({ "occured_at": "" }), timestamp),
            (json!({ "occured_at": "2025-11-10" }), timestamp),
            (json!({ "occured_at": 1_762_776_000 }), "must be a text"),
            (json!({ "contractId": " " }), blank),
            (json!({ "contractId": 7 }), "must be a text"),
            (
                json!({ "entitlementId": too_long }),
                "must be at most 256 bytes",
            ),
            (json!({ "checkoutId": [] }), "must be a text"),
            (json!({ "checkoutId": false }), "must be a text"),
        ];
        for (change, kind) in cases {
            let field = change.as_object().unwrap().keys().next().unwrap().clone();
            let expected = format!("{field}: {kind}");
            assert_eq!(errors(&body(change).to_string()), [expected]);
        }
    }

    #[test]
    fn all_errors_are_returned_at_once_with_or_without_a_vendor() {
        let rest = [
            "userId: must not be empty",
            "occured_at: is required",
            "contractId: must be a text",
        ];
        let changes = json!({ "userId": "", "occured_at": null, "contractId": 1 });
        assert_eq!(errors(&body(changes.clone()).to_string()), rest);
        let mut without_vendor = body(changes);
        without_vendor["vendorId"] = Value::Null;
        let mut all = vec!["vendorId: is required"];
        all.extend(rest);
        assert_eq!(errors(&without_vendor.to_string()), all);
        assert_eq!(
            errors("{}"),
            [
                "eventType: is required",
                "vendorId: is required",
                "userId: is required",
                "occured_at: is required",
            ]
        );
    }

    #[test]
    fn body_must_be_a_json_object() {
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
        for (body, error) in cases {
            assert_eq!(errors(&body), [error], "{}", &body[..body.len().min(80)]);
        }
        let Err(InvalidBody(errors)) = UnverifiedWebhook::read(b"{\"vendorId\":\"\xff\"}", now())
        else {
            panic!("accepted");
        };
        assert_eq!(errors[0].kind, FieldErrorKind::NotJson);
    }

    #[test]
    fn either_spelling_of_the_timestamp_is_read_and_both_must_agree() {
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
        for (changes, error) in cases {
            let body = body(changes).to_string();
            match error {
                None => assert_eq!(
                    event(read(&body).unwrap()).occurred_at.to_string(),
                    "2025-11-10T12:00:00Z"
                ),
                Some(error) => assert_eq!(errors(&body), [error], "{body}"),
            }
        }
        let both_bad = body(json!({ "occured_at": 5, "occurred_at": 6 })).to_string();
        assert_eq!(
            errors(&both_bad),
            ["occured_at: must be a text", "occurred_at: must be a text"]
        );
    }

    #[test]
    fn event_is_at_most_a_day_ahead() {
        let cases = [
            (json!({ "occured_at": "2025-11-11T12:00:01Z" }), None),
            (
                json!({ "occured_at": "2025-11-11T12:00:01.001Z" }),
                Some("occured_at: must be at most a day ahead"),
            ),
            (
                json!({ "occured_at": null, "occurred_at": "9999-12-30T00:00:00Z" }),
                Some("occurred_at: must be at most a day ahead"),
            ),
            (json!({ "occured_at": "0000-01-01T00:00:00Z" }), None),
        ];
        for (changes, error) in cases {
            let body = body(changes).to_string();
            match error {
                None => assert!(read(&body).is_ok(), "{body}"),
                Some(error) => assert_eq!(errors(&body), [error]),
            }
        }
    }

    #[test]
    fn null_or_empty_optional_id_counts_as_absent() {
        let without = read(&body(json!({})).to_string()).unwrap();
        for absent in [json!(null), json!("")] {
            let given = body(json!({
                "contractId": absent, "entitlementId": absent, "checkoutId": absent,
            }));
            assert_eq!(read(&given.to_string()).unwrap(), without);
        }
    }

    #[test]
    fn repeated_known_field_is_an_error_and_repeated_unknown_field_is_not() {
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
                errors(&with(more)),
                [format!("{field}: must be given once only")]
            );
        }
        assert!(read(&with(r#""x":1,"x":2"#)).is_ok());
    }

    #[test]
    fn unknown_fields_are_ignored_with_any_value() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let valid = body(json!({})).to_string();
        for value in [r#""\ud800""#, "1e999", "-0.0", "null", "{}", &deep] {
            let body = valid.replace('}', &format!(",\"more\":{value}}}"));
            assert!(read(&body).is_ok(), "{}", &value[..value.len().min(80)]);
        }
    }

    #[test]
    fn unrepresentable_number_and_lone_surrogate_affect_only_their_field() {
        let valid = body(json!({})).to_string();
        for value in ["1e999", r#""\ud800""#] {
            let body = valid.replace('}', &format!(",\"contractId\":{value}}}"));
            assert_eq!(errors(&body), ["contractId: must be a text"]);
        }
    }

    #[test]
    fn webhook_belongs_to_the_verified_vendor() {
        let body = body(json!({ "vendorId": "other" })).to_string();
        let unverified = UnverifiedWebhook::read(body.as_bytes(), now()).unwrap();
        assert_eq!(unverified.vendor_id().as_str(), "other");
        let webhook = unverified.verified(verified_vendor()).unwrap();
        assert_eq!(webhook.user.vendor_id.as_str(), "v");
    }

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

    fn to_json(fields: &[(String, Value)]) -> String {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{}: {value}", json!(name)))
            .collect();
        format!("{{{}}}", fields.join(" ,\n"))
    }

    proptest! {
        #[test]
        fn order_of_fields_and_unknown_fields_change_nothing(
            (fields, shuffled) in valid_fields().prop_flat_map(|fields| {
                (Just(fields.clone()), Just(fields).prop_shuffle())
            }),
            unknown in prop::collection::vec(("x[a-zA-Z]{0,8}", json_value()), 0..4),
            index in any::<prop::sample::Index>(),
        ) {
            let plain = read(&to_json(&fields)).unwrap();
            let mut extended = shuffled;
            let index = index.index(extended.len() + 1);
            extended.splice(index..index, unknown);
            let shuffled = read(&to_json(&extended)).unwrap();
            prop_assert_eq!(&shuffled, &plain);
            let ids = [shuffled, plain].map(|webhook| {
                let user = webhook.user.clone();
                event(webhook).id(&user.vendor_id, &user.user_id)
            });
            prop_assert_eq!(&ids[0], &ids[1]);
        }

        #[test]
        fn no_bytes_cause_a_panic(bytes in any::<Vec<u8>>()) {
            if let Err(InvalidBody(errors)) = UnverifiedWebhook::read(&bytes, now()) {
                prop_assert!(!errors.is_empty());
            }
        }

        #[test]
        fn no_json_in_any_field_causes_a_panic(
            values in prop::collection::vec(json_value(), 8),
        ) {
            let names = [
                "eventType", "vendorId", "userId", "occured_at", "occurred_at", "contractId",
                "entitlementId", "checkoutId",
            ];
            let fields: Vec<_> = names.map(str::to_owned).into_iter().zip(values).collect();
            if let Err(InvalidBody(errors)) = UnverifiedWebhook::read(to_json(&fields).as_bytes(), now()) {
                prop_assert!(!errors.is_empty());
            }
        }
    }
}
