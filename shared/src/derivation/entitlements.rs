//! What a user has access to.

use jiff::Timestamp;

use super::canonical;
use crate::sesamy::model::{Entitlement, EntitlementType, OriginType};

/// A user's entitlements, each once, the oldest first.
pub(super) struct Entitlements<'a> {
    /// Includes ended entitlements.
    pub(super) all: Vec<&'a Entitlement>,
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

    /// Decided. Known: one tag per accessible product. Assumed: articles are not
    /// products here; otherwise a user would get a tag and a list entry for every
    /// article ever bought.
    pub(super) fn products(&self) -> impl Iterator<Item = &'a Entitlement> + '_ {
        self.accessible.iter().copied().filter(|e| !is_article(e))
    }

    /// Articles bought through Sesamy, accessible or not.
    pub(super) fn bought_articles(&self) -> impl Iterator<Item = &'a Entitlement> + '_ {
        self.all
            .iter()
            .copied()
            .filter(|e| is_article(e) && e.origin == Some(OriginType::Payments))
    }
}

pub(crate) fn is_accessible(entitlement: &Entitlement, now: Timestamp) -> bool {
    entitlement.has_access.unwrap_or(true)
        && entitlement.expires_at.is_none_or(|expires| expires > now)
}

fn is_article(entitlement: &Entitlement) -> bool {
    entitlement.kind == Some(EntitlementType::Article)
}

/// Whether access was not paid through Sesamy: a partner, a code, an import.
pub(super) fn is_external(entitlement: &Entitlement) -> bool {
    entitlement.origin == Some(OriginType::External)
}
