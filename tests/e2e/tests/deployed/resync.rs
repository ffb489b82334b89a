//! Resyncs of all users of a vendor, which the state machine runs.

use std::time::Duration;

use fakes::{Api, Fault, RetryAfter};
use harness::{Function, Result, aws::Service, eventually};
use serde_json::{Value, json};

use crate::environment::{Publisher, TestEnvironment, run_test, text};

/// Ample time for a few steps of a run, which are twelve seconds apart.
const TIMEOUT: Duration = Duration::from_secs(180);

impl TestEnvironment {
    async fn resync(&self, publisher: &Publisher, operation: &str) -> Result<Value> {
        let command = json!({"action": "resync", "vendorId": publisher.id, "do": operation});
        self.stack.invoke(Function::Operator, &command).await
    }

    async fn wait_for_run(&self, publisher: &Publisher, state: &str) -> Result<Value> {
        eventually("the run's state", TIMEOUT, async || {
            let answer = self.resync(publisher, "show").await?;
            let run = answer.get("run").cloned().unwrap_or_default();
            Ok((text(&run, "state") == state).then_some(run))
        })
        .await
    }
}

fn email(publisher: &Publisher, number: usize) -> String {
    format!("{number}.{}@example.com", publisher.id)
}

fn put_users(publisher: &Publisher, users: usize) {
    for number in 0..users {
        publisher.put_user(&format!("email|{number}"), &email(publisher, number));
    }
}

async fn wait_for_all(publisher: &Publisher, users: usize) -> Result<()> {
    eventually("all users to arrive", TIMEOUT, async || {
        let mut arrived = (0..users).map(|number| email(publisher, number));
        let all = arrived.all(|email| publisher.rule.subscriber(&email).is_some());
        Ok(all.then_some(()))
    })
    .await
}

/// The ARN of a run's execution, taken from its link.
fn execution(run: &Value) -> String {
    let link = text(run, "execution");
    link.split_once("details/").unwrap().1.to_owned()
}

#[test]
fn concurrent_starts_make_one_run() {
    run_test(async |env| {
        let publisher = env.publisher("started-twice");
        put_users(&publisher, 3);
        let (first, second) = tokio::try_join!(
            env.resync(&publisher, "start"),
            env.resync(&publisher, "start")
        )?;
        let mut did = [&first["did"], &second["did"]].map(|did| did.as_str().unwrap());
        did.sort_unstable();
        assert_eq!(did, ["goes_on", "started"], "{first} {second}");
        env.wait_for_run(&publisher, "finished").await?;
        wait_for_all(&publisher, 3).await
    });
}

#[test]
fn stopped_run_resumes_where_it_stopped() {
    run_test(async |env| {
        let publisher = env.publisher("stopped");
        put_users(&publisher, 8);
        env.resync(&publisher, "start").await?;
        eventually("the first users to be queued", TIMEOUT, async || {
            let answer = env.resync(&publisher, "show").await?;
            Ok(answer["run"]["visited"].as_u64().filter(|users| *users > 0))
        })
        .await?;
        let stopped = env.resync(&publisher, "stop").await?;
        assert_eq!(stopped["did"], "stopped", "{stopped}");
        let run = env.wait_for_run(&publisher, "stopped").await?;
        let resumed = env.resync(&publisher, "resume").await?;
        assert_eq!(resumed["did"], "resumed", "{resumed}");
        assert_eq!(resumed["run"]["visited"], run["visited"], "{resumed}");
        let run = env.wait_for_run(&publisher, "finished").await?;
        assert_eq!(run["visited"], 8, "{run}");
        wait_for_all(&publisher, 8).await
    });
}

#[test]
fn run_continues_in_another_execution() {
    run_test(async |env| {
        let publisher = env.publisher("continued");
        put_users(&publisher, 8);
        env.resync(&publisher, "start").await?;
        let stopped = env.resync(&publisher, "stop").await?;
        // Start the run again as if the execution's history were nearly full.
        let first = execution(&stopped["run"]);
        let aws = env.stack.local().aws();
        let input = json!({"executionArn": first});
        let first = aws
            .call(Service::StepFunctions, "DescribeExecution", &input)
            .await?;
        let mut input: Value = serde_json::from_str(first["input"].as_str().unwrap()).unwrap();
        input["run"]["execution"] = 2.into();
        input["run"]["events"] = 19_999.into();
        let name = first["name"].as_str().unwrap();
        let start = json!({
            "stateMachineArn": first["stateMachineArn"],
            "name": format!("{}-2", name.strip_suffix("-1").unwrap()),
            "input": input.to_string(),
        });
        aws.call(Service::StepFunctions, "StartExecution", &start)
            .await?;
        let run = env.wait_for_run(&publisher, "finished").await?;
        assert!(execution(&run).ends_with("-3"), "{run}");
        assert_eq!(run["visited"], 8, "{run}");
        wait_for_all(&publisher, 8).await
    });
}

#[test]
fn run_waits_for_a_rate_limit_and_fails_if_sesamy_refuses() {
    run_test(async |env| {
        let publisher = env.publisher("refusing");
        put_users(&publisher, 3);
        let users = |fault: Fault| fault.on(Api::Sesamy).path("/users").account(publisher.id);
        let asks_to_wait = Fault::too_many_requests(RetryAfter::Seconds(2));
        let id = env.fakes.fault(users(asks_to_wait));
        env.resync(&publisher, "start").await?;
        eventually("the run to wait", TIMEOUT, async || {
            let answer = env.resync(&publisher, "show").await?;
            Ok(answer["run"]["waiting"].as_str().map(str::to_owned))
        })
        .await?;
        let refusal = env.fakes.fault(users(Fault::status(403)));
        env.fakes.remove_fault(id);
        let run = env.wait_for_run(&publisher, "failed").await?;
        let reason = run["reason"].as_str().unwrap();
        assert!(reason.contains("correct the secret"), "{run}");

        env.fakes.remove_fault(refusal);
        let resumed = env.resync(&publisher, "resume").await?;
        assert_eq!(resumed["did"], "resumed", "{resumed}");
        env.wait_for_run(&publisher, "finished").await?;
        wait_for_all(&publisher, 3).await
    });
}
