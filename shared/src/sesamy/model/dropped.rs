//! What was odd while reading.

use std::collections::BTreeMap;
use std::fmt;

/// Counts the odd values of an answer by path (`contracts[].expiresAt`), never
/// by value: those that were left out because they could not be used, and
/// those of enumerations that were kept though they are not known here.
///
/// Its size is bounded: a path is one of the places that the models name, not
/// a place in the data, so thousands of odd contracts make one entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped {
    dropped: Counts,
    unknown: Counts,
}

impl Dropped {
    /// Adds a value that was left out. An empty field stands for the object as
    /// a whole.
    pub(in crate::sesamy) fn add(&mut self, object: &'static str, field: &'static str) {
        self.dropped.add((object, field), 1);
    }

    /// Adds a value of an enumeration that is not known here and was kept.
    pub(super) fn add_unknown(&mut self, object: &'static str, field: &'static str) {
        self.unknown.add((object, field), 1);
    }

    /// Adds what was odd elsewhere.
    pub fn merge(&mut self, other: Self) {
        self.dropped.merge(other.dropped);
        self.unknown.merge(other.unknown);
    }

    /// The values that were left out.
    pub fn values(&self) -> &Counts {
        &self.dropped
    }

    /// The values of enumerations that are not known here and were kept.
    pub fn unknown(&self) -> &Counts {
        &self.unknown
    }
}

/// How many values at which paths, in alphabetical order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<Path, usize>);

/// A place in the models: the object's path and the field's name.
type Path = (&'static str, &'static str);

impl Counts {
    fn add(&mut self, path: Path, more: usize) {
        let count = self.0.entry(path).or_default();
        *count = count.saturating_add(more);
    }

    fn merge(&mut self, other: Self) {
        for (path, more) in other.0 {
            self.add(path, more);
        }
    }

    /// How many values there are at all paths.
    pub fn total(&self) -> usize {
        self.0.values().copied().fold(0, usize::saturating_add)
    }

    /// How many values there are at each path.
    pub fn paths(&self) -> impl Iterator<Item = (String, usize)> + '_ {
        self.0.iter().map(|((object, field), count)| {
            let separator = if field.is_empty() { "" } else { "." };
            (format!("{object}{separator}{field}"), *count)
        })
    }
}

/// For the log: `contracts[].expiresAt: 2, profile.email: 1`.
impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (path, count)) in self.paths().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(formatter, "{separator}{path}: {count}")?;
        }
        Ok(())
    }
}
