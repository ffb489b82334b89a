//! Counts and dates over all contracts, entitlements and bills.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::contracts::{self, Contracts};
use super::dates;
use super::desired_contact::{Account, Payment};
use super::entitlements::Entitlements;
use crate::identity::ContractId;
use crate::sesamy::model::{Contract, ContractDuration, ContractStatus};

pub(super) fn summary(
    contracts: &Contracts<'_>,
    entitlements: &Entitlements<'_>,
    last_payment: Option<&Payment>,
    now: Timestamp,
) -> Account {
    let active = &contracts.active_subscriptions;
    let primary = contracts.primary_active();
    let canceled = count_ended(contracts, &ContractStatus::Canceled);
    let expired = count_ended(contracts, &ContractStatus::Expired);
    Account {
        has_active_subscription: !active.is_empty(),
        articles_purchased: articles_purchased(contracts, entitlements),
        active_subscriptions: active.len() as u64,
        canceled_subscriptions: canceled,
        expired_subscriptions: expired,
        ended_subscriptions: canceled.saturating_add(expired),
        issues_remaining: issues_remaining(active),
        subscription_expires_at: expires_at(active).map(dates::utc),
        contract_duration: primary
            .and_then(|c| c.duration.as_ref())
            .map(|duration| duration.as_str().to_lowercase()),
        last_payment_date: last_payment.and_then(|payment| payment.date),
        next_payment_date: next_payment(active, now).map(dates::utc),
        will_cancel_at: will_cancel(active).map(dates::utc),
    }
}

/// Decided. Known: "number of articles the user has purchased". Assumed: bought
/// `article` entitlements plus the items of single purchases. Each SKU counts
/// once, because buying one article may create both. The count never falls when
/// the user buys one more.
fn articles_purchased(contracts: &Contracts<'_>, entitlements: &Entitlements<'_>) -> u64 {
    let mut purchases = BTreeSet::new();
    for article in entitlements.bought_articles() {
        purchases.insert(match &article.sku {
            Some(sku) => Purchase::Sku(sku),
            None => Purchase::Entitlement(article.id.as_deref().or(article.title.as_deref())),
        });
    }
    for contract in &contracts.all {
        if !contracts::is_single_purchase(contract) {
            continue;
        }
        if contract.items.is_empty() {
            purchases.insert(Purchase::Contract(&contract.id));
        }
        for item in &contract.items {
            purchases.insert(match &item.sku {
                Some(sku) => Purchase::Sku(sku),
                None => Purchase::Contract(&contract.id),
            });
        }
    }
    purchases.len() as u64
}

/// Identifies a purchase: by SKU, else by the id of its entitlement or contract.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Purchase<'a> {
    Sku(&'a str),
    /// The id, else the title.
    Entitlement(Option<&'a str>),
    Contract(&'a ContractId),
}

/// Decided. Known: "when the primary active renewable contract expires".
/// Assumed: the latest `expiresAt` of the active RENEWABLE contracts, else of
/// all active subscriptions.
fn expires_at(active: &[&Contract]) -> Option<Timestamp> {
    let renewable = active
        .iter()
        .filter(|contract| contract.duration == Some(ContractDuration::Renewable));
    let latest = renewable.filter_map(|c| c.expires_at).max();
    latest.or_else(|| active.iter().filter_map(|c| c.expires_at).max())
}

/// Decided. Known: canceled and expired subscriptions are counted, and "ended"
/// is their sum. Assumed: a cancelled subscription that still gives access has
/// not ended and does not count. One that ended with another status is in
/// neither count, nor in the sum.
fn count_ended(contracts: &Contracts<'_>, status: &ContractStatus) -> u64 {
    let ended = contracts.ended_subscriptions.iter();
    ended
        .filter(|contract| contract.status.as_ref() == Some(status))
        .count() as u64
}

/// Decided. Known: "issues remaining on active subscriptions". Assumed: their
/// sum. `None` if no subscription counts issues, because 0 would mean that all
/// issues are used up.
fn issues_remaining(active: &[&Contract]) -> Option<f64> {
    active
        .iter()
        .filter_map(|contract| contract.issues_remaining)
        .reduce(|sum, issues| sum + issues)
}

/// The earliest future `nextBillAt` of the active subscriptions that are not
/// cancelled before it.
///
/// Decided. Known: `nextBillAt` and `willCancelAt`. Assumed: a subscription
/// cancelled at the exact time of its next bill is not billed.
pub(super) fn next_payment(active: &[&Contract], now: Timestamp) -> Option<Timestamp> {
    active
        .iter()
        .filter_map(|contract| {
            let next = contract.next_bill_at.filter(|next| *next > now)?;
            let lasts = contract.will_cancel_at.is_none_or(|cancel| cancel > next);
            lasts.then_some(next)
        })
        .min()
}

/// Decided. Known: "scheduled cancellation date, if any". Assumed: the earliest
/// `willCancelAt` of the active subscriptions. A date in the past counts too,
/// because that subscription will be cancelled any moment.
fn will_cancel(active: &[&Contract]) -> Option<Timestamp> {
    active
        .iter()
        .filter_map(|contract| contract.will_cancel_at)
        .min()
}
