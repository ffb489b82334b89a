//! What a publisher notices of a noisy one, measured on the deployed stack.
//!
//! `NOISY_FLOOD` is how many events the flood has, `NOISY_RATE` how many come
//! a second. The local AWS hands a queue's messages to one batch at a time,
//! where AWS has two, so the times here are the worse ones.

#![expect(clippy::print_stdout, reason = "it tells a person what it measured")]

use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use local_aws::{Error, Result};
use serde_json::json;
use shared::{
    identity::VendorId,
    message::{Message, Reader},
};
use soak::{Crm, Deployed, Publisher, Stage};
use stand_ins::{Fault, RetryAfter, StandIns, User, sesamy::RateLimit};
use tokio::time::{MissedTickBehavior, interval};

/// How often something happens to a user of the other publisher.
const EVERY: Duration = Duration::from_secs(3);

/// For how long the CRMs are in trouble: six hundred events of the other publisher.
const TROUBLE: Duration = Duration::from_secs(30 * 60);

/// For how long the flood's messages are looked at once all of them are sent.
const AFTER_FLOOD: Duration = Duration::from_secs(5 * 60);

/// How long the last events may take.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// Users of the noisy publisher while its CRMs are in trouble.
const WAITING: usize = 100;

/// The times that another publisher's events took, by CRM.
type Times = BTreeMap<Crm, Vec<Duration>>;

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
    let stage = Stage::set(|line| println!("  {line}")).await?;
    println!("Deploying …");
    let deployed = stage.deploy("noisy", "info").await?;
    let stand_ins = StandIns::start().await;
    let stand_ins = stand_ins.map_err(|error| Error::new(error.to_string()))?;
    let [noisy, other] = ["noisy", "other"].map(|id| Publisher::open(&stand_ins, id, 1));
    let mut vendors = serde_json::Map::new();
    for publisher in [&noisy, &other] {
        let secrets = publisher.secrets(&stand_ins, 1);
        deployed.put_secrets(&secrets).await?;
        let token = json!({"tokens": [publisher.token(1)]});
        vendors.insert(publisher.id.to_owned(), token);
    }
    let webhook = json!({"vendors": vendors});
    deployed.stack.put_secret("webhook", &webhook).await?;

    println!("Nobody is noisy …");
    table(&events(&deployed, &other, "quiet", Duration::from_secs(60)).await?);

    println!("Rule hangs, Mailmojo takes 9 s a call, Make.as answers 429 with 0 s …");
    let faults = [
        (Crm::Rule, Fault::slow(Duration::from_secs(60))),
        (Crm::Mailmojo, Fault::slow(Duration::from_secs(9))),
        (Crm::Make, Fault::too_many_requests(RetryAfter::Seconds(0))),
    ];
    // Make.as's accounts are named after the set of credentials.
    let faults = faults.map(|(crm, fault)| {
        let account = match crm {
            Crm::Make => "noisy-1",
            _ => "noisy",
        };
        stand_ins.fault(fault.on(crm.api()).account(account).before_effect())
    });
    for user in 0..WAITING {
        let id = format!("email|{user}");
        let address = format!("{user}@noisy.example");
        noisy.sesamy.put_user(User::new(&id).email(&address));
        post(&deployed, &noisy, &id).await?;
    }
    table(&events(&deployed, &other, "trouble", TROUBLE).await?);
    for fault in faults {
        stand_ins.remove_fault(fault);
    }

    println!("{flood} events of users who do not exist, {rate} a second, at Rule …");
    noisy.sesamy.set_rate_limit(Some(RateLimit::default()));
    let lasts = Duration::from_secs(flood / rate) + AFTER_FLOOD;
    let (times, flooded) = tokio::join!(
        events(&deployed, &other, "flood", lasts),
        send(&deployed, &noisy, flood, rate),
    );
    flooded?;
    table(&times?);
    let depth = deployed.depth(Crm::Rule).await?;
    println!("Left in Rule's queue: {depth:?}");
    Ok(())
}

fn number(name: &str, default: u64) -> Result<u64> {
    let Ok(text) = std::env::var(name) else {
        return Ok(default);
    };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Error::new(format!("{name} must be a whole number above 0")))
}

async fn post(deployed: &Deployed, publisher: &Publisher, user: &str) -> Result<()> {
    let body = json!({
        "eventType": "userVendor.1#new",
        "vendorId": publisher.id,
        "userId": user,
        "occured_at": Timestamp::now(),
    });
    let authorization = format!("Bearer {}", publisher.token(1));
    let reply = deployed.stack.post(Some(&authorization), body.to_string());
    match reply.await? {
        reply if reply.status == 202 => Ok(()),
        reply => Err(Error::new(format!("the webhook answered {reply:?}"))),
    }
}

/// Posts events of a publisher for so long, each of a new user, and measures
/// when each user is in each CRM.
async fn events(
    deployed: &Deployed,
    publisher: &Publisher,
    case: &str,
    lasts: Duration,
) -> Result<Times> {
    let began = Instant::now();
    let mut ticks = interval(Duration::from_millis(50));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut waiting: Vec<(Crm, String, Instant)> = Vec::new();
    let (mut times, mut posted) = (Times::new(), 0);
    loop {
        ticks.tick().await;
        let elapsed = began.elapsed();
        if elapsed < lasts && elapsed >= EVERY * posted {
            let id = format!("email|{case}-{posted}");
            let address = format!("{case}-{posted}@other.example");
            publisher.sesamy.put_user(User::new(&id).email(&address));
            let now = Instant::now();
            waiting.extend(Crm::ALL.map(|crm| (crm, address.clone(), now)));
            post(deployed, publisher, &id).await?;
            posted += 1;
        }
        waiting.retain(|(crm, address, since)| {
            let arrived = is_in(publisher, *crm, address);
            if arrived {
                times.entry(*crm).or_default().push(since.elapsed());
            }
            !arrived
        });
        if elapsed >= lasts && waiting.is_empty() {
            return Ok(times);
        }
        if elapsed >= lasts + MAX_WAIT {
            let left = waiting.len();
            return Err(Error::new(format!("{left} users are still missing")));
        }
    }
}

fn is_in(publisher: &Publisher, crm: Crm, address: &str) -> bool {
    let list = |(account, _): &(stand_ins::make::MakeAccount, u64)| account.subscriber(address);
    match crm {
        Crm::Rule => publisher.rule.subscriber(address).is_some(),
        Crm::Mailmojo => publisher.mailmojo.contact(address).is_some(),
        Crm::Make => publisher.make.iter().any(|set| list(set).is_some()),
    }
}

/// Puts so many messages into Rule's queue, each of a user of its own, so many a second.
async fn send(deployed: &Deployed, publisher: &Publisher, count: u64, rate: u64) -> Result<()> {
    let vendor = VendorId::try_from(publisher.id);
    let vendor = vendor.map_err(|error| Error::new(error.to_string()))?;
    let mut seconds = interval(Duration::from_secs(1));
    let mut sent = 0;
    while sent < count {
        seconds.tick().await;
        let due = (sent..count.min(sent + rate)).map(|user| {
            let user = format!("email|invented-{user}");
            let user = user.as_str().try_into();
            let reader = Reader {
                vendor_id: vendor.clone(),
                user_id: user.map_err(|_| Error::new("an invented id is not valid"))?,
            };
            let group = reader.message_group();
            Ok((
                group,
                Message::resync(reader, "flood", Timestamp::now()).to_json(),
            ))
        });
        let due: Vec<_> = due.collect::<Result<_>>()?;
        deployed.enqueue(Crm::Rule, &due).await?;
        sent += rate;
        if sent % (rate * 60) == 0 {
            println!("  {sent} sent, {:?}", deployed.depth(Crm::Rule).await?);
        }
    }
    Ok(())
}

fn table(times: &Times) {
    println!("| CRM | events | p50 | p99 | longest |");
    println!("| --- | --- | --- | --- | --- |");
    for (crm, times) in times {
        let mut times = times.clone();
        times.sort_unstable();
        let at = |percent: usize| {
            let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
            times.get(place).copied().unwrap_or_default().as_secs_f64()
        };
        println!(
            "| {crm} | {} | {:.1} s | {:.1} s | {:.1} s |",
            times.len(),
            at(50),
            at(99),
            at(100)
        );
    }
}
