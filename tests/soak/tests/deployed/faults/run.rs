//! Runs all cases concurrently on one stack.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use fakes::Fakes;
use harness::{Connector, Deployment, Error, Result, Stack, start_fakes};

use super::{
    case::{Case, CrmAccount, cases},
    leaks, outcome,
    table::{Expected, Frequency},
};
use crate::run_test;

/// How long all cases may take. A lasting fault is removed after the second try, and the
/// third try comes up to four minutes after the first.
const TIMEOUT: Duration = Duration::from_secs(420);

/// The timeout of the operator function.
const INVOCATION: Duration = Duration::from_secs(60);

struct RunningCase {
    case: Case,
    account: CrmAccount,
    fault: Option<u64>,
    struck: u32,
}

#[test]
fn every_fault_at_every_call_has_the_outcome_of_the_table() {
    // The most verbose level, so that the search for leaks covers every log line.
    let deployment = Deployment::new("faults").log_level("trace");
    run_test(deployment, async |stack| {
        let fakes = start_fakes(Fakes::builder().requests_kept(0)).await?;
        let start = Instant::now();
        leaks::send_unreadable_messages(&stack).await?;
        let mut running = begin(&stack, &fakes).await?;
        let (ended, (operator_answers, asked)) =
            tokio::join!(wait_until_all_ended(&stack, &fakes, &mut running), async {
                (
                    leaks::operator_and_widget_answers(&stack).await,
                    Instant::now(),
                )
            },);
        let mut answers = operator_answers?;
        answers.extend(leaks::webhook_answers(&stack).await?);
        // By then the operator function's redrive keeps no dead-letter message.
        tokio::time::sleep_until((asked + INVOCATION).into()).await;
        let mut failures = check_outcomes(&stack, &running, start).await?;
        let cases: Vec<_> = running.iter().map(|running| &running.case).collect();
        answers.extend(leaks::action_answers(&stack, &cases).await?);
        failures.extend(leaks::find_all(&stack, answers).await?);
        for violation in fakes.violations() {
            failures.push(format!("{violation:?}"));
        }
        failures.extend(ended.err().map(|error| error.to_string()));
        if failures.is_empty() {
            return Ok(());
        }
        let (count, all) = (failures.len(), running.len());
        Err(Error::new(format!("{count} failures in {all} cases")).output(failures))
    });
}

/// Opens every account, injects every fault, and sends every message.
async fn begin(stack: &Stack<'_>, fakes: &Fakes) -> Result<Vec<RunningCase>> {
    let (mut running, mut secrets) = (Vec::new(), Vec::new());
    let mut messages: BTreeMap<Connector, Vec<_>> = BTreeMap::new();
    for case in cases() {
        let (account, case_secrets) = case.open(fakes);
        secrets.extend(case_secrets);
        let messages = messages.entry(case.connector).or_default();
        messages.push(case.message());
        let fault = case.fault.clone().map(|fault| fakes.fault(fault));
        running.push(RunningCase {
            case,
            account,
            fault,
            struck: 0,
        });
    }
    stack.put_secrets(secrets).await?;
    for (connector, messages) in messages {
        stack.enqueue(connector, &messages).await?;
    }
    Ok(running)
}

/// Waits until every fault has struck as often as it must and the queues have only the
/// messages that are refused forever. Removes any other lasting fault after the first
/// retry.
async fn wait_until_all_ended(
    stack: &Stack<'_>,
    fakes: &Fakes,
    running: &mut [RunningCase],
) -> Result<()> {
    let start = Instant::now();
    loop {
        let faults = fakes.faults();
        let struck: HashMap<u64, u32> = faults.iter().map(|f| (f.id, f.struck)).collect();
        let mut waiting_for = Vec::new();
        for entry in &mut *running {
            let Some(id) = entry.fault else { continue };
            entry.struck = struck.get(&id).copied().unwrap_or(entry.struck);
            let lasts = is_always(&entry.case) && entry.case.expected == Expected::Retried;
            if entry.struck < 1 + u32::from(lasts) {
                waiting_for.push(entry.case.id.clone());
            } else if lasts {
                fakes.remove_fault(id);
            }
        }
        let mut wrong_depths = Vec::new();
        for connector in Connector::ALL {
            let refused = running.iter().filter(|entry| {
                entry.case.connector == connector
                    && entry.case.expected == Expected::Refused
                    && is_always(&entry.case)
            });
            let refused = refused.count();
            let depth = stack.queue_depth(connector).await?;
            if depth.total() != u64::try_from(refused).unwrap() || depth.in_flight != depth.total()
            {
                wrong_depths.push(format!(
                    "{connector} has {depth:?}, but exactly {refused} messages must be in flight"
                ));
            }
        }
        if waiting_for.is_empty() && wrong_depths.is_empty() {
            return Ok(());
        }
        if start.elapsed() > TIMEOUT {
            waiting_for.extend(wrong_depths);
            return Err(Error::new("not all cases ended").output(waiting_for));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn is_always(case: &Case) -> bool {
    case.frequency == Frequency::Always
}

async fn check_outcomes(
    stack: &Stack<'_>,
    running: &[RunningCase],
    start: Instant,
) -> Result<Vec<String>> {
    let mut failures = Vec::new();
    for connector in Connector::ALL {
        let syncs = stack.syncs(connector).await?;
        let dead_letters = stack.take_dead_letters(connector).await?;
        for entry in running {
            let (case, account) = (&entry.case, &entry.account);
            if case.connector != connector {
                continue;
            }
            let syncs = syncs.iter().filter(|sync| sync.vendor == case.id);
            let syncs: Vec<_> = syncs.collect();
            let messages = dead_letters.iter();
            let messages = messages.filter(|message| message.field("vendorId") == case.id);
            let messages: Vec<_> = messages.collect();
            let elapsed = start.elapsed();
            failures.extend(outcome::failures(
                case,
                account,
                &syncs,
                &messages,
                entry.struck,
                elapsed,
            ));
        }
        // The body is what was sent, so only the attributes may leak.
        let attributes = dead_letters.iter().flat_map(|message| &message.attributes);
        failures.extend(attributes.filter_map(|(name, value)| {
            let leak = soak::leaks::find(value)?;
            Some(format!(
                "the attribute {name} of a dead-letter message leaks: {leak}"
            ))
        }));
    }
    Ok(failures)
}
