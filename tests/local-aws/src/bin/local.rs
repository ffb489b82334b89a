//! What functions run by `sam local invoke` need around them: a local AWS with
//! the sample secrets and queues, and stand-ins of Sesamy and the CRMs, at the
//! addresses of `events/env.json`. Runs until Ctrl-C.

#![expect(clippy::print_stdout, reason = "tells its user what there is")]

use std::{net::Ipv4Addr, process::Command};

use local_aws::{Connector, Error, LocalAws, Manner, Project, Result, samples};
use serde_json::Value;
use stand_ins::StandIns;
use tokio::net::{TcpListener, TcpStream};

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
        local.put_secret(&name, &by_name(content)).await?;
    }
    for connector in Connector::ALL {
        let name = connector.to_string().to_lowercase();
        local.create_queue(&format!("{name}.fifo")).await?;
        local
            .create_queue(&format!("{name}-dead-letters.fifo"))
            .await?;
    }
    local.create_resyncs("operator", "resyncs").await?;
    if let Some(gateway) = docker_gateway() {
        for port in [AWS_PORT, STAND_INS_PORT] {
            let_containers_in(gateway, port).await;
        }
    }
    println!(
        "The local AWS is at {}.\n\
         The stand-ins are at {}; {}/state shows what they hold.\n\
         In another terminal:\n\n  \
         sam local invoke RuleFunction --event events/rule/one-reader.json \\\n    \
         --env-vars events/env.json --add-host localhost:host-gateway\n\n\
         Ctrl-C ends all of it.",
        local.aws().endpoint(),
        stand_ins.base(),
        stand_ins.urls().control,
    );
    tokio::signal::ctrl_c()
        .await
        .map_err(|error| Error::new(format!("Ctrl-C cannot be waited for: {error}")))
}

/// The addresses in a secret, wherever they stand, with a name for the loopback
/// address: in a container it can be given another meaning.
fn by_name(secret: Value) -> Value {
    match secret {
        Value::String(text) => text.replace("//127.0.0.1:", "//localhost:").into(),
        Value::Array(list) => list.into_iter().map(by_name).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (key, by_name(value)))
            .collect(),
        other => other,
    }
}

/// Lets Docker's containers reach a port of the loopback address, through the
/// address that this machine has in their network.
///
/// Where Docker runs in a machine of its own there is no such address here, nor
/// is it needed.
async fn let_containers_in(gateway: Ipv4Addr, port: u16) {
    let Ok(listener) = TcpListener::bind((gateway, port)).await else {
        return;
    };
    tokio::spawn(async move {
        while let Ok((mut outside, _)) = listener.accept().await {
            tokio::spawn(async move {
                if let Ok(mut inside) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                    // Either end may hang up whenever it likes.
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                }
            });
        }
    });
}

/// The first address of Docker's default network, which it gives to this machine.
///
/// Not every release names the gateway itself before a container has run.
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
    fn an_address_is_named_wherever_it_stands() {
        let secret = json!([{"listId": "7", "apiUrl": "http://127.0.0.1:4571/make"}]);
        let named = json!([{"listId": "7", "apiUrl": "http://localhost:4571/make"}]);
        assert_eq!(by_name(secret), named);
    }
}
