//! Which tags a reader should have, and why.

use super::contracts::{self, Contracts, Gift};
use super::entitlements::{self, Entitlements};
use super::slug::slug;
use super::subscriber::{Reason, Tags};
use super::tag::Tag;
use crate::identity::UserId;
use crate::sesamy::model::{Contract, Entitlement, Profile};

/// The wanted tags, each with everything that gave it.
pub(super) fn wanted(
    user_id: &UserId,
    profile: &Profile,
    contracts: &Contracts<'_>,
    entitlements: &Entitlements<'_>,
) -> Tags {
    let mut wanted = Wanted::default();
    subscription_tags(&mut wanted, user_id, contracts);
    purchase_tag(&mut wanted, contracts, entitlements);
    external_access_tag(&mut wanted, entitlements);
    product_tags(&mut wanted, entitlements);
    profile_tags(&mut wanted, profile);
    wanted.finish()
}

/// `sesamy_active_subscriber`: at least one active subscription.
///
/// `sesamy_overdue_contract`: at least one contract, of whatever kind, that is
/// overdue and in its grace period. A user may have both: access continues
/// while a payment is overdue.
///
/// `sesamy_has_gifted_subscription`: at least one active subscription that
/// somebody else pays for.
fn subscription_tags(wanted: &mut Wanted, user_id: &UserId, contracts: &Contracts<'_>) {
    for contract in &contracts.active_subscriptions {
        wanted.give(
            Tag::named("sesamy_active_subscriber"),
            "has an active subscription",
            contract_source(contract),
        );
    }
    for contract in contracts.all.iter().filter(|c| contracts::is_overdue(c)) {
        wanted.give(
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
        wanted.give(
            Tag::named("sesamy_has_gifted_subscription"),
            rule,
            contract_source(contract),
        );
    }
}

/// `sesamy_made_single_purchase`: at least one single purchase ever, or an
/// article bought through Sesamy. Permanent: [`super::reconcile()`] never
/// removes it once a CRM has it.
fn purchase_tag(wanted: &mut Wanted, contracts: &Contracts<'_>, entitlements: &Entitlements<'_>) {
    let purchases = contracts
        .all
        .iter()
        .filter(|contract| contracts::is_single_purchase(contract));
    for contract in purchases {
        wanted.give(
            Tag::permanent(),
            "made a single purchase",
            contract_source(contract),
        );
    }
    for article in entitlements.bought_articles() {
        wanted.give(
            Tag::permanent(),
            "bought an article",
            entitlement_source(article),
        );
    }
}

/// `sesamy_has_external_access`: at least one accessible entitlement, of
/// whatever kind, whose origin is EXTERNAL.
fn external_access_tag(wanted: &mut Wanted, entitlements: &Entitlements<'_>) {
    let external = entitlements
        .accessible
        .iter()
        .filter(|entitlement| entitlements::is_external(entitlement));
    for entitlement in external {
        wanted.give(
            Tag::named("sesamy_has_external_access"),
            "has access from outside Sesamy's payments",
            entitlement_source(entitlement),
        );
    }
}

/// Per accessible product: `sesamy_active_entitlement_{title}`,
/// `sesamy_active_sku_{sku}` and, where a purchase option is named,
/// `sesamy_active_sku_po_{sku}-{purchase option}`, which needs both parts.
fn product_tags(wanted: &mut Wanted, entitlements: &Entitlements<'_>) {
    for entitlement in entitlements.products() {
        let source = || entitlement_source(entitlement);
        if let Some(tag) = Tag::slugged("sesamy_active_entitlement_", entitlement.title.as_ref()) {
            wanted.give(tag, "has access to a product of this title", source());
        }
        if let Some(tag) = Tag::slugged("sesamy_active_sku_", entitlement.sku.as_ref()) {
            wanted.give(tag, "has access to a product of this SKU", source());
        }
        let sku_option = [&entitlement.sku, &entitlement.purchase_option]
            .map(|part| part.as_deref().map(slug).filter(|slug| !slug.is_empty()));
        if let [Some(sku), Some(option)] = sku_option {
            let tag = Tag::cut(format!("sesamy_active_sku_po_{sku}-{option}"));
            wanted.give(
                tag,
                "has access to a product of this SKU by this purchase option",
                source(),
            );
        }
    }
}

/// `sesamy_tag_{tag}` for each of the publisher's own tags on the profile.
fn profile_tags(wanted: &mut Wanted, profile: &Profile) {
    for name in &profile.tags {
        if let Some(tag) = Tag::slugged("sesamy_tag_", Some(name)) {
            wanted.give(tag, "the profile at Sesamy has this tag", None);
        }
    }
}

fn contract_source(contract: &Contract) -> Option<String> {
    Some(contract.id.as_str().to_owned())
}

fn entitlement_source(entitlement: &Entitlement) -> Option<String> {
    entitlement.id.clone()
}

/// Collects tags and what gave them.
#[derive(Default)]
struct Wanted(Tags);

impl Wanted {
    fn give(&mut self, tag: Tag, rule: &'static str, source: Option<String>) {
        self.0.entry(tag).or_default().push(Reason { rule, source });
    }

    /// The tags with their reasons in one order, each once.
    fn finish(mut self) -> Tags {
        for reasons in self.0.values_mut() {
            reasons.sort_unstable();
            reasons.dedup();
        }
        self.0
    }
}
