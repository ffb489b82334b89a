//! The measurements.

use std::time::{Duration, Instant};

use crate::user::{PaymentState, user_ids};
use crate::{
    ApiCalls, BinarySize, ConnectorKind, Cost, Fixture, Function, Instance, Result, Samples,
};

/// The number of contracts of a typical user, who has as many entitlements and bills.
pub const TYPICAL: usize = 5;

/// The number of contracts of the largest user.
pub const LARGEST: usize = 2_000;

/// The largest batch that Lambda takes from a FIFO queue (documented).
pub const MAX_BATCH: usize = 10;

/// In milliseconds.
#[derive(Debug, Clone)]
pub struct CostSamples {
    pub wall: Samples,
    pub cpu: Samples,
}

impl FromIterator<Cost> for CostSamples {
    fn from_iter<I: IntoIterator<Item = Cost>>(costs: I) -> Self {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let costs: Vec<_> = costs.into_iter().collect();
        Self {
            wall: costs.iter().map(|cost| milliseconds(cost.wall)).collect(),
            cpu: costs.iter().map(|cost| milliseconds(cost.cpu)).collect(),
        }
    }
}

/// The measurements of one function over many starts.
#[derive(Debug)]
pub struct FunctionProfile {
    pub function: Function,
    /// From the start of the process to its first poll.
    pub init: CostSamples,
    /// The first invocation of an instance.
    pub first: CostSamples,
    /// All later invocations.
    pub warm: CostSamples,
    /// Init and first invocation together.
    pub cold: CostSamples,
    /// Peak memory, in MB.
    pub memory: Samples,
    pub size: BinarySize,
}

/// Starts every function `starts` times. Each instance handles one event and then `warm`
/// more. The functions take turns, so that other load on the machine affects them
/// equally.
pub fn profiles(fixture: &Fixture, starts: usize, warm: usize) -> Result<Vec<FunctionProfile>> {
    let mut runs = Function::ALL.map(|function| (function, Vec::new()));
    for start in 0..starts {
        for (function, runs) in &mut runs {
            runs.push(InstanceRun::new(fixture, *function, start, warm)?);
        }
    }
    let profile = |(function, runs): (Function, Vec<InstanceRun>)| {
        Ok(FunctionProfile {
            function,
            init: runs.iter().map(|run| run.init).collect(),
            first: runs.iter().map(|run| run.first).collect(),
            cold: runs.iter().map(InstanceRun::cold).collect(),
            warm: runs.iter().flat_map(|run| run.warm.clone()).collect(),
            memory: runs.iter().map(|run| run.memory).collect(),
            size: BinarySize::measure(&function.binary())?,
        })
    };
    runs.into_iter().map(profile).collect()
}

/// Init and first invocation of the baseline in several languages, which take turns.
pub fn languages(fixture: &Fixture, starts: usize) -> Result<Vec<(Function, CostSamples)>> {
    let mut runs = Function::LANGUAGES.map(|function| (function, Vec::new()));
    for start in 0..starts {
        for (function, runs) in &mut runs {
            let run = InstanceRun::new(fixture, *function, start, 0)?;
            runs.push(run.cold());
        }
    }
    let samples = runs.into_iter();
    let samples = samples.map(|(function, runs)| (function, runs.into_iter().collect()));
    Ok(samples.collect())
}

struct InstanceRun {
    init: Cost,
    first: Cost,
    warm: Vec<Cost>,
    /// Peak memory, in MB.
    memory: f64,
}

impl InstanceRun {
    fn new(fixture: &Fixture, function: Function, start: usize, warm: usize) -> Result<Self> {
        let users = user_ids(1);
        let (mut instance, init) = fixture.start_instance(function)?;
        let mut handle =
            |event| handle_change(fixture, function, &mut instance, event, &users, TYPICAL);
        let first = handle(start)?;
        let warm = (1..=warm).map(|event| handle(start + event));
        Ok(Self {
            init,
            first,
            warm: warm.collect::<Result<_>>()?,
            memory: megabytes(instance.peak_memory()?),
        })
    }

    fn cold(&self) -> Cost {
        Cost {
            wall: self.init.wall + self.first.wall,
            cpu: self.init.cpu + self.first.cpu,
        }
    }
}

/// Changes the state of all users and then makes the instance handle an event of each.
fn handle_change(
    fixture: &Fixture,
    function: Function,
    instance: &mut Instance,
    number: usize,
    users: &[String],
    contracts: usize,
) -> Result<Cost> {
    fixture.put_users(users, contracts, PaymentState::for_event(number));
    fixture.invoke(function, instance, number, users)
}

/// How many events per second one instance handles. A connector gets batches of ten
/// users, and each user counts as an event. `latency` is that of Sesamy and the CRMs.
pub fn events_per_second(
    fixture: &Fixture,
    function: Function,
    latency: Duration,
    invocations: usize,
) -> Result<f64> {
    let users = user_ids(MAX_BATCH);
    let (mut instance, _) = fixture.start_instance(function)?;
    handle_change(fixture, function, &mut instance, 0, &users, TYPICAL)?;
    fixture.set_latency(latency);
    let mut total = Duration::ZERO;
    for number in 1..=invocations {
        fixture.put_users(&users, TYPICAL, PaymentState::for_event(number));
        let event = Fixture::event(function, number, &users);
        let began = Instant::now();
        let (response, _) = instance.invoke(event)?;
        total += began.elapsed();
        fixture.check(function, &instance, &response)?;
    }
    fixture.set_latency(Duration::ZERO);
    let events = match function {
        Function::Consumer(_) => invocations * MAX_BATCH,
        _ => invocations,
    };
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    Ok(events as f64 / total.as_secs_f64())
}

/// The cost of a connector's batch when every API answers after `latency`.
pub fn batches(
    fixture: &Fixture,
    connector: ConnectorKind,
    users: usize,
    latency: Duration,
) -> Result<CostSamples> {
    let function = Function::Consumer(connector);
    let users = user_ids(users);
    fixture.reset();
    let (mut instance, _) = fixture.start_instance(function)?;
    let mut handle =
        |event| handle_change(fixture, function, &mut instance, event, &users, TYPICAL);
    handle(0)?;
    fixture.set_latency(latency);
    let costs = (1..=5).map(handle).collect();
    fixture.set_latency(Duration::ZERO);
    costs
}

/// Counts the calls of a sync in typical situations.
pub fn calls(fixture: &Fixture, connector: ConnectorKind) -> Result<[(&'static str, ApiCalls); 4]> {
    use PaymentState::{Overdue, Paid};

    let function = Function::Consumer(connector);
    fixture.reset();
    let (mut instance, _) = fixture.start_instance(function)?;
    let user = user_ids(1);
    let burst: Vec<_> = user.iter().cloned().cycle().take(MAX_BATCH).collect();
    let mut number = 0;
    let mut calls = |payment, users: &[String]| {
        fixture.put_users(&user, TYPICAL, payment);
        fixture.take_calls();
        number += 1;
        fixture.invoke(function, &mut instance, number, users)?;
        Ok(fixture.take_calls())
    };
    Ok([
        ("first of an instance", calls(Paid, &user)?),
        ("a change", calls(Overdue, &user)?),
        ("no change", calls(Overdue, &user)?),
        ("a burst of ten", calls(Paid, &burst)?),
    ])
}

/// The cost of an event of one size.
#[derive(Debug)]
pub struct SizeCost {
    /// The number of the user's contracts, or of the batch's users.
    pub size: usize,
    pub cost: CostSamples,
    /// Peak memory, in MB.
    pub memory: f64,
}

/// Syncs one user, with a new instance for each number of contracts.
pub fn by_contracts(
    fixture: &Fixture,
    connector: ConnectorKind,
    contracts: &[usize],
    syncs: usize,
) -> Result<Vec<SizeCost>> {
    let costs = contracts.iter().map(|&contracts| {
        let users = user_ids(1);
        size_cost(fixture, connector, contracts, &users, contracts, syncs)
    });
    costs.collect()
}

/// Syncs batches, with a new instance for each number of users.
pub fn by_users(
    fixture: &Fixture,
    connector: ConnectorKind,
    users: &[usize],
    batches: usize,
) -> Result<Vec<SizeCost>> {
    let costs = users.iter().map(|&count| {
        let users = user_ids(count);
        size_cost(fixture, connector, count, &users, TYPICAL, batches)
    });
    costs.collect()
}

fn size_cost(
    fixture: &Fixture,
    connector: ConnectorKind,
    size: usize,
    users: &[String],
    contracts: usize,
    events: usize,
) -> Result<SizeCost> {
    let function = Function::Consumer(connector);
    fixture.reset();
    let (mut instance, _) = fixture.start_instance(function)?;
    let mut handle =
        |event| handle_change(fixture, function, &mut instance, event, users, contracts);
    handle(0)?;
    let costs = (1..=events).map(handle).collect::<Result<_>>()?;
    Ok(SizeCost {
        size,
        cost: costs,
        memory: megabytes(instance.peak_memory()?),
    })
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 bytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
