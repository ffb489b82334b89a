use std::time::Duration;

/// How the first vendor's CRM fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// Never answers.
    Hangs,
    RefusesConnections,
    /// Answers correctly, but so late.
    IsSlow(Duration),
    /// Answers 503 without `Retry-After`.
    Unavailable,
    /// Answers 429 and asks for this wait.
    AsksToWait(Duration),
}

/// A vendor with many users or a failing CRM, and another that must not notice.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Of all randomness.
    pub seed: u64,
    pub trouble: Trouble,
    /// From the start.
    pub trouble_for: Duration,
    /// Of the first vendor, each of another user, evenly spread over
    /// [`Self::within`].
    pub events: usize,
    pub within: Duration,
    /// How often another user of the first vendor buys something, until the
    /// events are done.
    pub purchase_every: Option<Duration>,
    /// How often the other vendor has an event.
    pub other_every: Duration,
    pub at_least: Duration,
    /// The end, even if messages are left.
    pub at_most: Duration,
}

/// The sustained rate of the template's API.
const WEBHOOKS_PER_SECOND: u32 = 50;

impl Scenario {
    /// The first vendor's CRM fails for a day.
    pub fn outage(trouble: Trouble, events: usize) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            seed: 1,
            trouble,
            trouble_for: DAY,
            events,
            within: Duration::from_secs(60 * 60),
            purchase_every: None,
            other_every: Duration::from_secs(30),
            at_least: DAY,
            at_most: 2 * DAY,
        }
    }

    /// Many users of the first vendor change, as fast as the API takes their
    /// webhooks.
    pub fn bulk(events: usize) -> Self {
        let within = min_time_for(events);
        Self {
            seed: 1,
            trouble: Trouble::None,
            trouble_for: Duration::ZERO,
            events,
            within,
            purchase_every: Some(Duration::from_secs(120)),
            other_every: Duration::from_secs(30),
            at_least: within,
            at_most: Duration::from_secs(14 * 24 * 60 * 60),
        }
    }

    /// The first vendor's CRM fails for two hours, while the other vendor has
    /// many events.
    pub fn noisy(trouble: Trouble, events: usize) -> Self {
        const TWO_HOURS: Duration = Duration::from_secs(2 * 60 * 60);
        Self {
            seed: 1,
            trouble,
            trouble_for: TWO_HOURS,
            events,
            within: Duration::from_secs(10 * 60),
            purchase_every: Some(Duration::from_secs(60)),
            other_every: Duration::from_secs(3),
            at_least: TWO_HOURS,
            at_most: 2 * TWO_HOURS,
        }
    }

    /// The first hours of a bulk change without purchases.
    pub fn flood(events: usize) -> Self {
        let bulk = Self::bulk(events);
        Self {
            purchase_every: None,
            other_every: Duration::from_secs(3),
            at_most: 4 * bulk.within,
            ..bulk
        }
    }
}

fn min_time_for(events: usize) -> Duration {
    let count = u32::try_from(events).unwrap_or(u32::MAX);
    Duration::from_secs(1) / WEBHOOKS_PER_SECOND * count
}
