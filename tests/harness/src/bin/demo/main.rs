//! Runs the whole system on this machine: builds and deploys the template, sends the
//! sample publisher's webhooks, and shows each user's contacts in the CRMs before and
//! after.

#![expect(clippy::print_stdout, reason = "a command-line program")]

mod contact;
mod events;
mod page;
mod preview;
mod progress;
mod resync;

use std::{io::IsTerminal as _, process::ExitCode, time::Duration};

use fakes::Fakes;
use harness::{
    AwsMode, Connector, Deployment, Error, LocalAws, Project, Result, Stack, eventually, samples,
    start_fakes,
};

use contact::{Change, Contact, Sign};
use events::{DemoUser, USERS};
use jiff::Timestamp;
use progress::Progress;

/// How long the users may take to reach the CRMs. Usually they take seconds.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The user whose sync the demo previews.
const PREVIEWED_USER: &str = "email|bo";

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
    let template = project.build(move |line| notes.show(line)).await?;
    step.done("");

    let step = progress.step("Start a local AWS, and fakes of Sesamy and the CRMs");
    let fakes = start_fakes(Fakes::builder().seed(seed)).await?;
    let local = LocalAws::start(&project, AwsMode::Strict).await?;
    step.done(&format!("{} and {}", local.aws().endpoint(), fakes.base()));

    let step = progress.step("Deploy template.yaml with `sam deploy`");
    // Sesamy's real limit would slow the demo down.
    let deployment = Deployment::new("sesamy-crm-sync").option("SesamyRequestsPerMinute=600");
    let stack = local.deploy(&template, &deployment).await?;
    step.done(stack.webhook_url()?);

    let step = progress.step("Store the credentials in Secrets Manager");
    let secrets = samples::secrets(fakes.urls());
    let count = secrets.len();
    stack.put_secrets(secrets).await?;
    step.done(&format!("{count} secrets"));

    let before: Vec<_> = USERS
        .iter()
        .map(|user| Contact::all(&fakes, user.email))
        .collect();

    let step = progress.step("Preview what Rule's function would write for one user");
    let previewed = USERS.iter().find(|user| user.user_id == PREVIEWED_USER);
    let previewed = previewed.ok_or_else(|| Error::new(format!("no user {PREVIEWED_USER}")))?;
    let lines = preview::preview(&stack, Connector::Rule, previewed).await?;
    step.done(previewed.description);
    for line in lines {
        println!("            {line}");
    }

    let step = progress.step("Post the webhooks to the deployed API");
    let posted = post_webhooks(&stack).await?;
    step.done(&format!(
        "{} accepted at {}",
        posted.len(),
        stack.local_webhook_url()?
    ));

    let step = progress.step("Wait until every queue is empty");
    eventually("the queues to empty", TIMEOUT, async || {
        let mut waiting = 0;
        for connector in Connector::ALL {
            waiting += stack.queue_depth(connector).await?.total();
        }
        step.note(&format!("{waiting} messages left"));
        Ok((waiting == 0).then_some(()))
    })
    .await?;
    step.done("");

    let mut stories = Vec::new();
    for (user, before) in USERS.iter().zip(before) {
        let after = Contact::all(&fakes, user.email);
        let contacts = before.iter().zip(&after);
        let contacts = contacts.map(|(before, after)| (after.crm, before.changes(after)));
        stories.push(Story {
            user,
            contacts: contacts.collect(),
        });
    }
    println!("\nWhat changed: + came, - went, ~ has another value; without a sign it stays.");
    stories.iter().for_each(show);
    println!();
    let syncs = page::syncs(&stack).await?;
    let requests = fakes.requests();
    resync::all(&stack, &progress).await?;
    let checked = check(&stack, &fakes).await;
    if checked.is_ok() {
        let verdict = verdict(&posted, &stories);
        let page = page::write(&project, &verdict, &stories, &posted, &syncs, &requests)?;
        println!("\n{verdict}");
        println!("To look at it: {}", page.display());
        println!("Next: `make local` leaves this stack running, for webhooks of your own.\n");
    }

    let step = progress.step("Stop everything");
    drop(local);
    drop(fakes);
    step.done("");
    checked
}

/// What happened to a user's contacts.
pub struct Story {
    pub user: &'static DemoUser,
    /// By the CRM's name.
    pub contacts: Vec<(&'static str, Vec<Change>)>,
}

impl Story {
    /// Whether any CRM has a contact now.
    fn reached_a_crm(&self) -> bool {
        let changes = self.contacts.iter().flat_map(|(_, changes)| changes);
        changes.into_iter().any(|change| change.sign != Sign::Note)
    }
}

pub struct Posted {
    pub user_id: &'static str,
    pub event_type: &'static str,
    pub at: Timestamp,
}

/// Posts every user's webhooks.
async fn post_webhooks(stack: &Stack<'_>) -> Result<Vec<Posted>> {
    let now = samples::now_text();
    let mut posted = Vec::new();
    for user in USERS {
        for event in user.events {
            let body = samples::webhook(event.event_type, user.user_id, &now, event.ids);
            let at = Timestamp::now();
            let reply = stack.post_webhook(samples::TOKEN, &body).await?;
            if reply.status != 202 {
                return Err(Error::new(format!(
                    "the webhook answered {} to {body}: {}",
                    reply.status, reply.body
                )));
            }
            posted.push(Posted {
                user_id: user.user_id,
                event_type: event.event_type,
                at,
            });
        }
    }
    Ok(posted)
}

fn show(story: &Story) {
    let events: Vec<_> = story.user.events.iter().map(|e| e.event_type).collect();
    println!(
        "\n{}\n  webhooks: {}",
        story.user.description,
        events.join(", ")
    );
    if let Some(remark) = story.user.remark {
        println!("  {remark}");
    }
    for (crm, changes) in &story.contacts {
        println!("  {crm}");
        for line in contact::lines(changes) {
            println!("    {line}");
        }
    }
}

fn verdict(posted: &[Posted], stories: &[Story]) -> String {
    let reached = stories.iter().filter(|story| story.reached_a_crm()).count();
    format!(
        "It worked: {} webhooks were accepted, {reached} users reached all {} CRMs, and {} (a guest) none. \
         There is no dead-letter message, and no call that would have harmed a contact.",
        posted.len(),
        Connector::ALL.len(),
        stories.len() - reached,
    )
}

/// Fails on dead-letter messages and on requests that would have harmed a CRM.
async fn check(stack: &Stack<'_>, fakes: &Fakes) -> Result<()> {
    for connector in Connector::ALL {
        let dead_letters = stack.peek_dead_letters(connector).await?;
        if !dead_letters.is_empty() {
            let logs = stack.logs(connector.function()).await?;
            return Err(Error::new(format!(
                "{connector} has dead-letter messages: {dead_letters:#?}\nIts log:\n{}",
                logs.join("\n")
            )));
        }
    }
    let violations = fakes.violations();
    if !violations.is_empty() {
        return Err(Error::new(format!(
            "a CRM would have been harmed: {violations:#?}"
        )));
    }
    Ok(())
}
