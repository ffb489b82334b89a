//! The items of the table, as JSON texts. Pure.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::shown::Shown;
use crate::digest::digest;
use crate::identity::{EventId, VendorId};

/// How long after its webhook an ordinary sync reads the user's state: the queue
/// delays each message by five seconds.
const READ_DELAY: SignedDuration = SignedDuration::from_secs(4);

/// Later repeats of older events are delivered again.
const MAX_DELIVERED: usize = 50;

/// Of the digits of an event's id. Fifty ids fit into a kilobyte, which is what
/// one write unit of DynamoDB pays for.
const SHORT_ID: usize = 16;

/// How a CRM knows a contact, in a form of the connector's choosing.
///
/// `Debug` hides it, because a CRM without ids knows contacts by their address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContactReference(String);

impl ContactReference {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ContactReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[reference]")
    }
}

/// One per connector and user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct UserRecord {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<ContactReference>,
    /// [`address_digest`] at the last completed sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Set before the contact is moved. Until the sync has completed, the contact may
    /// be at either address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moving_to: Option<MovingTo>,
    /// When the last completed sync began to read the user's state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
    /// What that state showed.
    pub shown: Shown,
    /// Oldest first.
    delivered: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wake_up_at: Option<Timestamp>,
}

/// The address that a contact is being moved to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MovingTo {
    pub address: String,
    /// For a CRM that knows contacts by their address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<ContactReference>,
}

impl UserRecord {
    /// Where the contact may be.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        let moving_to = self.moving_to.as_ref().map(|to| to.address.as_str());
        self.address.as_deref().into_iter().chain(moving_to)
    }

    /// Whether a webhook received then has nothing more to say: the state was read
    /// as long after it as by an ordinary sync.
    pub fn covers(&self, received_at: Timestamp) -> bool {
        self.read_at
            .is_some_and(|read_at| read_at.duration_since(received_at) >= READ_DELAY)
    }

    pub fn has_delivered(&self, event: &EventId) -> bool {
        let id = short(event);
        self.delivered.iter().any(|delivered| delivered == id)
    }

    pub fn add_delivered<'a>(&mut self, events: impl IntoIterator<Item = &'a EventId>) {
        for event in events {
            if !self.has_delivered(event) {
                self.delivered.push(short(event).to_owned());
            }
        }
        let excess = self.delivered.len().saturating_sub(MAX_DELIVERED);
        self.delivered.drain(..excess);
    }

    /// Whether only the time of reading and what was shown differ.
    pub fn is_as_good_as(&self, other: &Self) -> bool {
        let Self {
            reference,
            address,
            moving_to,
            read_at: _,
            shown: _,
            delivered,
            wake_up_at,
        } = self;
        (reference, address, moving_to, delivered, wake_up_at)
            == (
                &other.reference,
                &other.address,
                &other.moving_to,
                &other.delivered,
                &other.wake_up_at,
            )
    }
}

fn short(event: &EventId) -> &str {
    let id = event.as_str();
    id.get(..SHORT_ID).unwrap_or(id)
}

/// One per connector and address: the user that the contact belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AddressRecord {
    /// The user's message group.
    pub owner: String,
    /// Whether the owner had access to anything at the last sync.
    pub has_access: bool,
}

/// Identifies an address among a vendor's, without naming it.
pub(crate) fn address_digest(vendor: &VendorId, lookup: &str) -> String {
    digest(&["address", vendor.as_str(), lookup])
}

/// An item that cannot be read is as good as none.
pub(super) fn parse<R: for<'de> Deserialize<'de>>(json: &str) -> Option<R> {
    serde_json::from_str(json).ok()
}

pub(super) fn to_json(record: &impl Serialize) -> String {
    // Cannot fail: every key is a string and every value has a JSON form.
    serde_json::to_string(record).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ_AT: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn event(n: usize) -> EventId {
        EventId::from_digest(digest(&[&n.to_string()]))
    }

    #[test]
    fn webhook_is_covered_by_a_read_four_seconds_later() {
        let record = UserRecord {
            read_at: Some(READ_AT),
            ..UserRecord::default()
        };
        for (millis_before, covered) in [(4_000, true), (5_000, true), (3_999, false), (-1, false)]
        {
            let received_at = READ_AT - SignedDuration::from_millis(millis_before);
            assert_eq!(record.covers(received_at), covered, "{millis_before}");
        }
        assert!(!UserRecord::default().covers(Timestamp::MIN));
    }

    #[test]
    fn last_fifty_delivered_events_are_remembered_once_each() {
        let mut record = UserRecord::default();
        let events: Vec<_> = (0..60).map(event).collect();
        record.add_delivered(&events);
        record.add_delivered(&events[50..]);
        assert_eq!(record.delivered.len(), MAX_DELIVERED);
        assert!(!record.has_delivered(&events[9]));
        assert!(events[10..].iter().all(|event| record.has_delivered(event)));
    }

    #[test]
    fn record_is_read_as_written_and_small() {
        let mut record = UserRecord {
            reference: Some(ContactReference::new("17")),
            address: Some("digest".into()),
            read_at: Some(READ_AT),
            wake_up_at: Some(READ_AT),
            ..UserRecord::default()
        };
        record.add_delivered(&(0..60).map(event).collect::<Vec<_>>());
        let json = to_json(&record);
        assert_eq!(parse::<UserRecord>(&json), Some(record));
        assert!(json.len() < 1_200, "{}", json.len());
    }

    #[test]
    fn items_of_another_version_are_read_or_ignored() {
        let known = r#"{"reference":"1","more":true}"#;
        let reference = parse::<UserRecord>(known).unwrap().reference;
        assert_eq!(reference, Some(ContactReference::new("1")));
        assert_eq!(parse::<UserRecord>("{}"), Some(UserRecord::default()));
        for unreadable in ["", "null", r#"{"readAt":1}"#] {
            assert_eq!(parse::<UserRecord>(unreadable), None, "{unreadable}");
        }
    }

    #[test]
    fn no_record_shows_a_reference_in_debug_output() {
        let reference = ContactReference::new("anna@example.se");
        assert_eq!(format!("{reference:?}"), "[reference]");
    }
}
