//! The products a reader has now, for fields that list them.

use std::collections::BTreeSet;

use super::contracts::Contracts;
use super::entitlements::Entitlements;
use super::slug::slug;
use super::subscriber::ActiveProducts;

/// Items of active subscriptions, then accessible entitlements except
/// articles, each product once.
///
/// Decided. Known: "active products" have SKU, titles and option titles, and
/// are deduplicated by the slug of the title. Assumed: what is subscribed to
/// comes before what is merely accessible; the first of the same product
/// stands for all; no list says the same thing twice. An entitlement names its
/// purchase option by id only, which is no title, so it gives none.
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
        if seen.insert(product.identity()) {
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
    /// What two records of the same product have in common: the slug of the
    /// title; where there is none, the SKU; else the title as it stands.
    fn identity(&self) -> Identity<'a> {
        match self.title.map(slug).filter(|slug| !slug.is_empty()) {
            Some(slug) => Identity::Slug(slug),
            None => Identity::Text(self.sku.or(self.title)),
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identity<'a> {
    Slug(String),
    Text(Option<&'a str>),
}

/// A list that holds each text once, in the order of first appearance.
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
