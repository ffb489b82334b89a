//! What was left out while reading.

use std::collections::BTreeMap;
use std::fmt;

/// Counts the values that were left out because they could not be used, by
/// path (`contracts[].expiresAt`), never by value.
///
/// Its size is bounded: a path is one of the places that the models name, not
/// a place in the data, so thousands of odd contracts make one entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped {
    counts: BTreeMap<Path, usize>,
}

/// A place in the models: the object's path and the field's name.
type Path = (&'static str, &'static str);

impl Dropped {
    /// Adds one value. An empty field stands for the object as a whole.
    pub(super) fn add(&mut self, object: &'static str, field: &'static str) {
        let count = self.counts.entry((object, field)).or_default();
        *count = count.saturating_add(1);
    }

    /// Adds what was dropped elsewhere.
    pub fn merge(&mut self, other: Self) {
        for (path, more) in other.counts {
            let count = self.counts.entry(path).or_default();
            *count = count.saturating_add(more);
        }
    }

    /// How many values were dropped.
    pub fn count(&self) -> usize {
        self.counts.values().copied().fold(0, usize::saturating_add)
    }

    /// How many values were dropped at each path, in alphabetical order.
    pub fn paths(&self) -> impl Iterator<Item = (String, usize)> + '_ {
        self.counts.iter().map(|((object, field), count)| {
            let separator = if field.is_empty() { "" } else { "." };
            (format!("{object}{separator}{field}"), *count)
        })
    }
}

/// For the log: `contracts[].expiresAt: 2, profile.email: 1`.
impl fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (path, count)) in self.paths().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(formatter, "{separator}{path}: {count}")?;
        }
        Ok(())
    }
}
