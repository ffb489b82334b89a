//! What is simulated.

use std::time::Duration;

/// What the troubled vendor's CRM does for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing: it works.
    None,
    /// It takes every call and never answers.
    Hangs,
    /// It takes no connection.
    Refuses,
    /// It answers rightly, but so late.
    Trickles(Duration),
    /// It answers 503 and says nothing of when to come back.
    Unavailable,
    /// It answers 429 and asks to be left alone for so long.
    AskedToWait(Duration),
}

/// One run: a vendor with many readers, and another who wants to notice nothing of it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What all chance comes from.
    pub seed: u64,
    /// What ails the first vendor's CRM…
    pub trouble: Trouble,
    /// … from the start on for so long.
    pub trouble_for: Duration,
    /// Events of the first vendor, each of a reader of its own, evenly spread
    /// over [`Self::within`] from the start on.
    pub events: usize,
    /// How long the first vendor's events take to come in.
    pub within: Duration,
    /// How often a further reader of the first vendor buys something, until
    /// the events are done. `None` for never.
    pub purchase_every: Option<Duration>,
    /// How often something happens to a reader of the other vendor.
    pub other_every: Duration,
    /// For how long at least.
    pub at_least: Duration,
    /// When the run is ended though messages are left.
    pub at_most: Duration,
}

/// How many webhooks a second the template's API lets through for long.
const WEBHOOKS_PER_SECOND: u32 = 50;

impl Scenario {
    /// A day of trouble with the first vendor's CRM.
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

    /// A bulk change of so many readers of the first vendor, as fast as the API
    /// lets their webhooks through.
    pub fn bulk(events: usize) -> Self {
        let within = as_fast_as_can_be(events);
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

    /// Two hours of trouble with the first vendor's CRM, some of whose readers
    /// wait, while the other vendor's events come often.
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

    /// A bulk change without purchases, of which the first hours are looked at.
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

fn as_fast_as_can_be(events: usize) -> Duration {
    let count = u32::try_from(events).unwrap_or(u32::MAX);
    Duration::from_secs(1) / WEBHOOKS_PER_SECOND * count
}
