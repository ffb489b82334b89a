//! Which tags a user should have, and why.

use super::contracts::{self, Contracts, Gift};
use super::desired_contact::{TagReason, Tags};
use super::entitlements::{self, Entitlements};
use super::slug::slug;
use super::tag::Tag;
use crate::identity::UserId;
use crate::sesamy::model::{Contract, Entitlement, Profile};

pub(super) fn desired(
    user_id: &UserId,
    profile: &Profile,
    contracts: &Contracts<'_>,
    entitlements: &Entitlements<'_>,
) -> Tags {
    let mut tags = TagCollector::default();
    subscription_tags(&mut tags, user_id, contracts);
    purchase_tag(&mut tags, contracts, entitlements);
    external_access_tag(&mut tags, entitlements);
    product_tags(&mut tags, entitlements);
    profile_tags(&mut tags, profile);
    tags.finish()
}

/// `sesamy_active_subscriber`: at least one active subscription.
///
/// `sesamy_overdue_contract`: at least one contract of any kind that is overdue
/// and in its grace period. A user may have both tags, because access continues
/// while a payment is overdue.
///
/// `sesamy_has_gifted_subscription`: at least one active subscription is a gift.
fn subscription_tags(tags: &mut TagCollector, user_id: &UserId, contracts: &Contracts<'_>) {
    for contract in &contracts.active_subscriptions {
        tags.add(
            Tag::named("sesamy_active_subscriber"),
            "has an active subscription",
            contract_source(contract),
        );
    }
    for contract in contracts.all.iter().filter(|c| contracts::is_overdue(c)) {
        tags.add(
            Tag::named("sesamy_overdue_contract"),
            "has an overdue contract in its grace period",
            contract_source(contract),
        );
    }
    for contract in &contracts.active_subscriptions {
        let rule = match contracts::gift(contract, user_id) {
            Some(Gift::PaidBySomeoneElse) => "somebody else pays for an active subscription",
            Some(Gift::Marked) => "an active subscription is marked as a gift",
            None => continue,
        };
        tags.add(
            Tag::named("sesamy_has_gifted_subscription"),
            rule,
            contract_source(contract),
        );
    }
}

/// `sesamy_made_single_purchase`: at least one single purchase ever, or an
/// article bought through Sesamy. [`super::diff_tags()`] never removes it.
fn purchase_tag(
    tags: &mut TagCollector,
    contracts: &Contracts<'_>,
    entitlements: &Entitlements<'_>,
) {
    let purchases = contracts
        .all
        .iter()
        .filter(|contract| contracts::is_single_purchase(contract));
    for contract in purchases {
        tags.add(
            Tag::permanent(),
            "made a single purchase",
            contract_source(contract),
        );
    }
    for article in entitlements.bought_articles() {
        tags.add(
            Tag::permanent(),
            "bought an article",
            entitlement_source(article),
        );
    }
}

/// `sesamy_has_external_access`: at least one accessible entitlement of any kind
/// with origin EXTERNAL.
fn external_access_tag(tags: &mut TagCollector, entitlements: &Entitlements<'_>) {
    let external = entitlements
        .accessible
        .iter()
        .filter(|entitlement| entitlements::is_external(entitlement));
    for entitlement in external {
        tags.add(
            Tag::named("sesamy_has_external_access"),
            "has access from outside Sesamy's payments",
            entitlement_source(entitlement),
        );
    }
}

/// Per accessible product: `sesamy_active_entitlement_{title}`,
/// `sesamy_active_sku_{sku}` and, if it has both a SKU and a purchase option,
/// `sesamy_active_sku_po_{sku}-{purchase option}`.
fn product_tags(tags: &mut TagCollector, entitlements: &Entitlements<'_>) {
    for entitlement in entitlements.products() {
        let source = || entitlement_source(entitlement);
        if let Some(tag) = Tag::slugged("sesamy_active_entitlement_", entitlement.title.as_ref()) {
            tags.add(tag, "has access to a product of this title", source());
        }
        if let Some(tag) = Tag::slugged("sesamy_active_sku_", entitlement.sku.as_ref()) {
            tags.add(tag, "has access to a product of this SKU", source());
        }
        let sku_option = [&entitlement.sku, &entitlement.purchase_option]
            .map(|part| part.as_deref().map(slug).filter(|slug| !slug.is_empty()));
        if let [Some(sku), Some(option)] = sku_option {
            let tag = Tag::truncated(format!("sesamy_active_sku_po_{sku}-{option}"));
            tags.add(
                tag,
                "has access to a product of this SKU by this purchase option",
                source(),
            );
        }
    }
}

/// `sesamy_tag_{tag}` for each of the publisher's own tags on the profile.
fn profile_tags(tags: &mut TagCollector, profile: &Profile) {
    for name in &profile.tags {
        if let Some(tag) = Tag::slugged("sesamy_tag_", Some(name)) {
            tags.add(tag, "the profile at Sesamy has this tag", None);
        }
    }
}

fn contract_source(contract: &Contract) -> Option<String> {
    Some(contract.id.as_str().to_owned())
}

fn entitlement_source(entitlement: &Entitlement) -> Option<String> {
    entitlement.id.clone()
}

#[derive(Default)]
struct TagCollector(Tags);

impl TagCollector {
    fn add(&mut self, tag: Tag, rule: &'static str, source: Option<String>) {
        self.0
            .entry(tag)
            .or_default()
            .push(TagReason { rule, source });
    }

    /// Sorts and deduplicates the reasons, so that the order of inputs does not matter.
    fn finish(mut self) -> Tags {
        for reasons in self.0.values_mut() {
            reasons.sort_unstable();
            reasons.dedup();
        }
        self.0
    }
}
