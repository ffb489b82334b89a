//! Shared by the derivation's tests and its benchmark.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use shared::sesamy::model::{Bill, Contract, Dropped, Entitlement, Profile, UserState};

/// Sesamy's answers for one user.
#[derive(Debug, Clone, Deserialize)]
pub struct Answers<T> {
    pub profile: T,
    pub contracts: Vec<T>,
    pub entitlements: Vec<T>,
    pub bills: Vec<T>,
}

impl Answers<Value> {
    pub fn read(&self) -> (Option<UserState>, Dropped) {
        let list = |list: &[Value]| list.iter().map(raw).collect();
        let answers = Answers {
            profile: raw(&self.profile),
            contracts: list(&self.contracts),
            entitlements: list(&self.entitlements),
            bills: list(&self.bills),
        };
        answers.read()
    }
}

impl Answers<Box<RawValue>> {
    /// `None` if the profile is not an object.
    pub fn read(&self) -> (Option<UserState>, Dropped) {
        let mut dropped = Dropped::default();
        let profile = Profile::read(&self.profile, &mut dropped);
        let contracts = read_all(&self.contracts, Contract::read, &mut dropped);
        let entitlements = read_all(&self.entitlements, Entitlement::read, &mut dropped);
        let bills = read_all(&self.bills, Bill::read, &mut dropped);
        let state = profile.map(|profile| UserState {
            profile,
            contracts,
            entitlements,
            bills,
        });
        (state, dropped)
    }
}

pub fn raw(json: &Value) -> Box<RawValue> {
    RawValue::from_string(json.to_string()).unwrap_or_default()
}

fn read_all<T>(
    items: &[Box<RawValue>],
    read: fn(&RawValue, &mut Dropped) -> Option<T>,
    dropped: &mut Dropped,
) -> Vec<T> {
    let read = items.iter().filter_map(|item| read(item, dropped));
    read.collect()
}
