use jiff::Timestamp;
use serde_json::value::RawValue;

use super::dropped::Dropped;
use super::object::Object;
use super::open_enum::open_enum;
use crate::identity::ContractId;

/// A subscription or a single purchase.
///
/// Fields as seen in Sesamy's client library, except `cancel_requested_at`
/// (documented later) and payer and gift marks (assumed: Sesamy shows them on
/// checkouts only).
///
/// Ordered by `id` first, so that contracts have one canonical order.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub struct Contract {
    pub id: ContractId,
    pub updated_at: Option<Timestamp>,
    pub created_at: Option<Timestamp>,
    pub status: Option<ContractStatus>,
    pub is_active: Option<bool>,
    pub duration: Option<ContractDuration>,
    pub recurring_interval: Option<RecurringInterval>,
    pub expires_at: Option<Timestamp>,
    pub next_bill_at: Option<Timestamp>,
    pub will_cancel_at: Option<Timestamp>,
    pub cancel_requested_at: Option<Timestamp>,
    pub issues_remaining: Option<f64>,
    /// `payer.id`, else `payer.userId`, else `payerId`.
    pub payer_id: Option<String>,
    /// Whether `isGift` or `giftMode` is true.
    pub is_marked_gift: bool,
    pub items: Vec<ContractItem>,
}

impl Contract {
    /// `None` if the JSON is not an object or has no usable id.
    pub fn read(json: &RawValue, dropped: &mut Dropped) -> Option<Self> {
        const PATH: &str = "contracts[]";
        let object = Object::read(json, PATH, dropped)?;
        let Some(id) = object.get("id", dropped) else {
            dropped.add(PATH, "");
            return None;
        };
        let gift_marks = ["isGift", "giftMode"].map(|mark| object.get(mark, dropped));
        Some(Self {
            id,
            updated_at: object.get("updatedAt", dropped),
            created_at: object.get("createdAt", dropped),
            status: object.get("status", dropped),
            is_active: object.get("isActive", dropped),
            duration: object.get("contractDuration", dropped),
            recurring_interval: object.get("recurringInterval", dropped),
            expires_at: object.get("expiresAt", dropped),
            next_bill_at: object.get("nextBillAt", dropped),
            will_cancel_at: object.get("willCancelAt", dropped),
            cancel_requested_at: object.get("cancelRequestedAt", dropped),
            issues_remaining: object.get("issuesRemaining", dropped),
            payer_id: payer_id(&object, dropped).or_else(|| object.get("payerId", dropped)),
            is_marked_gift: gift_marks.contains(&Some(true)),
            items: object.list("items", dropped, ContractItem::read),
        })
    }
}

/// A payer without an id is dropped, because it may or may not be the user.
fn payer_id(contract: &Object<'_>, dropped: &mut Dropped) -> Option<String> {
    let payer = contract.object("payer", "contracts[].payer", dropped)?;
    let id = payer.get("id", dropped);
    let id = id.or_else(|| payer.get("userId", dropped));
    if id.is_none() {
        dropped.add("contracts[]", "payer");
    }
    id
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd)]
pub struct ContractItem {
    pub sku: Option<String>,
    pub name: Option<String>,
    pub purchase_option_id: Option<String>,
    pub purchase_option_name: Option<String>,
    /// Documented for one of Sesamy's own integrations; not seen in any sample.
    pub list_price_id: Option<String>,
    pub purchase_type: Option<PurchaseType>,
}

impl ContractItem {
    fn read(json: &RawValue, dropped: &mut Dropped) -> Option<Self> {
        let object = Object::read(json, "contracts[].items[]", dropped)?;
        Some(Self {
            sku: object.get("sku", dropped),
            name: object.get("name", dropped),
            purchase_option_id: object.get("purchaseOptionId", dropped),
            purchase_option_name: object.get("purchaseOptionName", dropped),
            list_price_id: object.get("listPriceId", dropped),
            purchase_type: object.get("purchaseType", dropped),
        })
    }
}

open_enum! {
    /// Sesamy's schema has no list. `ACTIVE` is documented; its texts name
    /// overdue, cancelled and expired contracts. The other values, and all
    /// spellings, are assumed from its bills.
    ContractStatus {
        Active = "ACTIVE",
        /// A payment failed. Access continues while Sesamy retries it.
        Overdue = "OVERDUE",
        Canceled = "CANCELED" | "CANCELLED",
        Expired = "EXPIRED",
        Draft = "DRAFT",
        Pending = "PENDING",
        Deleted = "DELETED",
        Voided = "VOIDED",
    }
}

open_enum! {
    /// Values as seen, meanings assumed.
    ContractDuration {
        /// Renews itself until cancelled.
        Recurring = "RECURRING",
        /// Has a term after which it may be renewed.
        Renewable = "RENEWABLE",
        /// Bought once, without an end.
        Perpetual = "PERPETUAL",
    }
}

open_enum! {
    /// Values as seen. The derivation only asks whether there is an interval.
    RecurringInterval {
        Day = "DAY",
        Week = "WEEK",
        Month = "MONTH",
        Year = "YEAR",
    }
}

open_enum! {
    /// Sesamy's schema has no list. `OWN` is seen in samples, the others are
    /// seen elsewhere in the API or assumed.
    PurchaseType {
        Recurring = "RECURRING",
        Own = "OWN",
        /// Paid once.
        Single = "SINGLE" | "SINGLE_PAYMENT" | "SINGLE_PURCHASE",
    }
}
