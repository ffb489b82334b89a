//! A resync of all users of a vendor, while the function is killed and live events come.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use local_aws::{Deployment, Error, Function, Result, aws::Service, eventually, samples};
use serde_json::{Value, json};
use soak::{Crm, Deployed, Publisher};
use stand_ins::{Api, Fault, StandIns, User, sesamy::RateLimit};

use crate::stages::on_stack_of;

/// How many users the vendor has.
const USERS: usize = 5_000;

/// Sesamy's limit of requests a minute here: 150 times the real one, so that
/// the test takes minutes instead of hours.
const LIMIT: u32 = 15_000;

/// How soon a live event must arrive (contract).
const LIVE: Duration = Duration::from_secs(30);

/// Time enough for a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// In how many seconds a step that died is done again; the template's 90 are too long here.
const VISIBILITY: &str = "20";

#[test]
fn a_resync_of_5000_users_keeps_sesamys_limit_and_lets_live_events_go_first() {
    let mut deployment = Deployment::new("resync");
    deployment.log_level = "info".to_owned();
    let limit = format!("SesamyRequestsPerMinute={LIMIT}");
    deployment.options.push(limit);
    on_stack_of(deployment, async |deployed| {
        let stand_ins = StandIns::builder().requests_kept(1_000_000).start().await;
        let stand_ins = stand_ins.map_err(|error| Error::new(error.to_string()))?;
        let publisher = Publisher::open(&stand_ins, "resynced", 1);
        publisher.sesamy.set_rate_limit(Some(RateLimit {
            per_minute: LIMIT,
            // Sesamy's own is twice a minute's.
            burst: LIMIT / 4,
        }));
        for number in 0..USERS {
            let user = User::new(&format!("email|{number:05}"));
            publisher.sesamy.put_user(user.email(&email(number)));
        }
        let [sesamy, rule, ..] = publisher.secrets(&stand_ins, 1);
        deployed.put_secrets(&[sesamy, rule]).await?;
        let webhook = json!({"vendors": {publisher.id: {"tokens": [publisher.token(1)]}}});
        deployed.stack.put_secret("webhook", &webhook).await?;
        let queue = operator_queue(&deployed).await?;
        let shorter = json!({"QueueUrl": queue, "Attributes": {"VisibilityTimeout": VISIBILITY}});
        let aws = deployed.stack.local().aws();
        aws.call(Service::Sqs, "SetQueueAttributes", &shorter)
            .await?;

        let began = Instant::now();
        let started = ask(
            &deployed,
            json!({"action": "resync", "vendorId": publisher.id}),
        )
        .await?;
        assert_eq!(started["did"], "started", "{started}");
        assert_eq!(started["run"]["connectors"], json!(["rule"]), "{started}");
        let (run, live, killed) = tokio::join!(
            finished(&deployed, publisher.id),
            live_events(&deployed, &publisher),
            kills(&deployed, &stand_ins, publisher.id),
        );
        let (run, live, killed) = (run?, live?, killed?);
        let queued = began.elapsed();
        eventually("the queue to empty", PATIENCE, async || {
            Ok((deployed.depth(Crm::Rule).await?.total() == 0).then_some(()))
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
        let slow = live.iter().filter(|took| **took > LIVE).count();
        assert_eq!(slow, 0, "live events took {live:?}");
        let requests = stand_ins.requests_to(Api::Sesamy);
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
        // Also where Sesamy counts in windows instead of letting tokens run in.
        let times: Vec<_> = requests
            .iter()
            .filter(|request| request.account.is_some())
            .map(|request| request.at.as_millisecond())
            .collect();
        let mut busiest = 0;
        for (last, at) in times.iter().enumerate() {
            let first = times.partition_point(|time| time + 60_000 <= *at);
            busiest = busiest.max(last + 1 - first);
        }
        println!("{busiest} requests in the busiest minute, of {LIMIT}");
        assert!(busiest <= LIMIT as usize, "{busiest} requests in a minute");
        assert_eq!(deployed.take_dead_letters(Crm::Rule).await?.len(), 0);
        assert_eq!(stand_ins.harms(), []);
        Ok(())
    });
}

fn email(number: usize) -> String {
    format!("reader.{number}@example.com")
}

async fn operator_queue(deployed: &Deployed) -> Result<String> {
    let aws = deployed.stack.local().aws();
    let listed = aws.call(Service::Sqs, "ListQueues", &json!({})).await?;
    let urls = listed.get("QueueUrls").and_then(Value::as_array);
    let mut urls = urls.into_iter().flatten().filter_map(Value::as_str);
    let found = urls.find(|url| url.contains("/resync-OperatorQueue-"));
    found
        .map(str::to_owned)
        .ok_or_else(|| Error::new("the operator has no queue"))
}

/// What the operator answers about a resync.
async fn ask(deployed: &Deployed, event: Value) -> Result<Value> {
    deployed.stack.invoke(Function::Operator, &event).await
}

/// Waits until the run has ended by itself.
async fn finished(deployed: &Deployed, vendor: &str) -> Result<Value> {
    let began = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        // A function that is killed answers nothing.
        let show = json!({"action": "resync", "vendorId": vendor, "do": "show"});
        let answer = ask(deployed, show).await.unwrap_or_default();
        let run = answer.get("run").cloned().unwrap_or_default();
        match run.get("state").and_then(Value::as_str) {
            Some("finished") => return Ok(run),
            Some("running") | None if began.elapsed() < PATIENCE => {}
            _ => return Err(Error::new(format!("the run has not ended well: {run}"))),
        }
    }
}

/// Announces new users one after the other while the run lasts; gives how long
/// each took to arrive in the CRM.
async fn live_events(deployed: &Deployed, publisher: &Publisher) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    for number in 0..15 {
        let (id, email) = (
            format!("live|{number}"),
            format!("live.{number}@example.com"),
        );
        publisher.sesamy.put_user(User::new(&id).email(&email));
        let body = json!({
            "eventType": "userVendor.1#new",
            "vendorId": publisher.id,
            "userId": id,
            "occured_at": samples::just_now(),
        });
        let authorization = format!("Bearer {}", publisher.token(1));
        let began = Instant::now();
        let reply = deployed
            .stack
            .post(Some(&authorization), body.to_string())
            .await?;
        assert_eq!(reply.status, 202, "{reply:?}");
        eventually("a live event to arrive", PATIENCE, async || {
            Ok(publisher.rule.subscriber(&email))
        })
        .await?;
        took.push(began.elapsed());
    }
    Ok(took)
}

/// Kills the function in the midst of steps: while it waits for a page of users.
async fn kills(deployed: &Deployed, stand_ins: &StandIns, vendor: &str) -> Result<usize> {
    let mut killed = 0;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(8)).await;
        let slow = Fault::slow(Duration::from_secs(10)).on(Api::Sesamy);
        let id = stand_ins.fault(slow.account(vendor).path("/users").once());
        eventually("a step to read a page of users", PATIENCE, async || {
            let faults = stand_ins.faults();
            let struck = faults.iter().find(|fault| fault.id == id);
            Ok(struck.is_none_or(|fault| fault.struck > 0).then_some(()))
        })
        .await?;
        killed += usize::from(deployed.kill("Operator")? > 0);
    }
    Ok(killed)
}
