//! The result of the derivation: what every CRM should hold of one user.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;

use super::tag::Tag;
use crate::identity::{ContractId, UserId};
use crate::personal::{Email, Personal};

pub use crate::sesamy::model::BillingAddress;

#[derive(Debug, Clone, PartialEq)]
pub struct DesiredContact {
    pub user_id: UserId,
    /// Identifies the contact at the CRM.
    pub email: Email,
    pub first_name: Option<Personal>,
    pub last_name: Option<Personal>,
    pub phone: Option<Personal>,
    pub company: Option<Personal>,
    /// When the user was created at Sesamy.
    pub created: Option<Date>,
    pub billing_address: Option<BillingAddress>,
    pub tags: Tags,
    pub active_products: ActiveProducts,
    pub primary_subscription: Option<PrimarySubscription>,
    pub account: Account,
    /// The newest paid bill. Also `None` if the connector does not read bills.
    pub last_payment: Option<Payment>,
    /// The newest paid bill of each contract that has one.
    pub contract_payments: BTreeMap<ContractId, Payment>,
    /// Unique by external id.
    pub catalogue: Vec<CatalogueProduct>,
    /// One record per contract that has an item.
    pub subscriptions: Vec<SubscriptionRecord>,
    /// Whether the user has an active subscription or an accessible entitlement.
    pub has_access: bool,
    /// When the rest will change by time alone. Always in the future.
    pub next_change: Option<Timestamp>,
}

impl DesiredContact {
    /// The newest payment of an event's contract, else the newest of all.
    pub fn payment_for(&self, contract: Option<&ContractId>) -> Option<&Payment> {
        contract
            .and_then(|contract| self.contract_payments.get(contract))
            .or(self.last_payment.as_ref())
    }
}

/// The desired tags, each with every reason for it.
pub type Tags = BTreeMap<Tag, Vec<TagReason>>;

/// Answers a marketer's "why does this user have this tag?".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagReason {
    pub rule: &'static str,
    /// The id of the contract or entitlement. `None` for the profile, and for
    /// an entitlement without an id.
    pub source: Option<String>,
}

impl fmt::Display for TagReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.rule)?;
        match &self.source {
            Some(source) => write!(formatter, " ({source})"),
            None => Ok(()),
        }
    }
}

/// The lists hold no blanks and may differ in length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActiveProducts {
    pub skus: Vec<String>,
    pub titles: Vec<String>,
    pub option_titles: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrimarySubscription {
    /// In capitals, `CANCELED` with one L.
    pub status: Option<String>,
    pub expires_at: Option<Date>,
    /// May be in the future.
    pub canceled_at: Option<Date>,
    pub created_at: Option<Date>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    pub has_active_subscription: bool,
    /// Includes other items bought one by one.
    pub articles_purchased: u64,
    pub active_subscriptions: u64,
    pub canceled_subscriptions: u64,
    pub expired_subscriptions: u64,
    pub ended_subscriptions: u64,
    /// `None` if no active subscription counts issues.
    pub issues_remaining: Option<f64>,
    pub subscription_expires_at: Option<Date>,
    /// Of the primary active contract, in lower case.
    pub contract_duration: Option<String>,
    pub last_payment_date: Option<Date>,
    pub next_payment_date: Option<Date>,
    pub will_cancel_at: Option<Date>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// In the digits Sesamy sends.
    pub amount: Option<String>,
    pub currency: Option<String>,
    pub date: Option<Date>,
    /// Personal, because anyone who knows it can read the receipt.
    pub receipt_url: Option<Personal>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueProduct {
    /// `SKU|listPriceId`, or the SKU alone.
    pub external_id: String,
    /// `Title - OptionTitle`, or the title alone.
    pub name: String,
}

/// A contract, linked to the product of its first item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRecord {
    pub contract_id: ContractId,
    pub product_external_id: String,
    pub name: String,
    pub start_date: Option<Date>,
    /// `None` while it is active.
    pub end_date: Option<Date>,
    pub active: bool,
}
