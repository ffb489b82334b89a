//! Groups the messages of one receive.

use std::collections::VecDeque;

use crate::command::RedriveCommand;
use crate::dead_letters::{Receipt, ReceivedDeadLetter};

/// Messages of one FIFO group, in the order of the queue.
#[derive(Default)]
pub(super) struct MessageGroup {
    name: String,
    /// How many messages the receive brought.
    pub(super) size: usize,
    to_send: VecDeque<ReceivedDeadLetter>,
    /// Messages that do not match.
    pub(super) skipped: Vec<ReceivedDeadLetter>,
    beyond_limit: Vec<Receipt>,
    failed: Vec<Receipt>,
    pub(super) moved_some: bool,
    /// A message could not be sent or deleted, so those behind it must stay.
    pub(super) blocked: bool,
}

impl MessageGroup {
    pub(super) fn next(&mut self) -> Option<ReceivedDeadLetter> {
        if self.blocked {
            return None;
        }
        self.to_send.pop_front()
    }

    /// Keeps the rest of the group behind a message that failed.
    pub(super) fn block(&mut self, receipt: Receipt) {
        self.blocked = true;
        self.failed.push(receipt);
    }

    /// How many matching messages were not tried.
    pub(super) fn left(&self) -> u64 {
        (self.to_send.len() + self.beyond_limit.len()) as u64
    }

    /// The receipts of messages that are still in the dead-letter queue.
    pub(super) fn remaining(self) -> Vec<Receipt> {
        let skipped = self.skipped.into_iter();
        let untried = skipped.chain(self.to_send).map(|message| message.receipt);
        untried
            .chain(self.beyond_limit)
            .chain(self.failed)
            .collect()
    }
}

/// Groups in the order of their first messages, of which at most `room` are sent.
pub(super) fn group_messages(
    messages: Vec<ReceivedDeadLetter>,
    command: &RedriveCommand,
    mut room: u64,
) -> Vec<MessageGroup> {
    let mut groups: Vec<MessageGroup> = Vec::new();
    for message in messages {
        let known = groups.iter().position(|group| group.name == message.group);
        let index = known.unwrap_or_else(|| {
            groups.push(MessageGroup {
                name: message.group.clone(),
                ..MessageGroup::default()
            });
            groups.len() - 1
        });
        let Some(group) = groups.get_mut(index) else {
            continue;
        };
        group.size += 1;
        if !command.matches(&message) {
            group.skipped.push(message);
        } else if room == 0 {
            group.beyond_limit.push(message.receipt);
        } else {
            room -= 1;
            group.to_send.push_back(message);
        }
    }
    groups
}
