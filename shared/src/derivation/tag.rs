//! A tag's name.

use super::slug::slug;

/// What every tag of this system begins with. Tags that begin otherwise are
/// the publisher's own.
pub const TAG_PREFIX: &str = "sesamy_";

/// The one tag that no sync removes: a purchase once made stays made.
pub const PERMANENT_TAG: &str = "sesamy_made_single_purchase";

/// A `sesamy_` tag: lower-case ASCII letters, digits, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// The longest name a tag may have, in characters.
    pub const MAX_LENGTH: usize = 99;

    /// The tag of that name. `None` where no tag may be named so.
    pub fn parse(name: &str) -> Option<Self> {
        let own = name.strip_prefix(TAG_PREFIX)?;
        let is_tag = !own.is_empty()
            && name.len() <= Self::MAX_LENGTH
            && own
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        is_tag.then(|| Self(name.to_owned()))
    }

    /// The tag's name as a CRM shows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A tag whose whole name is fixed.
    pub(super) fn named(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// The one tag that no sync removes.
    pub(super) fn permanent() -> Self {
        Self::named(PERMANENT_TAG)
    }

    /// A tag that ends in the slug of a name.
    ///
    /// Decided. Known: nothing. Assumed: a name of which no letter or digit is
    /// left gives no tag, rather than one that means nothing in particular.
    pub(super) fn slugged(prefix: &str, name: Option<&String>) -> Option<Self> {
        let slug = slug(name?);
        (!slug.is_empty()).then(|| Self::cut(format!("{prefix}{slug}")))
    }

    /// A tag cut to the longest name allowed.
    ///
    /// Decided. Known: tags have at most 99 characters. Assumed: a longer name
    /// is cut at its end, prefix included in the count, and a hyphen that the
    /// cut leaves at the end goes too. Two long names may become one tag.
    pub(super) fn cut(mut name: String) -> Self {
        name.truncate(Self::MAX_LENGTH);
        name.truncate(name.trim_end_matches('-').len());
        Self(name)
    }
}
