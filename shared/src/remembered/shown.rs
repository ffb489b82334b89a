//! Whether a user's state shows what an event announced. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::derivation::is_accessible;
use crate::digest::digest;
use crate::message::{Event, EventType};
use crate::sesamy::model::{Contract, Entitlement, UserState};

/// What is older is not announced any more.
const MAX_IDS: usize = 50;

const SHORT_ID: usize = 12;

/// The contracts and entitlements that a state showed completely, by short digests
/// of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Shown(Vec<String>);

impl Shown {
    pub fn new(state: &UserState, now: Timestamp) -> Self {
        let accessible: Vec<&Entitlement> = state
            .entitlements
            .iter()
            .filter(|entitlement| is_accessible(entitlement, now))
            .collect();
        let contracts = state.contracts.iter();
        let contracts = contracts.filter(|contract| has_entitlement(contract, &accessible));
        let mut shown: Vec<_> = contracts
            .map(|contract| (contract.created_at, contract_id(contract.id.as_str())))
            .collect();
        shown.extend(state.entitlements.iter().filter_map(|entitlement| {
            let id = entitlement.id.as_deref()?;
            Some((entitlement.created_at, entitlement_id(id)))
        }));
        shown.sort();
        let excess = shown.len().saturating_sub(MAX_IDS);
        Self(shown.into_iter().skip(excess).map(|(_, id)| id).collect())
    }

    /// Assumed: a checkout without a contract announces one that will follow.
    pub fn shows(&self, event: &Event) -> bool {
        let contract = event.contract_id.as_ref();
        if event.event_type == EventType::CheckoutConfirm && contract.is_none() {
            return false;
        }
        let entitlement = event.entitlement_id.as_ref();
        contract.is_none_or(|id| self.0.contains(&contract_id(id.as_str())))
            && entitlement.is_none_or(|id| self.0.contains(&entitlement_id(id.as_str())))
    }
}

/// Whether a contract's entitlements have followed it. They lag behind a purchase.
fn has_entitlement(contract: &Contract, accessible: &[&Entitlement]) -> bool {
    let mut skus = contract.items.iter().filter_map(|item| item.sku.as_ref());
    let is_accessible = |sku| accessible.iter().any(|e| e.sku.as_ref() == Some(sku));
    let has_no_sku = contract.items.iter().all(|item| item.sku.is_none());
    has_no_sku || skus.any(is_accessible)
}

fn contract_id(id: &str) -> String {
    short("contract", id)
}

fn entitlement_id(id: &str) -> String {
    short("entitlement", id)
}

fn short(kind: &str, id: &str) -> String {
    let mut digest = digest(&[kind, id]);
    digest.truncate(SHORT_ID);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{CheckoutId, ContractId, EntitlementId};
    use crate::sesamy::model::Dropped;
    use serde_json::json;
    use serde_json::value::RawValue;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn contract(id: &str, sku: Option<&str>) -> Contract {
        let json = json!({ "id": id, "items": [{ "sku": sku }] }).to_string();
        let json = RawValue::from_string(json).unwrap();
        Contract::read(&json, &mut Dropped::default()).unwrap()
    }

    fn entitlement(id: &str, sku: &str, has_access: bool) -> Entitlement {
        Entitlement {
            id: Some(id.into()),
            sku: Some(sku.into()),
            has_access: Some(has_access),
            ..Entitlement::default()
        }
    }

    #[test]
    fn state_shows_an_event_once_contract_and_entitlement_are_there() {
        let state = UserState {
            contracts: vec![
                contract("complete", Some("a")),
                contract("lagging", Some("b")),
                contract("ended", Some("c")),
                contract("without-sku", None),
            ],
            entitlements: vec![entitlement("e1", "a", true), entitlement("e2", "c", false)],
            ..UserState::default()
        };
        let shown = Shown::new(&state, NOW);
        struct Case {
            event: EventType,
            contract: Option<&'static str>,
            entitlement: Option<&'static str>,
            is_shown: bool,
        }
        let case = |event, contract, entitlement, is_shown| Case {
            event,
            contract,
            entitlement,
            is_shown,
        };
        use EventType::{CheckoutConfirm, ContractPurchased, EntitlementNew, UserVendorNew};
        for case in [
            case(UserVendorNew, None, None, true),
            case(ContractPurchased, Some("complete"), None, true),
            case(ContractPurchased, Some("lagging"), None, false),
            case(ContractPurchased, Some("ended"), None, false),
            case(ContractPurchased, Some("without-sku"), None, true),
            case(ContractPurchased, Some("unknown"), None, false),
            case(EntitlementNew, None, Some("e1"), true),
            case(EntitlementNew, None, Some("e2"), true),
            case(EntitlementNew, None, Some("complete"), false),
            case(EntitlementNew, Some("complete"), Some("e3"), false),
            case(CheckoutConfirm, Some("complete"), None, true),
            case(CheckoutConfirm, None, None, false),
        ] {
            let event = Event {
                event_type: case.event,
                occurred_at: NOW,
                contract_id: case.contract.map(|id| ContractId::try_from(id).unwrap()),
                entitlement_id: case
                    .entitlement
                    .map(|id| EntitlementId::try_from(id).unwrap()),
                checkout_id: CheckoutId::try_from("checkout").ok(),
            };
            assert_eq!(shown.shows(&event), case.is_shown, "{event:?}");
        }
    }

    #[test]
    fn newest_fifty_are_kept() {
        let at = |n: i64| Some(Timestamp::from_second(n).unwrap());
        let entitlements = (0..60).map(|n| Entitlement {
            created_at: at(n),
            ..entitlement(&n.to_string(), "a", true)
        });
        let state = UserState {
            entitlements: entitlements.collect(),
            ..UserState::default()
        };
        let shown = Shown::new(&state, NOW);
        assert_eq!(shown.0.len(), MAX_IDS);
        assert!(shown.0.contains(&entitlement_id("59")));
        assert!(!shown.0.contains(&entitlement_id("9")));
    }
}
