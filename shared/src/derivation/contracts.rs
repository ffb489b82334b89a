//! What a contract is, when it is active, and which one is primary.

use jiff::Timestamp;

use super::canonical;
use super::dates;
use super::desired_contact::PrimarySubscription;
use crate::identity::UserId;
use crate::sesamy::model::{Contract, ContractDuration, ContractStatus, PurchaseType};

/// A user's contracts that took effect, each once, the oldest first.
pub(super) struct Contracts<'a> {
    /// Includes single purchases.
    pub(super) all: Vec<&'a Contract>,
    pub(super) active_subscriptions: Vec<&'a Contract>,
    /// *Ended* means not active (decided with [`is_active`]).
    pub(super) ended_subscriptions: Vec<&'a Contract>,
}

impl<'a> Contracts<'a> {
    pub(super) fn new(all: &'a [Contract]) -> Self {
        let mut all = canonical::contracts(all);
        all.retain(|contract| took_effect(contract));
        let (active_subscriptions, ended_subscriptions) = all
            .iter()
            .copied()
            .filter(|contract| is_subscription(contract))
            .partition(|contract| is_active(contract));
        Self {
            all,
            active_subscriptions,
            ended_subscriptions,
        }
    }

    /// The subscription shown by a CRM that has room for one.
    pub(super) fn primary(&self) -> Option<&'a Contract> {
        self.primary_active().or_else(|| self.last_ended())
    }

    /// Among active subscriptions the one with the latest `expiresAt`, then
    /// the latest `createdAt`, then the largest id.
    ///
    /// Decided. Known: Sesamy's integrations show expiry and duration type of
    /// "the primary active contract" without defining it. Assumed: the contract
    /// that gives access longest. One without `expiresAt` has no end, so it
    /// counts as the latest.
    pub(super) fn primary_active(&self) -> Option<&'a Contract> {
        self.active_subscriptions
            .iter()
            .copied()
            .max_by_key(|c| (c.expires_at.is_none(), c.expires_at, c.created_at, &c.id))
    }

    /// The subscription that ended last, then the latest `createdAt`, then
    /// the largest id.
    ///
    /// Decided. Known: nothing. Assumed: a win-back campaign wants to know how
    /// and when the last subscription ended. A subscription without any date
    /// counts as the earliest to end.
    fn last_ended(&self) -> Option<&'a Contract> {
        self.ended_subscriptions
            .iter()
            .copied()
            .max_by_key(|c| (ended_at(c), c.created_at, &c.id))
    }
}

/// Whether a contract took effect and was not undone.
///
/// Decided. Known: bills may be DRAFT, PENDING, DELETED or VOIDED; Sesamy
/// publishes no list of contract statuses. Assumed: the user never bought a
/// contract with such a status, even if `isActive` is true. It is neither a
/// subscription nor a single purchase, and gives no catalogue record.
fn took_effect(contract: &Contract) -> bool {
    use ContractStatus::{Deleted, Draft, Pending, Voided};
    !matches!(contract.status, Some(Draft | Pending | Deleted | Voided))
}

/// Decided. Known: `contractDuration` has three values, and contracts may have
/// a `recurringInterval`. Assumed: RECURRING and RENEWABLE are subscriptions. If
/// the duration is absent or unknown, a contract with an interval is one: a new
/// value at Sesamy must not remove `sesamy_active_subscriber` from every user.
pub(super) fn is_subscription(contract: &Contract) -> bool {
    match contract.duration {
        Some(ContractDuration::Recurring | ContractDuration::Renewable) => true,
        Some(ContractDuration::Perpetual) => false,
        Some(ContractDuration::Other(_)) | None => contract.recurring_interval.is_some(),
    }
}

/// Decided. Known: PERPETUAL exists, and an item's `purchaseType` is free text.
/// Assumed: PERPETUAL means bought once. Without duration and interval, an item
/// with purchase type OWN or SINGLE makes the contract a single purchase.
pub(super) fn is_single_purchase(contract: &Contract) -> bool {
    match contract.duration {
        Some(ContractDuration::Perpetual) => true,
        Some(_) => false,
        None => {
            contract.recurring_interval.is_none()
                && contract.items.iter().any(|item| {
                    matches!(
                        item.purchase_type,
                        Some(PurchaseType::Own | PurchaseType::Single)
                    )
                })
        }
    }
}

/// Decided. Known: contracts have `isActive`, and access continues while a
/// payment is overdue. Assumed: `isActive` is right when present; otherwise
/// ACTIVE and OVERDUE mean active. OVERDUE counts, because win-back campaigns
/// address users without an active subscription, and this user still has access.
pub(super) fn is_active(contract: &Contract) -> bool {
    contract.is_active.unwrap_or(matches!(
        contract.status,
        Some(ContractStatus::Active | ContractStatus::Overdue)
    ))
}

/// Whether a payment failed and Sesamy still retries it.
///
/// Decided. Known: the tag is for users "still in grace period". Assumed: the
/// status stays OVERDUE after that period, and `isActive` becomes false.
pub(super) fn is_overdue(contract: &Contract) -> bool {
    contract.status == Some(ContractStatus::Overdue) && contract.is_active != Some(false)
}

/// Decided. Known: checkouts have a payer and a gift mode; the published
/// contract model has neither. Assumed: a payer on a contract means the same as
/// on a checkout, and takes precedence: a contract that the user pays for is not
/// a gift, even if marked as one. Without a payer, the gift mark decides.
pub(super) fn gift(contract: &Contract, user_id: &UserId) -> Option<Gift> {
    match &contract.payer_id {
        Some(payer) => (payer != user_id.as_str()).then_some(Gift::PaidBySomeoneElse),
        None => contract.is_marked_gift.then_some(Gift::Marked),
    }
}

/// Why a contract counts as a gift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gift {
    PaidBySomeoneElse,
    Marked,
}

/// `expiresAt`, else `willCancelAt`, else `updatedAt`.
///
/// Decided. Known: contracts have no field for their end. Assumed: paid access
/// lasts until `expiresAt`; without it, the contract ended as scheduled; without
/// either, its last change was its end.
pub(super) fn ended_at(contract: &Contract) -> Option<Timestamp> {
    contract
        .expires_at
        .or(contract.will_cancel_at)
        .or(contract.updated_at)
}

/// `cancelRequestedAt`, else `willCancelAt`, else `updatedAt` of a cancelled
/// contract.
///
/// Decided. Known: the first two fields; no field holds the time of the
/// cancellation itself. Assumed: the day the user asked for it matters most, then
/// the day it takes effect. A cancelled contract no longer changes.
fn canceled_at(contract: &Contract) -> Option<Timestamp> {
    let is_canceled = contract.status == Some(ContractStatus::Canceled);
    contract
        .cancel_requested_at
        .or(contract.will_cancel_at)
        .or(contract.updated_at.filter(|_| is_canceled))
}

pub(super) fn summary(contract: &Contract) -> PrimarySubscription {
    PrimarySubscription {
        status: contract
            .status
            .as_ref()
            .map(|status| status.as_str().to_owned()),
        expires_at: contract.expires_at.map(dates::utc),
        canceled_at: canceled_at(contract).map(dates::utc),
        created_at: contract.created_at.map(dates::utc),
    }
}
