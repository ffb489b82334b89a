//! What a reader has access to.

use jiff::Timestamp;
use serde_json::Value;

use super::dropped::Dropped;
use super::open_enum::open_enum;
use super::reader::Object;

/// A right of access to a product. Fields as seen in Sesamy's client library.
///
/// Ordered so that entitlements have one canonical order: by `id` first.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entitlement {
    /// `id`. An entitlement without one still gives access.
    pub id: Option<String>,
    /// `updatedAt`.
    pub updated_at: Option<Timestamp>,
    /// `createdAt`.
    pub created_at: Option<Timestamp>,
    /// `sku`.
    pub sku: Option<String>,
    /// `title`.
    pub title: Option<String>,
    /// `purchaseOption`: an id, not a title (assumed).
    pub purchase_option: Option<String>,
    /// `type`.
    pub kind: Option<EntitlementType>,
    /// `origin.type`.
    pub origin: Option<OriginType>,
    /// `hasAccess`.
    pub has_access: Option<bool>,
    /// `expiresAt`.
    pub expires_at: Option<Timestamp>,
}

impl Entitlement {
    /// Reads an entitlement. `None` where it is not an object.
    pub fn read(json: &Value, dropped: &mut Dropped) -> Option<Self> {
        let object = Object::read(json, "entitlements[]", dropped)?;
        Some(Self {
            id: object.string("id", dropped),
            updated_at: object.timestamp("updatedAt", dropped),
            created_at: object.timestamp("createdAt", dropped),
            sku: object.string("sku", dropped),
            title: object.string("title", dropped),
            purchase_option: object.string("purchaseOption", dropped),
            kind: object.one_of("type", dropped),
            origin: object
                .object("origin", "entitlements[].origin", dropped)
                .and_then(|origin| origin.one_of("type", dropped)),
            has_access: object.boolean("hasAccess", dropped),
            expires_at: object.timestamp("expiresAt", dropped),
        })
    }
}

open_enum! {
    /// What kind of product an entitlement opens. Values as seen in Sesamy's
    /// client library; the derivation tells articles from all the rest.
    EntitlementType {
        /// One article.
        Article = "ARTICLE",
        /// An audiobook.
        Audiobook = "AUDIOBOOK",
        /// An e-book.
        Ebook = "EBOOK",
        /// Several products.
        Bundle = "BUNDLE",
        /// A podcast.
        Podcast = "PODCAST",
        /// All that is behind a paywall.
        Pass = "PASS",
        /// A publication.
        Publication = "PUBLICATION",
        /// A printed issue.
        PhysicalIssue = "PHYSICAL_ISSUE",
    }
}

open_enum! {
    /// Where a right of access comes from.
    OriginType {
        /// A list of readers outside Sesamy: a partner, a code, an import.
        External = "EXTERNAL",
        /// A contract paid through Sesamy.
        Payments = "PAYMENTS",
    }
}
