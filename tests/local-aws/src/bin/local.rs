//! What functions run by `sam local invoke` need around them: a local AWS with
//! the sample secrets and queues, and stand-ins of Sesamy and the CRMs, at the
//! addresses of `events/env.json`. Runs until Ctrl-C.

#![expect(clippy::print_stdout, reason = "tells its user what there is")]

use local_aws::{Error, LocalAws, Manner, Project, Result, samples};
use stand_ins::StandIns;

/// The port of the local AWS in `events/env.json`.
const AWS_PORT: u16 = 4570;

/// The port of the stand-ins, which the secrets name.
const STAND_INS_PORT: u16 = 4571;

/// Parameter `SecretPrefix`, as `events/env.json` gives it.
const SECRET_PREFIX: &str = "sesamy-crm-sync";

#[tokio::main]
async fn main() -> Result<()> {
    let project = Project::here()?;
    let stand_ins = StandIns::builder()
        .port(STAND_INS_PORT)
        .seed(samples::seed(&project)?)
        .start()
        .await
        .map_err(|error| Error::new(format!("no stand-ins on port {STAND_INS_PORT}: {error}")))?;
    let local = LocalAws::start(&project, Manner::Open(AWS_PORT)).await?;
    for (name, content) in samples::secrets(stand_ins.urls()) {
        let name = format!("{SECRET_PREFIX}/{name}");
        local.put_secret(&name, &content).await?;
    }
    for queue in ["rule.fifo", "rule-dead-letters.fifo"] {
        local.create_queue(queue).await?;
    }
    println!(
        "The local AWS is at {}, the stand-ins are at {} (their state: {}/state).\n\
         In another terminal:\n\n  \
         sam local invoke RuleFunction --event events/rule/one-reader.json \\\n    \
         --env-vars events/env.json --docker-network host\n\n\
         Ctrl-C ends both.",
        local.aws().endpoint(),
        stand_ins.base(),
        stand_ins.urls().control,
    );
    tokio::signal::ctrl_c()
        .await
        .map_err(|error| Error::new(format!("Ctrl-C cannot be waited for: {error}")))
}
