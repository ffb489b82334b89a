//! The user's newest payments.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::dates;
use super::subscriber::Payment;
use crate::identity::ContractId;
use crate::sesamy::model::{Bill, BillStatus};

/// The newest PAID bill.
///
/// Decided. Known: a bill has no date of payment. Assumed: it changed last
/// when it was paid, so `updatedAt` is that date, else `createdAt`.
pub(super) fn newest_paid<'a>(bills: impl IntoIterator<Item = &'a Bill>) -> Option<Payment> {
    bills
        .into_iter()
        .filter(|bill| bill.status == Some(BillStatus::Paid))
        // The bill itself as the last criterion makes the choice independent of order.
        .max_by_key(|bill| (paid_at(bill), *bill))
        .map(|bill| Payment {
            amount: bill.price.clone(),
            currency: bill.currency.clone(),
            date: paid_at(bill).map(dates::utc),
            receipt_url: bill.receipt_url.clone(),
        })
}

/// The newest PAID bill of each contract that has one.
pub(super) fn newest_paid_by_contract(bills: &[Bill]) -> BTreeMap<ContractId, Payment> {
    let mut by_contract: BTreeMap<&ContractId, Vec<&Bill>> = BTreeMap::new();
    for bill in bills {
        if let Some(contract) = &bill.contract_id {
            by_contract.entry(contract).or_default().push(bill);
        }
    }
    let newest =
        |(contract, bills): (&ContractId, _)| Some((contract.clone(), newest_paid::<'_>(bills)?));
    by_contract.into_iter().filter_map(newest).collect()
}

fn paid_at(bill: &Bill) -> Option<Timestamp> {
    bill.updated_at.or(bill.created_at)
}
