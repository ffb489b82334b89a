//! The whole system on this machine: builds and deploys the very template, has
//! the sample publisher's Sesamy send webhooks, and shows what each reader's
//! contact in the CRM held before and after.

#![expect(clippy::print_stdout, reason = "a demo is there to be watched")]

mod contact;
mod events;
mod preview;
mod progress;
mod resync;

use std::{io::IsTerminal as _, process::ExitCode, time::Duration};

use local_aws::{
    Connector, Deployment, Error, LocalAws, Manner, Project, Result, Stack, eventually, samples,
};
use stand_ins::StandIns;

use contact::Contact;
use events::{READERS, Reader};
use progress::Progress;

/// How long the readers may take to arrive in the CRMs: seconds, usually.
const LIMIT: Duration = Duration::from_secs(120);

/// Whose sync is announced before it is done.
const PREVIEWED: &str = "email|bo";

#[tokio::main]
async fn main() -> ExitCode {
    let result = tokio::select! {
        result = demo() => result,
        _ = tokio::signal::ctrl_c() => Err(Error::new("interrupted")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\n{error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<()> {
    let progress = Progress::new(std::io::stdout().is_terminal());
    let project = Project::here()?;
    let seed = samples::seed(&project)?;

    let step = progress.step("Build the functions with `sam build`");
    let notes = step.notes();
    let built = project.build(move |line| notes.say(line)).await?;
    step.done("");

    let step = progress.step("Start a local AWS, and stand-ins of Sesamy and the CRMs");
    let stand_ins = StandIns::builder()
        .seed(seed)
        .start()
        .await
        .map_err(|error| Error::new(format!("the stand-ins could not be started: {error}")))?;
    let local = LocalAws::start(&project, Manner::Strict).await?;
    step.done(&format!(
        "{} and {}",
        local.aws().endpoint(),
        stand_ins.base()
    ));

    let step = progress.step("Deploy template.yaml with `sam deploy`");
    let mut deployment = Deployment::new("sesamy-crm-sync");
    // Few users at Sesamy's real pace would make a person wait for nothing new.
    let limit = "SesamyRequestsPerMinute=600".to_owned();
    deployment.options.push(limit);
    let stack = local.deploy(&built, &deployment).await?;
    step.done(stack.webhook_url()?);

    let step = progress.step("Store the credentials in Secrets Manager");
    let secrets = samples::secrets(stand_ins.urls());
    for (name, content) in &secrets {
        stack.put_secret(name, content).await?;
    }
    step.done(&format!("{} secrets", secrets.len()));

    let before: Vec<_> = READERS
        .iter()
        .map(|reader| Contact::all(&stand_ins, reader.email))
        .collect();

    let step = progress.step("Ask Rule's function what it would write of one reader");
    let previewed = READERS.iter().find(|reader| reader.user_id == PREVIEWED);
    let previewed = previewed.ok_or_else(|| Error::new(format!("no reader {PREVIEWED}")))?;
    let lines = preview::preview(&stack, Connector::Rule, previewed).await?;
    step.done(previewed.who);
    for line in lines {
        println!("            {line}");
    }

    let step = progress.step("Post the webhooks to the deployed API");
    let count = post(&stack).await?;
    step.done(&format!(
        "{count} accepted at {}",
        stack.local_webhook_url()?
    ));

    let step = progress.step("Wait until every queue is empty");
    eventually("the queues to empty", LIMIT, async || {
        let mut waiting = 0;
        for connector in Connector::ALL {
            waiting += stack.queue_depth(connector).await?.total();
        }
        step.note(&format!("{waiting} messages left"));
        Ok((waiting == 0).then_some(()))
    })
    .await?;
    step.done("");

    for (reader, before) in READERS.iter().zip(before) {
        show(reader, &before, &Contact::all(&stand_ins, reader.email));
    }
    println!();
    resync::all(&stack, &progress).await?;
    let sound = check(&stack, &stand_ins).await;

    let step = progress.step("Take everything down");
    drop(local);
    drop(stand_ins);
    step.done("");
    sound
}

/// Posts every reader's webhooks and gives how many there were.
async fn post(stack: &Stack<'_>) -> Result<usize> {
    let authorization = format!("Bearer {}", samples::TOKEN);
    let now = samples::just_now();
    let mut count = 0;
    for reader in READERS {
        for event in reader.events {
            let body = samples::webhook(event.event_type, reader.user_id, &now, event.ids);
            let reply = stack.post(Some(&authorization), body.to_string()).await?;
            if reply.status != 202 {
                return Err(Error::new(format!(
                    "the webhook answered {} to {body}: {}",
                    reply.status, reply.body
                )));
            }
            count += 1;
        }
    }
    Ok(count)
}

/// Prints what a reader's contacts held before and after.
fn show(reader: &Reader, before: &[Contact], after: &[Contact]) {
    let events: Vec<_> = reader.events.iter().map(|event| event.event_type).collect();
    println!("\n{}\n  webhooks: {}", reader.who, events.join(", "));
    for (before, after) in before.iter().zip(after) {
        println!("  {}", after.crm);
        for line in before.changes(after) {
            println!("    {line}");
        }
    }
}

/// Fails where something did not arrive or a CRM would have been harmed.
async fn check(stack: &Stack<'_>, stand_ins: &StandIns) -> Result<()> {
    for connector in Connector::ALL {
        let letters = stack.dead_letters(connector).await?;
        if !letters.is_empty() {
            let logs = stack.logs(connector.function()).await?;
            return Err(Error::new(format!(
                "{connector} has dead letters: {letters:#?}\nIts log:\n{}",
                logs.join("\n")
            )));
        }
    }
    let violations = stand_ins.violations();
    if !violations.is_empty() {
        return Err(Error::new(format!(
            "a CRM would have been harmed: {violations:#?}"
        )));
    }
    Ok(())
}
