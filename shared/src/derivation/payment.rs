//! The reader's newest payment.

use jiff::Timestamp;

use super::dates;
use super::subscriber::Payment;
use crate::sesamy::model::{Bill, BillStatus};

/// The newest PAID bill.
///
/// Decided. Known: a bill has no date of payment. Assumed: it changed last
/// when it was paid, so `updatedAt` is that date, else `createdAt`.
pub(super) fn newest_paid(bills: &[Bill]) -> Option<Payment> {
    bills
        .iter()
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

fn paid_at(bill: &Bill) -> Option<Timestamp> {
    bill.updated_at.or(bill.created_at)
}
