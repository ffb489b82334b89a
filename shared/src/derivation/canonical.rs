//! Removes duplicates and sorts, because pages may overlap and come in any order.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::sesamy::model::{Contract, Entitlement};

/// Every contract once, the oldest first.
///
/// Decided. Known: lists are paged by offset. A contract may appear twice when
/// a new one pushes it to the next page, and in two versions when it changes
/// between the calls. Assumed: the version updated last is right. Sesamy does
/// not document the order of its lists; ours is by `createdAt` (unknown last),
/// then by id.
pub(super) fn contracts(all: &[Contract]) -> Vec<&Contract> {
    let mut newest = BTreeMap::new();
    for contract in all {
        let known = newest.entry(&contract.id).or_insert(contract);
        // The ids are equal, so this compares `updatedAt`, then the other fields.
        if contract.partial_cmp(known) == Some(Ordering::Greater) {
            *known = contract;
        }
    }
    let mut contracts: Vec<_> = newest.into_values().collect();
    // The sort is stable and its input is in the order of ids.
    contracts.sort_by_key(|contract| (contract.created_at.is_none(), contract.created_at));
    contracts
}

/// Every entitlement once, the oldest first, like [`contracts`]. Entitlements
/// without an id cannot be compared, so all of them are kept.
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
