//! A day's outage on a virtual clock: the retry policy as the queue and the CRM see it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::retry::{Why, delay};

const HOUR: u64 = 60 * 60;
const DAY: u64 = 24 * HOUR;

/// After so many receives SQS itself moves a message to the dead-letter queue
/// (`maxReceiveCount` in the template).
const REDRIVE_LIMIT: u32 = 1_000;

/// Readers who wait. Their events come in during the outage's first hour.
const READERS: usize = 5_000;

/// Function instances, each with a memory of its own of what an API asked.
const INSTANCES: usize = 2;

/// What the CRM answers while it is out.
#[derive(Debug, Clone, Copy)]
enum Outage {
    /// 503 without a word on when to come back.
    Unavailable,
    /// 429 with a time.
    LeaveAlone(Duration),
}

#[derive(Debug)]
struct Report {
    most_receives: u32,
    /// Calls a minute to the CRM while it was out, on average.
    calls_a_minute_in_outage: f64,
    /// Most calls in any minute once it was back.
    busiest_minute_after: usize,
    /// Seconds from the end of the outage to the last message done.
    until_all_done: u64,
}

/// Runs the policy through a day of outage, second by second, and on until all is done.
fn simulate(outage: Outage, seed: u64) -> Report {
    let mut random = fastrand::Rng::with_seed(seed);
    let sent: Vec<u64> = (0..READERS).map(|_| random.u64(0..HOUR)).collect();
    let mut receives = vec![0_u32; READERS];
    let mut paused_until = [0_u64; INSTANCES];
    let mut visible: BinaryHeap<_> = sent
        .iter()
        .enumerate()
        .map(|(n, at)| Reverse((*at, n)))
        .collect();
    let (mut calls_in_outage, mut calls_after, mut last_done) = (0_u64, Vec::new(), DAY);

    while let Some(Reverse((now, message))) = visible.pop() {
        receives[message] += 1;
        let instance = random.usize(0..INSTANCES);
        let age = Duration::from_secs(now - sent[message]);
        let why = if now < paused_until[instance] {
            Why::AskedToWait(Duration::from_secs(paused_until[instance] - now))
        } else if now < DAY {
            calls_in_outage += 1;
            match outage {
                Outage::Unavailable => Why::Passing,
                Outage::LeaveAlone(wait) => {
                    paused_until[instance] = now + wait.as_secs();
                    Why::AskedToWait(wait)
                }
            }
        } else {
            calls_after.push(now);
            last_done = last_done.max(now);
            continue;
        };
        let wait = delay(why, age, random.f64()).as_secs().max(1);
        visible.push(Reverse((now + wait, message)));
    }

    let minute = |at: &u64| (at - DAY) / 60;
    let busiest = calls_after
        .chunk_by(|a, b| minute(a) == minute(b))
        .map(<[u64]>::len)
        .max();
    Report {
        most_receives: receives.into_iter().max().unwrap(),
        calls_a_minute_in_outage: calls_in_outage as f64 / (DAY / 60) as f64,
        busiest_minute_after: busiest.unwrap(),
        until_all_done: last_done - DAY,
    }
}

#[test]
fn a_day_of_503_buries_nothing_and_the_crm_is_not_stormed_when_it_is_back() {
    let seed = fastrand::u64(..);
    let report = simulate(Outage::Unavailable, seed);
    println!("seed {seed}: {report:?}");
    assert!(report.most_receives < REDRIVE_LIMIT / 4, "{report:?}");
    // Every message is tried once in a quarter of an hour, spread over half of it.
    assert!(report.until_all_done <= 15 * 60, "{report:?}");
    let even = READERS / 15;
    assert!(report.busiest_minute_after < 3 * even, "{report:?}");
    assert!(
        report.calls_a_minute_in_outage < 2.0 * even as f64,
        "{report:?}"
    );
}

#[test]
fn a_day_of_429_buries_nothing_and_the_crm_is_left_alone() {
    let seed = fastrand::u64(..);
    let report = simulate(Outage::LeaveAlone(Duration::from_secs(600)), seed);
    println!("seed {seed}: {report:?}");
    assert!(report.most_receives < REDRIVE_LIMIT / 4, "{report:?}");
    // One call per instance and pause.
    assert!(report.calls_a_minute_in_outage < 0.25, "{report:?}");
    // Half of the pause is what they are spread over.
    assert!(report.until_all_done <= 15 * 60, "{report:?}");
    assert!(report.busiest_minute_after < READERS / 3, "{report:?}");
}
