use jiff::Timestamp;
use serde_json::value::RawValue;

use super::dropped::Dropped;
use super::object::Object;
use super::open_enum::open_enum;
use crate::identity::ContractId;
use crate::personal::Personal;
use crate::sesamy::json::Digits;

/// Fields as seen in Sesamy's client library. A bill has no payment date.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bill {
    pub id: Option<String>,
    pub status: Option<BillStatus>,
    /// In the digits that Sesamy sent.
    pub price: Option<String>,
    pub currency: Option<String>,
    /// Personal, because anyone who knows it can read the receipt.
    pub receipt_url: Option<Personal>,
    pub updated_at: Option<Timestamp>,
    pub created_at: Option<Timestamp>,
    pub contract_id: Option<ContractId>,
}

impl Bill {
    /// `None` if the JSON is not an object.
    pub fn read(json: &RawValue, dropped: &mut Dropped) -> Option<Self> {
        let object = Object::read(json, "bills[]", dropped)?;
        let price = object.get("price", dropped).map(|Digits(price)| price);
        Some(Self {
            id: object.get("id", dropped),
            status: object.get("status", dropped),
            price,
            currency: object.get("currency", dropped),
            receipt_url: object.get("receiptUrl", dropped),
            updated_at: object.get("updatedAt", dropped),
            created_at: object.get("createdAt", dropped),
            contract_id: object.get("contractId", dropped),
        })
    }
}

open_enum! {
    /// Documented.
    BillStatus {
        Draft = "DRAFT",
        Pending = "PENDING",
        Paid = "PAID",
        Retrying = "RETRYING",
        Overdue = "OVERDUE",
        Canceled = "CANCELED" | "CANCELLED",
        Expired = "EXPIRED",
        Deleted = "DELETED",
        Voided = "VOIDED",
    }
}
