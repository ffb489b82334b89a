//! The letters of one receive by their group. Pure.

use std::collections::VecDeque;

use crate::letters::{Filter, Letter, Receipt};

/// The letters of one group that one receive brought, in the order of the queue.
pub(super) struct Group {
    name: String,
    /// How many there are.
    pub(super) size: usize,
    /// Those that are still to be sent.
    meant: VecDeque<Letter>,
    /// Those that are not meant.
    pub(super) not_meant: Vec<Letter>,
    /// Those that are meant, but beyond the limit.
    beyond: Vec<Receipt>,
    /// Those that could not be sent or not be deleted.
    failed: Vec<Receipt>,
    /// Whether a letter of it was moved.
    pub(super) gave: bool,
    /// Whether its letters must stay for this run: one before them did.
    pub(super) stuck: bool,
}

impl Group {
    fn new(name: String) -> Self {
        Self {
            name,
            size: 0,
            meant: VecDeque::new(),
            not_meant: Vec::new(),
            beyond: Vec::new(),
            failed: Vec::new(),
            gave: false,
            stuck: false,
        }
    }

    /// The next letter to be sent. None after one that was not taken: it would
    /// arrive before it.
    pub(super) fn next(&mut self) -> Option<Letter> {
        if self.stuck {
            return None;
        }
        self.meant.pop_front()
    }

    /// The message of this letter was not taken.
    pub(super) fn not_sent(&mut self, letter: Letter) {
        self.stuck = true;
        self.failed.push(letter.receipt);
    }

    /// The message of this letter was sent, but the letter is still there.
    pub(super) fn not_deleted(&mut self, receipt: Receipt) {
        self.stuck = true;
        self.failed.push(receipt);
    }

    /// How many letters that are meant were not tried.
    pub(super) fn left(&self) -> u64 {
        (self.meant.len() + self.beyond.len()) as u64
    }

    /// The receipts of all letters that are still there.
    pub(super) fn kept(self) -> Vec<Receipt> {
        let not_meant = self.not_meant.into_iter().map(|letter| letter.receipt);
        let meant = self.meant.into_iter().map(|letter| letter.receipt);
        not_meant
            .chain(meant)
            .chain(self.beyond)
            .chain(self.failed)
            .collect()
    }
}

/// Sorts letters into groups, in the order of each one's first letter; at most
/// `room` of them are to be sent.
pub(super) fn groups(letters: Vec<Letter>, filter: &Filter, room: u64) -> Vec<Group> {
    let mut room = room;
    let mut groups: Vec<Group> = Vec::new();
    for letter in letters {
        let known = groups.iter().position(|group| group.name == letter.group);
        let index = known.unwrap_or_else(|| {
            groups.push(Group::new(letter.group.clone()));
            groups.len() - 1
        });
        let Some(group) = groups.get_mut(index) else {
            continue;
        };
        group.size += 1;
        if !filter.matches(&letter) {
            group.not_meant.push(letter);
        } else if room == 0 {
            group.beyond.push(letter.receipt);
        } else {
            room -= 1;
            group.meant.push_back(letter);
        }
    }
    groups
}
