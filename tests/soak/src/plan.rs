//! What is to happen to whom, made from a seed before anything happens.

use std::time::Duration;

use fastrand::Rng;
use local_aws::Result;
use shared::message::EventType;
use stand_ins::{Resource, User};

use crate::readers::{Reader, States};

/// How large a soak is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Readers of all publishers together.
    pub readers: usize,
    /// Events of all readers together.
    pub events: usize,
    /// How long events come and everything fails.
    pub chaos: Duration,
    /// How often a function is killed.
    pub kills: usize,
    /// How long it may then take until the queues are empty.
    pub drain: Duration,
}

impl Size {
    /// A minute and a half on a quiet machine, the deployment included; the drain
    /// leaves room for a busy one. What failed last
    /// waits for half a minute, which nothing can hurry.
    pub const SHORT: Self = Self {
        readers: 150,
        events: 900,
        chaos: Duration::from_secs(24),
        kills: 6,
        drain: Duration::from_secs(240),
    };

    /// About ten minutes: a message waits as long as it is old.
    pub const LONG: Self = Self {
        readers: 500,
        events: 6_000,
        chaos: Duration::from_secs(240),
        kills: 40,
        drain: Duration::from_secs(420),
    };
}

/// How a reader's state changes.
#[derive(Clone, Debug)]
pub enum Change {
    /// Not at all: an event that says nothing new.
    None,
    /// Before the events are sent.
    Now(User),
    /// In the middle of a sync, right after this resource was read once more.
    AfterRead(Resource, User),
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub struct Step {
    /// To whom, by place.
    pub reader: usize,
    /// What changes.
    pub change: Change,
    /// What Sesamy announces of it.
    pub events: Vec<EventType>,
    /// Whether Sesamy delivers each of them twice.
    pub twice: bool,
}

/// Everything that is to happen.
pub struct Plan {
    /// The readers.
    pub readers: Vec<Reader>,
    /// Their first states, by place.
    pub first: Vec<User>,
    /// What happens, in this order.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The plan of this seed.
    pub fn new(seed: u64, size: Size, publishers: usize) -> Result<Self> {
        let mut random = Rng::with_seed(seed);
        let mut states = States::new(seed);
        let readers: Vec<_> = (0..size.readers)
            .map(|number| Reader::new(number, publishers))
            .collect();
        let first = readers.iter().map(|reader| states.next(reader));
        let first = first.collect::<Result<_>>()?;
        let (mut steps, mut events) = (Vec::new(), 0);
        // Everybody has a turn, and so at least one event.
        for (place, reader) in readers.iter().enumerate().cycle() {
            if events >= size.events && steps.len() >= readers.len() {
                break;
            }
            let step = Step {
                reader: place,
                change: match random.u8(0..10) {
                    0..2 => Change::None,
                    2..4 => Change::AfterRead(resource(&mut random), states.next(reader)?),
                    _ => Change::Now(states.next(reader)?),
                },
                events: (0..random.usize(1..=3))
                    .map(|_| event(&mut random))
                    .collect(),
                twice: random.u8(0..10) == 0,
            };
            events += step.events.len();
            steps.push(step);
        }
        random.shuffle(&mut steps);
        Ok(Self {
            readers,
            first,
            steps,
        })
    }
}

fn resource(random: &mut Rng) -> Resource {
    match random.u8(0..3) {
        0 => Resource::User,
        1 => Resource::Contracts,
        _ => Resource::Entitlements,
    }
}

fn event(random: &mut Rng) -> EventType {
    let all = EventType::ALL;
    let place = random.usize(0..all.len());
    all.get(place).copied().unwrap_or(EventType::ContractUpdate)
}
