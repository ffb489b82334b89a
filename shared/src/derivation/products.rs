//! The products a user has now, for fields that list them.

use std::collections::BTreeSet;

use super::contracts::Contracts;
use super::desired_contact::ActiveProducts;
use super::entitlements::Entitlements;
use super::slug::slug;

/// Items of active subscriptions, then accessible entitlements except
/// articles, each product once.
///
/// Decided. Known: "active products" have SKUs, titles and option titles, and
/// are deduplicated by the slug of the title. Assumed: subscribed products come
/// before other accessible ones, the first record of a product is used, and no
/// list repeats a value. An entitlement has only the id of its purchase option,
/// so it gives no option title.
pub(super) fn active(contracts: &Contracts<'_>, entitlements: &Entitlements<'_>) -> ActiveProducts {
    let items = contracts.active_subscriptions.iter().flat_map(|contract| {
        contract.items.iter().map(|item| Product {
            sku: item.sku.as_deref(),
            title: item.name.as_deref(),
            option_title: item.purchase_option_name.as_deref(),
        })
    });
    let entitled = entitlements.products().map(|entitlement| Product {
        sku: entitlement.sku.as_deref(),
        title: entitlement.title.as_deref(),
        option_title: None,
    });
    let mut seen = BTreeSet::new();
    let (mut skus, mut titles, mut option_titles) =
        (Unique::default(), Unique::default(), Unique::default());
    for product in items.chain(entitled) {
        if seen.insert(product.key()) {
            skus.push(product.sku);
            titles.push(product.title);
            option_titles.push(product.option_title);
        }
    }
    ActiveProducts {
        skus: skus.list,
        titles: titles.list,
        option_titles: option_titles.list,
    }
}

struct Product<'a> {
    sku: Option<&'a str>,
    title: Option<&'a str>,
    option_title: Option<&'a str>,
}

impl<'a> Product<'a> {
    /// The slug of the title, else the SKU, else the title as it is.
    fn key(&self) -> ProductKey<'a> {
        match self.title.map(slug).filter(|slug| !slug.is_empty()) {
            Some(slug) => ProductKey::Slug(slug),
            None => ProductKey::Text(self.sku.or(self.title)),
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum ProductKey<'a> {
    Slug(String),
    Text(Option<&'a str>),
}

/// A list without duplicates, in the order of first appearance.
#[derive(Default)]
struct Unique<'a> {
    list: Vec<String>,
    seen: BTreeSet<&'a str>,
}

impl<'a> Unique<'a> {
    fn push(&mut self, text: Option<&'a str>) {
        if let Some(text) = text.filter(|text| self.seen.insert(text)) {
            self.list.push(text.to_owned());
        }
    }
}
