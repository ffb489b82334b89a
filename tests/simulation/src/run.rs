//! One run of a scenario.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use shared::consumer::Consumer;
use shared::http::Http;
use shared::identity::{UserId, VendorId};
use shared::message::{Event, EventType, Message, Reader};
use shared::secrets::{ReadResult, SecretStore, Secrets};
use tokio::time::{Instant, sleep, sleep_until};

use crate::apis::{Apis, BURST, FIRST, OTHER, PER_MINUTE};
use crate::crm::{Crm, Done};
use crate::lambda::{POLLERS, Shared};
use crate::report::Report;
use crate::scenario::Scenario;
use crate::spread::Spread;

/// Requests to Sesamy that a sync needs: profile, contracts, entitlements, bills.
const READS: f64 = 4.0;

/// The last events, which wait for their back-off rather than for Sesamy.
const TAIL: usize = 500;

/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_secs(10);

/// Runs a scenario on a virtual clock.
///
/// # Panics
/// Where the simulation itself is broken.
pub fn run(scenario: &Scenario) -> Report {
    fastrand::seed(scenario.seed);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(simulate(scenario.clone()))
}

/// Who an event is about, and when it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Events,
    Purchases,
    Other,
}

#[derive(Debug, Clone)]
struct World {
    start: Instant,
    queue: Shared,
    done: Done,
    sent: Arc<Mutex<Vec<(Of, String, Duration)>>>,
}

impl World {
    /// Queues an event of a reader of its own, as the webhook does.
    fn announce(&self, of: Of) {
        let mut sent = self.sent.lock().unwrap();
        let (vendor, prefix) = match of {
            Of::Events => (FIRST, "e"),
            Of::Purchases => (FIRST, "p"),
            Of::Other => (OTHER, "o"),
        };
        let user = format!("{prefix}{}", sent.len());
        let reader = Reader {
            vendor_id: VendorId::try_from(vendor).unwrap(),
            user_id: UserId::try_from(user.as_str()).unwrap(),
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
            event_id: event.id(&reader.vendor_id, &reader.user_id),
            received_at: now,
            event: Some(event),
            reader,
        };
        let group = message.reader.message_group();
        self.queue.send(&group, message.to_json());
        sent.push((of, user, self.start.elapsed()));
    }

    /// The users of these events, with when each was sent and done.
    fn times(&self, of: Of) -> Vec<(Duration, Option<Duration>)> {
        let sent = self.sent.lock().unwrap();
        let sent = sent.iter().filter(|(what, ..)| *what == of);
        sent.map(|(_, user, at)| (*at, self.done.of(user)))
            .collect()
    }

    /// How long each took. What is not done has taken until now.
    fn spread(&self, of: Of) -> Spread {
        let now = self.start.elapsed();
        let times = self.times(of).into_iter();
        times.map(|(at, done)| done.unwrap_or(now) - at).collect()
    }

    /// Announces again and again until `end` tells that it is enough.
    async fn keep_announcing(self, of: Of, every: Duration, end: impl Fn() -> bool) {
        // Not in step with anything else.
        sleep(every.mul_f64(fastrand::f64())).await;
        while !end() {
            self.announce(of);
            sleep(every).await;
        }
    }
}

async fn simulate(scenario: Scenario) -> Report {
    let start = Instant::now();
    let world = World {
        start,
        queue: Shared::new(start),
        done: Done::new(start),
        sent: Arc::default(),
    };
    let apis = Apis::new(scenario.seed, scenario.trouble, scenario.trouble_for);
    for _ in 0..POLLERS {
        let http = Arc::new(Http::new().unwrap().carried_by(apis.clone()));
        let clock = world.queue.clone();
        let secrets = Secrets::new(Vendors, "simulation");
        let crm = Crm(world.done.clone());
        let consumer = Consumer::new(crm, http, secrets, world.queue.clone());
        let consumer = Arc::new(consumer.by_clock(move || clock.time_of_day()));
        tokio::spawn(world.queue.clone().poll(consumer));
    }
    let is_done = Arc::new(Mutex::new(false));
    let enough = {
        let is_done = is_done.clone();
        move || *is_done.lock().unwrap()
    };
    let ends = start + scenario.at_most;
    let others = world
        .clone()
        .keep_announcing(Of::Other, scenario.other_every, enough.clone());
    tokio::spawn(others);
    if let Some(every) = scenario.purchase_every {
        let purchases = world.clone().keep_announcing(Of::Purchases, every, enough);
        tokio::spawn(purchases);
    }
    for n in 0..scenario.events {
        let count = u32::try_from(scenario.events).unwrap();
        let at = scenario.within / count * u32::try_from(n).unwrap();
        sleep_until(start + at).await;
        world.announce(Of::Events);
    }
    let mut last = 0;
    // Looks at the events alone, from the last one that was not done.
    while Instant::now() < ends {
        sleep(LOOK).await;
        let users = world.sent.lock().unwrap();
        let is_left = |(of, user, _): &(Of, String, Duration)| {
            *of == Of::Events && world.done.of(user).is_none()
        };
        let left = users.iter().skip(last).position(is_left);
        last = left.map_or(users.len(), |left| last + left);
        drop(users);
        if left.is_none() && start.elapsed() >= scenario.at_least {
            break;
        }
    }
    *is_done.lock().unwrap() = true;
    while Instant::now() < ends && !world.queue.look(crate::fifo::Fifo::is_empty) {
        sleep(LOOK).await;
    }
    let counts = apis.counts();
    let events = world.times(Of::Events);
    let all_done = events.iter().filter_map(|(_, done)| *done).max();
    Report {
        queue: world.queue.look(crate::fifo::Fifo::counts),
        is_unfinished: !world.queue.look(crate::fifo::Fifo::is_empty),
        other: world.spread(Of::Other),
        purchases: world.spread(Of::Purchases),
        events: world.spread(Of::Events),
        all_done: all_done.unwrap_or_default(),
        drain: drain(&events, &world.times(Of::Purchases)),
        sesamy_answered: counts.answered,
        sesamy_refused: counts.refused,
        crm_in_trouble: counts.in_trouble,
        invocations: world.queue.invocations(),
    }
}

/// See [`Report::drain`].
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
    let allowed = f64::from(BURST) + f64::from(PER_MINUTE) * minutes;
    syncs.count() as f64 * READS / allowed
}

/// The secrets of both vendors.
#[derive(Debug)]
struct Vendors;

impl SecretStore for Vendors {
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
