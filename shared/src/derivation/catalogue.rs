//! Products and subscriptions for CRMs that keep a product catalogue and link
//! each user's subscriptions to it.

use std::collections::BTreeSet;

use super::contracts::{self, Contracts};
use super::dates;
use super::desired_contact::{CatalogueProduct, SubscriptionRecord};
use crate::sesamy::model::{Contract, ContractItem, ContractStatus};

/// The items of every active contract, unique by external id.
///
/// Decided. Known: "active products" go to the catalogue. Assumed: the items of
/// every active contract, including single purchases and overdue contracts,
/// because the catalogue says which products exist, not who subscribes. If one
/// id has two names, the older contract's name is used.
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

/// Decided. Known: one subscription per contract, linked to one product.
/// Assumed: the first item is the main one; the others are products only. A
/// contract without items has no product to link to, so it gives no record.
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

/// Decided. Known: only ended subscriptions have an end date. Assumed: a
/// subscription has ended if it is inactive and its status is neither ACTIVE
/// nor OVERDUE, so that no record is both active and ended.
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

/// `None` without a SKU, because no subscription could link to the product.
fn product(item: &ContractItem) -> Option<CatalogueProduct> {
    let sku = item.sku.as_deref()?;
    Some(CatalogueProduct {
        external_id: external_id(sku, item),
        name: name(sku, item),
    })
}

/// `SKU|listPriceId`.
///
/// Decided. Known: this form, but no public model has a `listPriceId`. Assumed:
/// `purchaseOptionId` replaces it, because it identifies the price the item was
/// bought at. Without either, the id is the SKU.
fn external_id(sku: &str, item: &ContractItem) -> String {
    let list_price = item.list_price_id.as_ref();
    match list_price.or(item.purchase_option_id.as_ref()) {
        Some(id) => format!("{sku}|{id}"),
        None => sku.to_owned(),
    }
}

/// `Title - OptionTitle`.
///
/// Decided. Known: this form. Assumed: the option's title is the item's
/// `purchaseOptionName`, and it may be missing. An item without a name is named
/// by its SKU.
fn name(sku: &str, item: &ContractItem) -> String {
    let title = item.name.as_deref().unwrap_or(sku);
    match &item.purchase_option_name {
        Some(option) => format!("{title} - {option}"),
        None => title.to_owned(),
    }
}
