//! A model of an SQS FIFO queue. Pure: the moment is passed in, counted from
//! the simulation's start.
//!
//! Documented, and modelled: a group is locked while a message of it is in
//! flight; a receive takes as many messages of a group as it can; at most
//! 120,000 messages are in flight, and beyond that a receive gets nothing and
//! no error; groups are looked for among the first 120,000 messages only; who
//! was received more often than the queue allows goes to the dead-letter queue.
//! Assumed: the oldest message that may be received comes first, and the
//! messages in flight count among the first 120,000.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

/// The most messages in flight, and the depth to which groups are looked for.
pub const IN_FLIGHT_LIMIT: usize = 120_000;

/// The template's settings of a connector's queue.
const DELAY: Duration = Duration::from_secs(5);
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(360);
const MAX_RECEIVE_COUNT: u32 = 1_000;

/// A queue.
#[derive(Debug, Default)]
pub struct Fifo {
    messages: Vec<Message>,
    groups: Vec<Group>,
    group_numbers: HashMap<String, usize>,
    /// The heads of groups that may be received.
    ready: BTreeSet<usize>,
    /// When messages come to be visible: moment, message, and which of its
    /// spells it ends. A spell that was replaced means nothing.
    due: BinaryHeap<Reverse<(Duration, usize, u32)>>,
    /// The first so many messages are looked at…
    horizon: usize,
    /// … of which so many are still there.
    within: usize,
    left: usize,
    in_flight: usize,
    counts: Counts,
}

/// What happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages received, each time counted.
    pub receives: u64,
    /// The most receives of one message.
    pub most_receives: u32,
    /// The most messages in flight at once.
    pub most_in_flight: usize,
    /// Messages moved to the dead-letter queue, by SQS or by the consumer.
    pub dead_letters: usize,
}

#[derive(Debug)]
struct Message {
    group: usize,
    body: String,
    sent_at: Duration,
    receives: u32,
    spell: u32,
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

/// A message as it is received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The message's number, which is also its receipt.
    pub number: usize,
    /// Its body.
    pub body: String,
    /// Its group.
    pub group: String,
    /// When it was sent.
    pub sent_at: Duration,
    /// How often it was received, this time included.
    pub receives: u32,
}

impl Fifo {
    /// Sends a message.
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
            spell: 0,
            state: State::Delayed,
        });
        self.due.push(Reverse((now + DELAY, number, 0)));
        self.left += 1;
        self.look_further();
    }

    /// Receives up to `most` messages.
    pub fn receive(&mut self, most: usize, now: Duration) -> Vec<Received> {
        self.wake(now);
        let mut batch = Vec::new();
        while batch.len() < most && self.in_flight < IN_FLIGHT_LIMIT {
            let next = self.ready.first().copied();
            let Some(head) = next.filter(|head| *head < self.horizon) else {
                break;
            };
            self.ready.remove(&head);
            let Some(group) = self.messages.get(head).map(|message| message.group) else {
                break;
            };
            self.take(group, most, now, &mut batch);
        }
        self.counts.most_in_flight = self.counts.most_in_flight.max(self.in_flight);
        batch
    }

    /// Takes as many messages of a group as there is room for.
    fn take(&mut self, group: usize, most: usize, now: Duration, batch: &mut Vec<Received>) {
        let queue = self.groups.get(group).map(|group| group.queue.clone());
        for number in queue.unwrap_or_default() {
            let has_room = batch.len() < most && self.in_flight < IN_FLIGHT_LIMIT;
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
            message.spell += 1;
            message.state = State::InFlight;
            self.due
                .push(Reverse((now + VISIBILITY_TIMEOUT, number, message.spell)));
            self.counts.receives += 1;
            self.counts.most_receives = self.counts.most_receives.max(message.receives);
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
        self.refresh(group);
    }

    /// Hides a message in flight for so long from now.
    pub fn hide(&mut self, number: usize, wait: Duration, now: Duration) {
        if let Some(message) = self.messages.get_mut(number)
            && message.state == State::InFlight
        {
            message.spell += 1;
            self.due.push(Reverse((now + wait, number, message.spell)));
        }
    }

    /// Deletes a message.
    pub fn delete(&mut self, number: usize) {
        let group = self.messages.get(number).map(|message| message.group);
        self.remove(number);
        if let Some(group) = group {
            self.refresh(group);
        }
    }

    /// Counts a message that the consumer moved to the dead-letter queue.
    pub fn send_dead_letters(&mut self) {
        self.counts.dead_letters += 1;
    }

    /// When the next message comes to be visible, if any does.
    pub fn next_due(&self) -> Option<Duration> {
        self.due.peek().map(|Reverse((at, ..))| *at)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Makes visible what is due.
    fn wake(&mut self, now: Duration) {
        while let Some(Reverse((at, number, spell))) = self.due.peek().copied() {
            if at > now {
                break;
            }
            self.due.pop();
            let Some(message) = self.messages.get_mut(number) else {
                continue;
            };
            if message.spell != spell || message.state == State::Gone {
                continue;
            }
            let was_in_flight = message.state == State::InFlight;
            message.state = State::Visible;
            let group = message.group;
            if was_in_flight {
                self.land(group);
            }
            self.refresh(group);
        }
    }

    fn land(&mut self, group: usize) {
        self.in_flight -= 1;
        if let Some(group) = self.groups.get_mut(group) {
            group.in_flight -= 1;
        }
    }

    /// Notes whether the group's head may be received.
    fn refresh(&mut self, group: usize) {
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
            self.land(group);
        }
        self.left -= 1;
        if number < self.horizon {
            self.within -= 1;
        }
        self.look_further();
    }

    fn look_further(&mut self) {
        while self.within < IN_FLIGHT_LIMIT
            && let Some(message) = self.messages.get(self.horizon)
        {
            self.horizon += 1;
            self.within += usize::from(message.state != State::Gone);
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
    fn a_group_is_locked_while_a_message_of_it_is_in_flight() {
        let mut queue = Fifo::default();
        for group in ["a", "a", "b"] {
            queue.send(group, String::new(), s(0));
        }
        assert_eq!(numbers(&queue.receive(10, s(4))), [] as [usize; 0]);
        assert_eq!(numbers(&queue.receive(1, s(5))), [0]);
        assert_eq!(numbers(&queue.receive(10, s(5))), [2]);
        queue.hide(0, s(30), s(6));
        assert_eq!(numbers(&queue.receive(10, s(35))), [] as [usize; 0]);
        assert_eq!(numbers(&queue.receive(10, s(36))), [0, 1]);
        queue.delete(0);
        queue.delete(1);
        queue.delete(2);
        assert!(queue.is_empty());
        assert_eq!(queue.counts().receives, 4);
        assert_eq!(queue.counts().most_in_flight, 3);
    }

    #[test]
    fn what_is_not_settled_comes_back_with_the_queues_own_timeout() {
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
    fn a_thousand_and_one_receives_are_a_dead_letter() {
        let mut queue = Fifo::default();
        queue.send("a", String::new(), s(0));
        for n in 0..1_000 {
            assert_eq!(queue.receive(1, s(5 + n)).len(), 1);
            queue.hide(0, s(0), s(5 + n));
        }
        assert_eq!(queue.receive(1, s(2_000)).len(), 0);
        assert_eq!(queue.counts().dead_letters, 1);
        assert!(queue.is_empty());
    }

    #[test]
    fn nothing_is_received_beyond_what_may_be_in_flight() {
        let mut queue = Fifo::default();
        for n in 0..=IN_FLIGHT_LIMIT {
            queue.send(&n.to_string(), String::new(), s(0));
        }
        while !queue.receive(10, s(5)).is_empty() {}
        assert_eq!(queue.counts().most_in_flight, IN_FLIGHT_LIMIT);
        queue.delete(7);
        assert_eq!(numbers(&queue.receive(10, s(5))), [IN_FLIGHT_LIMIT]);
    }
}
