use jiff::Timestamp;
use serde_json::value::RawValue;

use super::dropped::Dropped;
use super::object::Object;
use super::open_enum::open_enum;

/// A right of access to a product. Fields as seen in Sesamy's client library.
///
/// Ordered by `id` first, so that entitlements have one canonical order.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entitlement {
    /// An entitlement without an id still gives access.
    pub id: Option<String>,
    pub updated_at: Option<Timestamp>,
    pub created_at: Option<Timestamp>,
    pub sku: Option<String>,
    pub title: Option<String>,
    /// An id, not a title (assumed).
    pub purchase_option: Option<String>,
    pub kind: Option<EntitlementType>,
    pub origin: Option<OriginType>,
    pub has_access: Option<bool>,
    pub expires_at: Option<Timestamp>,
}

impl Entitlement {
    /// `None` if the JSON is not an object.
    pub fn read(json: &RawValue, dropped: &mut Dropped) -> Option<Self> {
        let object = Object::read(json, "entitlements[]", dropped)?;
        let origin = object.object("origin", "entitlements[].origin", dropped);
        Some(Self {
            id: object.get("id", dropped),
            updated_at: object.get("updatedAt", dropped),
            created_at: object.get("createdAt", dropped),
            sku: object.get("sku", dropped),
            title: object.get("title", dropped),
            purchase_option: object.get("purchaseOption", dropped),
            kind: object.get("type", dropped),
            origin: origin.and_then(|origin| origin.get("type", dropped)),
            has_access: object.get("hasAccess", dropped),
            expires_at: object.get("expiresAt", dropped),
        })
    }
}

open_enum! {
    /// Values as seen in Sesamy's client library. The derivation only
    /// distinguishes articles from the rest.
    EntitlementType {
        Article = "ARTICLE",
        Audiobook = "AUDIOBOOK",
        Ebook = "EBOOK",
        Bundle = "BUNDLE",
        Podcast = "PODCAST",
        /// Everything behind a paywall.
        Pass = "PASS",
        Publication = "PUBLICATION",
        PhysicalIssue = "PHYSICAL_ISSUE",
    }
}

open_enum! {
    OriginType {
        /// A list of users outside Sesamy: a partner, a code, an import.
        External = "EXTERNAL",
        /// A contract paid through Sesamy.
        Payments = "PAYMENTS",
    }
}
