//! Runs a scenario.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
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

/// The last events wait for their backoff rather than for Sesamy.
const TAIL: usize = 500;

/// How often to look whether all is done.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

pub fn run(scenario: &Scenario) -> SimulationReport {
    fastrand::seed(scenario.seed);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(simulate(scenario.clone()))
}

/// What a user's event belongs to.
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
    done: FirstSyncs,
    sent: Arc<Mutex<Vec<(Kind, String, Duration)>>>,
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
        sent.push((kind, user_id, self.start.elapsed()));
    }

    /// When each of these events was sent, and when its sync ended.
    fn times(&self, kind: Kind) -> Vec<(Duration, Option<Duration>)> {
        let sent = self.sent.lock().unwrap();
        let sent = sent.iter().filter(|(other, ..)| *other == kind);
        sent.map(|(_, user, at)| (*at, self.done.of(user)))
            .collect()
    }

    /// How long each took. An unfinished one has taken until now.
    fn spread(&self, kind: Kind) -> Spread {
        let now = self.start.elapsed();
        let times = self.times(kind).into_iter();
        times.map(|(at, done)| done.unwrap_or(now) - at).collect()
    }

    async fn keep_announcing(self, kind: Kind, every: Duration, end: impl Fn() -> bool) {
        // Not in step with other timers.
        sleep(every.mul_f64(fastrand::f64())).await;
        while !end() {
            self.announce(kind);
            sleep(every).await;
        }
    }
}

async fn simulate(scenario: Scenario) -> SimulationReport {
    let start = Instant::now();
    let world = World {
        start,
        queue: SharedQueue::new(start),
        done: FirstSyncs::new(start),
        sent: Arc::default(),
    };
    let apis = Apis::new(scenario.seed, scenario.trouble, scenario.trouble_for);
    for _ in 0..POLLERS {
        let http = Arc::new(Http::new().unwrap().with_transport(apis.clone()));
        let clock = world.queue.clone();
        let secrets = Secrets::new(VendorSecrets, "simulation");
        let crm = Crm(world.done.clone());
        let queue = world.queue.clone();
        let clock = move || clock.time_of_day();
        let consumer = Consumer::with_clock(crm, http, secrets, queue, clock);
        tokio::spawn(world.queue.clone().poll(Arc::new(consumer)));
    }
    let is_done = Arc::new(Mutex::new(false));
    let enough = {
        let is_done = is_done.clone();
        move || *is_done.lock().unwrap()
    };
    let ends = start + scenario.at_most;
    let others = world
        .clone()
        .keep_announcing(Kind::Other, scenario.other_every, enough.clone());
    tokio::spawn(others);
    if let Some(every) = scenario.purchase_every {
        let purchases = world
            .clone()
            .keep_announcing(Kind::Purchases, every, enough);
        tokio::spawn(purchases);
    }
    for n in 0..scenario.events {
        let count = u32::try_from(scenario.events).unwrap();
        let at = scenario.within / count * u32::try_from(n).unwrap();
        sleep_until(start + at).await;
        world.announce(Kind::Events);
    }
    let mut last = 0;
    // From the first event that was not done at the last look.
    while Instant::now() < ends {
        sleep(POLL_INTERVAL).await;
        let users = world.sent.lock().unwrap();
        let is_left = |(kind, user, _): &(Kind, String, Duration)| {
            *kind == Kind::Events && world.done.of(user).is_none()
        };
        let left = users.iter().skip(last).position(is_left);
        last = left.map_or(users.len(), |left| last + left);
        drop(users);
        if left.is_none() && start.elapsed() >= scenario.at_least {
            break;
        }
    }
    *is_done.lock().unwrap() = true;
    while Instant::now() < ends && !world.queue.inspect(crate::fifo::Fifo::is_empty) {
        sleep(POLL_INTERVAL).await;
    }
    let events = world.times(Kind::Events);
    let all_done = events.iter().filter_map(|(_, done)| *done).max();
    SimulationReport {
        queue: world.queue.inspect(crate::fifo::Fifo::counts),
        is_unfinished: !world.queue.inspect(crate::fifo::Fifo::is_empty),
        other: world.spread(Kind::Other),
        purchases: world.spread(Kind::Purchases),
        events: world.spread(Kind::Events),
        all_done: all_done.unwrap_or_default(),
        drain: drain(&events, &world.times(Kind::Purchases)),
        requests: apis.counts(),
        invocations: world.queue.invocations(),
    }
}

/// See [`SimulationReport::drain`].
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn drain(
    events: &[(Duration, Option<Duration>)],
    purchases: &[(Duration, Option<Duration>)],
) -> f64 {
    let ends: Spread = events.iter().filter_map(|(_, done)| *done).collect();
    let end = ends.at(1.0 - (TAIL as f64 / events.len().max(1) as f64).min(1.0));
    let all = events.iter().chain(purchases);
    let syncs = all.filter(|(_, done)| done.is_some_and(|at| at <= end));
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
            let (of, vendor) = (parts.next(), parts.next());
            let secret = of
                .zip(vendor)
                .and_then(|(of, vendor)| Apis::secret(vendor, of));
            Ok(secret.map(|secret| SecretString::from(secret.to_string())))
        })
    }
}
