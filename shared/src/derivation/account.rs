//! Counts and dates over all contracts, entitlements and bills.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::contracts::{self, Contracts};
use super::dates;
use super::entitlements::Entitlements;
use super::subscriber::{Account, Payment};
use crate::identity::ContractId;
use crate::sesamy::model::{Contract, ContractDuration, ContractStatus};

/// All counts and dates at the time `now`.
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

/// How many articles the user bought.
///
/// Decided. Known: "number of articles the user has purchased". Assumed: bought
/// `article` entitlements and the items of single purchases together, each SKU
/// once, since buying an article may give both. So the count never falls when
/// one more is bought.
fn articles_purchased(contracts: &Contracts<'_>, entitlements: &Entitlements<'_>) -> u64 {
    let articles = entitlements.bought_articles().map(|article| {
        let name = article.id.as_deref().or(article.title.as_deref());
        let sku = article.sku.as_deref().map(Purchase::Sku);
        sku.unwrap_or(Purchase::Entitlement(name))
    });
    let single_purchases = contracts.all.iter().copied();
    let items = single_purchases
        .filter(|contract| contracts::is_single_purchase(contract))
        .flat_map(|contract| {
            let bare = Purchase::Contract(&contract.id);
            let of_items = contract.items.iter().map(move |item| {
                let sku = item.sku.as_deref().map(Purchase::Sku);
                sku.unwrap_or(bare)
            });
            of_items.chain(contract.items.is_empty().then_some(bare))
        });
    articles.chain(items).collect::<BTreeSet<_>>().len() as u64
}

/// What tells one purchase from another: the SKU, else the id of what gave it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Purchase<'a> {
    Sku(&'a str),
    /// By id, else by title.
    Entitlement(Option<&'a str>),
    Contract(&'a ContractId),
}

/// When the user's access by subscription expires.
///
/// Decided. Known: "when the primary active renewable contract expires".
/// Assumed: of several RENEWABLE ones the last counts; where none tells, the
/// last of the other active subscriptions that do.
fn expires_at(active: &[&Contract]) -> Option<Timestamp> {
    let renewable = active
        .iter()
        .filter(|contract| contract.duration == Some(ContractDuration::Renewable));
    let latest = renewable.filter_map(|contract| contract.expires_at).max();
    latest.or_else(|| {
        active
            .iter()
            .filter_map(|contract| contract.expires_at)
            .max()
    })
}

/// How many subscriptions ended with a status.
///
/// Decided. Known: canceled and expired ones are counted, "ended" is both.
/// Assumed: a subscription that is cancelled but still gives access has not
/// ended and is not counted; one that ended with another status is in neither
/// count, nor in their sum.
fn count_ended(contracts: &Contracts<'_>, status: &ContractStatus) -> u64 {
    let ended = contracts.ended_subscriptions.iter();
    ended
        .filter(|contract| contract.status.as_ref() == Some(status))
        .count() as u64
}

/// Issues left over all active subscriptions.
///
/// Decided. Known: "issues remaining on active subscriptions". Assumed: their
/// sum; nothing where no subscription counts issues, since 0 would mean that
/// none is left.
fn issues_remaining(active: &[&Contract]) -> Option<f64> {
    active
        .iter()
        .filter_map(|contract| contract.issues_remaining)
        .reduce(|sum, issues| sum + issues)
}

/// When the reader is billed next: the earliest future `nextBillAt` of an
/// active subscription that will not be cancelled before it.
///
/// Decided. Known: `nextBillAt` and `willCancelAt`. Assumed: a subscription
/// that is cancelled at the very moment of the next bill is not billed then.
fn next_payment(active: &[&Contract], now: Timestamp) -> Option<Timestamp> {
    active
        .iter()
        .filter_map(|contract| {
            let next = contract.next_bill_at.filter(|next| *next > now)?;
            let lasts = contract.will_cancel_at.is_none_or(|cancel| cancel > next);
            lasts.then_some(next)
        })
        .min()
}

/// When the reader's first subscription will be cancelled: the earliest
/// `willCancelAt` of an active subscription.
///
/// Decided. Known: "scheduled cancellation date, if any". Assumed: of several
/// the earliest, also when past, since a subscription that is still active
/// after it will be cancelled at any moment.
fn will_cancel(active: &[&Contract]) -> Option<Timestamp> {
    active
        .iter()
        .filter_map(|contract| contract.will_cancel_at)
        .min()
}
