//! What a reader bought or subscribes to.

use jiff::Timestamp;
use serde_json::Value;

use super::dropped::Dropped;
use super::open_enum::open_enum;
use super::reader::Object;
use crate::identity::ContractId;

/// A subscription or a single purchase.
///
/// Fields as seen in Sesamy's client library, but `cancel_requested_at`
/// (documented later) and the payer and gift marks, which are assumed: Sesamy
/// shows them on checkouts only.
///
/// Ordered so that contracts have one canonical order: by `id` first.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub struct Contract {
    /// `id`.
    pub id: ContractId,
    /// `updatedAt`.
    pub updated_at: Option<Timestamp>,
    /// `createdAt`.
    pub created_at: Option<Timestamp>,
    /// `status`.
    pub status: Option<ContractStatus>,
    /// `isActive`.
    pub is_active: Option<bool>,
    /// `contractDuration`.
    pub duration: Option<ContractDuration>,
    /// `recurringInterval`.
    pub recurring_interval: Option<RecurringInterval>,
    /// `expiresAt`.
    pub expires_at: Option<Timestamp>,
    /// `nextBillAt`.
    pub next_bill_at: Option<Timestamp>,
    /// `willCancelAt`.
    pub will_cancel_at: Option<Timestamp>,
    /// `cancelRequestedAt`.
    pub cancel_requested_at: Option<Timestamp>,
    /// `issuesRemaining`.
    pub issues_remaining: Option<f64>,
    /// `payer.id` (also `payer.userId`), else `payerId`.
    pub payer_id: Option<String>,
    /// Whether `isGift` or `giftMode` says yes.
    pub is_marked_gift: bool,
    /// `items`.
    pub items: Vec<Item>,
}

impl Contract {
    /// Reads a contract. `None` where it is not an object or has no usable id.
    pub fn read(json: &Value, dropped: &mut Dropped) -> Option<Self> {
        const PATH: &str = "contracts[]";
        let object = Object::read(json, PATH, dropped)?;
        let Some(id) = object.parsed("id", dropped, |text| ContractId::try_from(text).ok()) else {
            dropped.add(PATH, "");
            return None;
        };
        let gift_marks = [
            object.boolean("isGift", dropped),
            object.boolean("giftMode", dropped),
        ];
        Some(Self {
            id,
            updated_at: object.timestamp("updatedAt", dropped),
            created_at: object.timestamp("createdAt", dropped),
            status: object.one_of("status", dropped),
            is_active: object.boolean("isActive", dropped),
            duration: object.one_of("contractDuration", dropped),
            recurring_interval: object.one_of("recurringInterval", dropped),
            expires_at: object.timestamp("expiresAt", dropped),
            next_bill_at: object.timestamp("nextBillAt", dropped),
            will_cancel_at: object.timestamp("willCancelAt", dropped),
            cancel_requested_at: object.timestamp("cancelRequestedAt", dropped),
            issues_remaining: object.number("issuesRemaining", dropped),
            payer_id: payer_id(&object, dropped),
            is_marked_gift: gift_marks.contains(&Some(true)),
            items: object.list("items", dropped, Item::read),
        })
    }
}

/// The id of whoever pays. A payer without an id is as good as none: nobody
/// can tell whether it is the reader.
fn payer_id(contract: &Object<'_>, dropped: &mut Dropped) -> Option<String> {
    let payer = contract.object("payer", "contracts[].payer", dropped);
    let id = payer.and_then(|payer| {
        let id = payer
            .string("id", dropped)
            .or_else(|| payer.string("userId", dropped));
        if id.is_none() {
            contract.drop("payer", dropped);
        }
        id
    });
    id.or_else(|| contract.string("payerId", dropped))
}

/// One product of a contract.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd)]
pub struct Item {
    /// `sku`.
    pub sku: Option<String>,
    /// `name`.
    pub name: Option<String>,
    /// `purchaseOptionId`.
    pub purchase_option_id: Option<String>,
    /// `purchaseOptionName`.
    pub purchase_option_name: Option<String>,
    /// `listPriceId`: documented for one of Sesamy's own integrations, seen nowhere.
    pub list_price_id: Option<String>,
    /// `purchaseType`.
    pub purchase_type: Option<PurchaseType>,
}

impl Item {
    fn read(json: &Value, dropped: &mut Dropped) -> Option<Self> {
        const PATH: &str = "contracts[].items[]";
        let object = Object::read(json, PATH, dropped)?;
        Some(Self {
            sku: object.string("sku", dropped),
            name: object.string("name", dropped),
            purchase_option_id: object.string("purchaseOptionId", dropped),
            purchase_option_name: object.string("purchaseOptionName", dropped),
            list_price_id: object.string("listPriceId", dropped),
            purchase_type: object.one_of("purchaseType", dropped),
        })
    }
}

open_enum! {
    /// How a contract stands.
    ///
    /// Sesamy's schema has no list. `ACTIVE` is documented; overdue, cancelled
    /// and expired ones are named in its texts; the others are assumed from its
    /// bills, and so is the spelling.
    ContractStatus {
        /// Running.
        Active = "ACTIVE",
        /// A payment failed; Sesamy tries again while access continues.
        Overdue = "OVERDUE",
        /// Cancelled.
        Canceled = "CANCELED" | "CANCELLED",
        /// Came to its end.
        Expired = "EXPIRED",
        /// Not concluded yet.
        Draft = "DRAFT",
        /// Not paid yet.
        Pending = "PENDING",
        /// Removed by Sesamy.
        Deleted = "DELETED",
        /// Declared void.
        Voided = "VOIDED",
    }
}

open_enum! {
    /// What kind of duration a contract has. Values as seen, meanings assumed.
    ContractDuration {
        /// Renews itself until cancelled.
        Recurring = "RECURRING",
        /// Has a term after which it may be renewed.
        Renewable = "RENEWABLE",
        /// Bought once, for ever.
        Perpetual = "PERPETUAL",
    }
}

open_enum! {
    /// After how long a contract is billed again. Values as seen; the derivation
    /// asks only whether there is one.
    RecurringInterval {
        /// Days.
        Day = "DAY",
        /// Weeks.
        Week = "WEEK",
        /// Months.
        Month = "MONTH",
        /// Years.
        Year = "YEAR",
    }
}

open_enum! {
    /// How an item was bought. The schema has no list; `OWN` is seen in samples,
    /// the others in other places of the API or assumed.
    PurchaseType {
        /// Paid again and again.
        Recurring = "RECURRING",
        /// Bought to own.
        Own = "OWN",
        /// Paid once.
        Single = "SINGLE" | "SINGLE_PAYMENT" | "SINGLE_PURCHASE",
    }
}
