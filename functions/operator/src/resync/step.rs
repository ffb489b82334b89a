//! One step of a run: some users into every connector's queue, and how long to wait.
//!
//! A step changes nothing but the queues, so the state machine may repeat it: the run
//! advances only by the answer of a step that succeeded.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use serde_json::{Value, json};
use shared::identity::VendorId;
use shared::secrets::{Loaded, SecretError};
use shared::sesamy::{SesamyCredentials, UsersPage};
use shared::sqs::{OutgoingMessage, SqsError};
use tracing::{info, warn};

use super::executions::name;
use super::run::{Pace, Run};
use crate::connectors::NamedQueues;
use crate::handler::Operator;
use crate::unavailable::Unavailable;

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
const MAX_EVENTS: u32 = 20_000;

/// Why a step adds no user.
enum Halt {
    /// A cause that passes by itself.
    Wait { reason: String, wait: Duration },
    /// A person must fix the cause.
    Fail(String),
    /// The state machine retries the step.
    Retry(Unavailable),
}

impl From<Unavailable> for Halt {
    fn from(unavailable: Unavailable) -> Self {
        Self::Retry(unavailable)
    }
}

impl Operator {
    /// Does one step, and says what the state machine does `next`. `retries` is how often
    /// it tried the step before.
    pub(crate) async fn step(&self, mut run: Run, retries: u32) -> Result<Value, Unavailable> {
        run.updated_at = (self.now)();
        run.waiting = None;
        run.events += EVENTS_OF_A_STEP + EVENTS_OF_A_RETRY * retries;
        let mut halted = Duration::ZERO;
        match self.add_users(&mut run).await {
            Ok(()) => {}
            Err(Halt::Wait { reason, wait }) => {
                run.waiting = Some(reason);
                halted = wait;
            }
            Err(Halt::Fail(reason)) => {
                warn!(vendor_id = %run.vendor_id, run = run.id, reason, "A resync failed.");
                return Ok(json!({ "next": "fail", "run": run, "reason": reason }));
            }
            Err(Halt::Retry(error)) => return Err(error),
        }
        info!(vendor_id = %run.vendor_id, run = run.id, visited = run.visited, waiting = run.waiting, "A step of a resync.");
        if run.is_done() {
            return Ok(json!({ "next": "finish", "run": run }));
        }
        if run.events >= MAX_EVENTS {
            run.hand_over(run.execution + 1);
            let name = name(&run.vendor_id, run.execution);
            return Ok(json!({ "next": "hand_over", "run": run, "name": name }));
        }
        let wait = halted.max(self.time_to_next_step(&run));
        Ok(json!({ "next": "wait", "run": run, "waitSeconds": wait.as_secs() }))
    }

    fn time_to_next_step(&self, run: &Run) -> Duration {
        let time = run.next_step_at.duration_since((self.now)());
        time.try_into().unwrap_or_default()
    }

    async fn add_users(&self, run: &mut Run) -> Result<(), Halt> {
        // After a resume. Less than a second early is made up for by the next wait.
        if self.time_to_next_step(run) >= Duration::from_secs(1) {
            return Ok(());
        }
        let pace = self.pace(run);
        let connectors = self.connectors.get_all(&run.connectors);
        let connectors = connectors.map_err(|error| Halt::Fail(error.to_string()))?;
        let room = room(&connectors, pace).await?;
        let mut pages = 0;
        if run.pending.is_empty() && !run.cursor.end {
            let page = self.users(&run.vendor_id, run.cursor.offset).await?;
            run.pending = run.cursor.take(&page);
            pages = 1;
        }
        let users = run.pending.len().min(room).min(pace.step());
        let messages = run.pending.iter().take(users);
        let messages = messages.map(|user| run.message(user)).collect::<Vec<_>>();
        send(&connectors, &messages).await?;
        run.pending.drain(..users);
        run.visited += users as u64;
        run.next_step_at = run.updated_at.max(run.next_step_at) + pace.time_for(pages, users);
        Ok(())
    }

    /// A page of the vendor's users, by the vendor's own credentials.
    async fn users(&self, vendor: &VendorId, offset: usize) -> Result<UsersPage, Halt> {
        let path = format!("{vendor}/sesamy");
        let name = self.secrets.name(&path);
        // Never a cached one: pages are minutes apart, and the secret may be corrected.
        let secret = self.secrets.get_within(&path, Duration::ZERO).await;
        let secret: Arc<Loaded<SesamyCredentials>> = secret.map_err(|error| match error {
            SecretError::Unavailable { .. } => Halt::Wait {
                reason: error.to_string(),
                wait: UNSTATED_WAIT,
            },
            SecretError::Malformed { .. } => Halt::Fail(error.to_string()),
        })?;
        let Some(credentials) = &secret.value else {
            return Err(Halt::Fail(format!(
                "secret {name} is missing; store the vendor's Sesamy credentials as docs/onboard.md describes"
            )));
        };
        let page = self
            .sesamy
            .users(vendor, credentials, secret.fingerprint(), offset);
        page.await.map_err(|error| {
            if error.is_transient() {
                Halt::Wait {
                    wait: error.wait().unwrap_or(UNSTATED_WAIT).min(MAX_WAIT),
                    reason: error.to_string(),
                }
            } else if error.is_refusal() {
                Halt::Fail(format!("{error}; correct the secret {name}"))
            } else {
                Halt::Fail(error.to_string())
            }
        })
    }
}

/// How many users every connector's queue has room for; at least one.
async fn room(connectors: &[NamedQueues<'_>], pace: Pace) -> Result<usize, Halt> {
    let depths = connectors.iter().map(|(_, queues)| queues.queue.depth());
    let mut room = pace.depth();
    for ((name, _), depth) in connectors.iter().zip(join_all(depths).await) {
        let what = format!("asking how many messages wait for {name}");
        let depth = depth.map_err(Unavailable::queue(&what))?;
        let (waits, in_flight) = (depth.visible + depth.delayed, depth.in_flight);
        let (reason, wait) = if in_flight >= MAX_IN_FLIGHT {
            let reason = "messages wait for their next try; look at the log of";
            (format!("{in_flight} {reason} {name}"), UNSTATED_WAIT)
        } else if waits >= pace.depth() {
            let reason = format!("{waits} messages wait for {name}; live events go first");
            (reason, pace.time_for(0, pace.step()))
        } else {
            room = room.min(pace.depth() - waits);
            continue;
        };
        return Err(Halt::Wait { reason, wait });
    }
    Ok(room as usize)
}

pub(super) async fn send(
    connectors: &[NamedQueues<'_>],
    messages: &[OutgoingMessage],
) -> Result<(), Unavailable> {
    let sends = connectors.iter().map(async |(name, queues)| {
        let results = queues.queue.send_all(messages).await;
        let sent: Result<(), SqsError> = results.into_iter().collect();
        sent.map_err(Unavailable::queue(&format!(
            "sending users to the queue of {name}"
        )))
    });
    try_join_all(sends).await.map(drop)
}
