//! A tag's name.

use super::slug::slug;

/// Prefix of every tag of this system. All other tags are the publisher's own.
pub const TAG_PREFIX: &str = "sesamy_";

/// The only tag that no sync removes, because a purchase cannot be undone.
pub const PERMANENT_TAG: &str = "sesamy_made_single_purchase";

/// A `sesamy_` tag, made of `a`–`z`, `0`–`9`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// In characters; Sesamy's documented limit.
    pub const MAX_LENGTH: usize = 99;

    /// `None` if the name is not a valid tag.
    pub fn parse(name: &str) -> Option<Self> {
        let own = name.strip_prefix(TAG_PREFIX)?;
        let is_tag = !own.is_empty()
            && name.len() <= Self::MAX_LENGTH
            && own
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        is_tag.then(|| Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The caller guarantees a valid name.
    pub(super) fn named(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    pub(super) fn permanent() -> Self {
        Self::named(PERMANENT_TAG)
    }

    /// The prefix followed by the slug of a name.
    ///
    /// Decided. Known: nothing. Assumed: a name with an empty slug gives no tag,
    /// because the bare prefix would mean nothing.
    pub(super) fn slugged(prefix: &str, name: Option<&String>) -> Option<Self> {
        let slug = slug(name?);
        (!slug.is_empty()).then(|| Self::truncated(format!("{prefix}{slug}")))
    }

    /// Decided. Known: tags have at most 99 characters. Assumed: the prefix
    /// counts, a longer name is cut at its end, and a trailing hyphen is removed.
    /// Two long names may become the same tag.
    pub(super) fn truncated(mut name: String) -> Self {
        name.truncate(Self::MAX_LENGTH);
        name.truncate(name.trim_end_matches('-').len());
        Self(name)
    }
}
