//! All cases at once, on one stack.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use local_aws::{Error, Result};
use soak::{Crm, Deployed, marks};
use stand_ins::StandIns;

use super::{
    case::{Account, Case, cases},
    outcome::wrong,
    silence,
    table::{Often, Then},
};
use crate::stages::on_stack;

/// How long it may take until every case has come to its end. A fault that
/// lasts is taken off after the second try; the third comes up to four minutes
/// after the first.
const LIMIT: Duration = Duration::from_secs(420);

/// A case as it runs.
struct Running {
    case: Case,
    account: Account,
    fault: Option<u64>,
    struck: u32,
}

#[test]
fn every_fault_at_every_call_comes_to_what_the_table_says() {
    // From the lowest level: what is not told there is told nowhere.
    on_stack("faults", "trace", async |deployed| {
        let stand_ins = StandIns::builder().requests_kept(0).start().await;
        let stand_ins = stand_ins.map_err(|error| Error::new(error.to_string()))?;
        let start = Instant::now();
        let mut running = begin(&deployed, &stand_ins).await?;
        let ended = until_all_have_ended(&deployed, &stand_ins, &mut running).await;
        // While the dead letters are there to be told of.
        let mut answers = silence::answers(&deployed).await?;
        let mut wrongs = look(&deployed, &running, start).await?;
        let cases: Vec<_> = running.iter().map(|one| &one.case).collect();
        answers.extend(silence::asked(&deployed, &cases).await?);
        wrongs.extend(silence::broken(&deployed, answers).await?);
        for violation in stand_ins.violations() {
            wrongs.push(format!("{violation:?}"));
        }
        wrongs.extend(ended.err().map(|error| error.to_string()));
        if wrongs.is_empty() {
            return Ok(());
        }
        let (count, all) = (wrongs.len(), running.len());
        Err(Error::new(format!("{count} wrong in {all} cases")).output(wrongs))
    });
}

/// Opens every account, injects every fault, and sends every message.
async fn begin(deployed: &Deployed, stand_ins: &StandIns) -> Result<Vec<Running>> {
    let (mut running, mut secrets) = (Vec::new(), Vec::new());
    let mut messages: BTreeMap<Crm, Vec<_>> = BTreeMap::new();
    for case in cases() {
        let (account, of_case) = case.open(stand_ins);
        secrets.extend(of_case);
        messages.entry(case.crm).or_default().push(case.message());
        let fault = case.fault.clone().map(|fault| stand_ins.fault(fault));
        running.push(Running {
            case,
            account,
            fault,
            struck: 0,
        });
    }
    deployed.put_secrets(&secrets).await?;
    for (crm, messages) in messages {
        deployed.enqueue(crm, &messages).await?;
    }
    Ok(running)
}

/// Waits until every fault has struck as often as it must and the queues hold
/// exactly what must wait there: what is refused for ever. Another fault that
/// lasts ends when the message has come back to it once.
async fn until_all_have_ended(
    deployed: &Deployed,
    stand_ins: &StandIns,
    running: &mut [Running],
) -> Result<()> {
    let start = Instant::now();
    loop {
        let faults = stand_ins.faults();
        let struck: HashMap<u64, u32> = faults.iter().map(|f| (f.id, f.struck)).collect();
        let mut waiting_for = Vec::new();
        for one in &mut *running {
            let Some(id) = one.fault else { continue };
            one.struck = struck.get(&id).copied().unwrap_or(one.struck);
            let lasts = one.case.often == Often::Always && one.case.then == Then::Retried;
            if one.struck < 1 + u32::from(lasts) {
                waiting_for.push(one.case.id.clone());
            } else if lasts {
                stand_ins.remove_fault(id);
            }
        }
        let mut left = Vec::new();
        for crm in Crm::ALL {
            let of_crm = running.iter().filter(|one| one.case.crm == crm);
            let refused = of_crm
                .filter(|one| one.case.then == Then::Refused && one.case.often == Often::Always);
            let refused = refused.count();
            let depth = deployed.depth(crm).await?;
            if depth.total() != u64::try_from(refused).unwrap() || depth.in_flight != depth.total()
            {
                left.push(format!(
                    "{crm} has {depth:?}, and {refused} must wait hidden"
                ));
            }
        }
        if waiting_for.is_empty() && left.is_empty() {
            return Ok(());
        }
        if start.elapsed() > LIMIT {
            waiting_for.extend(left);
            return Err(Error::new("not all came to an end").output(waiting_for));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// What is wrong with any of them.
async fn look(deployed: &Deployed, running: &[Running], start: Instant) -> Result<Vec<String>> {
    let mut wrongs = Vec::new();
    for crm in Crm::ALL {
        let lines = deployed.syncs(crm).await?;
        let letters = deployed.take_dead_letters(crm).await?;
        for one in running.iter().filter(|one| one.case.crm == crm) {
            let id = one.case.id.as_str();
            let lines: Vec<_> = lines.iter().filter(|line| line.vendor == id).collect();
            let letters = letters
                .iter()
                .filter(|letter| letter.field("vendorId") == id);
            let letters: Vec<_> = letters.collect();
            let began = start.elapsed();
            let (case, account) = (&one.case, &one.account);
            wrongs.extend(wrong(case, account, &lines, &letters, one.struck, began));
        }
        // What is in the body is what was sent.
        let told = letters.iter().flat_map(|letter| &letter.attributes);
        let told = told.filter_map(|(name, value)| {
            let around = marks::found(value)?;
            Some(format!(
                "the attribute {name} of a dead letter tells: {around}"
            ))
        });
        wrongs.extend(told);
    }
    Ok(wrongs)
}
