//! The environment for functions that `sam local invoke` runs: a local AWS with the
//! sample secrets, queues, table and schedules, and fakes of Sesamy and the CRMs, at the addresses in
//! `events/env.json`. Runs until Ctrl-C.

#![expect(clippy::print_stdout, reason = "a command-line program")]

use std::{net::Ipv4Addr, process::Command};

use fakes::Fakes;
use harness::{AwsMode, Connector, Error, LocalAws, Project, Result, samples};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

/// The port of the local AWS in `events/env.json`.
const AWS_PORT: u16 = 4570;

/// The API URLs in the secrets contain this port.
const FAKES_PORT: u16 = 4571;

/// The value of `SECRET_PREFIX` in `events/env.json`.
const SECRET_PREFIX: &str = "sesamy-crm-sync";

/// The value of `USER_TABLE` in `events/env.json`.
const USER_TABLE: &str = "users";

#[tokio::main]
async fn main() -> Result<()> {
    let project = Project::here()?;
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
    for (name, content) in samples::secrets(fakes.urls()) {
        let name = format!("{SECRET_PREFIX}/{name}");
        local.put_secret(&name, &with_localhost(content)).await?;
    }
    for connector in Connector::ALL {
        let name = connector.name();
        for queue in [format!("{name}.fifo"), format!("{name}-dead-letters.fifo")] {
            local.create_fifo_queue(&queue).await?;
        }
        local.create_schedule_group(name).await?;
    }
    local.create_user_table(USER_TABLE).await?;
    local.create_state_machine("resync").await?;
    if let Some(gateway) = docker_gateway() {
        for port in [AWS_PORT, FAKES_PORT] {
            forward_from_containers(gateway, port).await;
        }
    }
    println!(
        "The local AWS is at {}.\n\
         The fakes are at {}; {}/state shows their data.\n\
         In another terminal:\n\n  \
         sam local invoke RuleFunction --event events/rule/one-user.json \\\n    \
         --env-vars events/env.json --add-host localhost:host-gateway\n\n\
         Ctrl-C stops everything.",
        local.aws().endpoint(),
        fakes.base(),
        fakes.urls().control,
    );
    tokio::signal::ctrl_c()
        .await
        .map_err(|error| Error::new(format!("waiting for Ctrl-C failed: {error}")))
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
