//! The message in a connector's queue, one per event and connector.
//!
//! It carries only ids, never personal data, so everyone with access to the
//! queue may look at it. Its JSON form is versioned: a deployment must still
//! understand older messages.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::digest::digest;
use crate::identity::{CheckoutId, ContractId, EntitlementId, EventId, UserId, VendorId};

/// The names, including the irregular ones, are from Sesamy's guide to webhooks
/// (documented).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventType {
    #[serde(rename = "userVendor.1#new")]
    UserVendorNew,
    #[serde(rename = "userVendor.1#update")]
    UserVendorUpdate,
    #[serde(rename = "contract.1#purchased")]
    ContractPurchased,
    /// Renewed, overdue or expired.
    #[serde(rename = "contract.1#update")]
    ContractUpdate,
    #[serde(rename = "contract#cancelRequest")]
    ContractCancelRequest,
    #[serde(rename = "checkout.1#confirm")]
    CheckoutConfirm,
    #[serde(rename = "entitlement.1#new")]
    EntitlementNew,
    #[serde(rename = "entitlement.1#update")]
    EntitlementUpdate,
}

impl EventType {
    /// In the order of Sesamy's guide.
    pub const ALL: [Self; 8] = [
        Self::UserVendorNew,
        Self::UserVendorUpdate,
        Self::ContractPurchased,
        Self::ContractUpdate,
        Self::ContractCancelRequest,
        Self::CheckoutConfirm,
        Self::EntitlementNew,
        Self::EntitlementUpdate,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::UserVendorNew => "userVendor.1#new",
            Self::UserVendorUpdate => "userVendor.1#update",
            Self::ContractPurchased => "contract.1#purchased",
            Self::ContractUpdate => "contract.1#update",
            Self::ContractCancelRequest => "contract#cancelRequest",
            Self::CheckoutConfirm => "checkout.1#confirm",
            Self::EntitlementNew => "entitlement.1#new",
            Self::EntitlementUpdate => "entitlement.1#update",
        }
    }

    /// Case-sensitive.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

/// Says that a user changed, never what changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    pub event_type: EventType,
    /// By Sesamy's clock.
    pub occurred_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_id: Option<ContractId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entitlement_id: Option<EntitlementId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout_id: Option<CheckoutId>,
}

impl Event {
    /// SHA-256 over every field that distinguishes events, because Sesamy sends
    /// no id. SQS drops the second of two deliveries, since both get the same id.
    pub fn id(&self, vendor_id: &VendorId, user_id: &UserId) -> EventId {
        let occurred_at = self.occurred_at.as_nanosecond().to_string();
        EventId::from_digest(digest(&[
            self.event_type.name(),
            vendor_id.as_str(),
            user_id.as_str(),
            self.contract_id.as_ref().map_or("", ContractId::as_str),
            self.entitlement_id
                .as_ref()
                .map_or("", EntitlementId::as_str),
            self.checkout_id.as_ref().map_or("", CheckoutId::as_str),
            &occurred_at,
        ]))
    }
}

/// One user of one vendor.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserKey {
    pub vendor_id: VendorId,
    pub user_id: UserId,
}

impl UserKey {
    /// The FIFO message group: two consumers never handle the same user at the
    /// same time. Hashed, because SQS limits a group's length and characters.
    pub fn message_group(&self) -> String {
        digest(&[self.vendor_id.as_str(), self.user_id.as_str()])
    }
}

/// Asks a connector to make its CRM agree with the user's current state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The event's id. For a resync, an id of the message.
    pub event_id: EventId,
    #[serde(flatten)]
    pub user: UserKey,
    pub received_at: Timestamp,
    /// A resync has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum Versioned<M> {
    #[serde(rename = "1")]
    V1(M),
}

/// Never quotes the body, which may hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MessageError {
    #[error("the body is not JSON")]
    NotJson,
    #[error("the body is not a message of a known version")]
    UnknownForm,
}

impl Message {
    /// A message without an event. Its id depends on user and occasion: SQS
    /// drops a second message of the same occasion within five minutes.
    pub fn resync(user: UserKey, occasion: &str, received_at: Timestamp) -> Self {
        let parts = [
            "resync",
            occasion,
            user.vendor_id.as_str(),
            user.user_id.as_str(),
        ];
        Self {
            event_id: EventId::from_digest(digest(&parts)),
            user,
            received_at,
            event: None,
        }
    }

    pub fn to_json(&self) -> String {
        // Cannot fail: every key is a string and every value has a JSON form.
        serde_json::to_string(&Versioned::V1(self)).unwrap_or_default()
    }

    pub fn from_json(text: &str) -> Result<Self, MessageError> {
        match serde_json::from_str(text) {
            Ok(Versioned::V1(message)) => Ok(message),
            Err(error) if error.is_data() => Err(MessageError::UnknownForm),
            Err(_) => Err(MessageError::NotJson),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let user = UserKey {
            vendor_id: VendorId::try_from("vendor_123").unwrap(),
            user_id: UserId::try_from("email|84cc").unwrap(),
        };
        let event = Event {
            event_type: EventType::ContractPurchased,
            occurred_at: "2025-11-10T12:00:00Z".parse().unwrap(),
            contract_id: Some(ContractId::try_from("contract_789").unwrap()),
            entitlement_id: None,
            checkout_id: None,
        };
        Message {
            event_id: event.id(&user.vendor_id, &user.user_id),
            user,
            received_at: "2025-11-10T12:00:01Z".parse().unwrap(),
            event: Some(event),
        }
    }

    /// Must be understood forever, because messages of an earlier deployment may
    /// still wait in a queue.
    const VERSION_1: &str = r#"{"version":"1","eventId":"9b1e7a9fd9e6b0f0ee3ab0ed6e4d1ee2","vendorId":"vendor_123","userId":"email|84cc","receivedAt":"2025-11-10T12:00:01Z","event":{"eventType":"contract.1#purchased","occurredAt":"2025-11-10T12:00:00Z","contractId":"contract_789"}}"#;

    #[test]
    fn version_1_is_read_as_written() {
        let read = Message::from_json(VERSION_1).unwrap();
        let expected = Message {
            event_id: EventId::try_from("9b1e7a9fd9e6b0f0ee3ab0ed6e4d1ee2").unwrap(),
            ..message()
        };
        assert_eq!(read, expected);
        assert_eq!(read.to_json(), VERSION_1);
    }

    #[test]
    fn malformed_body_is_an_error_that_does_not_quote_it() {
        let cases = [
            ("", "the body is not JSON"),
            ("secret", "the body is not JSON"),
            ("{}", "the body is not a message of a known version"),
            (
                r#"{"version":"2","secret":1}"#,
                "the body is not a message of a known version",
            ),
            (
                &VERSION_1.replace("email|84cc", ""),
                "the body is not a message of a known version",
            ),
        ];
        for (body, error) in cases {
            assert_eq!(Message::from_json(body).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn every_identifying_field_changes_the_event_id() {
        let message = message();
        let (vendor, user) = (&message.user.vendor_id, &message.user.user_id);
        let event = message.event.clone().unwrap();
        let other_vendor = VendorId::try_from("vendor_12").unwrap();
        let other_user = UserId::try_from("3email|84cc").unwrap();
        let variants = [
            Event {
                event_type: EventType::ContractUpdate,
                ..event.clone()
            },
            Event {
                occurred_at: "2025-11-10T12:00:00.001Z".parse().unwrap(),
                ..event.clone()
            },
            Event {
                contract_id: None,
                ..event.clone()
            },
            Event {
                contract_id: None,
                entitlement_id: Some(EntitlementId::try_from("contract_789").unwrap()),
                ..event.clone()
            },
            Event {
                contract_id: None,
                checkout_id: Some(CheckoutId::try_from("contract_789").unwrap()),
                ..event.clone()
            },
        ];
        let mut ids: Vec<_> = variants.iter().map(|e| e.id(vendor, user)).collect();
        ids.push(event.id(vendor, user));
        ids.push(event.id(&other_vendor, user));
        ids.push(event.id(&other_vendor, &other_user));
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert_eq!(event.id(vendor, user), event.clone().id(vendor, user));
    }

    #[test]
    fn resync_has_one_id_per_occasion_and_user() {
        let resync = |user: &str, occasion: &str| {
            let user = UserKey {
                vendor_id: VendorId::try_from("v").unwrap(),
                user_id: UserId::try_from(user).unwrap(),
            };
            Message::resync(user, occasion, "2026-01-15T09:30:00Z".parse().unwrap())
        };
        let message = resync("u", "1");
        assert_eq!(message.event, None);
        assert_eq!(
            Message::from_json(&message.to_json()).as_ref(),
            Ok(&message)
        );
        assert_eq!(resync("u", "1").event_id, message.event_id);
        assert_ne!(resync("u", "2").event_id, message.event_id);
        assert_ne!(resync("w", "1").event_id, message.event_id);
    }

    #[test]
    fn message_group_fits_sqs_and_distinguishes_users() {
        let group = |vendor: &str, user: &str| {
            UserKey {
                vendor_id: VendorId::try_from(vendor).unwrap(),
                user_id: UserId::try_from(user).unwrap(),
            }
            .message_group()
        };
        assert_eq!(group("v", "å|1").len(), 64);
        assert_ne!(group("va", "b"), group("v", "ab"));
        assert_eq!(group("v", "u"), group("v", "u"));
    }

    #[test]
    fn event_types_have_exact_names() {
        for event in EventType::ALL {
            assert_eq!(EventType::from_name(event.name()), Some(event));
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(json, format!("\"{}\"", event.name()));
        }
        assert_eq!(EventType::from_name("Contract.1#purchased"), None);
    }
}
