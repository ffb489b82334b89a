//! What a contract is, when it is active, and which one stands for the reader.

use jiff::Timestamp;

use super::canonical;
use super::dates;
use super::subscriber::PrimarySubscription;
use crate::identity::UserId;
use crate::sesamy::model::{Contract, ContractDuration, ContractStatus, PurchaseType};

/// A user's contracts that came about, each once, the oldest first.
pub(super) struct Contracts<'a> {
    /// All of them, single purchases included.
    pub(super) all: Vec<&'a Contract>,
    /// Subscriptions that are active.
    pub(super) active_subscriptions: Vec<&'a Contract>,
    /// Subscriptions that have ended.
    pub(super) ended_subscriptions: Vec<&'a Contract>,
}

impl<'a> Contracts<'a> {
    pub(super) fn new(all: &'a [Contract]) -> Self {
        let mut all = canonical::contracts(all);
        all.retain(|contract| came_about(contract));
        // *Ended* is nothing else than not active (decided with `is_active`).
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

    /// The primary contract: the subscription that stands for the reader where
    /// a CRM has room for one.
    pub(super) fn primary(&self) -> Option<&'a Contract> {
        self.primary_active().or_else(|| self.last_ended())
    }

    /// Among active subscriptions the one with the latest `expiresAt`, then
    /// the latest `createdAt`, then the largest id.
    ///
    /// Decided. Known: expiry and duration type are told of "the primary active
    /// contract", which is said nowhere to be which. Assumed: the one that
    /// gives access longest; without `expiresAt` it has no end in sight, so
    /// that counts as the latest.
    pub(super) fn primary_active(&self) -> Option<&'a Contract> {
        self.active_subscriptions
            .iter()
            .copied()
            .max_by_key(|c| (c.expires_at.is_none(), c.expires_at, c.created_at, &c.id))
    }

    /// The subscription that ended last, then the latest `createdAt`, then
    /// the largest id.
    ///
    /// Decided. Known: nothing. Assumed: a reader whose subscriptions have all
    /// ended is best known by the last of them, so that a win-back campaign
    /// sees how and when it ended. One without any date ended first.
    fn last_ended(&self) -> Option<&'a Contract> {
        self.ended_subscriptions
            .iter()
            .copied()
            .max_by_key(|c| (ended_at(c), c.created_at, &c.id))
    }
}

/// Whether a contract came about, or was undone as if it never had.
///
/// Decided. Known: bills may be DRAFT, PENDING, DELETED or VOIDED; contracts
/// have no list of statuses. Assumed: a contract of such a status was never
/// bought, whatever `isActive` says. It is neither a subscription nor a single
/// purchase, and no record in a catalogue.
fn came_about(contract: &Contract) -> bool {
    use ContractStatus::{Deleted, Draft, Pending, Voided};
    !matches!(contract.status, Some(Draft | Pending | Deleted | Voided))
}

/// Whether a contract is a subscription.
///
/// Decided. Known: `contractDuration` is one of three, and contracts may have
/// a `recurringInterval`. Assumed: RECURRING and RENEWABLE are subscriptions;
/// where the duration is absent or not known here, an interval makes one. A new
/// word at Sesamy must not take `sesamy_active_subscriber` off everybody.
pub(super) fn is_subscription(contract: &Contract) -> bool {
    match contract.duration {
        Some(ContractDuration::Recurring | ContractDuration::Renewable) => true,
        Some(ContractDuration::Perpetual) => false,
        Some(ContractDuration::Other(_)) | None => contract.recurring_interval.is_some(),
    }
}

/// Whether a contract is a single purchase.
///
/// Decided. Known: PERPETUAL exists, and items have a free `purchaseType`.
/// Assumed: PERPETUAL is bought once; where neither duration nor interval is
/// given, an item bought to own or paid once tells.
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

/// Whether a contract is active, which for a subscription is the whole
/// difference between an active and an ended one.
///
/// Decided. Known: contracts have `isActive`; access continues while a payment
/// is overdue. Assumed: `isActive` is right where it is given, else status
/// ACTIVE or OVERDUE tells. OVERDUE counts, because win-back campaigns go to
/// readers without an active subscription, and an overdue reader still reads.
pub(super) fn is_active(contract: &Contract) -> bool {
    contract.is_active.unwrap_or(matches!(
        contract.status,
        Some(ContractStatus::Active | ContractStatus::Overdue)
    ))
}

/// Whether a payment for a contract failed and Sesamy still tries again.
///
/// Decided. Known: the tag is for those "still in grace period". Assumed: the
/// status stays OVERDUE after that period, and `isActive` false tells its end.
pub(super) fn is_overdue(contract: &Contract) -> bool {
    contract.status == Some(ContractStatus::Overdue) && contract.is_active != Some(false)
}

/// How a contract was given to the user, where somebody else pays for it.
///
/// Decided. Known: checkouts have a payer and a gift mode; contracts show
/// neither. Assumed: where a contract names a payer, it is the same as on
/// checkouts, and that alone decides: a user who pays is given nothing, whatever
/// is marked. Where it names none, a mark makes a gift.
pub(super) fn gift(contract: &Contract, user_id: &UserId) -> Option<Gift> {
    match &contract.payer_id {
        Some(payer) => (payer != user_id.as_str()).then_some(Gift::PaidBySomeoneElse),
        None => contract.is_marked_gift.then_some(Gift::Marked),
    }
}

/// What tells that a contract is a gift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gift {
    /// The payer is not the reader.
    PaidBySomeoneElse,
    /// The contract is marked as a gift.
    Marked,
}

/// When an ended contract came to its end: `expiresAt`, else `willCancelAt`,
/// else `updatedAt`.
///
/// Decided. Known: contracts have no field for it. Assumed: paid access lasts
/// until `expiresAt`; without it a scheduled end was kept; without either the
/// last change was the end.
pub(super) fn ended_at(contract: &Contract) -> Option<Timestamp> {
    contract
        .expires_at
        .or(contract.will_cancel_at)
        .or(contract.updated_at)
}

/// When a contract was cancelled: `cancelRequestedAt`, else `willCancelAt`,
/// else `updatedAt` of a contract that is cancelled.
///
/// Decided. Known: the first two fields, and that no field holds the moment of
/// cancelling itself. Assumed: the day of the wish matters most, then the day
/// it takes effect; a cancelled contract does not change any more.
fn canceled_at(contract: &Contract) -> Option<Timestamp> {
    let is_canceled = contract.status == Some(ContractStatus::Canceled);
    contract
        .cancel_requested_at
        .or(contract.will_cancel_at)
        .or(contract.updated_at.filter(|_| is_canceled))
}

/// What a CRM is told of the primary contract.
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
