//! Runs a soak: sends the planned events, injects failures, and checks the results.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fakes::{Api, Fakes, User};
use fastrand::Rng;
use futures_util::stream::{self, StreamExt as _};
use harness::{Connector, Error, FifoMessage, Result, Stack, start_fakes, webhook};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use shared::message::{Event, EventType, Message, UserKey};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    Publisher, SoakReport, SoakSize,
    chaos::{self, InjectedFault, Schedule},
    memory,
    plan::{Plan, PlannedStep, StateChange},
    users::{SoakUser, address, expires, revision, with_access},
    verify::{UserHistory, Verification},
    webhook_secret,
};

const PARALLEL_STEPS: usize = 6;

/// How often to send a webhook before the soak fails. Sesamy retries for longer.
const MAX_ATTEMPTS: usize = 12;

/// How soon the messages of a killed function become visible again. The template's six
/// minutes would be too long here, and every batch of a soak takes less than this.
const VISIBILITY_TIMEOUT: &str = "12";

/// How long ago the first event occurred: so long that a user is gone if Sesamy does not
/// know it, and recent enough that the event is more than a resync.
const FIRST_EVENT_AGE: SignedDuration = SignedDuration::from_mins(20);

/// A wake-up is at least this far ahead when it is scheduled.
const MIN_WAKE_UP: SignedDuration = SignedDuration::from_secs(61);

/// What a function logs when it goes on without the table of what is remembered. Then a
/// contact may not follow its user.
const TABLE_FAILURE: &str = "The user table does not answer";

/// How many events may be delivered again for each killed process. A third of them are
/// Rule's and Mailchimp's, each of which was syncing up to five users.
const MAX_REPEATED_BY_KILL: usize = 3;

/// Runs a soak on a deployed stack that nothing else uses.
///
/// The report lists what was lost. An error means that the stack does not work at all.
pub async fn soak(stack: &Stack<'_>, seed: u64, size: SoakSize) -> Result<SoakReport> {
    let fakes = start_fakes(Fakes::builder().requests_kept(0)).await?;
    fakes.seed_faults(seed);
    let publishers = [
        Publisher::open(&fakes, "north", 1),
        Publisher::open(&fakes, "south", 2),
    ];
    let plan = Plan::new(seed, size, publishers.len())?;
    let soak = Soak {
        stack,
        fakes: &fakes,
        publishers: &publishers,
        plan: &plan,
        first_event: Timestamp::now() - FIRST_EVENT_AGE,
        start: Cell::default(),
        token_version: Cell::new(1),
        addresses: RefCell::new(vec![0; plan.users.len()]),
        sent: RefCell::new(vec![BTreeMap::new(); plan.users.len()]),
        resyncs: RefCell::default(),
        pending: RefCell::default(),
        deletions: RefCell::default(),
        counts: RefCell::default(),
        has_steps: Cell::new(true),
    };
    soak.prepare().await?;
    soak.sync_before(size.drain).await?;

    let faults = chaos::inject(&fakes);
    let start = Instant::now();
    soak.start.set(Timestamp::now());
    let api_calls_before = fakes.request_count();
    let mut random = Rng::with_seed(seed);
    let schedule = Schedule::new(&mut random, size.chaos, size.kills, publishers.len());
    let drain_ends = start + size.chaos + size.drain;
    let switch_tokens = || soak.token_version.set(2);
    let (steps, killed_processes, announced, (faults, lost_answers, api_calls_in_chaos, drained)) = tokio::join!(
        soak.take_steps(start, size.chaos),
        schedule.run(stack, &fakes, &publishers, switch_tokens),
        soak.announce_changes_in_sync(drain_ends),
        async {
            sleep_until(start + size.chaos).await;
            let struck = chaos::count_struck(&fakes, &faults);
            let lost = |fault: &&InjectedFault| {
                matches!(fault.api, Api::Rule | Api::Mailchimp) && fault.loses_answer
            };
            let lost_answers = chaos::count_struck(&fakes, faults.iter().filter(lost));
            let api_calls = fakes.request_count() - api_calls_before;
            for fault in &faults {
                fakes.remove_fault(fault.id);
            }
            let drained = soak.drain(drain_ends).await;
            (struck, lost_answers, api_calls, drained)
        },
    );
    steps?;
    announced?;
    let drain = start.elapsed().saturating_sub(size.chaos);
    let drained = drained? && soak.settle(drain_ends, size.last_expiry()).await?;

    let settling = start.elapsed().saturating_sub(size.chaos + drain);
    let mut report = soak.report(drained).await?;
    report.seed = seed;
    report.killed_processes = killed_processes?;
    let killed = report.killed_processes * MAX_REPEATED_BY_KILL;
    let max_repeated = killed + usize::try_from(lost_answers).unwrap_or(usize::MAX);
    if report.repeated_events > max_repeated {
        report.failures.push(format!(
            "Rule and Mailchimp got {} events again; the kills and lost answers explain {max_repeated}",
            report.repeated_events
        ));
    }
    report.faults = faults;
    report.api_calls_in_chaos = api_calls_in_chaos;
    report.chaos = size.chaos;
    report.drain = drain;
    report.settling = settling;
    Ok(report)
}

#[derive(Clone, Copy, Default)]
struct Counts {
    repeated: usize,
    resent: usize,
    changed_in_sync: usize,
    moves: usize,
    deletions: usize,
    repeated_later: usize,
    /// Added to the time of the first event, so that each event has its own time.
    milliseconds: i64,
}

/// A planned change of a user's state that happens during a sync.
struct PendingChange {
    /// The user's index.
    user: usize,
    revision: u64,
}

/// An event that the webhook accepted.
#[derive(Clone)]
struct SentEvent {
    event: Event,
    at: Timestamp,
}

struct Soak<'a> {
    stack: &'a Stack<'a>,
    fakes: &'a Fakes,
    publishers: &'a [Publisher],
    plan: &'a Plan,
    first_event: Timestamp,
    /// When the events start.
    start: Cell<Timestamp>,
    /// The version of the webhook tokens that Sesamy sends.
    token_version: Cell<u32>,
    /// The index of each user's address.
    addresses: RefCell<Vec<usize>>,
    /// Each user's events by id.
    sent: RefCell<Vec<BTreeMap<String, SentEvent>>>,
    /// The ids of the messages without an event.
    resyncs: RefCell<BTreeSet<String>>,
    pending: RefCell<Vec<PendingChange>>,
    /// The indexes of users to delete.
    deletions: RefCell<Vec<usize>>,
    counts: RefCell<Counts>,
    has_steps: Cell<bool>,
}

impl Soak<'_> {
    async fn prepare(&self) -> Result<()> {
        for (user, state) in self.plan.users.iter().zip(&self.plan.first_states) {
            let publisher = self.publisher(user.publisher)?;
            publisher.sesamy.put_user(state.clone());
            user.add_contacts(publisher);
            user.add_refusal(self.fakes);
        }
        let mut secrets = vec![("webhook".to_owned(), webhook_secret(self.publishers, &[1]))];
        for publisher in self.publishers {
            secrets.extend(publisher.secrets(self.fakes, 1));
        }
        self.stack.put_secrets(secrets).await?;
        for connector in Connector::ALL {
            self.stack
                .set_queue_attribute(connector, "VisibilityTimeout", VISIBILITY_TIMEOUT)
                .await?;
        }
        Ok(())
    }

    /// Syncs some of the users before calls fail, so that they may move from the start.
    async fn sync_before(&self, timeout: Duration) -> Result<()> {
        let users = self.plan.users.iter();
        for user in users.filter(|user| user.is_synced_before()) {
            let key = user_key(self.publisher(user.publisher)?, user)?;
            self.resync(key, "before", Timestamp::now()).await?;
        }
        let until = Instant::now() + timeout;
        while self.queued_messages().await? > 0 {
            if Instant::now() > until {
                return Err(Error::new("the users were not synced before the events"));
            }
            sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    }

    fn publisher(&self, index: usize) -> Result<&Publisher> {
        let publisher = self.publishers.get(index);
        publisher.ok_or_else(|| Error::new(format!("no publisher {index}")))
    }

    /// Takes the plan's steps, spread evenly over `time`.
    async fn take_steps(&self, start: Instant, time: Duration) -> Result<()> {
        let count = u32::try_from(self.plan.steps.len().max(1)).unwrap_or(u32::MAX);
        // The last events must arrive before the time is up.
        let interval = time.mul_f64(0.95) / count;
        let taken = stream::iter(&self.plan.steps)
            .scan(start, |next, step| {
                let at = *next;
                *next += interval;
                std::future::ready(Some((at, step)))
            })
            .map(|(at, step)| async move {
                sleep_until(at).await;
                self.take(step).await
            })
            .buffer_unordered(PARALLEL_STEPS)
            .collect::<Vec<Result<()>>>()
            .await;
        self.has_steps.set(false);
        taken.into_iter().collect()
    }

    async fn take(&self, step: &PlannedStep) -> Result<()> {
        let Some(user) = self.plan.users.get(step.user) else {
            return Ok(());
        };
        let publisher = self.publisher(user.publisher)?;
        let address = self.next_address(step, user, publisher).await?;
        // While a change waits for a read, another one would replace it unnoticed.
        let pending = |change: &PendingChange| change.user == step.user;
        let is_pending = self.pending.borrow().iter().any(pending);
        match &step.change {
            StateChange::BeforeEvents(state) if !is_pending => {
                let state = self.next_state(step, user, address, state);
                publisher.sesamy.put_user(state);
            }
            StateChange::AfterRead(resource, state) if !is_pending => {
                self.pending.borrow_mut().push(PendingChange {
                    user: step.user,
                    revision: revision(state).unwrap_or_default(),
                });
                let state = self.next_state(step, user, address, state);
                let resource = *resource;
                publisher
                    .sesamy
                    .after_read(resource, user.id, 1, Some(state));
            }
            StateChange::Deletion => self.deletions.borrow_mut().push(step.user),
            _ => {}
        }
        for event in &step.events {
            self.announce(step.user, *event, step.twice).await?;
        }
        if step.repeats {
            self.repeat_later(step.user).await?;
        }
        Ok(())
    }

    /// The present address of a user, and the planned one if the user may move to it.
    ///
    /// The functions know a contact from the last sync that was completed: one that failed
    /// halfway, at another address, may have left our data there. So the user moves only
    /// after a complete one at the present address.
    async fn next_address(
        &self,
        step: &PlannedStep,
        user: &SoakUser,
        publisher: &Publisher,
    ) -> Result<(usize, Option<usize>)> {
        let present = self.address_of(step.user);
        let moves = step.address != present
            && !matches!(step.change, StateChange::None | StateChange::Deletion)
            && self.is_settled(user, publisher, present).await?;
        Ok((present, moves.then_some(step.address)))
    }

    fn address_of(&self, index: usize) -> usize {
        self.addresses
            .borrow()
            .get(index)
            .copied()
            .unwrap_or_default()
    }

    async fn is_settled(
        &self,
        user: &SoakUser,
        publisher: &Publisher,
        address: usize,
    ) -> Result<bool> {
        let Some(email) = user.addresses.get(address) else {
            return Ok(true);
        };
        let key = user_key(publisher, user)?;
        memory::is_settled(self.stack, &key, email, |connector| {
            user.stays_at(connector)
        })
        .await
    }

    /// The state at the next address, unless another step has moved the user meanwhile.
    fn next_state(
        &self,
        step: &PlannedStep,
        user: &SoakUser,
        (present, next): (usize, Option<usize>),
        state: &User,
    ) -> User {
        let mut addresses = self.addresses.borrow_mut();
        let mut email = user.email();
        if let Some(address) = addresses.get_mut(step.user) {
            if let Some(next) = next.filter(|_| *address == present) {
                *address = next;
                self.counts.borrow_mut().moves += 1;
            }
            email = user.addresses.get(*address).copied().unwrap_or_default();
        }
        let state = state.clone().email(email);
        match step.access_ends {
            Some(after) => with_access(state, self.start.get() + after),
            None => state,
        }
    }

    /// Sends the user's first event again, in the way of a webhook that comes again when
    /// SQS has forgotten the first. Half of them were received at the time of the first.
    async fn repeat_later(&self, index: usize) -> Result<()> {
        let Some(user) = self.plan.users.get(index) else {
            return Ok(());
        };
        let publisher = self.publisher(user.publisher)?;
        let first = {
            let sent = self.sent.borrow();
            let events = sent.get(index).into_iter().flat_map(BTreeMap::values);
            events.min_by_key(|sent| sent.event.occurred_at).cloned()
        };
        let Some(SentEvent { event, at }) = first else {
            return Ok(());
        };
        let key = user_key(publisher, user)?;
        let count = {
            let mut counts = self.counts.borrow_mut();
            counts.repeated_later += 1;
            counts.repeated_later
        };
        let message = Message {
            event_id: event.id(&key.vendor_id, &key.user_id),
            received_at: if count % 2 == 0 { at } else { Timestamp::now() },
            user: key,
            event: Some(event),
        };
        self.enqueue(&message, &format!("again-{count}")).await
    }

    async fn enqueue(&self, message: &Message, deduplication_id: &str) -> Result<()> {
        let fifo = FifoMessage {
            group: message.user.message_group(),
            body: message.to_json(),
        };
        for connector in Connector::ALL {
            self.stack
                .enqueue_as(connector, &fifo, deduplication_id)
                .await?;
        }
        Ok(())
    }

    /// Asks every connector to sync a user.
    async fn resync(&self, user: UserKey, occasion: &str, received_at: Timestamp) -> Result<()> {
        let message = Message::resync(user, occasion, received_at);
        let id = message.event_id.as_str().to_owned();
        self.resyncs.borrow_mut().insert(id.clone());
        self.enqueue(&message, &id).await
    }

    /// Deletes users at Sesamy once they may, and lets the connectors notice it.
    async fn delete_users(&self) -> Result<()> {
        let planned = self.deletions.borrow().clone();
        for index in planned {
            let Some(user) = self.plan.users.get(index) else {
                continue;
            };
            let publisher = self.publisher(user.publisher)?;
            if !self
                .is_settled(user, publisher, self.address_of(index))
                .await?
            {
                continue;
            }
            publisher.sesamy.remove_user(user.id);
            self.counts.borrow_mut().deletions += 1;
            let key = user_key(publisher, user)?;
            let long_ago = Timestamp::now() - FIRST_EVENT_AGE;
            self.resync(key, "deletion", long_ago).await?;
            self.deletions.borrow_mut().retain(|other| *other != index);
        }
        Ok(())
    }

    fn has_changes(&self) -> bool {
        self.has_steps.get()
            || !self.pending.borrow().is_empty()
            || !self.deletions.borrow().is_empty()
    }

    /// Announces changes during a sync as soon as they happen, and deletes users.
    async fn announce_changes_in_sync(&self, until: Instant) -> Result<()> {
        while self.has_changes() {
            if Instant::now() > until {
                let (pending, deletions) = (self.pending.borrow().len(), self.deletions.take());
                return Err(Error::new(format!(
                    "{pending} planned changes during a sync never happened, and the users {deletions:?} were never synced before their deletion"
                )));
            }
            self.delete_users().await?;
            let has_happened = |change: &PendingChange| {
                let user = self.plan.users.get(change.user)?;
                let publisher = self.publishers.get(user.publisher)?;
                let state = publisher.sesamy.user(user.id)?;
                Some(revision(&state) == Some(change.revision))
            };
            let happened: Vec<_> = self
                .pending
                .borrow_mut()
                .extract_if(.., |change| has_happened(change).unwrap_or(false))
                .collect();
            for change in happened {
                self.counts.borrow_mut().changed_in_sync += 1;
                self.announce(change.user, EventType::UserVendorUpdate, false)
                    .await?;
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Sends a webhook until it is accepted, as Sesamy does.
    async fn announce(&self, index: usize, event: EventType, twice: bool) -> Result<()> {
        let Some(user) = self.plan.users.get(index) else {
            return Ok(());
        };
        let publisher = self.publisher(user.publisher)?;
        let occurred_at = {
            let mut counts = self.counts.borrow_mut();
            counts.milliseconds += 1;
            counts.repeated += usize::from(twice);
            self.first_event + SignedDuration::from_millis(counts.milliseconds)
        };
        let body = webhook(
            event.name(),
            publisher.id,
            user.id,
            &occurred_at.to_string(),
        );
        for _ in 0..=usize::from(twice) {
            let id = self.deliver(publisher, &body).await?;
            let sent = SentEvent {
                event: Event {
                    event_type: event,
                    occurred_at,
                    contract_id: None,
                    entitlement_id: None,
                    checkout_id: None,
                },
                at: Timestamp::now(),
            };
            if let Some(events) = self.sent.borrow_mut().get_mut(index) {
                events.entry(id).or_insert(sent);
            }
        }
        Ok(())
    }

    async fn deliver(&self, publisher: &Publisher, body: &Value) -> Result<String> {
        let mut last = None;
        for attempt in 0..MAX_ATTEMPTS {
            if attempt > 0 {
                self.counts.borrow_mut().resent += 1;
                sleep(Duration::from_millis(500)).await;
            }
            let token = publisher.token(self.token_version.get());
            let reply = self.stack.post_webhook(&token, body).await;
            if let Ok(reply) = &reply {
                let id = reply.body.get("eventId").and_then(Value::as_str);
                if let (202, Some(id)) = (reply.status, id) {
                    return Ok(id.to_owned());
                }
                if reply.status < 500 && reply.status != 429 {
                    // Sesamy does not retry after this status.
                    return Err(Error::new(format!("a webhook was refused: {reply:?}")));
                }
            }
            last = Some(reply);
        }
        Err(Error::new(format!(
            "a webhook was never accepted: {last:?}"
        )))
    }

    async fn queued_messages(&self) -> Result<u64> {
        let mut total = 0;
        for connector in Connector::ALL {
            total += self.stack.queue_depth(connector).await?.total();
        }
        Ok(total)
    }

    /// Waits until every event is sent and the queues are empty. Returns `false` after a
    /// timeout.
    async fn drain(&self, until: Instant) -> Result<bool> {
        loop {
            let queued = self.queued_messages().await?;
            // Check this after the queues: a change during a sync is announced after the
            // sync.
            let is_announced = !self.has_changes();
            if queued == 0 && is_announced {
                // The last announcement may be on its way to the queue.
                sleep(Duration::from_secs(1)).await;
                if self.queued_messages().await? == 0 {
                    return Ok(true);
                }
            }
            if Instant::now() > until {
                return Ok(false);
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Nothing happens any more: users of one address are synced once more, since which of
    /// them had access may have changed, and all wake-ups of access that ends come. Returns
    /// `false` after a timeout.
    async fn settle(&self, until: Instant, last_expiry: Duration) -> Result<bool> {
        let last_expiry = self.start.get() + last_expiry;
        for user in self.plan.users.iter().filter(|user| user.partner.is_some()) {
            let publisher = self.publisher(user.publisher)?;
            if publisher.sesamy.user(user.id).is_some() {
                let key = user_key(publisher, user)?;
                self.resync(key, "settling", Timestamp::now()).await?;
            }
        }
        loop {
            let is_past = Timestamp::now() > last_expiry;
            if self.drain(until).await? && is_past && !self.has_wake_ups(last_expiry).await? {
                return Ok(true);
            }
            if Instant::now() > until {
                return Ok(false);
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Whether the end of any access is still to be noticed.
    async fn has_wake_ups(&self, last_expiry: Timestamp) -> Result<bool> {
        let last = last_expiry + MIN_WAKE_UP;
        for user in &self.plan.users {
            let publisher = self.publisher(user.publisher)?;
            let state = publisher.sesamy.user(user.id);
            if state.is_some_and(|state| expires(&state)) {
                let key = user_key(publisher, user)?;
                let at = memory::next_wake_up(self.stack, &key).await?;
                if at.is_some_and(|at| at <= last) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Each user's events and states, in the order of the plan.
    fn histories(&self) -> Result<Vec<UserHistory<'_>>> {
        let sent = self.sent.borrow();
        let users = self.plan.users.iter().enumerate();
        let histories = users.map(|(index, user)| {
            let publisher = self.publisher(user.publisher)?;
            let first = self.plan.first_states.get(index);
            let steps = self.plan.steps.iter().filter(|step| step.user == index);
            let later = steps.filter_map(|step| match &step.change {
                StateChange::None | StateChange::Deletion => None,
                StateChange::BeforeEvents(state) | StateChange::AfterRead(_, state) => Some(state),
            });
            let events = sent.get(index).into_iter().flatten();
            Ok(UserHistory {
                user,
                publisher,
                state: publisher.sesamy.user(user.id),
                past_states: first.into_iter().chain(later).collect(),
                events_by_id: events
                    .map(|(id, sent)| (id.clone(), sent.event.event_type))
                    .collect(),
            })
        });
        histories.collect()
    }

    async fn report(&self, drained: bool) -> Result<SoakReport> {
        let mut verification = Verification::default();
        if !drained {
            verification
                .failures
                .push("the queues did not empty, or wake-ups did not come, in time".into());
            for connector in Connector::ALL {
                let depth = self.stack.queue_depth(connector).await?;
                verification
                    .failures
                    .push(format!("{connector} still has {depth:?}"));
            }
        }
        let histories = self.histories()?;
        for history in &histories {
            let state = history.state.as_ref();
            let email = state.map(|state| address(state).to_owned());
            let is_deleted = history.user.is_deleted();
            verification.check(email.is_none() == is_deleted, || {
                format!("{} is at {email:?} of Sesamy", history.user.id)
            });
        }
        for (index, publisher) in self.publishers.iter().enumerate() {
            let users = histories.iter().filter(|h| h.user.publisher == index);
            verification.check_publisher(publisher, &users.collect::<Vec<_>>());
        }
        let dead_letters = verification
            .check_dead_letters(self.stack, &histories)
            .await?;
        let violations = self.fakes.violations().into_iter();
        verification
            .failures
            .extend(violations.map(|violation| format!("{violation:?}")));

        let counts = *self.counts.borrow();
        let mut report = SoakReport {
            users: self.plan.users.len(),
            events: self.sent.borrow().iter().map(BTreeMap::len).sum(),
            repeated: counts.repeated,
            resent: counts.resent,
            repeated_later: counts.repeated_later,
            changed_in_sync: counts.changed_in_sync,
            moves: counts.moves,
            deletions: counts.deletions,
            api_calls: self.fakes.request_count(),
            repeated_events: verification.repeated_events,
            dead_letters,
            failures: verification.failures,
            ..SoakReport::default()
        };
        let mut known = self.resyncs.take();
        known.extend(self.sent.borrow().iter().flat_map(BTreeMap::keys).cloned());
        for connector in Connector::ALL {
            let mut wake_ups = BTreeSet::new();
            for sync in self.stack.syncs(connector).await? {
                report.retries += usize::from(sync.receives > 1);
                report.max_receives = report.max_receives.max(sync.receives);
                let unknown = sync.messages.into_iter().filter(|id| !known.contains(id));
                wake_ups.extend(unknown);
                *report.syncs_by_outcome.entry(sync.outcome).or_default() += 1;
            }
            report.wake_ups += wake_ups.len();
            let logs = self.stack.logs(connector.function()).await?;
            let failed = logs.iter().filter(|line| line.contains(TABLE_FAILURE));
            report.table_failures += failed.count();
        }
        Ok(report)
    }
}

fn user_key(publisher: &Publisher, user: &SoakUser) -> Result<UserKey> {
    let invalid = |error| Error::new(format!("{} is not an id: {error}", user.id));
    Ok(UserKey {
        vendor_id: publisher.id.try_into().map_err(invalid)?,
        user_id: user.id.try_into().map_err(invalid)?,
    })
}
