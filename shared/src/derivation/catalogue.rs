//! Products and contracts as records of their own, for CRMs that keep a
//! catalogue and link each reader's subscriptions to it.

use std::collections::BTreeSet;

use super::contracts::{self, Contracts};
use super::dates;
use super::subscriber::{CatalogueProduct, SubscriptionRecord};
use crate::sesamy::model::{Contract, ContractStatus, Item};

/// The items of every active contract, unique by external id.
///
/// Decided. Known: "active products" go to the catalogue. Assumed: those of
/// every contract that is active, single purchases and overdue ones included
/// (those that never came about are no contracts to begin with), since the catalogue says what exists, not who subscribes. Of two names
/// under one id the one of the older contract stands.
pub(super) fn products(contracts: &Contracts<'_>) -> Vec<CatalogueProduct> {
    let mut seen = BTreeSet::new();
    contracts
        .all
        .iter()
        .filter(|contract| contracts::is_active(contract))
        .flat_map(|contract| contract.items.iter().filter_map(product))
        .filter(|product| seen.insert(product.external_id.clone()))
        .collect()
}

/// One record per contract, for its first item.
///
/// Decided. Known: one subscription per contract, linked to one product.
/// Assumed: the first item is the main one, further ones are products only. A
/// contract without items has no product to link to, hence no record.
pub(super) fn subscriptions(contracts: &Contracts<'_>) -> Vec<SubscriptionRecord> {
    contracts
        .all
        .iter()
        .filter_map(|contract| {
            let product = contract.items.iter().find_map(product)?;
            Some(SubscriptionRecord {
                contract_id: contract.id.clone(),
                product_external_id: product.external_id,
                name: product.name,
                start_date: contract.created_at.map(dates::utc),
                end_date: end(contract).map(dates::utc),
                active: contract.status == Some(ContractStatus::Active),
            })
        })
        .collect()
}

/// When a contract ended, where it did.
///
/// Decided. Known: an end date is for ended subscriptions only. Assumed: those
/// that are inactive and whose status is neither ACTIVE nor OVERDUE, so that
/// no record is called active and ended at once.
fn end(contract: &Contract) -> Option<jiff::Timestamp> {
    let runs_by_status = matches!(
        contract.status,
        Some(ContractStatus::Active | ContractStatus::Overdue)
    );
    if contracts::is_active(contract) || runs_by_status {
        None
    } else {
        contracts::ended_at(contract)
    }
}

/// An item as a product. `None` without a SKU, since nothing could link to it.
fn product(item: &Item) -> Option<CatalogueProduct> {
    let sku = item.sku.as_deref()?;
    Some(CatalogueProduct {
        external_id: external_id(sku, item),
        name: name(sku, item),
    })
}

/// `SKU|listPriceId`.
///
/// Decided. Known: this form; but no public model has a `listPriceId`.
/// Assumed: `purchaseOptionId` stands in for it, being the price an item was
/// bought at; where both are absent the id is the bare SKU.
fn external_id(sku: &str, item: &Item) -> String {
    let list_price = item.list_price_id.as_ref();
    match list_price.or(item.purchase_option_id.as_ref()) {
        Some(id) => format!("{sku}|{id}"),
        None => sku.to_owned(),
    }
}

/// `Title - OptionTitle`.
///
/// Decided. Known: this form. Assumed: the option's title is the item's
/// `purchaseOptionName`; without it the title stands alone; an item without a
/// name is named by its SKU.
fn name(sku: &str, item: &Item) -> String {
    let title = item.name.as_deref().unwrap_or(sku);
    match &item.purchase_option_name {
        Some(option) => format!("{title} - {option}"),
        None => title.to_owned(),
    }
}
