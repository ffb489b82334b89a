//! A model of an SQS FIFO queue. It has no clock: the caller passes each time, as the
//! duration since the start.
//!
//! Documented:
//! - A group is locked while one of its messages is in flight.
//! - A receive takes as many messages of a group as it can.
//! - With 120,000 messages in flight, a receive returns nothing and no error.
//! - SQS looks for groups only among the first 120,000 messages.
//! - A message received more often than the queue allows goes to the dead-letter queue.
//!
//! Assumed: the oldest available message comes first, and messages in flight count among
//! the first 120,000.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

/// The limit of messages in flight, and of the messages that SQS searches for groups.
pub const MAX_IN_FLIGHT: usize = 120_000;

/// From the template.
const DELAY: Duration = Duration::from_secs(5);
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(360);
const MAX_RECEIVE_COUNT: u32 = 1_000;

#[derive(Debug, Default)]
pub struct Fifo {
    messages: Vec<Message>,
    groups: Vec<Group>,
    group_numbers: HashMap<String, usize>,
    /// The first message of each group that may be received.
    ready: BTreeSet<usize>,
    /// When messages become visible: the time, the message's number, and its timer. An
    /// entry whose timer is no longer the message's has no effect.
    due: BinaryHeap<Reverse<(Duration, usize, u32)>>,
    /// SQS looks for groups only among the messages before this one.
    horizon: usize,
    /// How many messages before the horizon are not deleted.
    remaining_before_horizon: usize,
    /// How many messages are not deleted.
    remaining: usize,
    in_flight: usize,
    counts: QueueCounts,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    pub receives: u64,
    /// The highest receive count of a message.
    pub max_receives: u32,
    pub max_in_flight: usize,
    /// Messages that SQS or the consumer moved to the dead-letter queue.
    pub dead_letters: usize,
}

#[derive(Debug)]
struct Message {
    group: usize,
    body: String,
    sent_at: Duration,
    receives: u32,
    timer: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Delayed,
    Visible,
    InFlight,
    Gone,
}

#[derive(Debug)]
struct Group {
    name: String,
    queue: VecDeque<usize>,
    in_flight: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Also the receipt handle.
    pub number: usize,
    pub body: String,
    pub group: String,
    pub sent_at: Duration,
    /// Includes this receive.
    pub receives: u32,
}

impl Fifo {
    pub fn send(&mut self, group: &str, body: String, now: Duration) {
        let number = self.messages.len();
        let groups = &mut self.groups;
        let group = *self
            .group_numbers
            .entry(group.to_owned())
            .or_insert_with(|| {
                groups.push(Group {
                    name: group.to_owned(),
                    queue: VecDeque::new(),
                    in_flight: 0,
                });
                groups.len() - 1
            });
        if let Some(group) = self.groups.get_mut(group) {
            group.queue.push_back(number);
        }
        self.messages.push(Message {
            group,
            body,
            sent_at: now,
            receives: 0,
            timer: 0,
            state: State::Delayed,
        });
        self.due.push(Reverse((now + DELAY, number, 0)));
        self.remaining += 1;
        self.advance_horizon();
    }

    pub fn receive(&mut self, max: usize, now: Duration) -> Vec<Received> {
        self.make_due_visible(now);
        let mut batch = Vec::new();
        while batch.len() < max && self.in_flight < MAX_IN_FLIGHT {
            let next = self.ready.first().copied();
            let Some(head) = next.filter(|head| *head < self.horizon) else {
                break;
            };
            self.ready.remove(&head);
            let Some(group) = self.messages.get(head).map(|message| message.group) else {
                break;
            };
            self.take(group, max, now, &mut batch);
        }
        self.counts.max_in_flight = self.counts.max_in_flight.max(self.in_flight);
        batch
    }

    /// Adds as many messages of the group as fit into the batch.
    fn take(&mut self, group: usize, max: usize, now: Duration, batch: &mut Vec<Received>) {
        let queue = self.groups.get(group).map(|group| group.queue.clone());
        for number in queue.unwrap_or_default() {
            let has_room = batch.len() < max && self.in_flight < MAX_IN_FLIGHT;
            let Some(message) = self.messages.get_mut(number) else {
                break;
            };
            if !has_room || number >= self.horizon || message.state != State::Visible {
                break;
            }
            if message.receives >= MAX_RECEIVE_COUNT {
                self.remove(number);
                self.counts.dead_letters += 1;
                continue;
            }
            message.receives += 1;
            message.timer += 1;
            message.state = State::InFlight;
            self.due
                .push(Reverse((now + VISIBILITY_TIMEOUT, number, message.timer)));
            self.counts.receives += 1;
            self.counts.max_receives = self.counts.max_receives.max(message.receives);
            self.in_flight += 1;
            let (body, sent_at, receives) =
                (message.body.clone(), message.sent_at, message.receives);
            let Some(group) = self.groups.get_mut(group) else {
                break;
            };
            group.in_flight += 1;
            batch.push(Received {
                number,
                body,
                group: group.name.clone(),
                sent_at,
                receives,
            });
        }
        self.update_ready(group);
    }

    pub fn set_visibility(&mut self, number: usize, wait: Duration, now: Duration) {
        if let Some(message) = self.messages.get_mut(number)
            && message.state == State::InFlight
        {
            message.timer += 1;
            self.due.push(Reverse((now + wait, number, message.timer)));
        }
    }

    pub fn delete(&mut self, number: usize) {
        let group = self.messages.get(number).map(|message| message.group);
        self.remove(number);
        if let Some(group) = group {
            self.update_ready(group);
        }
    }

    /// Counts a message that the consumer moved to the dead-letter queue.
    pub fn count_dead_letter(&mut self) {
        self.counts.dead_letters += 1;
    }

    /// When the next message becomes visible.
    pub fn next_due(&self) -> Option<Duration> {
        self.due.peek().map(|Reverse((at, ..))| *at)
    }

    pub fn is_empty(&self) -> bool {
        self.remaining == 0
    }

    pub fn counts(&self) -> QueueCounts {
        self.counts
    }

    fn make_due_visible(&mut self, now: Duration) {
        while let Some(Reverse((at, number, timer))) = self.due.peek().copied() {
            if at > now {
                break;
            }
            self.due.pop();
            let Some(message) = self.messages.get_mut(number) else {
                continue;
            };
            if message.timer != timer || message.state == State::Gone {
                continue;
            }
            let was_in_flight = message.state == State::InFlight;
            message.state = State::Visible;
            let group = message.group;
            if was_in_flight {
                self.end_flight(group);
            }
            self.update_ready(group);
        }
    }

    fn end_flight(&mut self, group: usize) {
        self.in_flight -= 1;
        if let Some(group) = self.groups.get_mut(group) {
            group.in_flight -= 1;
        }
    }

    /// Updates whether the group's first message may be received.
    fn update_ready(&mut self, group: usize) {
        let Some(group) = self.groups.get(group) else {
            return;
        };
        let Some(head) = group.queue.front() else {
            return;
        };
        let state = self.messages.get(*head).map(|message| message.state);
        if group.in_flight == 0 && state == Some(State::Visible) {
            self.ready.insert(*head);
        } else {
            self.ready.remove(head);
        }
    }

    fn remove(&mut self, number: usize) {
        let Some(message) = self.messages.get_mut(number) else {
            return;
        };
        let state = std::mem::replace(&mut message.state, State::Gone);
        if state == State::Gone {
            return;
        }
        message.body = String::new();
        let group = message.group;
        self.ready.remove(&number);
        if let Some(group) = self.groups.get_mut(group) {
            group.queue.retain(|other| *other != number);
        }
        if state == State::InFlight {
            self.end_flight(group);
        }
        self.remaining -= 1;
        if number < self.horizon {
            self.remaining_before_horizon -= 1;
        }
        self.advance_horizon();
    }

    fn advance_horizon(&mut self) {
        while self.remaining_before_horizon < MAX_IN_FLIGHT
            && let Some(message) = self.messages.get(self.horizon)
        {
            self.horizon += 1;
            self.remaining_before_horizon += usize::from(message.state != State::Gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn numbers(batch: &[Received]) -> Vec<usize> {
        batch.iter().map(|received| received.number).collect()
    }

    #[test]
    fn group_is_locked_while_a_message_of_it_is_in_flight() {
        let mut queue = Fifo::default();
        for group in ["a", "a", "b"] {
            queue.send(group, String::new(), s(0));
        }
        assert_eq!(numbers(&queue.receive(10, s(4))), [] as [usize; 0]);
        assert_eq!(numbers(&queue.receive(1, s(5))), [0]);
        assert_eq!(numbers(&queue.receive(10, s(5))), [2]);
        queue.set_visibility(0, s(30), s(6));
        assert_eq!(numbers(&queue.receive(10, s(35))), [] as [usize; 0]);
        assert_eq!(numbers(&queue.receive(10, s(36))), [0, 1]);
        queue.delete(0);
        queue.delete(1);
        queue.delete(2);
        assert!(queue.is_empty());
        assert_eq!(queue.counts().receives, 4);
        assert_eq!(queue.counts().max_in_flight, 3);
    }

    #[test]
    fn unsettled_message_returns_with_the_queues_timeout() {
        let mut queue = Fifo::default();
        queue.send("a", String::new(), s(0));
        queue.receive(10, s(5));
        assert_eq!(numbers(&queue.receive(10, s(364))), [] as [usize; 0]);
        assert_eq!(
            queue.receive(10, s(365)).first().map(|m| m.receives),
            Some(2)
        );
    }

    #[test]
    fn message_over_the_receive_limit_is_a_dead_letter() {
        let mut queue = Fifo::default();
        queue.send("a", String::new(), s(0));
        for n in 0..1_000 {
            assert_eq!(queue.receive(1, s(5 + n)).len(), 1);
            queue.set_visibility(0, s(0), s(5 + n));
        }
        assert_eq!(queue.receive(1, s(2_000)).len(), 0);
        assert_eq!(queue.counts().dead_letters, 1);
        assert!(queue.is_empty());
    }

    #[test]
    fn nothing_is_received_beyond_the_in_flight_limit() {
        let mut queue = Fifo::default();
        for n in 0..=MAX_IN_FLIGHT {
            queue.send(&n.to_string(), String::new(), s(0));
        }
        while !queue.receive(10, s(5)).is_empty() {}
        assert_eq!(queue.counts().max_in_flight, MAX_IN_FLIGHT);
        queue.delete(7);
        assert_eq!(numbers(&queue.receive(10, s(5))), [MAX_IN_FLIGHT]);
    }
}
