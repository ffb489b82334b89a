//! What a sync changes about the tags a CRM holds.

use std::collections::BTreeSet;

use super::subscriber::Tags;
use super::tag::{PERMANENT_TAG, TAG_PREFIX, Tag};

/// The changes that make a CRM's tags agree with the wanted ones. Each list is
/// in alphabetical order and says nothing twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciliation {
    /// Tags to add.
    pub add: Vec<Tag>,
    /// Tags to remove.
    pub remove: Vec<String>,
    /// Tags to add once [`Self::remove`] is done, whether the CRM seemed to
    /// have them or not.
    pub restore: Vec<Tag>,
}

impl Reconciliation {
    /// Whether the CRM agrees already.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty() && self.restore.is_empty()
    }

    /// The tags that a contact then has, for a CRM whose tags are written as a
    /// whole: what stays, in the CRM's order, then what is new.
    pub fn apply(&self, present: &[String]) -> Vec<String> {
        let removed: BTreeSet<_> = self.remove.iter().collect();
        let had: BTreeSet<_> = present.iter().map(String::as_str).collect();
        let kept = present.iter().filter(|tag| !removed.contains(tag)).cloned();
        let restored = self
            .restore
            .iter()
            .filter(|tag| !had.contains(tag.as_str()));
        let new = self.add.iter().chain(restored);
        kept.chain(new.map(|tag| tag.as_str().to_owned())).collect()
    }

    /// The whole sets of tags that are to be written one after the other, for a
    /// CRM whose tags are written as a whole. None where it agrees already; two
    /// where tags are restored, so that a CRM that takes two spellings for one
    /// tag first loses the wrong one.
    pub fn replacements(&self, present: &[String]) -> Vec<Vec<String>> {
        if self.is_empty() {
            return Vec::new();
        }
        let whole = self.apply(present);
        if self.restore.is_empty() {
            return vec![whole];
        }
        let restored: BTreeSet<&str> = self.restore.iter().map(Tag::as_str).collect();
        let without = whole.iter().filter(|tag| !restored.contains(tag.as_str()));
        vec![without.cloned().collect(), whole]
    }
}

/// Compares the tags a CRM holds with the wanted ones.
///
/// - A tag that does not begin with `sesamy_`, in exactly these letters, is
///   the publisher's own and is never touched.
/// - `sesamy_made_single_purchase` stays once the CRM has it: it is permanent.
/// - Any other `sesamy_` tag that is not wanted is stale and removed, but for
///   those with one of the prefixes in `kept`.
/// - A tag that differs from a wanted one by letter case only is removed, and
///   the wanted one is restored afterwards.
///
/// The last is decided. Known: nothing. Assumed: a CRM may take both spellings
/// for the same tag, so that removing one removes the other.
pub fn reconcile(present: &[String], wanted: &Tags, kept: &[&str]) -> Reconciliation {
    let ours = || {
        present
            .iter()
            .map(String::as_str)
            .filter(|tag| tag.starts_with(TAG_PREFIX))
            .filter(|tag| !kept.iter().any(|prefix| tag.starts_with(prefix)))
    };
    let mut wanted: BTreeSet<&Tag> = wanted.keys().collect();
    // In any letter case, or a CRM that folds it would lose the tag.
    let permanent = Tag::permanent();
    if ours().any(|tag| tag.to_lowercase() == PERMANENT_TAG) {
        wanted.insert(&permanent);
    }
    let names: BTreeSet<&str> = wanted.iter().map(|tag| tag.as_str()).collect();
    let remove: BTreeSet<&str> = ours().filter(|tag| !names.contains(tag)).collect();
    let misspelt: BTreeSet<String> = remove.iter().map(|tag| tag.to_lowercase()).collect();
    let held: BTreeSet<&str> = present.iter().map(String::as_str).collect();
    let (restore, others): (Vec<Tag>, Vec<Tag>) = wanted
        .into_iter()
        .cloned()
        .partition(|tag| misspelt.contains(tag.as_str()));
    Reconciliation {
        add: others
            .into_iter()
            .filter(|tag| !held.contains(tag.as_str()))
            .collect(),
        remove: remove.into_iter().map(str::to_owned).collect(),
        restore,
    }
}
