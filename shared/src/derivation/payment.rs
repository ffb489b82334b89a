//! The user's newest payments.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::dates;
use super::desired_contact::Payment;
use crate::identity::ContractId;
use crate::sesamy::model::{Bill, BillStatus};

/// Decided. Known: a bill has no payment date. Assumed: the payment is its last
/// change, so the date is `updatedAt`, else `createdAt`.
pub(super) fn newest_paid<'a>(bills: impl IntoIterator<Item = &'a Bill>) -> Option<Payment> {
    bills
        .into_iter()
        .filter(|bill| bill.status == Some(BillStatus::Paid))
        // The bill itself breaks ties, so that the order of bills does not matter.
        .max_by_key(|bill| (paid_at(bill), *bill))
        .map(|bill| Payment {
            amount: bill.price.clone(),
            currency: bill.currency.clone(),
            date: paid_at(bill).map(dates::utc),
            receipt_url: bill.receipt_url.clone(),
        })
}

pub(super) fn newest_paid_by_contract(bills: &[Bill]) -> BTreeMap<ContractId, Payment> {
    let mut by_contract: BTreeMap<&ContractId, Vec<&Bill>> = BTreeMap::new();
    for bill in bills {
        if let Some(contract) = &bill.contract_id {
            by_contract.entry(contract).or_default().push(bill);
        }
    }
    let payments = by_contract.into_iter();
    payments
        .filter_map(|(contract, bills)| Some((contract.clone(), newest_paid(bills)?)))
        .collect()
}

fn paid_at(bill: &Bill) -> Option<Timestamp> {
    bill.updated_at.or(bill.created_at)
}
