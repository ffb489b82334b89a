//! Measures on the deployed stack how much a noisy publisher delays another.
//!
//! `NOISY_FLOOD` is the number of events in the flood, `NOISY_RATE` the events per
//! second. The local AWS runs one batch of a queue at a time and AWS runs two, so AWS is
//! faster than these times.

#![expect(clippy::print_stdout, reason = "a command-line program")]

use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, Instant},
};

use fakes::{Fakes, Fault, RetryAfter, User, sesamy::RateLimit};
use harness::{Connector, Deployer, Deployment, Error, FifoMessage, Result, Stack, start_fakes};
use jiff::Timestamp;
use shared::{
    identity::VendorId,
    message::{Message, UserKey},
};
use soak::{Publisher, webhook_secret};
use tokio::time::{MissedTickBehavior, interval};

/// How often the other publisher has an event.
const EVENT_INTERVAL: Duration = Duration::from_secs(3);

/// How long the CRMs fail. The other publisher has six hundred events meanwhile.
const OUTAGE: Duration = Duration::from_secs(30 * 60);

/// How long to measure after all messages of the flood are sent.
const AFTER_FLOOD: Duration = Duration::from_secs(5 * 60);

/// How long to wait for the last events.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// How many users of the noisy publisher have events while its CRMs fail.
const WAITING_USERS: usize = 100;

/// How long the other publisher's events took per CRM.
type Times = BTreeMap<Connector, Vec<Duration>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let flood = number("NOISY_FLOOD", 120_000)?;
    let rate = number("NOISY_RATE", 50)?;
    println!("Building …");
    let deployer = Deployer::start(|line| println!("  {line}")).await?;
    println!("Deploying …");
    let deployment = Deployment::new("noisy").log_level("info");
    let stack = deployer.deploy(&deployment).await?;
    let fakes = start_fakes(Fakes::builder()).await?;
    let [noisy, other] = ["noisy", "other"].map(|id| Publisher::open(&fakes, id, 1));
    for publisher in [&noisy, &other] {
        stack.put_secrets(publisher.secrets(&fakes, 1)).await?;
    }
    let webhook = webhook_secret([&noisy, &other], &[1]);
    stack.put_secret("webhook", &webhook).await?;

    println!("No publisher is noisy …");
    print_table(&measure_events(&stack, &other, "quiet", Duration::from_secs(60)).await?);

    println!(
        "Rule hangs, Mailmojo takes 9 s a call, Make.as answers 429 with 0 s, \
         Mailchimp breaks connections, HubSpot answers 503 …"
    );
    let faults = [
        (Connector::Rule, Fault::slow(Duration::from_secs(60))),
        (Connector::Mailmojo, Fault::slow(Duration::from_secs(9))),
        (
            Connector::Make,
            Fault::too_many_requests(RetryAfter::Seconds(0)),
        ),
        (Connector::Mailchimp, Fault::reset()),
        (Connector::Hubspot, Fault::status(503)),
    ];
    // At Make.as an account is named after its set of credentials.
    let faults = faults.map(|(connector, fault)| {
        let account = match connector {
            Connector::Make => "noisy-1",
            _ => "noisy",
        };
        fakes.fault(fault.on(connector.api()).account(account).before_effect())
    });
    for user in 0..WAITING_USERS {
        let id = format!("email|{user}");
        let address = format!("{user}@noisy.example");
        noisy.sesamy.put_user(User::new(&id).email(&address));
        post(&stack, &noisy, &id).await?;
    }
    print_table(&measure_events(&stack, &other, "outage", OUTAGE).await?);
    for fault in faults {
        fakes.remove_fault(fault);
    }

    println!("{flood} events of unknown users for Rule, {rate} a second …");
    noisy.sesamy.set_rate_limit(Some(RateLimit::default()));
    let duration = Duration::from_secs(flood / rate) + AFTER_FLOOD;
    let (times, flooded) = tokio::join!(
        measure_events(&stack, &other, "flood", duration),
        send_flood(&stack, &noisy, flood, rate),
    );
    flooded?;
    print_table(&times?);
    let depth = stack.queue_depth(Connector::Rule).await?;
    println!("Rule's queue still has {depth:?}");
    Ok(())
}

fn number(name: &str, default: u64) -> Result<u64> {
    let Ok(text) = std::env::var(name) else {
        return Ok(default);
    };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Error::new(format!("{name} must be a whole number above 0")))
}

async fn post(stack: &Stack<'_>, publisher: &Publisher, user: &str) -> Result<()> {
    let now = Timestamp::now().to_string();
    publisher
        .announce(stack, "userVendor.1#new", user, &now)
        .await
}

/// Posts events of a publisher, each of a new user, and measures how long each user
/// takes to reach each CRM.
async fn measure_events(
    stack: &Stack<'_>,
    publisher: &Publisher,
    case: &str,
    duration: Duration,
) -> Result<Times> {
    let began = Instant::now();
    let mut ticks = interval(Duration::from_millis(50));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut waiting: Vec<(Connector, String, Instant)> = Vec::new();
    let (mut times, mut posted) = (Times::new(), 0);
    loop {
        ticks.tick().await;
        let elapsed = began.elapsed();
        if elapsed < duration && elapsed >= EVENT_INTERVAL * posted {
            let id = format!("email|{case}-{posted}");
            let address = format!("{case}-{posted}@other.example");
            publisher.sesamy.put_user(User::new(&id).email(&address));
            let now = Instant::now();
            waiting.extend(Connector::ALL.map(|connector| (connector, address.clone(), now)));
            post(stack, publisher, &id).await?;
            posted += 1;
        }
        waiting.retain(|(connector, address, since)| {
            let arrived = publisher.tags(*connector, address).is_some();
            if arrived {
                times.entry(*connector).or_default().push(since.elapsed());
            }
            !arrived
        });
        if elapsed >= duration && waiting.is_empty() {
            return Ok(times);
        }
        if elapsed >= duration + MAX_WAIT {
            let missing = waiting.len();
            return Err(Error::new(format!("{missing} users are still missing")));
        }
    }
}

/// Sends `rate` messages per second to Rule's queue, each for another user.
async fn send_flood(stack: &Stack<'_>, publisher: &Publisher, count: u64, rate: u64) -> Result<()> {
    let vendor = VendorId::try_from(publisher.id);
    let vendor = vendor.map_err(|error| Error::new(error.to_string()))?;
    let mut seconds = interval(Duration::from_secs(1));
    let mut sent = 0;
    while sent < count {
        seconds.tick().await;
        let due = (sent..count.min(sent + rate)).map(|user| {
            let user = format!("email|invented-{user}");
            let user = user.as_str().try_into();
            let user = UserKey {
                vendor_id: vendor.clone(),
                user_id: user.map_err(|_| Error::new("an invented id is not valid"))?,
            };
            Ok(FifoMessage {
                group: user.message_group(),
                body: Message::resync(user, "flood", Timestamp::now()).to_json(),
            })
        });
        let due: Vec<_> = due.collect::<Result<_>>()?;
        stack.enqueue(Connector::Rule, &due).await?;
        sent += rate;
        if sent % (rate * 60) == 0 {
            println!(
                "  {sent} sent, {:?}",
                stack.queue_depth(Connector::Rule).await?
            );
        }
    }
    Ok(())
}

fn print_table(times: &Times) {
    println!("| CRM | events | p50 | p99 | longest |");
    println!("| --- | --- | --- | --- | --- |");
    for (connector, times) in times {
        let mut times = times.clone();
        times.sort_unstable();
        let at = |percent: usize| {
            let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
            times.get(index).copied().unwrap_or_default().as_secs_f64()
        };
        println!(
            "| {connector} | {} | {:.1} s | {:.1} s | {:.1} s |",
            times.len(),
            at(50),
            at(99),
            at(100)
        );
    }
}
