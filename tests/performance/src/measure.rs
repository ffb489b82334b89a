//! What is measured, and how often.

use std::time::{Duration, Instant};

use crate::reader::Payment;
use crate::stage::Calls;
use crate::{Connector, Cost, Function, Instance, Result, Size, Spread, Stage};

/// Contracts of a typical reader, who has as many entitlements and bills.
pub const TYPICAL: usize = 5;

/// Contracts of the largest reader.
pub const LARGEST: usize = 2_000;

/// The most events that SQS puts into a batch of a FIFO queue.
pub const BATCH: usize = 10;

/// The reader of all measurements that need but one.
const READER: &str = "email|typical";

/// Wall-clock and processor time of something done many times, in milliseconds.
#[derive(Debug, Clone)]
pub struct Times {
    /// From the outside.
    pub wall: Spread,
    /// On a processor.
    pub cpu: Spread,
}

/// What is known of one function after many starts.
#[derive(Debug)]
pub struct Profile {
    /// The function.
    pub function: Function,
    /// From the start of the process to its first poll.
    pub init: Times,
    /// The first invocation.
    pub first: Times,
    /// Each further invocation.
    pub warm: Times,
    /// The sum of init and first invocation.
    pub cold: Times,
    /// Peak of the memory after these, in MB.
    pub memory: Spread,
    /// Size of the binary.
    pub size: Size,
}

/// How fast one instance is when it always has something to do.
#[derive(Debug)]
pub struct Rate {
    /// What the stand-ins of Sesamy and the CRMs wait before they answer.
    pub latency: Duration,
    /// Events or readers in a second.
    pub per_second: f64,
}

/// What a sync costs at some size.
#[derive(Debug)]
pub struct Growth {
    /// Contracts of the reader, or readers of the batch.
    pub size: usize,
    /// What handling the event takes.
    pub times: Times,
    /// Peak of the memory in MB.
    pub memory: f64,
}

impl Times {
    fn of(costs: &[Cost]) -> Self {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        Self {
            wall: costs.iter().map(|cost| milliseconds(cost.wall)).collect(),
            cpu: costs.iter().map(|cost| milliseconds(cost.cpu)).collect(),
        }
    }
}

/// Starts every function so many times and has each instance handle so many
/// events after its first. The functions take turns, so that whatever else the
/// machine does meets all of them alike.
///
/// # Errors
/// When a function cannot be started or does not do its work.
pub fn profiles(stage: &Stage, starts: usize, warm: usize) -> Result<Vec<Profile>> {
    let mut seen = Function::ALL.map(|function| (function, Vec::new()));
    for start in 0..starts {
        for (function, instances) in &mut seen {
            instances.push(life(stage, *function, start, warm)?);
        }
    }
    let profile = |(function, instances): (Function, Vec<Life>)| {
        let all =
            |cost: fn(&Life) -> Cost| Times::of(&instances.iter().map(cost).collect::<Vec<_>>());
        let warm: Vec<_> = instances
            .iter()
            .flat_map(|life| life.warm.clone())
            .collect();
        Ok(Profile {
            function,
            init: all(|life| life.init),
            first: all(|life| life.first),
            cold: all(|life| Cost {
                wall: life.init.wall + life.first.wall,
                cpu: life.init.cpu + life.first.cpu,
            }),
            warm: Times::of(&warm),
            memory: instances.iter().map(|life| life.memory).collect(),
            size: Size::of(&function.binary())?,
        })
    };
    seen.into_iter().map(profile).collect()
}

/// What one instance did.
struct Life {
    init: Cost,
    first: Cost,
    warm: Vec<Cost>,
    memory: f64,
}

fn life(stage: &Stage, function: Function, start: usize, warm: usize) -> Result<Life> {
    let (mut instance, init) = stage.start(function)?;
    let first = work(stage, function, &mut instance, start, TYPICAL)?;
    let warm = (1..=warm)
        .map(|event| work(stage, function, &mut instance, start + event, TYPICAL))
        .collect::<Result<_>>()?;
    Ok(Life {
        init,
        first,
        warm,
        memory: megabytes(instance.peak_memory()?),
    })
}

/// One event of a reader whose state has changed since the one before.
fn work(
    stage: &Stage,
    function: Function,
    instance: &mut Instance,
    number: usize,
    contracts: usize,
) -> Result<Cost> {
    if matches!(function, Function::Consumer(_)) {
        stage.put_reader(READER, contracts, Payment::of(number));
    }
    let event = Stage::event(function, number, &[READER]);
    let (answer, cost) = instance.invoke(event)?;
    stage.check(function, instance, &answer)?;
    Ok(cost)
}

/// How many events one instance handles in a second. A connector's come in
/// whole batches, each of ten readers.
///
/// # Errors
/// Those of [`profiles`].
pub fn rate(stage: &Stage, function: Function, latency: Duration, events: usize) -> Result<Rate> {
    let readers: Vec<_> = (0..BATCH).map(|n| format!("email|of-batch-{n}")).collect();
    let names: Vec<_> = readers.iter().map(String::as_str).collect();
    let in_event = if matches!(function, Function::Consumer(_)) {
        BATCH
    } else {
        1
    };
    let (mut instance, _) = stage.start(function)?;
    let mut taken = Duration::ZERO;
    // The first one warms the instance up.
    for number in 0..=events {
        for reader in &readers {
            stage.put_reader(reader, TYPICAL, Payment::of(number));
        }
        stage.set_latency(if number == 0 { Duration::ZERO } else { latency });
        let event = Stage::event(function, number, &names);
        let began = Instant::now();
        let (answer, _) = instance.invoke(event)?;
        if number > 0 {
            taken += began.elapsed();
        }
        stage.check(function, &instance, &answer)?;
    }
    stage.set_latency(Duration::ZERO);
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let handled = (events * in_event) as f64;
    Ok(Rate {
        latency,
        per_second: handled / taken.as_secs_f64(),
    })
}

/// What is called for a sync that changes something, for one that changes
/// nothing, and for a burst: ten events of one reader in one batch.
///
/// # Errors
/// Those of [`profiles`].
pub fn calls(stage: &Stage, connector: Connector) -> Result<[(&'static str, Calls); 4]> {
    let function = Function::Consumer(connector);
    stage.reset();
    let (mut instance, _) = stage.start(function)?;
    let mut number = 0;
    let mut calls = |payment, readers: &[&str]| {
        stage.put_reader(READER, TYPICAL, payment);
        stage.calls();
        number += 1;
        let (answer, _) = instance.invoke(Stage::event(function, number, readers))?;
        stage.check(function, &instance, &answer)?;
        Ok(stage.calls())
    };
    Ok([
        ("first of an instance", calls(Payment::Made, &[READER])?),
        ("a change", calls(Payment::Overdue, &[READER])?),
        ("no change", calls(Payment::Overdue, &[READER])?),
        ("a burst of ten", calls(Payment::Made, &[READER; BATCH])?),
    ])
}

/// A sync of readers with more and more contracts, each by an instance of its own.
///
/// # Errors
/// Those of [`profiles`].
pub fn by_contracts(
    stage: &Stage,
    connector: Connector,
    contracts: &[usize],
    syncs: usize,
) -> Result<Vec<Growth>> {
    let function = Function::Consumer(connector);
    let growth = |&contracts: &usize| {
        stage.reset();
        let (mut instance, _) = stage.start(function)?;
        work(stage, function, &mut instance, 0, contracts)?;
        let costs = (1..=syncs)
            .map(|number| work(stage, function, &mut instance, number, contracts))
            .collect::<Result<Vec<_>>>()?;
        Ok(Growth {
            size: contracts,
            times: Times::of(&costs),
            memory: megabytes(instance.peak_memory()?),
        })
    };
    contracts.iter().map(growth).collect()
}

/// Batches of more and more readers, each by an instance of its own.
///
/// # Errors
/// Those of [`profiles`].
pub fn by_readers(
    stage: &Stage,
    connector: Connector,
    readers: &[usize],
    batches: usize,
) -> Result<Vec<Growth>> {
    let function = Function::Consumer(connector);
    let growth = |&count: &usize| {
        stage.reset();
        let ids: Vec<_> = (0..count).map(|n| format!("email|of-batch-{n}")).collect();
        let names: Vec<_> = ids.iter().map(String::as_str).collect();
        let (mut instance, _) = stage.start(function)?;
        let mut costs = Vec::new();
        for number in 0..=batches {
            for id in &ids {
                stage.put_reader(id, TYPICAL, Payment::of(number));
            }
            let (answer, cost) = instance.invoke(Stage::event(function, number, &names))?;
            stage.check(function, &instance, &answer)?;
            if number > 0 {
                costs.push(cost);
            }
        }
        Ok(Growth {
            size: count,
            times: Times::of(&costs),
            memory: megabytes(instance.peak_memory()?),
        })
    };
    readers.iter().map(growth).collect()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
