//! One order and no repetitions, whatever Sesamy's pages brought.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::sesamy::model::{Contract, Entitlement};

/// Every contract once, the oldest first.
///
/// Decided. Known: lists are read page by page with an offset, so a contract
/// may come twice when a new one pushed it to the next page, and in two
/// versions when it changed in between. Assumed: the version updated last is
/// the true one. The order of Sesamy's lists is not documented, so ours is by
/// `createdAt` (unknown last), then by id.
pub(super) fn contracts(all: &[Contract]) -> Vec<&Contract> {
    let mut newest = BTreeMap::new();
    for contract in all {
        let known = newest.entry(&contract.id).or_insert(contract);
        // Same id, so this compares `updatedAt` and then everything else.
        if contract.partial_cmp(known) == Some(Ordering::Greater) {
            *known = contract;
        }
    }
    let mut contracts: Vec<_> = newest.into_values().collect();
    // The sort is stable and what it sorts is in the order of ids.
    contracts.sort_by_key(|contract| (contract.created_at.is_none(), contract.created_at));
    contracts
}

/// Every entitlement once, the oldest first: as with contracts. Those without
/// an id cannot be told from each other and are all kept.
pub(super) fn entitlements(all: &[Entitlement]) -> Vec<&Entitlement> {
    let mut newest = BTreeMap::new();
    let mut entitlements = Vec::new();
    for entitlement in all {
        if let Some(id) = &entitlement.id {
            let known = newest.entry(id).or_insert(entitlement);
            *known = entitlement.max(*known);
        } else {
            entitlements.push(entitlement);
        }
    }
    entitlements.extend(newest.into_values());
    entitlements.sort_by(|a, b| {
        let age =
            |entitlement: &Entitlement| (entitlement.created_at.is_none(), entitlement.created_at);
        age(a).cmp(&age(b)).then_with(|| a.cmp(b))
    });
    entitlements
}
