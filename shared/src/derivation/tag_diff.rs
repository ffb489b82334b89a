//! Which of a contact's tags a sync adds and removes.

use std::collections::BTreeSet;

use super::desired_contact::Tags;
use super::tag::{PERMANENT_TAG, TAG_PREFIX, Tag};

/// Each list is in alphabetical order, without duplicates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagDiff {
    pub add: Vec<Tag>,
    pub remove: Vec<String>,
    /// Tags to add after [`Self::remove`], even if the CRM already has them.
    pub restore: Vec<Tag>,
}

impl TagDiff {
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty() && self.restore.is_empty()
    }

    /// Removes every tag of ours, the permanent one too.
    pub fn removal(current: &[String]) -> Self {
        let ours = current.iter().filter(|tag| tag.starts_with(TAG_PREFIX));
        Self {
            remove: ours.cloned().collect(),
            ..Self::default()
        }
    }

    /// For a CRM in which spellings that differ by case alone are one tag: a contact
    /// that has any of them has the tag.
    #[must_use]
    pub fn ignoring_case(self, current: &[String]) -> Self {
        let had: BTreeSet<String> = current.iter().map(|tag| tag.to_lowercase()).collect();
        let restored = |tag: &String| {
            let name = tag.to_lowercase();
            self.restore.iter().any(|tag| tag.as_str() == name)
        };
        let removed = self.remove.iter().filter(|tag| !restored(tag));
        let added = self.add.iter().filter(|tag| !had.contains(tag.as_str()));
        Self {
            add: added.cloned().collect(),
            remove: removed.cloned().collect(),
            restore: Vec::new(),
        }
    }

    /// The resulting set of tags, for a CRM that takes the whole set in one
    /// write: the kept tags in the CRM's order, then the new ones.
    pub fn apply(&self, current: &[String]) -> Vec<String> {
        let removed: BTreeSet<_> = self.remove.iter().collect();
        let before: BTreeSet<_> = current.iter().map(String::as_str).collect();
        let kept = current.iter().filter(|tag| !removed.contains(tag)).cloned();
        let restored = self
            .restore
            .iter()
            .filter(|tag| !before.contains(tag.as_str()));
        let new = self.add.iter().chain(restored);
        kept.chain(new.map(|tag| tag.as_str().to_owned())).collect()
    }

    /// The sets of tags to write, one after the other, to a CRM that takes the
    /// whole set in one write. Two sets if tags are restored, so that a CRM that
    /// ignores letter case first loses the wrong spelling.
    pub fn replacements(&self, current: &[String]) -> Vec<Vec<String>> {
        if self.is_empty() {
            return Vec::new();
        }
        let whole = self.apply(current);
        if self.restore.is_empty() {
            return vec![whole];
        }
        let restored: BTreeSet<&str> = self.restore.iter().map(Tag::as_str).collect();
        let without = whole.iter().filter(|tag| !restored.contains(tag.as_str()));
        vec![without.cloned().collect(), whole]
    }
}

/// Compares a contact's current tags with the desired ones.
///
/// - A tag that does not start with exactly `sesamy_` is the publisher's own and
///   is never touched.
/// - `sesamy_made_single_purchase` is permanent: it is never removed.
/// - Any other `sesamy_` tag that is not desired is removed, unless it starts
///   with one of `kept_prefixes`.
/// - A tag that differs from a desired one by letter case only is removed, and
///   the desired one is restored afterwards.
///
/// The last rule is decided. Known: nothing. Assumed: a CRM may treat both
/// spellings as the same tag, so that removing one removes the other.
pub fn diff_tags(current: &[String], desired: &Tags, kept_prefixes: &[&str]) -> TagDiff {
    let ours = || {
        current
            .iter()
            .map(String::as_str)
            .filter(|tag| tag.starts_with(TAG_PREFIX))
            .filter(|tag| !kept_prefixes.iter().any(|prefix| tag.starts_with(prefix)))
    };
    let mut desired: BTreeSet<&Tag> = desired.keys().collect();
    // In any letter case, because a CRM that ignores case would lose the tag.
    let permanent = Tag::permanent();
    if ours().any(|tag| tag.to_lowercase() == PERMANENT_TAG) {
        desired.insert(&permanent);
    }
    let names: BTreeSet<&str> = desired.iter().map(|tag| tag.as_str()).collect();
    let remove: BTreeSet<&str> = ours().filter(|tag| !names.contains(tag)).collect();
    let misspelt: BTreeSet<String> = remove.iter().map(|tag| tag.to_lowercase()).collect();
    let current: BTreeSet<&str> = current.iter().map(String::as_str).collect();
    let (restore, others): (Vec<Tag>, Vec<Tag>) = desired
        .into_iter()
        .cloned()
        .partition(|tag| misspelt.contains(tag.as_str()));
    TagDiff {
        add: others
            .into_iter()
            .filter(|tag| !current.contains(tag.as_str()))
            .collect(),
        remove: remove.into_iter().map(str::to_owned).collect(),
        restore,
    }
}
