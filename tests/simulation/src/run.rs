//! Runs a scenario.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::MemoryTable;
use secrecy::SecretString;
use shared::connector::Connector as _;
use shared::consumer::Consumer;
use shared::http::Http;
use shared::identity::{UserId, VendorId};
use shared::message::{Event, EventType, Message, UserKey};
use shared::secrets::{ReadResult, SecretStore, Secrets};
use tokio::time::{Instant, sleep, sleep_until};

use crate::apis::{Apis, BURST, FIRST, OTHER, REQUESTS_PER_MINUTE};
use crate::crm::{Crm, FirstSyncs};
use crate::lambda::{POLLERS, SharedQueue};
use crate::report::SimulationReport;
use crate::scenario::Scenario;
use crate::spread::Spread;

/// Requests to Sesamy per sync: profile, contracts, entitlements, bills.
const READS: f64 = 4.0;

/// The last events are not measured: they wait for their backoff instead of Sesamy.
const TAIL: usize = 500;

/// How often to check whether all events are done.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

pub fn run(scenario: &Scenario) -> SimulationReport {
    fastrand::seed(scenario.seed);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(simulate(scenario.clone()))
}

/// The group of events that a user's event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Events,
    Purchases,
    Other,
}

#[derive(Debug, Clone)]
struct World {
    start: Instant,
    queue: SharedQueue,
    first_syncs: FirstSyncs,
    sent: Arc<Mutex<Vec<SentEvent>>>,
}

#[derive(Debug)]
struct SentEvent {
    kind: Kind,
    user: String,
    at: Duration,
}

/// When an event was sent, and when its sync ended.
struct EventTimes {
    sent: Duration,
    done: Option<Duration>,
}

impl World {
    /// Queues an event of a new user, as the webhook does.
    fn announce(&self, kind: Kind) {
        let mut sent = self.sent.lock().unwrap();
        let (vendor, prefix) = match kind {
            Kind::Events => (FIRST, "e"),
            Kind::Purchases => (FIRST, "p"),
            Kind::Other => (OTHER, "o"),
        };
        let user_id = format!("{prefix}{}", sent.len());
        let user = UserKey {
            vendor_id: VendorId::try_from(vendor).unwrap(),
            user_id: UserId::try_from(user_id.as_str()).unwrap(),
        };
        let now = self.queue.time_of_day();
        let event = Event {
            event_type: EventType::ContractPurchased,
            occurred_at: now,
            contract_id: None,
            entitlement_id: None,
            checkout_id: None,
        };
        let message = Message {
            event_id: event.id(&user.vendor_id, &user.user_id),
            received_at: now,
            event: Some(event),
            user,
        };
        let group = message.user.message_group();
        self.queue.send(&group, message.to_json());
        sent.push(SentEvent {
            kind,
            user: user_id,
            at: self.start.elapsed(),
        });
    }

    fn times(&self, kind: Kind) -> Vec<EventTimes> {
        let sent = self.sent.lock().unwrap();
        let events = sent.iter().filter(|event| event.kind == kind);
        let times = events.map(|event| EventTimes {
            sent: event.at,
            done: self.first_syncs.end_of(&event.user),
        });
        times.collect()
    }

    /// How long each event took. An unfinished one has taken until now.
    fn spread(&self, kind: Kind) -> Spread {
        let now = self.start.elapsed();
        let times = self.times(kind).into_iter();
        times
            .map(|times| times.done.unwrap_or(now) - times.sent)
            .collect()
    }

    async fn keep_announcing(self, kind: Kind, interval: Duration, is_done: impl Fn() -> bool) {
        // A random start keeps this out of step with other timers.
        sleep(interval.mul_f64(fastrand::f64())).await;
        while !is_done() {
            self.announce(kind);
            sleep(interval).await;
        }
    }
}

async fn simulate(scenario: Scenario) -> SimulationReport {
    let start = Instant::now();
    let world = World {
        start,
        queue: SharedQueue::new(start),
        first_syncs: FirstSyncs::new(start),
        sent: Arc::default(),
    };
    let table = MemoryTable::default();
    let apis = Apis::new(scenario.seed, scenario.failure, scenario.fails_for);
    for _ in 0..POLLERS {
        let http = Arc::new(Http::new().unwrap().with_transport(apis.clone()));
        let clock = world.queue.clone();
        let secrets = Secrets::new(VendorSecrets, "simulation");
        let crm = Crm(world.first_syncs.clone());
        let queue = world.queue.clone();
        let clock = move || clock.time_of_day();
        let consumer =
            Consumer::with_clock(crm, http, secrets, table.memory(Crm::NAME), queue, clock);
        tokio::spawn(world.queue.clone().poll(Arc::new(consumer)));
    }
    let done = Arc::new(AtomicBool::new(false));
    let is_done = {
        let done = done.clone();
        move || done.load(Ordering::Relaxed)
    };
    let ends = start + scenario.max_duration;
    let others =
        world
            .clone()
            .keep_announcing(Kind::Other, scenario.other_interval, is_done.clone());
    tokio::spawn(others);
    if let Some(interval) = scenario.purchase_interval {
        let purchases = world
            .clone()
            .keep_announcing(Kind::Purchases, interval, is_done);
        tokio::spawn(purchases);
    }
    for n in 0..scenario.events {
        let count = u32::try_from(scenario.events).unwrap();
        let at = scenario.send_period / count * u32::try_from(n).unwrap();
        sleep_until(start + at).await;
        world.announce(Kind::Events);
    }
    // All events before this one are done.
    let mut first_left = 0;
    while Instant::now() < ends {
        sleep(POLL_INTERVAL).await;
        let is_left = |event: &SentEvent| {
            event.kind == Kind::Events && world.first_syncs.end_of(&event.user).is_none()
        };
        let all_done = {
            let sent = world.sent.lock().unwrap();
            let left = sent.iter().skip(first_left).position(is_left);
            first_left = left.map_or(sent.len(), |left| first_left + left);
            left.is_none()
        };
        if all_done && start.elapsed() >= scenario.min_duration {
            break;
        }
    }
    done.store(true, Ordering::Relaxed);
    while Instant::now() < ends && !world.queue.inspect(crate::fifo::Fifo::is_empty) {
        sleep(POLL_INTERVAL).await;
    }
    let events = world.times(Kind::Events);
    let all_done = events.iter().filter_map(|times| times.done).max();
    SimulationReport {
        queue: world.queue.inspect(crate::fifo::Fifo::counts),
        is_unfinished: !world.queue.inspect(crate::fifo::Fifo::is_empty),
        other: world.spread(Kind::Other),
        purchases: world.spread(Kind::Purchases),
        events: world.spread(Kind::Events),
        all_done: all_done.unwrap_or_default(),
        limit_share: limit_share(&events, &world.times(Kind::Purchases)),
        requests: apis.counts(),
        invocations: world.queue.invocations(),
    }
}

/// See [`SimulationReport::limit_share`].
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn limit_share(events: &[EventTimes], purchases: &[EventTimes]) -> f64 {
    let ends: Spread = events.iter().filter_map(|times| times.done).collect();
    let end = ends.at(1.0 - (TAIL as f64 / events.len().max(1) as f64).min(1.0));
    let all = events.iter().chain(purchases);
    let syncs = all.filter(|times| times.done.is_some_and(|done| done <= end));
    let minutes = end.as_secs_f64() / 60.0;
    let allowed = f64::from(BURST) + f64::from(REQUESTS_PER_MINUTE) * minutes;
    syncs.count() as f64 * READS / allowed
}

#[derive(Debug)]
struct VendorSecrets;

impl SecretStore for VendorSecrets {
    fn read<'a>(&'a self, name: &'a str) -> ReadResult<'a> {
        Box::pin(async move {
            let mut parts = name.rsplit('/');
            let (api, vendor) = (parts.next(), parts.next());
            let secret = api
                .zip(vendor)
                .and_then(|(api, vendor)| Apis::secret(vendor, api));
            Ok(secret.map(|secret| SecretString::from(secret.to_string())))
        })
    }
}
