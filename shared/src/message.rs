//! What travels through the queues: one message per webhook event and connector.
//!
//! A message carries ids only, never personal data, so a dead letter can be
//! looked at by anybody who may see the queue. Its JSON form is versioned: an
//! old message must still be understood after a deployment.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::digest::digest;
use crate::identity::{CheckoutId, ContractId, EntitlementId, EventId, UserId, VendorId};

/// The eight events that Sesamy announces by webhook.
///
/// Source: Sesamy's guide to webhooks (documented). The names are Sesamy's,
/// irregular ones included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventType {
    /// A reader became a reader of the vendor.
    #[serde(rename = "userVendor.1#new")]
    UserVendorNew,
    /// Something about the reader changed.
    #[serde(rename = "userVendor.1#update")]
    UserVendorUpdate,
    /// A contract was bought.
    #[serde(rename = "contract.1#purchased")]
    ContractPurchased,
    /// A contract changed: renewed, overdue, expired.
    #[serde(rename = "contract.1#update")]
    ContractUpdate,
    /// The reader asked to cancel a contract.
    #[serde(rename = "contract#cancelRequest")]
    ContractCancelRequest,
    /// A checkout was confirmed.
    #[serde(rename = "checkout.1#confirm")]
    CheckoutConfirm,
    /// The reader got access to something.
    #[serde(rename = "entitlement.1#new")]
    EntitlementNew,
    /// The reader's access to something changed.
    #[serde(rename = "entitlement.1#update")]
    EntitlementUpdate,
}

impl EventType {
    /// All eight, in the order of Sesamy's guide.
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

    /// The name as Sesamy spells it.
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

    /// The event type of that name. Letter case counts: a name in other letters is unknown.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

/// One webhook event: that a reader changed, never what changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// What happened.
    pub event_type: EventType,
    /// When it happened, by Sesamy's clock.
    pub occurred_at: Timestamp,
    /// The contract concerned, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_id: Option<ContractId>,
    /// The entitlement concerned, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entitlement_id: Option<EntitlementId>,
    /// The checkout concerned, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout_id: Option<CheckoutId>,
}

impl Event {
    /// The event's id: SHA-256 over every field that tells one event from
    /// another, because Sesamy sends none. A webhook delivered twice has the
    /// same id, so the queue's deduplication drops the second.
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

/// One reader of one vendor: what a sync is about, and what events are ordered by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reader {
    /// The publisher.
    pub vendor_id: VendorId,
    /// The publisher's reader.
    pub user_id: UserId,
}

impl Reader {
    /// The FIFO message group: one per vendor and user, so that two consumers
    /// never handle one reader at the same time. Hashed, because ids may be
    /// longer than a group id and hold characters that none may hold.
    pub fn message_group(&self) -> String {
        digest(&[self.vendor_id.as_str(), self.user_id.as_str()])
    }
}

/// A queued wish to make a connector's CRM agree with a reader's present state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The message's own id; that of the event where an event caused it.
    pub event_id: EventId,
    /// Whom to sync.
    #[serde(flatten)]
    pub reader: Reader,
    /// When this system received it.
    pub received_at: Timestamp,
    /// The event that caused it. A resync has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
}

/// The versions of a message's JSON form that are understood.
#[derive(Serialize, Deserialize)]
#[serde(tag = "version")]
enum Versioned<M> {
    #[serde(rename = "1")]
    V1(M),
}

/// Why a message's body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MessageError {
    /// The body is not JSON at all.
    #[error("the body is not JSON")]
    NotJson,
    /// The body is JSON, but not a message of a known version.
    #[error("the body is not a message of a known version")]
    UnknownForm,
}

impl Message {
    /// A wish that no event caused. Its id is that of the reader on this
    /// occasion: on the same one it is queued once (for SQS's five minutes), on
    /// another one again.
    pub fn resync(reader: Reader, occasion: &str, received_at: Timestamp) -> Self {
        let parts = [
            "resync",
            occasion,
            reader.vendor_id.as_str(),
            reader.user_id.as_str(),
        ];
        Self {
            event_id: EventId::from_digest(digest(&parts)),
            reader,
            received_at,
            event: None,
        }
    }

    /// The JSON form that is queued.
    pub fn to_json(&self) -> String {
        // Cannot fail: every key is a text and every value has a JSON form.
        serde_json::to_string(&Versioned::V1(self)).unwrap_or_default()
    }

    /// Reads a queued JSON form of any known version.
    ///
    /// # Errors
    /// [`MessageError`] where the text is no such form. It never quotes the
    /// text, which may be anything.
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
        let reader = Reader {
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
            event_id: event.id(&reader.vendor_id, &reader.user_id),
            reader,
            received_at: "2025-11-10T12:00:01Z".parse().unwrap(),
            event: Some(event),
        }
    }

    /// The form that is queued today. It must be read for ever: messages
    /// written by an earlier deployment may still wait in a queue.
    const VERSION_1: &str = r#"{"version":"1","eventId":"9b1e7a9fd9e6b0f0ee3ab0ed6e4d1ee2","vendorId":"vendor_123","userId":"email|84cc","receivedAt":"2025-11-10T12:00:01Z","event":{"eventType":"contract.1#purchased","occurredAt":"2025-11-10T12:00:00Z","contractId":"contract_789"}}"#;

    #[test]
    fn version_1_is_read_as_it_was_written() {
        let read = Message::from_json(VERSION_1).unwrap();
        let expected = Message {
            event_id: EventId::try_from("9b1e7a9fd9e6b0f0ee3ab0ed6e4d1ee2").unwrap(),
            ..message()
        };
        assert_eq!(read, expected);
        assert_eq!(read.to_json(), VERSION_1);
    }

    #[test]
    fn what_is_no_message_is_refused_without_being_quoted() {
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
        let (vendor, user) = (&message.reader.vendor_id, &message.reader.user_id);
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
    fn a_resync_has_one_id_per_occasion_and_reader_and_is_read_again() {
        let resync = |user: &str, occasion: &str| {
            let reader = Reader {
                vendor_id: VendorId::try_from("v").unwrap(),
                user_id: UserId::try_from(user).unwrap(),
            };
            Message::resync(reader, occasion, "2026-01-15T09:30:00Z".parse().unwrap())
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
    fn the_message_group_fits_what_a_queue_allows_and_tells_readers_apart() {
        let group = |vendor: &str, user: &str| {
            Reader {
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
    fn event_types_are_known_by_their_exact_names_alone() {
        for event in EventType::ALL {
            assert_eq!(EventType::from_name(event.name()), Some(event));
            let json = serde_json::to_string(&event).unwrap();
            assert_eq!(json, format!("\"{}\"", event.name()));
        }
        assert_eq!(EventType::from_name("Contract.1#purchased"), None);
    }
}
