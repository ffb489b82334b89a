//! Which users of a batch are synced at the same time. Pure.

use std::collections::{HashMap, VecDeque};

use super::batch::UserBatch;
use crate::identity::VendorId;

/// Users synced at the same time. Bounds memory: each holds a whole user state.
const MAX_SYNCS: usize = 5;

/// For one vendor while other vendors' users wait, so that a vendor with a slow
/// API does not delay the others.
const MAX_VENDOR_SYNCS: usize = 2;

#[derive(Debug)]
pub(super) struct Slots {
    waiting: VecDeque<UserBatch>,
    running: HashMap<VendorId, usize>,
    total_running: usize,
    /// For one vendor, as its CRM allows.
    max_vendor_syncs: usize,
}

#[derive(Debug)]
pub(super) struct Turn {
    pub(super) batch: UserBatch,
    /// Only other vendors' users were synced so far.
    pub(super) is_after_others: bool,
}

impl Slots {
    pub(super) fn new(users: Vec<UserBatch>, max_vendor_syncs: usize) -> Self {
        Self {
            max_vendor_syncs,
            waiting: users.into(),
            running: HashMap::new(),
            total_running: 0,
        }
    }

    /// The first waiting user that may start now, if any.
    pub(super) fn next(&mut self) -> Option<Turn> {
        if self.total_running >= MAX_SYNCS {
            return None;
        }
        let first = &self.waiting.front()?.user.vendor_id;
        let mut users = self.waiting.iter().map(|user| &user.user.vendor_id);
        let max = if users.clone().all(|vendor| vendor == first) {
            self.max_vendor_syncs
        } else {
            self.max_vendor_syncs.min(MAX_VENDOR_SYNCS)
        };
        let next = users.position(|vendor| {
            let running = self.running.get(vendor);
            running.is_none_or(|running| *running < max)
        })?;
        let batch = self.waiting.remove(next)?;
        let vendor = &batch.user.vendor_id;
        let is_after_others = !self.running.is_empty() && !self.running.contains_key(vendor);
        *self.running.entry(vendor.clone()).or_default() += 1;
        self.total_running += 1;
        Some(Turn {
            batch,
            is_after_others,
        })
    }

    pub(super) fn release(&mut self, vendor: &VendorId) {
        // The entry stays, because it shows that the vendor had a turn.
        if let Some(running) = self.running.get_mut(vendor) {
            *running = running.saturating_sub(1);
            self.total_running = self.total_running.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::UserId;
    use crate::message::UserKey;

    /// Each character is the vendor of a waiting user.
    fn slots(vendors: &str, max_vendor_syncs: usize) -> Slots {
        let user = |(n, vendor): (usize, char)| UserBatch {
            user: UserKey {
                vendor_id: VendorId::try_from(vendor.to_string()).unwrap(),
                user_id: UserId::try_from(n.to_string()).unwrap(),
            },
            entries: Vec::new(),
        };
        let users = vendors.chars().enumerate().map(user);
        Slots::new(users.collect(), max_vendor_syncs)
    }

    /// Starts every user that may start now, and returns their vendors.
    fn start(slots: &mut Slots) -> String {
        let turns = std::iter::from_fn(|| slots.next());
        turns
            .map(|turn| turn.batch.user.vendor_id.to_string())
            .collect()
    }

    #[test]
    fn vendor_has_all_slots_but_only_two_while_another_waits() {
        struct Case {
            waiting: &'static str,
            first: &'static str,
            ends: &'static str,
            then: &'static str,
        }
        let case = |waiting, first, ends, then| Case {
            waiting,
            first,
            ends,
            then,
        };
        for case in [
            case("aaaaaaa", "aaaaa", "a", "a"),
            case("aaaaaaab", "aabaa", "b", "a"),
            case("aaaaaabbbb", "aabb", "b", "b"),
            case("aaaaaabbbb", "aabb", "a", "a"),
            case("abcdefa", "abcde", "a", "f"),
            case("aaab", "aaba", "a", ""),
            case("", "", "a", ""),
        ] {
            let mut slots = slots(case.waiting, usize::MAX);
            assert_eq!(start(&mut slots), case.first, "{}", case.waiting);
            slots.release(&VendorId::try_from(case.ends).unwrap());
            assert_eq!(start(&mut slots), case.then, "{}", case.waiting);
        }
    }

    #[test]
    fn vendor_has_no_more_slots_than_its_crm_allows() {
        for (waiting, max, first) in [
            ("aaaaaaa", 4, "aaaa"),
            ("aaaabb", 4, "aabba"),
            ("aaabb", 1, "ab"),
        ] {
            let mut slots = slots(waiting, max);
            assert_eq!(start(&mut slots), first, "{waiting} {max}");
            let ended = VendorId::try_from("a").unwrap();
            slots.release(&ended);
            assert_eq!(start(&mut slots), "a", "{waiting} {max}");
        }
    }

    #[test]
    fn turn_says_whether_only_other_vendors_began_before() {
        let mut slots = slots("abca", usize::MAX);
        let turns: Vec<_> = std::iter::from_fn(|| slots.next())
            .map(|turn| turn.is_after_others)
            .collect();
        assert_eq!(turns, [false, true, true, false]);
    }
}
