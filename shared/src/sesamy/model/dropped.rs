use std::collections::BTreeMap;
use std::fmt;

/// Counts the unexpected values of an answer by path (`contracts[].expiresAt`),
/// without the values: unusable ones, which were dropped, and unknown values of
/// enumerations, which were kept.
///
/// Its size is bounded, because paths come from the models, not from the data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropped {
    dropped: PathCounts,
    unknown: PathCounts,
}

impl Dropped {
    /// An empty field means the object as a whole.
    pub(in crate::sesamy) fn add(&mut self, object: &'static str, field: &'static str) {
        self.dropped.add((object, field), 1);
    }

    pub(super) fn add_unknown(&mut self, object: &'static str, field: &'static str) {
        self.unknown.add((object, field), 1);
    }

    pub fn merge(&mut self, other: Self) {
        self.dropped.merge(other.dropped);
        self.unknown.merge(other.unknown);
    }

    pub fn values(&self) -> &PathCounts {
        &self.dropped
    }

    /// Unknown values of enumerations.
    pub fn unknown(&self) -> &PathCounts {
        &self.unknown
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathCounts(BTreeMap<Path, usize>);

/// An object's path and a field's name.
type Path = (&'static str, &'static str);

impl PathCounts {
    fn add(&mut self, path: Path, more: usize) {
        let count = self.0.entry(path).or_default();
        *count = count.saturating_add(more);
    }

    fn merge(&mut self, other: Self) {
        for (path, more) in other.0 {
            self.add(path, more);
        }
    }

    pub fn total(&self) -> usize {
        self.0.values().copied().fold(0, usize::saturating_add)
    }

    pub fn paths(&self) -> impl Iterator<Item = (String, usize)> + '_ {
        self.0.iter().map(|((object, field), count)| {
            let separator = if field.is_empty() { "" } else { "." };
            (format!("{object}{separator}{field}"), *count)
        })
    }
}

/// For the log: `contracts[].expiresAt: 2, profile.email: 1`.
impl fmt::Display for PathCounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (path, count)) in self.paths().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(formatter, "{separator}{path}: {count}")?;
        }
        Ok(())
    }
}
