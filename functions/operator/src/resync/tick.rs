//! One step of a run: some users into every connector's queue, and the next tick.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use shared::message::{Message, UserKey};
use shared::sqs::{MAX_BATCH, OutgoingMessage};
use thiserror::Error;
use tracing::{info, warn};

use super::Resyncs;
use super::pace::Pace;
use super::platform::{Platform, UsersError, WriteError};
use super::run::{Run, RunState, Tick, TickAction};
use crate::connectors::DeployedConnector;
use crate::dead_letters::{ConnectorQueues, Unavailable};

/// So many messages in flight mean an outage of a CRM or of Sesamy. Decided.
const MAX_IN_FLIGHT: u64 = 200;

/// The wait after an error that states none. Decided.
const UNSTATED_WAIT: Duration = Duration::from_secs(60);

/// SQS's maximum delay (documented).
const MAX_WAIT: Duration = Duration::from_secs(900);

/// For claims that conflict with changes by others.
const ATTEMPTS: u32 = 5;

/// The tick is retried.
#[derive(Debug, Error)]
pub enum TickError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error("the queue of {connector} did not take a message: {reason}")]
    NotQueued { connector: String, reason: String },
    #[error("the run was changed by others {ATTEMPTS} times in a row")]
    Contended,
}

impl<Q: ConnectorQueues, P: Platform> Resyncs<'_, Q, P> {
    pub async fn tick(&self, tick: &Tick, message: &str) -> Result<(), TickError> {
        let Some((mut run, mut version)) = self.claimed(tick, message).await? else {
            return Ok(());
        };
        if !run.last_step.done {
            let users = run.sending;
            try_join_all(
                self.connectors_of(&run)
                    .map(|connector| send(self, connector, &run)),
            )
            .await?;
            loop {
                run.settle(self.platform.now());
                match self.platform.write(&run, Some(version)).await {
                    Ok(_) => break,
                    Err(WriteError::Unavailable(unavailable)) => return Err(unavailable.into()),
                    Err(WriteError::Conflict) => {}
                }
                let Some(other) = self.platform.run(&tick.vendor_id).await? else {
                    return Ok(());
                };
                let due = other.0.due(tick, message);
                (run, version) = other;
                match due {
                    // A person has stopped the run, which does not undo what was sent.
                    TickAction::Repeat => {}
                    // It was written, only the answer was lost.
                    TickAction::SendNext => break,
                    // A person has resumed the run: another chain repeats the step.
                    TickAction::Claim | TickAction::Drop => return Ok(()),
                }
            }
            log(&run, users);
            if matches!(run.state, RunState::Finished | RunState::Failed) {
                self.platform.count(run.state);
            }
        }
        if run.state == RunState::Running {
            let after = Duration::from_secs(run.next_in);
            self.platform.send(&run.next_tick(), after).await?;
        }
        Ok(())
    }

    /// The run if the step is this message's, claimed now or before.
    async fn claimed(&self, tick: &Tick, message: &str) -> Result<Option<(Run, u64)>, TickError> {
        for _ in 0..ATTEMPTS {
            let Some((mut run, version)) = self.platform.run(&tick.vendor_id).await? else {
                return Ok(None);
            };
            match run.due(tick, message) {
                TickAction::Drop => {
                    info!(vendor_id = %tick.vendor_id, step = tick.step, "A tick is of no use any more.");
                    return Ok(None);
                }
                TickAction::Repeat | TickAction::SendNext => return Ok(Some((run, version))),
                TickAction::Claim => {
                    run.claim(message);
                    self.plan(&mut run).await;
                    match self.platform.write(&run, Some(version)).await {
                        Ok(version) => return Ok(Some((run, version))),
                        Err(WriteError::Conflict) => {}
                        Err(WriteError::Unavailable(unavailable)) => {
                            return Err(unavailable.into());
                        }
                    }
                }
            }
        }
        Err(TickError::Contended)
    }

    fn connectors_of<'r>(&'r self, run: &'r Run) -> impl Iterator<Item = &'r DeployedConnector<Q>> {
        let names = run.connectors.iter();
        names.filter_map(|name| self.connectors.named(name).ok())
    }

    /// Decides how many users to send now, and when the next step comes.
    async fn plan(&self, run: &mut Run) {
        let pace = self.pace(run.connectors.len());
        let now = self.platform.now();
        run.updated_at = now;
        run.waiting = None;
        run.next_in = whole_seconds(pace.interval());
        run.allowance.grow(pace, now);
        // A step crashed, and the run was resumed: it is sent again as it was.
        if run.sending > 0 {
            return;
        }
        if self.connectors_of(run).count() < run.connectors.len() {
            run.reason = Some("a connector of this run is not in the stack any more".to_owned());
            run.end(RunState::Failed, now);
            return;
        }
        let room = match self.room(run, pace).await {
            Ok(room) => room,
            Err(waiting) => {
                run.waiting = Some(waiting.reason);
                run.next_in = run.next_in.max(whole_seconds(waiting.wait));
                return;
            }
        };
        if run.in_hand.is_empty() && !run.cursor.is_end() {
            if !run.allowance.has_page() {
                return;
            }
            run.allowance.spend_page();
            match self
                .platform
                .users(&run.vendor_id, run.cursor.offset())
                .await
            {
                Ok(page) => run.in_hand = run.cursor.take(&page),
                Err(UsersError::Temporary { reason, wait }) => {
                    let wait = wait.unwrap_or(UNSTATED_WAIT).min(MAX_WAIT);
                    run.waiting = Some(reason);
                    run.next_in = run.next_in.max(whole_seconds(wait));
                    return;
                }
                Err(UsersError::Permanent { reason }) => {
                    run.reason = Some(reason);
                    run.end(RunState::Failed, now);
                    return;
                }
            }
        }
        let allowed = run.allowance.users(pace);
        run.sending = run.in_hand.len().min(room).min(allowed);
        run.allowance.spend_users(pace, run.sending);
        let page_is_wanted = run.sending == run.in_hand.len() && !run.cursor.is_end();
        if page_is_wanted && room > run.sending && allowed > run.sending {
            run.next_in = 0;
        }
    }

    /// How many users every connector's queue has room for; at least one.
    async fn room(&self, run: &Run, pace: Pace) -> Result<usize, Waiting> {
        let connectors: Vec<_> = self.connectors_of(run).collect();
        let depths = connectors
            .iter()
            .map(|connector| connector.queues.queue_depth());
        let mut room = usize::MAX;
        for (connector, depth) in connectors.iter().zip(join_all(depths).await) {
            let name = &connector.name;
            let waiting = |reason, wait| Err(Waiting { reason, wait });
            let depth = match depth {
                Ok(depth) => depth,
                Err(error) => return waiting(error.to_string(), UNSTATED_WAIT),
            };
            if depth.in_flight >= MAX_IN_FLIGHT {
                let reason = format!(
                    "{} messages of {name} wait for their next try; look at its log",
                    depth.in_flight
                );
                return waiting(reason, UNSTATED_WAIT);
            }
            let waits = depth.visible + depth.delayed;
            let left = pace.depth().saturating_sub(waits);
            if left == 0 {
                let reason = format!("{waits} messages wait for {name}; live events go first");
                return waiting(reason, Duration::ZERO);
            }
            room = room.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        Ok(room)
    }
}

/// Why nothing can be added, and how long to wait at least.
struct Waiting {
    reason: String,
    wait: Duration,
}

async fn send<Q: ConnectorQueues, P: Platform>(
    resyncs: &Resyncs<'_, Q, P>,
    connector: &DeployedConnector<Q>,
    run: &Run,
) -> Result<(), TickError> {
    let now = resyncs.platform.now();
    let users = run.in_hand.iter().take(run.sending);
    let messages: Vec<_> = users
        .map(|user| {
            let user = UserKey {
                vendor_id: run.vendor_id.clone(),
                user_id: user.clone(),
            };
            OutgoingMessage::from(&Message::resync(user, &run.id, now))
        })
        .collect();
    for chunk in messages.chunks(MAX_BATCH) {
        let results = connector.queues.send(chunk).await;
        if let Some(error) = results.into_iter().find_map(Result::err) {
            return Err(TickError::NotQueued {
                connector: connector.name.to_string(),
                reason: error.to_string(),
            });
        }
    }
    Ok(())
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn log(run: &Run, users: usize) {
    macro_rules! line {
        ($level:ident) => {
            $level!(
                vendor_id = %run.vendor_id,
                run = run.id,
                step = run.last_step.step,
                state = ?run.state,
                users,
                visited = run.visited,
                of = run.cursor.total(),
                waiting = run.waiting,
                reason = run.reason,
                next_in = run.next_in,
                "A step of a resync."
            )
        };
    }
    if run.state == RunState::Failed {
        line!(warn);
    } else {
        line!(info);
    }
}
