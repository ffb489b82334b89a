//! The plan of a soak, which depends only on its seed.

use std::time::Duration;

use fakes::{Resource, User};
use fastrand::Rng;
use harness::Result;
use shared::message::EventType;

use crate::users::{SoakUser, States};

#[derive(Clone, Copy, Debug)]
pub struct SoakSize {
    /// The users of all publishers together.
    pub users: usize,
    /// The events of all users together.
    pub events: usize,
    /// How long events arrive while calls fail.
    pub chaos: Duration,
    /// How often a function is killed.
    pub kills: usize,
    /// How long the queues may take to empty afterwards.
    pub drain: Duration,
}

impl SoakSize {
    /// Takes two minutes on a quiet machine, including the deployment. The drain
    /// allows for a busy machine and for the last retries, which wait half a minute.
    pub const SHORT: Self = Self {
        users: 100,
        events: 540,
        chaos: Duration::from_secs(24),
        kills: 6,
        drain: Duration::from_secs(240),
    };

    /// Takes about ten minutes, because a failed message waits about as long as its age.
    pub const LONG: Self = Self {
        users: 330,
        events: 3_600,
        chaos: Duration::from_secs(240),
        kills: 40,
        drain: Duration::from_secs(420),
    };

    /// When the last access ends that ends by time: late enough that much of it was
    /// synced before.
    pub fn last_expiry(self) -> Duration {
        self.chaos + Duration::from_secs(18)
    }

    fn random_expiry(self, random: &mut Rng) -> Duration {
        let first = self.chaos.mul_f64(0.8);
        let rest = self.last_expiry().saturating_sub(first);
        first + rest.mul_f64(random.f64())
    }
}

#[derive(Clone, Debug)]
pub enum StateChange {
    /// The events arrive without a change.
    None,
    BeforeEvents(User),
    /// During a sync, right after the next read of this resource.
    AfterRead(Resource, User),
    /// Sesamy deletes the user.
    Deletion,
}

#[derive(Clone, Debug)]
pub struct PlannedStep {
    /// The user's index.
    pub user: usize,
    pub change: StateChange,
    /// After the start. A change gives the user access until then.
    pub access_ends: Option<Duration>,
    /// The index of the address that a change moves the user to.
    pub address: usize,
    pub events: Vec<EventType>,
    /// Whether Sesamy delivers each event twice.
    pub twice: bool,
    /// Whether an earlier event of the user comes again afterwards.
    pub repeats: bool,
}

pub struct Plan {
    pub users: Vec<SoakUser>,
    /// The initial states, in the order of `users`.
    pub first_states: Vec<User>,
    pub steps: Vec<PlannedStep>,
}

impl Plan {
    pub fn new(seed: u64, size: SoakSize, publishers: usize) -> Result<Self> {
        let mut random = Rng::with_seed(seed);
        let mut states = States::new(seed);
        let users: Vec<_> = (0..size.users)
            .map(|number| SoakUser::new(number, size.users, publishers))
            .collect();
        let first_states = users.iter().map(|user| states.next(user));
        let first_states = first_states.collect::<Result<_>>()?;
        let (mut steps, mut events) = (Vec::new(), 0);
        // Every user has at least one step, and so at least one event.
        for (index, user) in users.iter().enumerate().cycle() {
            if events >= size.events && steps.len() >= users.len() {
                break;
            }
            let state = states.next(user)?;
            let step = PlannedStep {
                user: index,
                change: match random.u8(0..10) {
                    0..2 => StateChange::None,
                    // Its read may be that of a user who is deleted, and bring the user back.
                    2..4 if !user.is_deleted() => {
                        StateChange::AfterRead(resource(&mut random), state)
                    }
                    _ => StateChange::BeforeEvents(state),
                },
                access_ends: (user.may_expire() && random.u8(0..10) < 7)
                    .then(|| size.random_expiry(&mut random)),
                address: random.usize(0..user.addresses.len()),
                events: (0..random.usize(1..=3))
                    .map(|_| event(&mut random, user))
                    .collect(),
                twice: random.u8(0..10) == 0,
                repeats: random.u8(0..10) == 0,
            };
            events += step.events.len();
            steps.push(step);
        }
        random.shuffle(&mut steps);
        for (index, _) in users
            .iter()
            .enumerate()
            .filter(|(_, user)| user.is_deleted())
        {
            let last = steps.iter_mut().rfind(|step| step.user == index);
            if let Some(last) = last {
                last.change = StateChange::Deletion;
            }
        }
        Ok(Self {
            users,
            first_states,
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

fn event(random: &mut Rng, user: &SoakUser) -> EventType {
    let all = EventType::ALL;
    let index = random.usize(0..all.len());
    match all.get(index) {
        // A second look would come to a user who is deleted, and wait for Sesamy's reads.
        Some(EventType::CheckoutConfirm) if user.is_deleted() => EventType::ContractUpdate,
        event => event.copied().unwrap_or(EventType::ContractUpdate),
    }
}
