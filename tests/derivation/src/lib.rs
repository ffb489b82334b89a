//! What the derivation's tests and its benchmark share.

use serde_json::Value;
use shared::sesamy::model::{Bill, Contract, Dropped, Entitlement, Profile, UserState};

/// A reader's state from the bodies in which Sesamy would send it, and what of
/// them could not be used. `None` where the profile is none.
pub fn read_state(
    profile: &Value,
    contracts: &[Value],
    entitlements: &[Value],
    bills: &[Value],
) -> (Option<UserState>, Dropped) {
    let mut dropped = Dropped::default();
    let profile = Profile::read(profile, &mut dropped);
    let contracts = read_all(contracts, Contract::read, &mut dropped);
    let entitlements = read_all(entitlements, Entitlement::read, &mut dropped);
    let bills = read_all(bills, Bill::read, &mut dropped);
    let state = profile.map(|profile| UserState {
        profile,
        contracts,
        entitlements,
        bills,
    });
    (state, dropped)
}

fn read_all<T>(
    items: &[Value],
    read: fn(&Value, &mut Dropped) -> Option<T>,
    dropped: &mut Dropped,
) -> Vec<T> {
    items
        .iter()
        .filter_map(|item| read(item, dropped))
        .collect()
}
