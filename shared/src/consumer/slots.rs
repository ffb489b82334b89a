//! Whose turn it is in a batch. Pure.

use std::collections::{HashMap, VecDeque};

use super::batch::ReaderBatch;
use crate::identity::VendorId;

/// How many readers of a batch are synced at the same time. It bounds memory:
/// each holds a reader's whole state.
const SLOTS: usize = 5;

/// How many of them a vendor has at most while another vendor's readers wait,
/// so that one whose API is slow does not hold up all the others.
const SLOTS_OF_A_VENDOR: usize = 2;

/// The readers of a batch who wait for a slot, and who has one.
#[derive(Debug)]
pub(super) struct Slots {
    waiting: VecDeque<ReaderBatch>,
    taken: HashMap<VendorId, usize>,
    /// Syncs under way.
    under_way: usize,
}

/// A reader's turn.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) batch: ReaderBatch,
    /// Whether other vendors' syncs alone had the batch's time so far.
    pub(super) is_after_others: bool,
}

impl Slots {
    /// All slots are free.
    pub(super) fn new(readers: Vec<ReaderBatch>) -> Self {
        Self {
            waiting: readers.into(),
            taken: HashMap::new(),
            under_way: 0,
        }
    }

    /// Gives the next slot to the first who may have it. `None` where no slot
    /// is free, or no waiting user may take one now.
    pub(super) fn next(&mut self) -> Option<Turn> {
        if self.under_way >= SLOTS {
            return None;
        }
        let of = |reader: &ReaderBatch| reader.reader.vendor_id.clone();
        let first = self.waiting.front().map(of)?;
        let next = match self.waiting.iter().all(|other| of(other) == first) {
            true => 0,
            false => self.waiting.iter().position(|reader| {
                let taken = self.taken.get(&reader.reader.vendor_id);
                taken.is_none_or(|taken| *taken < SLOTS_OF_A_VENDOR)
            })?,
        };
        let batch = self.waiting.remove(next)?;
        let vendor = of(&batch);
        let is_after_others = !self.taken.is_empty() && !self.taken.contains_key(&vendor);
        *self.taken.entry(vendor).or_default() += 1;
        self.under_way += 1;
        Some(Turn {
            batch,
            is_after_others,
        })
    }

    /// Gives back the slot of a sync of this vendor.
    pub(super) fn give_back(&mut self, vendor: &VendorId) {
        // The entry stays: the vendor has had some of the batch's time.
        if let Some(taken) = self.taken.get_mut(vendor) {
            *taken = taken.saturating_sub(1);
            self.under_way = self.under_way.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::UserId;
    use crate::message::Reader;

    /// Slots for readers whose vendors are these letters.
    fn slots(vendors: &str) -> Slots {
        let reader = |(n, vendor): (usize, char)| ReaderBatch {
            reader: Reader {
                vendor_id: VendorId::try_from(vendor.to_string()).unwrap(),
                user_id: UserId::try_from(n.to_string()).unwrap(),
            },
            entries: Vec::new(),
        };
        Slots::new(vendors.chars().enumerate().map(reader).collect())
    }

    /// The vendors who get a slot now.
    fn begin(slots: &mut Slots) -> String {
        let turns = std::iter::from_fn(|| slots.next());
        turns
            .map(|turn| turn.batch.reader.vendor_id.to_string())
            .collect()
    }

    #[test]
    fn a_vendor_has_two_slots_while_another_waits_and_all_when_none_does() {
        // Who waits; who begins at once; whose sync ends; who begins then.
        let cases = [
            ("aaaaaaa", "aaaaa", "a", "a"),
            ("aaaaaaab", "aabaa", "b", "a"),
            ("aaaaaabbbb", "aabb", "b", "b"),
            ("aaaaaabbbb", "aabb", "a", "a"),
            ("abcdefa", "abcde", "a", "f"),
            ("aaab", "aaba", "a", ""),
            ("", "", "a", ""),
        ];
        for (waiting, at_once, ends, then) in cases {
            let mut slots = slots(waiting);
            assert_eq!(begin(&mut slots), at_once, "{waiting}");
            slots.give_back(&VendorId::try_from(ends).unwrap());
            assert_eq!(begin(&mut slots), then, "{waiting} after {ends}");
        }
    }

    #[test]
    fn who_comes_after_others_alone_is_told_so() {
        let mut slots = slots("abca");
        let turns: Vec<_> = std::iter::from_fn(|| slots.next())
            .map(|turn| turn.is_after_others)
            .collect();
        assert_eq!(turns, [false, true, true, false]);
    }
}
