//! Step Functions, which runs the resync's executions.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{INVOCATION, State, VENDOR, World};

/// What Lambda needs to notice that a function died.
const DEATH: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct FakeExecution {
    pub name: String,
    pub status: &'static str,
    /// The newest data of a state.
    pub data: Value,
    pub events: u64,
}

impl State {
    pub fn act_on_executions(
        &mut self,
        action: &str,
        input: &Value,
    ) -> Result<Value, &'static str> {
        let arn = |name: &str| format!("arn:aws:states:eu-north-1:1:execution:resync:{name}");
        let named = input["executionArn"].as_str().unwrap_or_default();
        let mut executions = self.executions.iter_mut();
        let named = executions.find(|one| arn(&one.name) == named);
        match (action, named) {
            ("StartExecution", _) => {
                let name = input["name"].as_str().unwrap();
                if self.executions.iter().any(|one| one.name == name) {
                    return Err("ExecutionAlreadyExists");
                }
                self.executions.push(FakeExecution {
                    name: name.to_owned(),
                    status: "RUNNING",
                    data: serde_json::from_str(input["input"].as_str().unwrap()).unwrap(),
                    events: 2,
                });
                Ok(json!({"executionArn": arn(name), "startDate": 0}))
            }
            ("ListExecutions", _) => {
                let newest_first = self.executions.iter().rev().skip(self.hidden);
                let list = newest_first.map(|one| {
                    json!({"executionArn": arn(&one.name), "name": one.name, "status": one.status, "stateMachineArn": "", "startDate": 0})
                });
                Ok(json!({"executions": list.collect::<Vec<_>>()}))
            }
            ("GetExecutionHistory", Some(one)) => Ok(json!({"events": [
                {"id": 2, "timestamp": 0, "type": "ExecutionFailed", "executionFailedEventDetails": {"cause": one.data["reason"]}},
                {"id": 1, "timestamp": 0, "type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Step", "input": one.data.to_string()}},
            ]})),
            ("StopExecution", Some(one)) => {
                one.status = "ABORTED";
                Ok(json!({"stopDate": 0}))
            }
            _ => unreachable!("{action}"),
        }
    }
}

impl World {
    /// Runs the execution that was started with this input, as `resync.asl.json` says.
    pub fn execute(&self, start: &Value) {
        let (world, name) = (self.clone(), start["name"].clone());
        tokio::spawn(async move { world.run_steps(name.as_str().unwrap()).await });
    }

    async fn run_steps(&self, name: &str) {
        let mut retries = 0;
        let mut backoff = Duration::from_secs(5);
        while self.with(name, |one| one.status == "RUNNING") {
            let run = self.with(name, |one| one.data["run"].clone());
            let event = json!({"action": "resync-step", "run": run, "retries": retries});
            let result = self.invoke(event, INVOCATION).await;
            if result.is_none() {
                sleep(DEATH).await;
            }
            let Some(Ok(answer)) = result else {
                sleep(backoff).await;
                backoff = (2 * backoff).min(Duration::from_secs(900));
                retries += 1;
                continue;
            };
            let next = answer["next"].as_str().unwrap();
            self.with(name, |one| {
                if one.status == "RUNNING" {
                    one.data = answer.clone();
                    one.events += 9 + 3 * retries;
                    one.status = match next {
                        "wait" => "RUNNING",
                        "finish" | "hand_over" => "SUCCEEDED",
                        _ => "FAILED",
                    };
                }
            });
            (retries, backoff) = (0, Duration::from_secs(5));
            if next == "hand_over" && self.with(name, |one| one.status == "SUCCEEDED") {
                let input = json!({"run": answer["run"]}).to_string();
                let start = json!({"name": answer["name"], "input": input});
                let started = self.lock().act_on_executions("StartExecution", &start);
                started.unwrap();
                self.execute(&start);
            }
            let wait = answer["waitSeconds"].as_u64().unwrap_or(0);
            sleep(Duration::from_secs(wait)).await;
        }
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut FakeExecution) -> T) -> T {
        let mut state = self.lock();
        let mut executions = state.executions.iter_mut();
        act(executions.find(|one| one.name == name).unwrap())
    }

    /// A world with these users at Sesamy, whose connectors consume their queues.
    pub fn with_users(connectors: &[&str], users: usize, limit: u32) -> Self {
        let world = Self::new(connectors, limit);
        world.lock().users = (0..users).map(|number| format!("u{number}")).collect();
        for name in connectors {
            world.queue(name, |queue| queue.consumed_from = Some(Instant::now()));
        }
        world
    }

    /// A command about all users of [`VENDOR`].
    pub async fn resync(&self, operation: &str) -> Value {
        let event = json!({"action": "resync", "vendorId": VENDOR, "do": operation});
        self.ask(event).await
    }

    /// The run of [`VENDOR`] as its newest execution has it.
    pub fn run(&self) -> Value {
        let state = self.lock();
        let mut executions = state.executions.iter().rev();
        let newest = executions.find(|one| one.name.starts_with(VENDOR));
        newest.unwrap().data["run"].clone()
    }

    fn is_running(&self) -> bool {
        let state = self.lock();
        state.executions.iter().any(|one| one.status == "RUNNING")
    }

    /// Lets time pass while an execution is running.
    pub async fn run_for(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && self.is_running() {
            sleep(Duration::from_secs(1).min(until - Instant::now())).await;
        }
    }

    /// Lets time pass until no execution is running and the connectors have synced.
    pub async fn run_to_end(&self) {
        self.run_for(Duration::from_hours(48)).await;
        assert!(!self.is_running(), "it goes on for ever");
        sleep(Duration::from_secs(60)).await;
    }

    /// How often each user was synced by a connector.
    pub fn visits(&self, connector: &str) -> BTreeMap<String, u32> {
        self.queue(connector, |queue| {
            queue.consume();
            let mut visits = BTreeMap::new();
            for (_, user) in &queue.synced {
                *visits.entry(user.clone()).or_default() += 1;
            }
            visits
        })
    }

    /// The newest execution succeeded, and each connector of the run synced every user once.
    pub fn assert_each_once(&self) {
        assert_eq!(self.lock().executions.last().unwrap().status, "SUCCEEDED");
        let run = self.run();
        let users = self.lock().users.clone();
        assert_eq!(run["visited"], users.len(), "{run}");
        let once: BTreeMap<_, _> = users.into_iter().map(|user| (user, 1)).collect();
        for connector in run["connectors"].as_array().unwrap() {
            assert_eq!(
                self.visits(connector.as_str().unwrap()),
                once,
                "{connector}"
            );
        }
    }

    /// The most requests that Sesamy got in any minute.
    pub fn max_reads_per_minute(&self) -> usize {
        let state = self.lock();
        let synced = state.queues.values().flat_map(|queue| &queue.synced);
        let reads = synced.flat_map(|(at, _)| [*at; 4]);
        let mut reads: Vec<Instant> = reads.chain(state.pages.iter().copied()).collect();
        reads.sort();
        let minute = Duration::from_secs(60);
        let last = |at: &Instant| reads.partition_point(|other| *other < *at + minute);
        let in_minute = reads.iter().enumerate().map(|(first, at)| last(at) - first);
        in_minute.max().unwrap_or(0)
    }
}
