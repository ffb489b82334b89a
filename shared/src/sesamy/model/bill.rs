//! What a reader was billed.

use jiff::Timestamp;
use serde_json::Value;

use super::dropped::Dropped;
use super::open_enum::open_enum;
use super::reader::Object;
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
}

impl Bill {
    /// Reads a bill. `None` where it is not an object.
    pub fn read(json: &Value, dropped: &mut Dropped) -> Option<Self> {
        let object = Object::read(json, "bills[]", dropped)?;
        Some(Self {
            id: object.string("id", dropped),
            status: object.text("status", dropped).map(BillStatus::from_text),
            price: object.digits("price", dropped),
            currency: object.string("currency", dropped),
            receipt_url: object.personal("receiptUrl", dropped),
            updated_at: object.timestamp("updatedAt", dropped),
            created_at: object.timestamp("createdAt", dropped),
        })
    }
}

open_enum! {
    /// How a bill stands. The derivation tells paid ones from all the rest.
    BillStatus {
        /// Paid.
        Paid = "PAID",
    }
}
