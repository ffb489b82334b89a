use std::time::Duration;

/// How the first vendor's CRM fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrmFailure {
    None,
    Hangs,
    RefusesConnections,
    /// Answers correctly after this time.
    IsSlow(Duration),
    /// Answers 503 without `Retry-After`.
    Unavailable,
    /// Answers 429 and asks for this wait.
    AsksToWait(Duration),
}

/// One vendor has many users or a failing CRM, and must not affect the other vendor.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Seeds everything random.
    pub seed: u64,
    pub failure: CrmFailure,
    /// How long the CRM fails, from the start.
    pub fails_for: Duration,
    /// How many events the first vendor has, each of another user. They are spread evenly
    /// over `send_period`.
    pub events: usize,
    pub send_period: Duration,
    /// How often another user of the first vendor buys something, until the events are
    /// done.
    pub purchase_interval: Option<Duration>,
    /// How often the other vendor has an event.
    pub other_interval: Duration,
    pub min_duration: Duration,
    /// The scenario then ends even if messages are left.
    pub max_duration: Duration,
}

/// The sustained rate of the template's API.
const WEBHOOKS_PER_SECOND: u32 = 50;

impl Scenario {
    /// The first vendor's CRM fails for a day.
    pub fn outage(failure: CrmFailure, events: usize) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            seed: 1,
            failure,
            fails_for: DAY,
            events,
            send_period: Duration::from_secs(60 * 60),
            purchase_interval: None,
            other_interval: Duration::from_secs(30),
            min_duration: DAY,
            max_duration: 2 * DAY,
        }
    }

    /// Many users of the first vendor change, as fast as the API accepts their webhooks.
    pub fn bulk(events: usize) -> Self {
        let send_period = min_time_for(events);
        Self {
            seed: 1,
            failure: CrmFailure::None,
            fails_for: Duration::ZERO,
            events,
            send_period,
            purchase_interval: Some(Duration::from_secs(120)),
            other_interval: Duration::from_secs(30),
            min_duration: send_period,
            max_duration: Duration::from_secs(14 * 24 * 60 * 60),
        }
    }

    /// The first vendor's CRM fails for two hours while the other vendor has many events.
    pub fn noisy(failure: CrmFailure, events: usize) -> Self {
        const TWO_HOURS: Duration = Duration::from_secs(2 * 60 * 60);
        Self {
            seed: 1,
            failure,
            fails_for: TWO_HOURS,
            events,
            send_period: Duration::from_secs(10 * 60),
            purchase_interval: Some(Duration::from_secs(60)),
            other_interval: Duration::from_secs(3),
            min_duration: TWO_HOURS,
            max_duration: 2 * TWO_HOURS,
        }
    }

    /// The first hours of a bulk change without purchases.
    pub fn flood(events: usize) -> Self {
        let bulk = Self::bulk(events);
        Self {
            purchase_interval: None,
            other_interval: Duration::from_secs(3),
            max_duration: 4 * bulk.send_period,
            ..bulk
        }
    }
}

fn min_time_for(events: usize) -> Duration {
    let count = u32::try_from(events).unwrap_or(u32::MAX);
    Duration::from_secs(1) / WEBHOOKS_PER_SECOND * count
}
