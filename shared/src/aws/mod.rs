//! How the functions reach AWS: region, credentials, timeouts and retries.
//!
//! Lambda passes region and credentials in the environment, so no other source
//! is read: no profile files, no instance metadata, no role assumption. Their
//! code stays out of the binary, and a missing variable fails immediately instead
//! of after a search that times out.

mod http_client;

use std::error::Error;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::SharedCredentialsProvider;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use aws_smithy_types::retry::ReconnectMode;

use http_client::AwsHttpClient;

use crate::http::HttpSetupError;

/// The first one that is set wins. Lambda sets both.
const REGION: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// The address of a local fake of AWS. May be plain http.
const ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";

/// Before the first retry. It doubles with each retry and is jittered.
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);

/// Also caps the delay that a response from AWS can ask for.
const MAX_BACKOFF: Duration = Duration::from_millis(500);

/// Decided, not documented: AWS states no latencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwsTimeouts {
    pub connect: Duration,
    /// For one attempt, including the response.
    pub attempt: Duration,
    /// For a call with all its attempts.
    pub operation: Duration,
    pub attempts: u32,
}

impl AwsTimeouts {
    /// For calls whose caller retries the whole work. Two of them in sequence
    /// end within five seconds.
    pub const PROMPT: Self = Self {
        connect: Duration::from_secs(1),
        attempt: Duration::from_millis(1_500),
        operation: Duration::from_millis(2_400),
        attempts: 4,
    };
}

/// The configuration of all AWS clients of a function.
///
/// Makes no call: if region or credentials are missing, the first call fails.
pub fn config(timeouts: AwsTimeouts) -> Result<SdkConfig, HttpSetupError> {
    config_from(timeouts, |name| std::env::var(name).ok())
}

fn config_from(
    timeouts: AwsTimeouts,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<SdkConfig, HttpSetupError> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let timeout_config = TimeoutConfig::builder()
        .connect_timeout(timeouts.connect)
        .operation_attempt_timeout(timeouts.attempt)
        .operation_timeout(timeouts.operation)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(timeouts.attempts)
        .with_initial_backoff(INITIAL_BACKOFF)
        .with_max_backoff(MAX_BACKOFF)
        // Our HTTP client drops broken connections itself, and a connection
        // that returned a 5xx is as good as any other.
        .with_reconnect_mode(ReconnectMode::ReuseAllConnections);
    let connector = SharedHttpConnector::new(AwsHttpClient::new(timeouts.connect)?);
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(
            EnvironmentVariableCredentialsProvider::new(),
        ))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .timeout_config(timeout_config)
        .retry_config(retries);
    config.set_region(REGION.into_iter().find_map(set).map(Region::new));
    config.set_endpoint_url(set(ENDPOINT_URL));
    Ok(config.build())
}

/// Set only in tests, where a fake plays AWS.
pub(crate) fn endpoint_url() -> Option<String> {
    let url = std::env::var(ENDPOINT_URL).ok();
    url.filter(|url| !url.trim().is_empty())
}

/// Why a call to AWS failed, for a log: AWS's error code or, without a
/// response, the chain of causes. Never the content of a request or response.
pub fn reason(error: &(impl Error + ProvideErrorMetadata)) -> String {
    if let Some(code) = error.code() {
        return code.to_owned();
    }
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason.push_str(": ");
        reason.push_str(&cause.to_string());
        source = cause.source();
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_of(variables: &[(&str, &str)]) -> SdkConfig {
        config_from(AwsTimeouts::PROMPT, |name| {
            let variable = variables.iter().find(|(known, _)| *known == name);
            variable.map(|(_, value)| (*value).to_owned())
        })
        .unwrap()
    }

    #[test]
    fn region_and_endpoint_come_from_the_environment() {
        struct Case {
            variables: &'static [(&'static str, &'static str)],
            region: Option<&'static str>,
            endpoint: Option<&'static str>,
        }
        let cases = [
            Case {
                variables: &[],
                region: None,
                endpoint: None,
            },
            Case {
                variables: &[("AWS_REGION", ""), ("AWS_ENDPOINT_URL", "")],
                region: None,
                endpoint: None,
            },
            Case {
                variables: &[
                    ("AWS_REGION", "eu-north-1"),
                    ("AWS_DEFAULT_REGION", "us-east-1"),
                ],
                region: Some("eu-north-1"),
                endpoint: None,
            },
            Case {
                variables: &[
                    ("AWS_DEFAULT_REGION", "us-east-1"),
                    ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
                ],
                region: Some("us-east-1"),
                endpoint: Some("http://127.0.0.1:4566"),
            },
        ];
        for case in cases {
            let (config, name) = (config_of(case.variables), format!("{:?}", case.variables));
            assert_eq!(config.region().map(Region::as_ref), case.region, "{name}");
            assert_eq!(config.endpoint_url(), case.endpoint, "{name}");
        }
    }

    #[test]
    fn two_prompt_calls_end_within_five_seconds() {
        const PROMPT: AwsTimeouts = AwsTimeouts::PROMPT;
        assert!(2 * PROMPT.operation < Duration::from_secs(5));
        let config = config_of(&[]);
        let timeouts = config.timeout_config().unwrap();
        assert_eq!(timeouts.operation_timeout(), Some(PROMPT.operation));
        assert_eq!(timeouts.operation_attempt_timeout(), Some(PROMPT.attempt));
        assert_eq!(config.retry_config().unwrap().max_attempts(), 4);
    }
}
