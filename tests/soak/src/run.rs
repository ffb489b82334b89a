//! A soak from its first event to its last check.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::LazyLock,
    time::Duration,
};

use fastrand::Rng;
use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use local_aws::{Error, Result};
use serde_json::{Value, json};
use shared::message::EventType;
use stand_ins::StandIns;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    Crm, Deployed, Report, Size,
    chaos::{self, Schedule, webhook_secret},
    expect::{Findings, Story},
    plan::{Change, Plan, Step},
    publisher::Publisher,
    readers::revision,
};

/// How many steps are at work at the same time.
const IN_PARALLEL: usize = 6;

/// How often a webhook is sent before the soak gives up. Sesamy goes on longer.
const ATTEMPTS: usize = 12;

/// What a killed function was at comes back after this; the template's six
/// minutes are too long here. The longest batch of a soak takes less.
const VISIBILITY_SECONDS: &str = "12";

/// Runs a soak of this size on a deployed stack that nobody else uses.
///
/// # Errors
/// When the stack does not work at all. What is wrong at the end stands in the report.
pub async fn soak(deployed: &Deployed, seed: u64, size: Size) -> Result<Report> {
    let stand_ins = StandIns::builder().requests_kept(0).start().await;
    let stand_ins = stand_ins.map_err(|error| Error::new(format!("no stand-ins: {error}")))?;
    stand_ins.seed_faults(seed);
    let publishers = [
        Publisher::open(&stand_ins, "north", 1),
        Publisher::open(&stand_ins, "south", 2),
    ];
    let plan = Plan::new(seed, size, publishers.len())?;
    let soak = Soak {
        deployed,
        stand_ins: &stand_ins,
        publishers: &publishers,
        plan: &plan,
        version: Cell::new(1),
        sent: RefCell::new(vec![BTreeMap::new(); plan.readers.len()]),
        pending: RefCell::default(),
        counts: RefCell::default(),
        stepping: Cell::new(true),
    };
    soak.prepare().await?;

    let faults = chaos::inject(&stand_ins);
    let start = Instant::now();
    let mut random = Rng::with_seed(seed);
    let schedule = Schedule::new(&mut random, size.chaos, size.kills, publishers.len());
    let drain_ends = start + size.chaos + size.drain;
    let (steps, kills, hooks, drained) = tokio::join!(
        soak.take_steps(start, size.chaos),
        schedule.deal(deployed, &stand_ins, &publishers, || soak.version.set(2)),
        soak.announce_changes_in_sync(drain_ends),
        async {
            sleep_until(start + size.chaos).await;
            let struck = (
                chaos::struck(&stand_ins, &faults),
                stand_ins.request_count(),
            );
            for id in &faults {
                stand_ins.remove_fault(*id);
            }
            (struck, soak.until_all_is_done(drain_ends).await)
        },
    );
    steps?;
    hooks?;
    let (faults, done) = drained;

    let mut report = soak.report(done?).await?;
    report.seed = seed;
    report.kills = kills?;
    (report.faults, report.calls_in_chaos) = faults;
    report.chaos = size.chaos;
    report.drain = start.elapsed().saturating_sub(size.chaos);
    Ok(report)
}

/// When the first event occurs. Old ones would be queued without their events.
static BEGINNING: LazyLock<Timestamp> = LazyLock::new(Timestamp::now);

/// How often something happened.
#[derive(Clone, Copy, Default)]
struct Counts {
    repeated: usize,
    resent: usize,
    during_reads: usize,
    /// Makes every event's moment its own.
    moment: i64,
}

/// A reader's state that is to change in the middle of a sync: place and revision.
type Pending = (usize, u64);

struct Soak<'a> {
    deployed: &'a Deployed,
    stand_ins: &'a StandIns,
    publishers: &'a [Publisher],
    plan: &'a Plan,
    /// Which version of the webhooks' tokens Sesamy sends.
    version: Cell<u32>,
    /// Every reader's events by id.
    sent: RefCell<Vec<BTreeMap<String, EventType>>>,
    pending: RefCell<Vec<Pending>>,
    counts: RefCell<Counts>,
    stepping: Cell<bool>,
}

impl Soak<'_> {
    /// Puts everybody and everything in place.
    async fn prepare(&self) -> Result<()> {
        for (reader, state) in self.plan.readers.iter().zip(&self.plan.first) {
            let publisher = self.publisher(reader.publisher)?;
            publisher.sesamy.put_user(state.clone());
            reader.introduce(publisher);
            reader.poison(self.stand_ins);
        }
        let mut secrets = vec![("webhook".to_owned(), webhook_secret(self.publishers, &[1]))];
        for publisher in self.publishers {
            secrets.extend(publisher.secrets(self.stand_ins, 1));
        }
        self.deployed.put_secrets(&secrets).await?;
        for crm in Crm::ALL {
            let set = self.deployed;
            set.set_queue_attribute(crm, "VisibilityTimeout", VISIBILITY_SECONDS)
                .await?;
        }
        Ok(())
    }

    fn publisher(&self, place: usize) -> Result<&Publisher> {
        let found = self.publishers.get(place);
        found.ok_or_else(|| Error::new(format!("no publisher {place}")))
    }

    /// Takes the plan's steps, spread evenly over this time.
    async fn take_steps(&self, start: Instant, time: Duration) -> Result<()> {
        let count = u32::try_from(self.plan.steps.len().max(1)).unwrap_or(u32::MAX);
        // The last ones have to come through before the time is up.
        let pause = time.mul_f64(0.95) / count;
        let taken = stream::iter(&self.plan.steps)
            .scan(start, |next, step| {
                let at = *next;
                *next += pause;
                std::future::ready(Some((at, step)))
            })
            .map(|(at, step)| async move {
                sleep_until(at).await;
                self.take(step).await
            })
            .buffer_unordered(IN_PARALLEL)
            .collect::<Vec<Result<()>>>()
            .await;
        self.stepping.set(false);
        taken.into_iter().collect()
    }

    async fn take(&self, step: &Step) -> Result<()> {
        let Some(reader) = self.plan.readers.get(step.reader) else {
            return Ok(());
        };
        let publisher = self.publisher(reader.publisher)?;
        // While a change waits for a read, another one would hide that it came.
        let waits = self
            .pending
            .borrow()
            .iter()
            .any(|(place, _)| *place == step.reader);
        match &step.change {
            Change::Now(state) if !waits => publisher.sesamy.put_user(state.clone()),
            Change::AfterRead(resource, state) if !waits => {
                let number = revision(state).unwrap_or_default();
                self.pending.borrow_mut().push((step.reader, number));
                publisher
                    .sesamy
                    .after_read(*resource, reader.id, 1, Some(state.clone()));
            }
            _ => {}
        }
        for event in &step.events {
            self.announce(step.reader, *event, step.twice).await?;
        }
        Ok(())
    }

    /// Announces what changed in the middle of a sync, as soon as it did.
    async fn announce_changes_in_sync(&self, until: Instant) -> Result<()> {
        while self.stepping.get() || !self.pending.borrow().is_empty() {
            if Instant::now() > until {
                return Err(Error::new("a state that was to change in a sync never did"));
            }
            let came = |(place, number): &Pending| {
                let reader = self.plan.readers.get(*place)?;
                let publisher = self.publishers.get(reader.publisher)?;
                let state = publisher.sesamy.user(reader.id)?;
                (revision(&state) == Some(*number)).then_some(*place)
            };
            let places: Vec<_> = self.pending.borrow().iter().filter_map(came).collect();
            self.pending
                .borrow_mut()
                .retain(|(place, _)| !places.contains(place));
            for place in places {
                self.counts.borrow_mut().during_reads += 1;
                self.announce(place, EventType::UserVendorUpdate, false)
                    .await?;
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Sends a webhook as Sesamy does: again until it is taken.
    async fn announce(&self, place: usize, event: EventType, twice: bool) -> Result<()> {
        let Some(reader) = self.plan.readers.get(place) else {
            return Ok(());
        };
        let publisher = self.publisher(reader.publisher)?;
        let moment = {
            let mut counts = self.counts.borrow_mut();
            counts.moment += 1;
            counts.repeated += usize::from(twice);
            *BEGINNING + SignedDuration::from_millis(counts.moment)
        };
        let body = json!({
            "eventType": event.name(),
            "vendorId": publisher.id,
            "userId": reader.id,
            "occured_at": moment.to_string(),
        });
        let body = body.to_string();
        for _ in 0..=usize::from(twice) {
            let id = self.deliver(publisher, &body).await?;
            if let Some(events) = self.sent.borrow_mut().get_mut(place) {
                events.insert(id, event);
            }
        }
        Ok(())
    }

    async fn deliver(&self, publisher: &Publisher, body: &str) -> Result<String> {
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                self.counts.borrow_mut().resent += 1;
                sleep(Duration::from_millis(500)).await;
            }
            let authorization = format!("Bearer {}", publisher.token(self.version.get()));
            let reply = self
                .deployed
                .stack
                .post(Some(&authorization), body.to_owned())
                .await;
            if let Ok(reply) = &reply {
                let id = reply.body.get("eventId").and_then(Value::as_str);
                if let (202, Some(id)) = (reply.status, id) {
                    return Ok(id.to_owned());
                }
                if reply.status < 500 && reply.status != 429 {
                    // Sesamy drops it: the event would be lost.
                    return Err(Error::new(format!("a webhook was refused: {reply:?}")));
                }
            }
            last = Some(reply);
        }
        Err(Error::new(format!("a webhook was never taken: {last:?}")))
    }

    /// Waits until nothing is left to do; whether that came to pass.
    async fn until_all_is_done(&self, until: Instant) -> Result<bool> {
        loop {
            let mut left = 0;
            for crm in Crm::ALL {
                left += self.deployed.depth(crm).await?.total();
            }
            // In this order: what waits for a read is announced only after it.
            let announced = !self.stepping.get() && self.pending.borrow().is_empty();
            if left == 0 && announced {
                // What was just announced may be on its way to the queue.
                sleep(Duration::from_secs(1)).await;
                let mut left = 0;
                for crm in Crm::ALL {
                    left += self.deployed.depth(crm).await?.total();
                }
                if left == 0 {
                    return Ok(true);
                }
            }
            if Instant::now() > until {
                return Ok(false);
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Looks at what came of it all.
    async fn report(&self, done: bool) -> Result<Report> {
        let sent = self.sent.borrow().clone();
        let mut findings = Findings::default();
        if !done {
            for crm in Crm::ALL {
                let depth = self.deployed.depth(crm).await?;
                findings.wrong.push(format!("{crm} still has {depth:?}"));
            }
        }
        let mut stories = Vec::new();
        for (place, reader) in self.plan.readers.iter().enumerate() {
            let publisher = self.publisher(reader.publisher)?;
            let state = publisher.sesamy.user(reader.id);
            let state = state.ok_or_else(|| Error::new(format!("{} has gone", reader.id)))?;
            let planned = self.plan.steps.iter().filter(|step| step.reader == place);
            let planned = planned.filter_map(|step| match &step.change {
                Change::None => None,
                Change::Now(state) | Change::AfterRead(_, state) => Some(state),
            });
            stories.push(Story {
                reader,
                publisher,
                state,
                past: self
                    .plan
                    .first
                    .get(place)
                    .into_iter()
                    .chain(planned)
                    .collect(),
                events: sent.get(place).cloned().unwrap_or_default(),
            });
        }
        for (place, publisher) in self.publishers.iter().enumerate() {
            let mut started: BTreeMap<(String, String), usize> = BTreeMap::new();
            for flow in publisher.rule.flows() {
                *started.entry((flow.email, flow.tag)).or_default() += 1;
            }
            for story in stories
                .iter()
                .filter(|story| story.reader.publisher == place)
            {
                findings.of_reader(story, &started);
            }
        }
        let dead_letters = findings.of_letters(self.deployed, &stories).await?;
        for violation in self.stand_ins.violations() {
            findings.wrong.push(format!("{violation:?}"));
        }

        let counts = *self.counts.borrow();
        let mut report = Report {
            readers: self.plan.readers.len(),
            events: sent.iter().map(BTreeMap::len).sum(),
            repeated: counts.repeated,
            resent: counts.resent,
            during_reads: counts.during_reads,
            calls: self.stand_ins.request_count(),
            repeated_tags: findings.repeated_tags,
            dead_letters,
            wrong: findings.wrong,
            ..Report::default()
        };
        for crm in Crm::ALL {
            for line in self.deployed.syncs(crm).await? {
                report.retries += usize::from(line.receives > 1);
                report.most_receives = report.most_receives.max(line.receives);
                *report.syncs.entry(line.outcome).or_default() += 1;
            }
        }
        Ok(report)
    }
}
