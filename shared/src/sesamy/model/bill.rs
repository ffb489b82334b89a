//! What a reader was billed.

use jiff::Timestamp;
use serde_json::Value;

use super::dropped::Dropped;
use super::open_enum::open_enum;
use super::reader::Object;
use crate::identity::ContractId;
use crate::personal::Personal;

/// A bill. Fields as seen in Sesamy's client library. It has no date of
/// payment; the newest of its dates stands in for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bill {
    /// `id`.
    pub id: Option<String>,
    /// `status`.
    pub status: Option<BillStatus>,
    /// `price`, in the digits it was sent in.
    pub price: Option<String>,
    /// `currency`.
    pub currency: Option<String>,
    /// `receiptUrl`. Whoever knows it can read the receipt.
    pub receipt_url: Option<Personal>,
    /// `updatedAt`.
    pub updated_at: Option<Timestamp>,
    /// `createdAt`.
    pub created_at: Option<Timestamp>,
    /// `contractId`.
    pub contract_id: Option<ContractId>,
}

impl Bill {
    /// Reads a bill. `None` where it is not an object.
    pub fn read(json: &Value, dropped: &mut Dropped) -> Option<Self> {
        let object = Object::read(json, "bills[]", dropped)?;
        Some(Self {
            id: object.string("id", dropped),
            status: object.one_of("status", dropped),
            price: object.digits("price", dropped),
            currency: object.string("currency", dropped),
            receipt_url: object.personal("receiptUrl", dropped),
            updated_at: object.timestamp("updatedAt", dropped),
            created_at: object.timestamp("createdAt", dropped),
            contract_id: object.parsed("contractId", dropped, |text| {
                ContractId::try_from(text).ok()
            }),
        })
    }
}

open_enum! {
    /// How a bill stands, as documented. The derivation tells paid ones from all
    /// the rest.
    BillStatus {
        /// Not sent yet.
        Draft = "DRAFT",
        /// Not paid yet.
        Pending = "PENDING",
        /// Paid.
        Paid = "PAID",
        /// A payment failed and is tried again.
        Retrying = "RETRYING",
        /// Not paid in time.
        Overdue = "OVERDUE",
        /// Cancelled.
        Canceled = "CANCELED" | "CANCELLED",
        /// Never paid.
        Expired = "EXPIRED",
        /// Deleted.
        Deleted = "DELETED",
        /// Declared void.
        Voided = "VOIDED",
    }
}
