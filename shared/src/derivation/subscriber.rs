//! The result of the derivation: one reader as every CRM should know them.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;

use super::tag::Tag;
use crate::identity::{ContractId, UserId};
use crate::personal::{Email, Personal};

/// A reader as every CRM should know them.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscriber {
    /// The reader's id at Sesamy.
    pub user_id: UserId,
    /// The address the CRM knows the reader by.
    pub email: Email,
    /// Given name.
    pub first_name: Option<Personal>,
    /// Family name.
    pub last_name: Option<Personal>,
    /// The phone number that comes first by priority.
    pub phone: Option<Personal>,
    /// Company.
    pub company: Option<Personal>,
    /// When the reader came to Sesamy.
    pub created: Option<Date>,
    /// Where bills go.
    pub billing_address: Option<BillingAddress>,
    /// The wanted `sesamy_` tags, each with what gave it.
    pub tags: Tags,
    /// What the reader has access to at present.
    pub active_products: ActiveProducts,
    /// The contract that stands for the reader where a CRM has room for one.
    pub primary_subscription: Option<PrimarySubscription>,
    /// Counts and dates over all the reader's contracts.
    pub account: Account,
    /// The newest paid bill. `None` also where bills were not read.
    pub last_payment: Option<Payment>,
    /// The newest paid bill of each contract that has one.
    pub contract_payments: BTreeMap<ContractId, Payment>,
    /// Products of all active contracts, unique by external id.
    pub catalogue: Vec<CatalogueProduct>,
    /// One record per contract that has an item.
    pub subscriptions: Vec<SubscriptionRecord>,
}

impl Subscriber {
    /// The payment that a message about an event shows: the newest of the
    /// event's contract, else the newest of all.
    pub fn payment_for(&self, contract: Option<&ContractId>) -> Option<&Payment> {
        contract
            .and_then(|contract| self.contract_payments.get(contract))
            .or(self.last_payment.as_ref())
    }
}

/// The wanted tags in alphabetical order, each with every reason that gave it.
pub type Tags = BTreeMap<Tag, Vec<Reason>>;

/// Why a tag is wanted: the answer to a marketer's "why has this reader this tag?".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// The rule that gave it, in a few words.
    pub rule: &'static str,
    /// The id of the contract or entitlement that gave it. `None` for the
    /// profile, and for an entitlement that has none.
    pub source: Option<String>,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.rule)?;
        match &self.source {
            Some(source) => write!(formatter, " ({source})"),
            None => Ok(()),
        }
    }
}

/// The address that bills go to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BillingAddress {
    /// Given name on the bill.
    pub first_name: Option<Personal>,
    /// Family name on the bill.
    pub last_name: Option<Personal>,
    /// Street and number.
    pub street: Option<Personal>,
    /// City.
    pub city: Option<Personal>,
    /// Postal code.
    pub zip: Option<Personal>,
    /// Care of.
    pub co: Option<Personal>,
    /// Country, as Sesamy spells it.
    pub country: Option<Personal>,
    /// Department of a company.
    pub department: Option<Personal>,
}

/// Items of active subscriptions and accessible entitlements, deduplicated by
/// the slug of the title. The lists hold no blanks and may differ in length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActiveProducts {
    /// SKUs.
    pub skus: Vec<String>,
    /// Titles.
    pub titles: Vec<String>,
    /// Titles of the purchase options.
    pub option_titles: Vec<String>,
}

/// The primary contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrimarySubscription {
    /// Status in capitals, `CANCELED` with one L.
    pub status: Option<String>,
    /// End of what is paid for.
    pub expires_at: Option<Date>,
    /// When it was cancelled or will be.
    pub canceled_at: Option<Date>,
    /// When it was bought.
    pub created_at: Option<Date>,
}

/// Counts and dates over all contracts and bills.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    /// Whether any subscription is active.
    pub has_active_subscription: bool,
    /// Articles and other items bought one by one.
    pub articles_purchased: u64,
    /// Subscriptions active now.
    pub active_subscriptions: u64,
    /// Ended subscriptions that were cancelled.
    pub canceled_subscriptions: u64,
    /// Ended subscriptions that expired.
    pub expired_subscriptions: u64,
    /// Sum of the two above.
    pub ended_subscriptions: u64,
    /// Issues left over all active subscriptions. `None` where none counts issues.
    pub issues_remaining: Option<f64>,
    /// When the last active RENEWABLE contract expires, else the last active
    /// subscription that tells.
    pub subscription_expires_at: Option<Date>,
    /// Duration type of the primary active contract, in lower case.
    pub contract_duration: Option<String>,
    /// Date of the newest paid bill.
    pub last_payment_date: Option<Date>,
    /// Next date a subscription is billed.
    pub next_payment_date: Option<Date>,
    /// Earliest scheduled cancellation of an active subscription.
    pub will_cancel_at: Option<Date>,
}

/// The newest paid bill, for receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Amount, in the digits Sesamy sends.
    pub amount: Option<String>,
    /// Currency, as Sesamy spells it.
    pub currency: Option<String>,
    /// When it was paid.
    pub date: Option<Date>,
    /// Where the receipt can be read. Whoever knows it can read it.
    pub receipt_url: Option<Personal>,
}

/// A product for a catalogue of what readers subscribe to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueProduct {
    /// `SKU|listPriceId`, or the SKU alone.
    pub external_id: String,
    /// `Title - OptionTitle`, or the title alone.
    pub name: String,
}

/// One contract as a record of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRecord {
    /// The contract.
    pub contract_id: ContractId,
    /// External id of the product of its first item.
    pub product_external_id: String,
    /// Name of that product.
    pub name: String,
    /// When the contract began.
    pub start_date: Option<Date>,
    /// When it ended. `None` while it is active.
    pub end_date: Option<Date>,
    /// Whether its status is ACTIVE.
    pub active: bool,
}
