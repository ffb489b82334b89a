use std::{collections::BTreeMap, fmt, time::Duration};

/// The results of a soak.
#[derive(Clone, Debug, Default)]
pub struct SoakReport {
    pub seed: u64,
    /// The users of all publishers.
    pub users: usize,
    /// Distinct events, each of which goes to every connector.
    pub events: usize,
    /// Webhooks that were sent twice.
    pub repeated: usize,
    /// Webhooks that were sent again after a failure.
    pub resent: usize,
    /// Events that came again through another path.
    pub repeated_later: usize,
    /// States that changed during a sync.
    pub changed_in_sync: usize,
    /// Changes of a user's address.
    pub moves: usize,
    /// Users that Sesamy deleted.
    pub deletions: usize,
    /// Wake-ups that came to a connector.
    pub wake_ups: usize,
    /// How often a function found that the user table does not answer.
    pub table_failures: usize,
    pub api_calls: u64,
    /// The API calls while faults were injected.
    pub api_calls_in_chaos: u64,
    /// The API calls that an injected fault made fail.
    pub faults: u64,
    pub killed_processes: usize,
    pub syncs_by_outcome: BTreeMap<String, usize>,
    /// Syncs of messages that had been received before.
    pub retries: usize,
    pub max_receives: u64,
    /// How often Rule and Mailchimp got an event again.
    pub repeated_events: usize,
    pub dead_letters: usize,
    pub chaos: Duration,
    /// From the end of the chaos until the queues were empty.
    pub drain: Duration,
    /// From then until the last access had ended and been noticed.
    pub settling: Duration,
    pub failures: Vec<String>,
}

impl fmt::Display for SoakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100 * self.faults / self.api_calls_in_chaos.max(1);
        writeln!(f, "seed            {}", self.seed)?;
        writeln!(f, "users           {}", self.users)?;
        writeln!(
            f,
            "events          {} (and {} delivered twice, {} again later, {} sent again after a failure)",
            self.events, self.repeated, self.repeated_later, self.resent
        )?;
        writeln!(f, "changed in sync {}", self.changed_in_sync)?;
        writeln!(
            f,
            "lives           {} changes of address, {} deletions, {} wake-ups",
            self.moves, self.deletions, self.wake_ups
        )?;
        writeln!(f, "table failures  {}", self.table_failures)?;
        writeln!(f, "API calls       {}", self.api_calls)?;
        writeln!(
            f,
            "faults          {} ({share} % of the calls meanwhile)",
            self.faults
        )?;
        writeln!(f, "kills           {}", self.killed_processes)?;
        let syncs = self
            .syncs_by_outcome
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
            self.retries, self.max_receives
        )?;
        writeln!(f, "repeated events {}", self.repeated_events)?;
        writeln!(f, "dead-letters    {}", self.dead_letters)?;
        writeln!(
            f,
            "duration        {} s, {} s until the queues were empty, and {} s until access had ended",
            self.chaos.as_secs(),
            self.drain.as_secs(),
            self.settling.as_secs()
        )?;
        for failure in &self.failures {
            writeln!(f, "WRONG           {failure}")?;
        }
        Ok(())
    }
}
