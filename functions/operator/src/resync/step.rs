//! One step of a run: some users into every connector's queue, and how long to wait.
//!
//! A step changes nothing but the queues, so the state machine may repeat it: the run
//! advances only by the answer of a step that succeeded.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use serde::Serialize;
use shared::message::{Message, UserKey};
use shared::sqs::{MAX_BATCH, OutgoingMessage};
use thiserror::Error;
use tracing::{info, warn};

use super::Resyncs;
use super::executions::name;
use super::pace::Pace;
use super::platform::Platform;
use super::run::Run;
use super::users::UsersError;
use crate::connectors::DeployedConnector;
use crate::dead_letters::ConnectorQueues;

/// So many messages in flight mean an outage of a CRM or of Sesamy. Decided.
const MAX_IN_FLIGHT: u64 = 200;

/// The wait after an error that states none. Decided.
const UNSTATED_WAIT: Duration = Duration::from_secs(60);

/// Decided: a run shows that it is alive every quarter of an hour.
const MAX_WAIT: Duration = Duration::from_secs(900);

/// Step, Decide and Wait in the history of an execution, and each retry of a step.
/// Source: AWS's documentation of execution events.
const EVENTS_OF_A_STEP: u32 = 9;
const EVENTS_OF_A_RETRY: u32 = 3;

/// Where the next execution takes over. AWS fails an execution of 25,000 events.
pub const MAX_EVENTS: u32 = 20_000;

/// What the state machine does next.
#[derive(Debug, Serialize)]
#[serde(tag = "next", rename_all = "snake_case")]
pub enum StepAnswer {
    #[serde(rename_all = "camelCase")]
    Wait {
        run: Run,
        wait_seconds: u64,
    },
    /// The execution of this name continues.
    HandOver {
        run: Run,
        name: String,
    },
    Finish {
        run: Run,
    },
    /// A person must fix the cause.
    Fail {
        run: Run,
        reason: String,
    },
}

/// The state machine retries the step.
#[derive(Debug, Error)]
#[error("the queue of {connector} did not take a message: {reason}")]
pub struct StepError {
    connector: String,
    reason: String,
}

/// What a step does with the run.
enum Plan {
    /// Sends so many of the pending users.
    Send {
        users: usize,
        wait: Duration,
    },
    Wait {
        reason: Option<String>,
        wait: Duration,
    },
    Fail {
        reason: String,
    },
}

impl<Q: ConnectorQueues, P: Platform> Resyncs<'_, Q, P> {
    /// Does one step. `retries` is how often the state machine tried it before.
    pub async fn step(&self, mut run: Run, retries: u32) -> Result<StepAnswer, StepError> {
        run.updated_at = self.platform.now();
        run.waiting = None;
        run.events += EVENTS_OF_A_STEP + EVENTS_OF_A_RETRY * retries;
        let (sent, wait) = match self.plan(&mut run).await {
            Plan::Send { users, wait } => {
                self.send(&run, users).await?;
                run.visited += users as u64;
                run.pending.drain(..users.min(run.pending.len()));
                (users, wait)
            }
            Plan::Wait { reason, wait } => {
                run.waiting = reason;
                (0, wait)
            }
            Plan::Fail { reason } => {
                log(&run, 0, Some(&reason));
                return Ok(StepAnswer::Fail { run, reason });
            }
        };
        log(&run, sent, None);
        if run.is_done() {
            return Ok(StepAnswer::Finish { run });
        }
        if run.events >= MAX_EVENTS {
            run.hand_over(run.execution + 1);
            let name = name(&run.vendor_id, run.execution);
            return Ok(StepAnswer::HandOver { run, name });
        }
        let wait_seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Ok(StepAnswer::Wait { run, wait_seconds })
    }

    async fn plan(&self, run: &mut Run) -> Plan {
        let pace = self.pace(run);
        let wait = pace.interval();
        run.allowance.grow(pace, run.updated_at);
        if self.connectors_of(run).count() < run.connectors.len() {
            return Plan::Fail {
                reason: "a connector of this run is not in the stack any more".to_owned(),
            };
        }
        let room = match self.room(run, pace).await {
            Ok(room) => room,
            Err(waiting) => return waiting.at_least(wait),
        };
        if run.pending.is_empty() && !run.cursor.is_end() {
            if !run.allowance.has_page() {
                return Plan::Wait { reason: None, wait };
            }
            run.allowance.spend_page();
            match self
                .platform
                .users(&run.vendor_id, run.cursor.offset())
                .await
            {
                Ok(page) => run.pending = run.cursor.take(&page),
                Err(UsersError::Permanent { reason }) => return Plan::Fail { reason },
                Err(UsersError::Temporary {
                    reason,
                    wait: asked,
                }) => {
                    let asked = asked.unwrap_or(UNSTATED_WAIT).min(MAX_WAIT);
                    return Waiting::new(reason, asked).at_least(wait);
                }
            }
        }
        let allowed = run.allowance.users(pace);
        let users = run.pending.len().min(room).min(allowed);
        run.allowance.spend_users(pace, users);
        let wants_page = users == run.pending.len() && !run.cursor.is_end();
        let wait = match wants_page && room > users && allowed > users {
            true => Duration::ZERO,
            false => wait,
        };
        Plan::Send { users, wait }
    }

    fn connectors_of<'r>(&'r self, run: &'r Run) -> impl Iterator<Item = &'r DeployedConnector<Q>> {
        let names = run.connectors.iter();
        names.filter_map(|name| self.connectors.named(name).ok())
    }

    /// How many users every connector's queue has room for; at least one.
    async fn room(&self, run: &Run, pace: Pace) -> Result<usize, Waiting> {
        let connectors: Vec<_> = self.connectors_of(run).collect();
        let depths = connectors.iter().map(|one| one.queues.queue_depth());
        let mut room = usize::MAX;
        for (connector, depth) in connectors.iter().zip(join_all(depths).await) {
            let name = &connector.name;
            let depth = depth.map_err(|error| Waiting::new(error.to_string(), UNSTATED_WAIT))?;
            if depth.in_flight >= MAX_IN_FLIGHT {
                let reason = format!(
                    "{} messages of {name} wait for their next try; look at its log",
                    depth.in_flight
                );
                return Err(Waiting::new(reason, UNSTATED_WAIT));
            }
            let waits = depth.visible + depth.delayed;
            let left = pace.depth().saturating_sub(waits);
            if left == 0 {
                let reason = format!("{waits} messages wait for {name}; live events go first");
                return Err(Waiting::new(reason, Duration::ZERO));
            }
            room = room.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        Ok(room)
    }

    async fn send(&self, run: &Run, users: usize) -> Result<(), StepError> {
        let messages = run.pending.iter().take(users).map(|user| {
            let user = UserKey {
                vendor_id: run.vendor_id.clone(),
                user_id: user.clone(),
            };
            OutgoingMessage::from(&Message::resync(user, &run.id, run.updated_at))
        });
        let messages: Vec<_> = messages.collect();
        let sends = self.connectors_of(run).map(async |connector| {
            for chunk in messages.chunks(MAX_BATCH) {
                for result in connector.queues.send(chunk).await {
                    result.map_err(|error| StepError {
                        connector: connector.name.to_string(),
                        reason: error.to_string(),
                    })?;
                }
            }
            Ok(())
        });
        try_join_all(sends).await.map(drop)
    }
}

/// Why nothing can be added, and how long to wait at least.
struct Waiting {
    reason: String,
    wait: Duration,
}

impl Waiting {
    fn new(reason: String, wait: Duration) -> Self {
        Self { reason, wait }
    }

    fn at_least(self, wait: Duration) -> Plan {
        Plan::Wait {
            reason: Some(self.reason),
            wait: self.wait.max(wait),
        }
    }
}

fn log(run: &Run, users: usize, reason: Option<&str>) {
    macro_rules! line {
        ($level:ident) => {
            $level!(
                vendor_id = %run.vendor_id,
                run = run.id,
                execution = run.execution,
                users,
                visited = run.visited,
                of = run.cursor.total(),
                waiting = run.waiting,
                reason,
                "A step of a resync."
            )
        };
    }
    match reason {
        Some(_) => line!(warn),
        None => line!(info),
    }
}
