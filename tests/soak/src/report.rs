//! What a soak has to tell.

use std::{collections::BTreeMap, fmt, time::Duration};

/// What happened in a soak.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What the plan was made from.
    pub seed: u64,
    /// Readers of all publishers together.
    pub readers: usize,
    /// Distinct events, each for three CRMs.
    pub events: usize,
    /// Webhooks that said again what another had said.
    pub repeated: usize,
    /// Webhooks that had to be sent again.
    pub resent: usize,
    /// States that came to be in the middle of a sync.
    pub during_reads: usize,
    /// Calls to the APIs.
    pub calls: u64,
    /// Those of them that were made while calls failed.
    pub calls_in_chaos: u64,
    /// Calls that were made to fail.
    pub faults: u64,
    /// Processes that were killed.
    pub kills: usize,
    /// Syncs by outcome.
    pub syncs: BTreeMap<String, usize>,
    /// Syncs of messages that had been received before.
    pub retries: usize,
    /// The most often any message was received.
    pub most_receives: u64,
    /// Event tags that Rule got beyond one per event.
    pub repeated_tags: usize,
    /// Dead letters.
    pub dead_letters: usize,
    /// From the first event to the last, and on until the queues were empty.
    pub chaos: Duration,
    /// The latter part of it.
    pub drain: Duration,
    /// What is not as it must be.
    pub wrong: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100 * self.faults / self.calls_in_chaos.max(1);
        writeln!(f, "seed            {}", self.seed)?;
        writeln!(f, "readers         {}", self.readers)?;
        writeln!(
            f,
            "events          {} (and {} delivered twice, {} sent again after a failure)",
            self.events, self.repeated, self.resent
        )?;
        writeln!(f, "changed in sync {}", self.during_reads)?;
        writeln!(f, "API calls       {}", self.calls)?;
        writeln!(
            f,
            "faults          {} ({share} % of the calls until they ended)",
            self.faults
        )?;
        writeln!(f, "kills           {}", self.kills)?;
        let syncs = self
            .syncs
            .iter()
            .map(|(name, count)| format!("{count} {name}"));
        writeln!(
            f,
            "syncs           {}",
            syncs.collect::<Vec<_>>().join(", ")
        )?;
        writeln!(
            f,
            "retries         {} (a message was received {} times at most)",
            self.retries, self.most_receives
        )?;
        writeln!(f, "repeated tags   {}", self.repeated_tags)?;
        writeln!(f, "dead letters    {}", self.dead_letters)?;
        let (chaos, drain) = (self.chaos.as_secs(), self.drain.as_secs());
        writeln!(
            f,
            "duration        {chaos} s, and {drain} s until all was done"
        )?;
        for wrong in &self.wrong {
            writeln!(f, "WRONG           {wrong}")?;
        }
        Ok(())
    }
}
