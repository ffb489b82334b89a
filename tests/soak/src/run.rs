//! Runs a soak: sends the planned events, injects failures, and checks the results.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::LazyLock,
    time::Duration,
};

use fakes::Fakes;
use fastrand::Rng;
use futures_util::stream::{self, StreamExt as _};
use harness::{Connector, Error, Result, Stack, start_fakes, webhook};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use shared::message::EventType;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    Publisher, SoakReport, SoakSize,
    chaos::{self, Schedule},
    plan::{Plan, PlannedStep, StateChange},
    users::revision,
    verify::{TagCounts, UserHistory, Verification},
    webhook_secret,
};

const PARALLEL_STEPS: usize = 6;

/// How often to send a webhook before the soak fails. Sesamy retries for longer.
const MAX_ATTEMPTS: usize = 12;

/// How soon the messages of a killed function become visible again. The template's six
/// minutes would be too long here, and every batch of a soak takes less than this.
const VISIBILITY_TIMEOUT: &str = "12";

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
        token_version: Cell::new(1),
        sent: RefCell::new(vec![BTreeMap::new(); plan.users.len()]),
        pending: RefCell::default(),
        counts: RefCell::default(),
        has_steps: Cell::new(true),
    };
    soak.prepare().await?;

    let faults = chaos::inject(&fakes);
    let start = Instant::now();
    let mut random = Rng::with_seed(seed);
    let schedule = Schedule::new(&mut random, size.chaos, size.kills, publishers.len());
    let drain_ends = start + size.chaos + size.drain;
    let switch_tokens = || soak.token_version.set(2);
    let (steps, killed_processes, announced, (faults, api_calls_in_chaos, drained)) = tokio::join!(
        soak.take_steps(start, size.chaos),
        schedule.run(stack, &fakes, &publishers, switch_tokens),
        soak.announce_changes_in_sync(drain_ends),
        async {
            sleep_until(start + size.chaos).await;
            let struck = chaos::count_struck(&fakes, &faults);
            let api_calls = fakes.request_count();
            for id in &faults {
                fakes.remove_fault(*id);
            }
            (struck, api_calls, soak.drain(drain_ends).await)
        },
    );
    steps?;
    announced?;

    let mut report = soak.report(drained?).await?;
    report.seed = seed;
    report.killed_processes = killed_processes?;
    report.faults = faults;
    report.api_calls_in_chaos = api_calls_in_chaos;
    report.chaos = size.chaos;
    report.drain = start.elapsed().saturating_sub(size.chaos);
    Ok(report)
}

/// The time of the first event. It must be recent: a webhook older than a week is queued
/// without its event.
static FIRST_EVENT: LazyLock<Timestamp> = LazyLock::new(Timestamp::now);

#[derive(Clone, Copy, Default)]
struct Counts {
    repeated: usize,
    resent: usize,
    changed_in_sync: usize,
    /// Added to the time of the first event, so that each event has its own time.
    milliseconds: i64,
}

/// A planned change of a user's state that happens during a sync.
struct PendingChange {
    /// The user's index.
    user: usize,
    revision: u64,
}

struct Soak<'a> {
    stack: &'a Stack<'a>,
    fakes: &'a Fakes,
    publishers: &'a [Publisher],
    plan: &'a Plan,
    /// The version of the webhook tokens that Sesamy sends.
    token_version: Cell<u32>,
    /// Each user's events by id.
    sent: RefCell<Vec<BTreeMap<String, EventType>>>,
    pending: RefCell<Vec<PendingChange>>,
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
        // While a change waits for a read, another one would replace it unnoticed.
        let pending = |change: &PendingChange| change.user == step.user;
        let is_pending = self.pending.borrow().iter().any(pending);
        match &step.change {
            StateChange::BeforeEvents(state) if !is_pending => {
                publisher.sesamy.put_user(state.clone());
            }
            StateChange::AfterRead(resource, state) if !is_pending => {
                self.pending.borrow_mut().push(PendingChange {
                    user: step.user,
                    revision: revision(state).unwrap_or_default(),
                });
                publisher
                    .sesamy
                    .after_read(*resource, user.id, 1, Some(state.clone()));
            }
            _ => {}
        }
        for event in &step.events {
            self.announce(step.user, *event, step.twice).await?;
        }
        Ok(())
    }

    /// Announces changes during a sync as soon as they happen.
    async fn announce_changes_in_sync(&self, until: Instant) -> Result<()> {
        while self.has_steps.get() || !self.pending.borrow().is_empty() {
            if Instant::now() > until {
                return Err(Error::new("a planned change during a sync never happened"));
            }
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
            *FIRST_EVENT + SignedDuration::from_millis(counts.milliseconds)
        };
        let occurred_at = occurred_at.to_string();
        let body = webhook(event.name(), publisher.id, user.id, &occurred_at);
        for _ in 0..=usize::from(twice) {
            let id = self.deliver(publisher, &body).await?;
            if let Some(events) = self.sent.borrow_mut().get_mut(index) {
                events.insert(id, event);
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
            let is_announced = !self.has_steps.get() && self.pending.borrow().is_empty();
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

    /// Each user's events and states, in the order of the plan.
    fn histories(&self) -> Result<Vec<UserHistory<'_>>> {
        let sent = self.sent.borrow();
        let users = self.plan.users.iter().enumerate();
        let histories = users.map(|(index, user)| {
            let publisher = self.publisher(user.publisher)?;
            let state = publisher.sesamy.user(user.id);
            let first = self.plan.first_states.get(index);
            let steps = self.plan.steps.iter().filter(|step| step.user == index);
            let later = steps.filter_map(|step| match &step.change {
                StateChange::None => None,
                StateChange::BeforeEvents(state) | StateChange::AfterRead(_, state) => Some(state),
            });
            Ok(UserHistory {
                user,
                publisher,
                state: state
                    .ok_or_else(|| Error::new(format!("{} is missing at Sesamy", user.id)))?,
                past_states: first.into_iter().chain(later).collect(),
                events_by_id: sent.get(index).cloned().unwrap_or_default(),
            })
        });
        histories.collect()
    }

    async fn report(&self, drained: bool) -> Result<SoakReport> {
        let mut verification = Verification::default();
        if !drained {
            for connector in Connector::ALL {
                let depth = self.stack.queue_depth(connector).await?;
                verification
                    .failures
                    .push(format!("{connector} still has {depth:?}"));
            }
        }
        let histories = self.histories()?;
        for (index, publisher) in self.publishers.iter().enumerate() {
            let mut tag_counts = TagCounts::new();
            for flow in publisher.rule.flows() {
                *tag_counts.entry((flow.email, flow.tag)).or_default() += 1;
            }
            for history in &histories {
                if history.user.publisher == index {
                    verification.check_user(history, &tag_counts);
                }
            }
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
            changed_in_sync: counts.changed_in_sync,
            api_calls: self.fakes.request_count(),
            repeated_tags: verification.repeated_tags,
            dead_letters,
            failures: verification.failures,
            ..SoakReport::default()
        };
        for connector in Connector::ALL {
            for sync in self.stack.syncs(connector).await? {
                report.retries += usize::from(sync.receives > 1);
                report.max_receives = report.max_receives.max(sync.receives);
                *report.syncs_by_outcome.entry(sync.outcome).or_default() += 1;
            }
        }
        Ok(report)
    }
}
