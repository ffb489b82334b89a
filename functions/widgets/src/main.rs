use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use shared::aws::{self, AwsTimeouts};
use shared::telemetry;
use thiserror::Error as ThisError;
use tracing::error;
use widgets::actor::Actor;
use widgets::functions::Lambda;
use widgets::viewer::Viewer;

#[derive(Debug, ThisError)]
#[error(
    "the environment variable {0} is not set as it must be; deploy the function with the template, which sets it"
)]
struct InvalidVariable(&'static str);

fn variable<T: FromStr>(name: &'static str) -> Result<T, InvalidVariable> {
    let value = std::env::var(name).map_err(|_| InvalidVariable(name))?;
    value.parse().map_err(|_| InvalidVariable(name))
}

/// Which of the two functions this is.
enum Purpose {
    Show,
    Act,
}

impl FromStr for Purpose {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "show" => Ok(Self::Show),
            "act" => Ok(Self::Act),
            _ => Err(()),
        }
    }
}

/// The functions that are asked take seconds, and how long is waited for them is decided
/// there. A connection that broke while this function was frozen is tried again.
const TIMEOUTS: AwsTimeouts = AwsTimeouts {
    connect: Duration::from_secs(1),
    attempt: Duration::from_secs(29),
    operation: Duration::from_secs(29),
    attempts: 2,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init(env!("CARGO_CRATE_NAME"));
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "The function cannot run.");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Error> {
    let functions = Lambda(aws_sdk_lambda::Client::new(&aws::config(TIMEOUTS)?));
    let operator = variable("OPERATOR_FUNCTION")?;
    let now = Timestamp::now;
    match variable("PURPOSE")? {
        Purpose::Show => {
            let viewer = &Viewer {
                functions,
                operator,
                connectors: variable("CONNECTOR_FUNCTIONS")?,
                actions: variable("ACTIONS_FUNCTION")?,
                now,
            };
            let show = async |event: LambdaEvent<Value>| {
                let own = &event.context.invoked_function_arn;
                viewer
                    .answer(&event.payload, own)
                    .await
                    .map_err(Error::from)
            };
            lambda_runtime::run(service_fn(show)).await
        }
        Purpose::Act => {
            let actor = &Actor {
                functions,
                operator,
                now,
            };
            let act = async |event: LambdaEvent<Value>| {
                let own = &event.context.invoked_function_arn;
                actor.answer(&event.payload, own).await.map_err(Error::from)
            };
            lambda_runtime::run(service_fn(act)).await
        }
    }
}
