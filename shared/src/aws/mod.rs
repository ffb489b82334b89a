//! How the functions reach AWS: region, credentials, timeouts and retries.
//!
//! Lambda hands region and credentials over in the environment and nowhere
//! else, so nowhere else is looked: no profile files, no instance metadata, no
//! role assumption. That keeps all of their code out of the binary and makes a
//! missing variable an error at once instead of a search that times out.

pub mod batch;
mod connection;

use std::error::Error;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::SharedCredentialsProvider;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_smithy_types::retry::ReconnectMode;

use connection::Connections;

use crate::http::HttpSetupError;

/// The variables the region is read from, the first that is set. Lambda sets both.
const REGION: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// Another address for all of AWS, for a local stand-in. May be plain http.
const ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";

/// The wait before the first retry; it doubles and is jittered.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// The longest wait between two tries, and the longest that an answer of AWS may ask for.
const LONGEST_BACKOFF: Duration = Duration::from_millis(500);

/// How long AWS is waited for before a call counts as failed.
///
/// The numbers are decided, not documented: AWS states no latency for either service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Longest wait for a connection.
    pub connect: Duration,
    /// Longest wait for one try, the answer included.
    pub attempt: Duration,
    /// Longest wait for a call with all its tries.
    pub operation: Duration,
    /// How often a call is tried, the first time included.
    pub attempts: u32,
}

impl Patience {
    /// For calls that are made anew by whoever asked for the work if they fail:
    /// two of them, one after the other, still end within five seconds.
    pub const PROMPT: Self = Self {
        connect: Duration::from_secs(1),
        attempt: Duration::from_millis(1_500),
        operation: Duration::from_millis(2_400),
        attempts: 4,
    };
}

/// The configuration of every AWS client of a function, from its environment.
///
/// Makes no call: without region or credentials it is the calls that fail.
///
/// # Errors
/// [`HttpSetupError`] where there is no usable TLS set-up.
pub fn config(patience: Patience) -> Result<SdkConfig, HttpSetupError> {
    configured(patience, |name| std::env::var(name).ok())
}

fn configured(
    patience: Patience,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<SdkConfig, HttpSetupError> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(patience.connect)
        .operation_attempt_timeout(patience.attempt)
        .operation_timeout(patience.operation)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(patience.attempts)
        .with_initial_backoff(FIRST_BACKOFF)
        .with_max_backoff(LONGEST_BACKOFF)
        // Our client looks after its connections itself: one that broke is
        // gone, and one that brought a 5xx is as good as another.
        .with_reconnect_mode(ReconnectMode::ReuseAllConnections);
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(
            EnvironmentVariableCredentialsProvider::new(),
        ))
        .http_client(Connections::new(patience.connect)?)
        .timeout_config(timeouts)
        .retry_config(retries);
    config.set_region(REGION.into_iter().find_map(set).map(Region::new));
    config.set_endpoint_url(set(ENDPOINT_URL));
    Ok(config.build())
}

/// The address that AWS is reached at instead of its own, in tests.
pub(crate) fn endpoint_url() -> Option<String> {
    let url = std::env::var(ENDPOINT_URL).ok();
    url.filter(|url| !url.trim().is_empty())
}

/// Why a call to AWS failed, in a few words for a log: the code AWS answered
/// with or, without an answer, the chain of causes. Never the call's or the
/// answer's content.
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

    fn of(variables: &[(&str, &str)]) -> SdkConfig {
        configured(Patience::PROMPT, |name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
        .unwrap()
    }

    #[test]
    fn region_and_endpoint_come_from_the_environment() {
        let cases = [
            (vec![], None, None),
            (
                vec![("AWS_REGION", ""), ("AWS_ENDPOINT_URL", "")],
                None,
                None,
            ),
            (
                vec![
                    ("AWS_REGION", "eu-north-1"),
                    ("AWS_DEFAULT_REGION", "us-east-1"),
                ],
                Some("eu-north-1"),
                None,
            ),
            (
                vec![
                    ("AWS_DEFAULT_REGION", "us-east-1"),
                    ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
                ],
                Some("us-east-1"),
                Some("http://127.0.0.1:4566"),
            ),
        ];
        for (variables, region, endpoint) in cases {
            let config = of(&variables);
            assert_eq!(config.region().map(Region::as_ref), region, "{variables:?}");
            assert_eq!(config.endpoint_url(), endpoint, "{variables:?}");
        }
    }

    #[test]
    fn two_prompt_calls_end_within_five_seconds() {
        assert!(2 * Patience::PROMPT.operation < Duration::from_secs(5));
        let config = of(&[]);
        let timeouts = config.timeout_config().unwrap();
        assert_eq!(
            timeouts.operation_timeout(),
            Some(Patience::PROMPT.operation)
        );
        assert_eq!(
            timeouts.operation_attempt_timeout(),
            Some(Patience::PROMPT.attempt)
        );
        assert_eq!(config.retry_config().unwrap().max_attempts(), 4);
    }
}
