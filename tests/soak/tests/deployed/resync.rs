use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use fakes::{Api, Fakes, Fault, User, sesamy::RateLimit};
use harness::{
    Connector, Deployment, Error, Function, Result, Stack, eventually, samples, start_fakes,
};
use serde_json::{Value, json};
use soak::{Publisher, webhook_secret};

use crate::run_test;

const USERS: usize = 5_000;

/// Requests a minute: 75 times Sesamy's real limit, so that the test takes minutes
/// instead of hours, and no more than a busy machine can keep up with.
const REQUESTS_PER_MINUTE: u32 = 7_500;

/// How soon a live event must arrive. The contract says seconds; here as much again as a
/// busy machine takes. Behind the run it would take minutes.
const MAX_LIVE_DELAY: Duration = Duration::from_secs(60);

/// Long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(20 * 60);

#[test]
fn resync_of_5000_users_keeps_sesamys_limit_and_does_not_delay_live_events() {
    let deployment = Deployment::new("resync")
        .log_level("info")
        .option(format!("SesamyRequestsPerMinute={REQUESTS_PER_MINUTE}"));
    run_test(deployment, async |stack| {
        let fakes = start_fakes(Fakes::builder().requests_kept(1_000_000)).await?;
        let publisher = Publisher::open(&fakes, "resynced", 1);
        publisher.sesamy.set_rate_limit(Some(RateLimit {
            per_minute: REQUESTS_PER_MINUTE,
            // Sesamy's real burst is twice the limit per minute.
            burst: REQUESTS_PER_MINUTE / 4,
        }));
        for number in 0..USERS {
            let user = User::new(&format!("email|{number:05}"));
            publisher.sesamy.put_user(user.email(&email(number)));
        }
        let [sesamy, rule, ..] = publisher.secrets(&fakes, 1);
        stack.put_secrets([sesamy, rule]).await?;
        let webhook = webhook_secret([&publisher], &[1]);
        stack.put_secret("webhook", &webhook).await?;

        let began = Instant::now();
        let resync = json!({"action": "resync", "vendorId": publisher.id});
        let started = stack.invoke(Function::Operator, &resync).await?;
        assert_eq!(started["did"], "started", "{started}");
        assert_eq!(started["run"]["connectors"], json!(["rule"]), "{started}");
        let (run, live, killed) = tokio::try_join!(
            wait_until_finished(&stack, publisher.id),
            live_events(&stack, &publisher),
            kill_during_steps(&stack, &fakes, publisher.id),
        )?;
        let queued = began.elapsed();
        eventually("the queue to empty", TIMEOUT, async || {
            Ok((stack.queue_depth(Connector::Rule).await?.total() == 0).then_some(()))
        })
        .await?;
        println!(
            "{} users in {:.0} s, synced in {:.0} s; {killed} kills; live events took {live:.1?}",
            run["visited"],
            queued.as_secs_f32(),
            began.elapsed().as_secs_f32()
        );

        assert!(killed >= 3, "{killed} kills");
        assert!(live.len() >= 5, "{live:?}");
        let slow = live.iter().filter(|took| **took > MAX_LIVE_DELAY).count();
        assert_eq!(slow, 0, "live events took {live:?}");
        let requests = fakes.requests_to(Api::Sesamy);
        let mut reads: BTreeMap<&str, u32> = BTreeMap::new();
        for request in &requests {
            assert!(request.status != Some(429), "Sesamy's limit was exceeded");
            *reads.entry(request.path.as_str()).or_default() += 1;
        }
        for number in 0..USERS {
            let path = format!("/users/email%7C{number:05}");
            assert_eq!(reads.get(path.as_str()), Some(&1), "{path}");
            assert!(
                publisher.rule.subscriber(&email(number)).is_some(),
                "{number}"
            );
            let started = publisher.rule.flows_of(&email(number));
            assert_eq!(started, [], "{number}: a resync starts no flow");
        }
        // In case Sesamy does not use a token bucket, no minute may exceed the limit
        // either.
        let times: Vec<_> = requests
            .iter()
            .filter(|request| request.account.is_some())
            .map(|request| request.at.as_millisecond())
            .collect();
        let mut busiest = 0;
        for (last, time) in times.iter().enumerate() {
            let first = times.partition_point(|earlier| earlier + 60_000 <= *time);
            busiest = busiest.max(last + 1 - first);
        }
        println!("{busiest} requests in the busiest minute, of {REQUESTS_PER_MINUTE}");
        assert!(
            busiest <= REQUESTS_PER_MINUTE as usize,
            "{busiest} requests in a minute"
        );
        assert_eq!(stack.take_dead_letters(Connector::Rule).await?.len(), 0);
        assert_eq!(fakes.violation_kinds(), []);
        Ok(())
    });
}

fn email(number: usize) -> String {
    format!("user.{number}@example.com")
}

/// Waits until the run has finished.
async fn wait_until_finished(stack: &Stack<'_>, vendor: &str) -> Result<Value> {
    let began = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        // A killed function gives no answer.
        let show = json!({"action": "resync", "vendorId": vendor, "do": "show"});
        let answer = stack.invoke(Function::Operator, &show).await;
        let answer = answer.unwrap_or_default();
        let run = answer.get("run").cloned().unwrap_or_default();
        match run.get("state").and_then(Value::as_str) {
            Some("finished") => return Ok(run),
            Some("running") | None if began.elapsed() < TIMEOUT => {}
            _ => return Err(Error::new(format!("the run did not finish: {run}"))),
        }
    }
}

/// Announces new users one after another during the run. Returns how long each took to
/// reach the CRM.
async fn live_events(stack: &Stack<'_>, publisher: &Publisher) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    for number in 0..15 {
        let (id, email) = (
            format!("live|{number}"),
            format!("live.{number}@example.com"),
        );
        publisher.sesamy.put_user(User::new(&id).email(&email));
        let (event_type, now) = ("userVendor.1#new", samples::now_text());
        let began = Instant::now();
        publisher.announce(stack, event_type, &id, &now).await?;
        eventually("a live event to arrive", TIMEOUT, async || {
            Ok(publisher.rule.subscriber(&email))
        })
        .await?;
        took.push(began.elapsed());
    }
    Ok(took)
}

/// Kills the function during steps, while it waits for a page of users.
async fn kill_during_steps(stack: &Stack<'_>, fakes: &Fakes, vendor: &str) -> Result<usize> {
    let mut killed = 0;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(8)).await;
        let slow = Fault::slow(Duration::from_secs(10)).on(Api::Sesamy);
        let id = fakes.fault(slow.account(vendor).path("/users").once());
        eventually("a step to read a page of users", TIMEOUT, async || {
            let faults = fakes.faults();
            let struck = faults.iter().find(|fault| fault.id == id);
            Ok(struck.is_none_or(|fault| fault.struck > 0).then_some(()))
        })
        .await?;
        killed += usize::from(stack.kill_function(Function::Operator).await? > 0);
    }
    Ok(killed)
}
