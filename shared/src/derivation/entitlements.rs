//! What a reader has access to.

use jiff::Timestamp;

use super::canonical;
use crate::sesamy::model::{Entitlement, EntitlementType, OriginType};

/// A reader's entitlements, each once, the oldest first.
pub(super) struct Entitlements<'a> {
    /// All of them, those that ended included.
    pub(super) all: Vec<&'a Entitlement>,
    /// Those that give access now.
    pub(super) accessible: Vec<&'a Entitlement>,
}

impl<'a> Entitlements<'a> {
    pub(super) fn new(all: &'a [Entitlement], now: Timestamp) -> Self {
        let all = canonical::entitlements(all);
        let accessible = all.iter().copied().filter(|e| is_accessible(e, now));
        Self {
            accessible: accessible.collect(),
            all,
        }
    }

    /// Accessible products.
    ///
    /// Decided. Known: a tag per product. Assumed: an article is no product in
    /// this sense, because a reader who buys articles would get a tag and a
    /// list entry for each article ever read.
    pub(super) fn products(&self) -> impl Iterator<Item = &'a Entitlement> + '_ {
        self.accessible.iter().copied().filter(|e| !is_article(e))
    }

    /// Articles bought through Sesamy, whether still accessible or not.
    pub(super) fn bought_articles(&self) -> impl Iterator<Item = &'a Entitlement> + '_ {
        self.all
            .iter()
            .copied()
            .filter(|e| is_article(e) && e.origin == Some(OriginType::Payments))
    }
}

/// Whether an entitlement gives access now: `hasAccess` is not false and
/// `expiresAt` is absent or in the future.
fn is_accessible(entitlement: &Entitlement, now: Timestamp) -> bool {
    entitlement.has_access.unwrap_or(true)
        && entitlement.expires_at.is_none_or(|expires| expires > now)
}

fn is_article(entitlement: &Entitlement) -> bool {
    entitlement.kind == Some(EntitlementType::Article)
}

/// Whether access comes from outside Sesamy: a partner, a code, an import.
pub(super) fn is_external(entitlement: &Entitlement) -> bool {
    entitlement.origin == Some(OriginType::External)
}
