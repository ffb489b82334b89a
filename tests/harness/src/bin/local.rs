//! A stack to try things on: a local AWS with the deployed template, and fakes of Sesamy
//! and the CRMs, at the addresses in `events/env.json`, so that functions in containers
//! (`sam local invoke`) use them too. Runs until Ctrl-C.

#![expect(clippy::print_stdout, reason = "a command-line program")]

use std::{
    net::Ipv4Addr,
    process::{Command, ExitCode},
};

use fakes::Fakes;
use harness::{
    AwsMode, Connector, Deployment, Error, LocalAws, Project, Result,
    aws::{ACCESS_KEY, REGION},
    samples, secrets,
};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

/// The port of the local AWS in `events/env.json`.
const AWS_PORT: u16 = 4570;

/// The API URLs in the secrets contain this port.
const FAKES_PORT: u16 = 4571;

/// The stack's name and the prefix of its secrets, which is `SECRET_PREFIX` in
/// `events/env.json`.
const STACK: &str = "sesamy-crm-sync";

/// The value of `USER_TABLE` in `events/env.json`.
const USER_TABLE: &str = "users";

/// What a shell needs to use the local AWS; `. .local/aws` reads it.
const SHELL_VARIABLES: &str = ".local/aws";

#[tokio::main]
async fn main() -> ExitCode {
    let result = tokio::select! {
        result = run() => result,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\n{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let project = Project::here()?;
    println!("Building the functions (minutes the first time) …");
    let template = project.build(|_| {}).await?;
    println!("Starting a local AWS, and fakes of Sesamy and the CRMs …");
    let fakes = Fakes::builder()
        .port(FAKES_PORT)
        .seed(samples::seed(&project)?)
        .start()
        .await
        .map_err(|error| {
            Error::new(format!(
                "the fakes could not start on port {FAKES_PORT}: {error}"
            ))
        })?;
    let local = LocalAws::start(&project, AwsMode::Open { port: AWS_PORT }).await?;
    println!("Deploying template.yaml as the stack {STACK} …");
    let stack = local.deploy(&template, &Deployment::new(STACK)).await?;
    for (name, content) in samples::secrets(fakes.urls()) {
        stack.put_secret(&name, &with_localhost(content)).await?;
    }
    create_what_samples_use(&local).await?;
    let docker = match docker_gateway() {
        Some(gateway) => {
            for port in [AWS_PORT, FAKES_PORT] {
                forward_from_containers(gateway, port).await;
            }
            "Containers reach both through Docker's network."
        }
        None => {
            "Docker does not run, so only this machine reaches them. For `sam local invoke`,\n\
             start Docker first and then this."
        }
    };
    let webhook_url = stack.local_webhook_url()?;
    let variables = project.root().join(SHELL_VARIABLES);
    let text = format!(
        "export AWS_ENDPOINT_URL={} AWS_DEFAULT_REGION={REGION}\n\
         export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={ACCESS_KEY}\n\
         export WEBHOOK_URL={webhook_url} TOKEN={}\n\
         export API_URLS='{}'\n",
        local.aws().endpoint(),
        samples::TOKEN,
        with_localhost(secrets::api_urls(fakes.urls())),
    );
    std::fs::write(&variables, text)
        .map_err(|error| Error::new(format!("{SHELL_VARIABLES} could not be written: {error}")))?;
    println!(
        "\nThe local AWS is at {} (region {REGION}), the fakes are at {}.\n\
         {docker}\n\n\
         In another terminal, in this folder:\n\n  \
         . .venv/sam/bin/activate && . {SHELL_VARIABLES}\n\n\
         Then, for example:\n\n  \
         curl -i \"$WEBHOOK_URL\" -H \"Authorization: Bearer $TOKEN\" -d \\\n    \
         '{{\"eventType\": \"userVendor.1#update\", \"vendorId\": \"{}\", \"userId\": \"email|anna\", \"occured_at\": \"'$(date -u +%FT%TZ)'\"}}'\n  \
         curl -s {}/state/rule | python3 -m json.tool     # what Rule now holds\n  \
         sam remote invoke RuleFunction --stack-name {STACK} --event-file events/rule/preview.json\n  \
         sam local invoke RuleFunction --event events/rule/one-user.json \\\n    \
         --env-vars events/env.json --add-host localhost:host-gateway\n  \
         make onboard\n\n\
         Ctrl-C stops everything.",
        local.aws().endpoint(),
        fakes.base(),
        samples::VENDOR,
        fakes.urls().control,
    );
    std::future::pending().await
}

/// The resources that `events/env.json` names. They are apart from the stack's, so that
/// a sample's messages are not received by the stack.
async fn create_what_samples_use(local: &LocalAws) -> Result<()> {
    for connector in Connector::ALL {
        let name = connector.name();
        for queue in [format!("{name}.fifo"), format!("{name}-dead-letters.fifo")] {
            local.create_fifo_queue(&queue).await?;
        }
        local.create_schedule_group(name).await?;
    }
    local.create_user_table(USER_TABLE).await?;
    local.create_state_machine("resync").await
}

/// Replaces the loopback address with a name that a container resolves to its host.
fn with_localhost(secret: Value) -> Value {
    match secret {
        Value::String(text) => text.replace("//127.0.0.1:", "//localhost:").into(),
        Value::Array(list) => list.into_iter().map(with_localhost).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (key, with_localhost(value)))
            .collect(),
        other => other,
    }
}

/// Forwards a port of this machine's address in Docker's network to the same port of
/// the loopback address, so that containers reach it.
///
/// If Docker runs in a virtual machine, this machine has no address in its network,
/// and containers reach the loopback address without help.
async fn forward_from_containers(gateway: Ipv4Addr, port: u16) {
    let Ok(listener) = TcpListener::bind((gateway, port)).await else {
        return;
    };
    tokio::spawn(async move {
        while let Ok((mut outside, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut inside) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                    // Either end may close the connection at any time.
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    });
}

/// The first address of Docker's default network, which Docker gives to this
/// machine. Not every release names the gateway before a container has run.
fn docker_gateway() -> Option<Ipv4Addr> {
    let format = "{{range .IPAM.Config}}{{.Subnet}} {{end}}";
    let output = Command::new("docker")
        .args(["network", "inspect", "bridge", "--format", format])
        .output()
        .ok()?;
    let subnets = String::from_utf8(output.stdout).ok()?;
    subnets.split_whitespace().find_map(|subnet| {
        let (address, _) = subnet.split_once('/')?;
        let address: Ipv4Addr = address.parse().ok()?;
        Some(Ipv4Addr::from(u32::from(address).checked_add(1)?))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn loopback_addresses_are_replaced_anywhere_in_a_secret() {
        let secret = json!([{"listId": "7", "apiUrl": "http://127.0.0.1:4571/make"}]);
        let named = json!([{"listId": "7", "apiUrl": "http://localhost:4571/make"}]);
        assert_eq!(with_localhost(secret), named);
    }
}
