//! One step of a run: a few users into every connector's queue, and the next tick.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use shared::message::{Message, Reader};
use thiserror::Error;
use tracing::{info, warn};

use super::pace::Pace;
use super::platform::{Platform, Unread, WriteError};
use super::run::{Due, Run, State, Tick};
use super::{Resyncs, outgoing};
use crate::connectors::Connector;
use crate::letters::{DeadLetters, MOST_AT_ONCE, Unavailable};

/// So many messages in consumers' hands mean an outage of a CRM or of Sesamy, in
/// which a run had better wait. Decided.
const MOST_IN_FLIGHT: u64 = 200;

/// How long a run waits where something does not answer and says no more. Decided.
const UNSTATED_WAIT: Duration = Duration::from_secs(60);

/// The longest that SQS delays a message (documented).
const LONGEST_WAIT: Duration = Duration::from_secs(900);

/// How often a step is begun anew since somebody changed the run meanwhile.
const ATTEMPTS: u32 = 5;

/// Why a tick is to come again.
#[derive(Debug, Error)]
pub enum TickError {
    /// The table or the queue of ticks does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// A connector's queue did not take a message.
    #[error("the queue of {connector} did not take a message: {reason}")]
    NotQueued {
        /// Which.
        connector: String,
        /// Why.
        reason: String,
    },
    /// The run was changed by others all the time.
    #[error("the run was changed by others {ATTEMPTS} times in a row")]
    Contended,
}

impl<Q: DeadLetters, P: Platform> Resyncs<'_, Q, P> {
    /// Does what is due of a tick that came in this message.
    ///
    /// # Errors
    /// [`TickError`]: the message must come again.
    pub async fn tick(&self, tick: &Tick, message: &str) -> Result<(), TickError> {
        let Some((mut run, mut version)) = self.claimed(tick, message).await? else {
            return Ok(());
        };
        if !run.turn.done {
            let users = run.sending;
            try_join_all(self.of(&run).map(|connector| send(self, connector, &run))).await?;
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
                    // A person has stopped it, which does not undo what was sent.
                    Due::Again => {}
                    // It was written all the same, and only the answer was lost.
                    Due::Next => break,
                    // A person has resumed it: another chain does it again.
                    Due::Claim | Due::Nothing => return Ok(()),
                }
            }
            log(&run, users);
            if matches!(run.state, State::Finished | State::Failed) {
                self.platform.count(run.state);
            }
        }
        if run.state == State::Running {
            let after = Duration::from_secs(run.next_in);
            self.platform.send(&run.next_tick(), after).await?;
        }
        Ok(())
    }

    /// The run whose step is this message's, claimed if it was not. `None`
    /// where nothing is due.
    async fn claimed(&self, tick: &Tick, message: &str) -> Result<Option<(Run, u64)>, TickError> {
        for _ in 0..ATTEMPTS {
            let Some((mut run, version)) = self.platform.run(&tick.vendor_id).await? else {
                return Ok(None);
            };
            match run.due(tick, message) {
                Due::Nothing => {
                    info!(vendor_id = %tick.vendor_id, step = tick.step, "A tick is of no use any more.");
                    return Ok(None);
                }
                Due::Again | Due::Next => return Ok(Some((run, version))),
                Due::Claim => {
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

    /// The connectors of a run.
    fn of<'r>(&'r self, run: &'r Run) -> impl Iterator<Item = &'r Connector<Q>> {
        let names = run.connectors.iter();
        names.filter_map(|name| self.connectors.named(name))
    }

    /// Decides how many users are sent now, and when to look again.
    async fn plan(&self, run: &mut Run) {
        let pace = self.pace(run.connectors.len());
        let now = self.platform.now();
        run.updated_at = now;
        run.waiting = None;
        run.next_in = whole_seconds(pace.interval());
        run.allowance.grow(pace, now);
        // Of a step that died, whose chain a person has replaced.
        if run.sending > 0 {
            return;
        }
        if self.of(run).count() < run.connectors.len() {
            run.reason = Some("a connector of this run is not in the stack any more".to_owned());
            run.end(State::Failed, now);
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
        if run.in_hand.is_empty() && !run.place.is_end() {
            if !run.allowance.has_page() {
                return;
            }
            run.allowance.spend_page();
            match self
                .platform
                .users(&run.vendor_id, run.place.offset())
                .await
            {
                Ok(page) => run.in_hand = run.place.take(&page),
                Err(Unread::Passing { reason, wait }) => {
                    let wait = wait.unwrap_or(UNSTATED_WAIT).min(LONGEST_WAIT);
                    run.waiting = Some(reason);
                    run.next_in = run.next_in.max(whole_seconds(wait));
                    return;
                }
                Err(Unread::Lasting { reason }) => {
                    run.reason = Some(reason);
                    run.end(State::Failed, now);
                    return;
                }
            }
        }
        let allowed = run.allowance.users(pace);
        run.sending = run.in_hand.len().min(room).min(allowed);
        run.allowance.spend_users(pace, run.sending);
        let page_is_wanted = run.sending == run.in_hand.len() && !run.place.is_end();
        if page_is_wanted && room > run.sending && allowed > run.sending {
            run.next_in = 0;
        }
    }

    /// How many users every connector's queue has room for, at least one.
    async fn room(&self, run: &Run, pace: Pace) -> Result<usize, Waiting> {
        let connectors: Vec<_> = self.of(run).collect();
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
            if depth.in_flight >= MOST_IN_FLIGHT {
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

/// Puts the users that are being sent into a connector's queue.
async fn send<Q: DeadLetters, P: Platform>(
    resyncs: &Resyncs<'_, Q, P>,
    connector: &Connector<Q>,
    run: &Run,
) -> Result<(), TickError> {
    let now = resyncs.platform.now();
    let users = run.in_hand.iter().take(run.sending);
    let messages: Vec<_> = users
        .map(|user| {
            let reader = Reader {
                vendor_id: run.vendor_id.clone(),
                user_id: user.clone(),
            };
            outgoing(&Message::resync(reader, &run.id, now))
        })
        .collect();
    for chunk in messages.chunks(MOST_AT_ONCE) {
        if let Some(failed) = connector.queues.send(chunk).await.into_iter().next() {
            return Err(TickError::NotQueued {
                connector: connector.name.clone(),
                reason: failed.reason,
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
                step = run.turn.step,
                state = ?run.state,
                users,
                visited = run.visited,
                of = run.place.total(),
                waiting = run.waiting,
                reason = run.reason,
                next_in = run.next_in,
                "A step of a resync."
            )
        };
    }
    if run.state == State::Failed {
        line!(warn);
    } else {
        line!(info);
    }
}
