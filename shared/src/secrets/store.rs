//! Where secrets are read from.

use std::future::Future;
use std::pin::Pin;

use aws_sdk_secretsmanager::Client;
use secrecy::SecretString;

use crate::aws::reason;

/// The answer of a [`SecretStore`]: the secret's text, `None` where there is no
/// such secret, or why it could not be read, without any value.
pub type ReadResult<'a> =
    Pin<Box<dyn Future<Output = Result<Option<SecretString>, String>> + Send + 'a>>;

/// A place that secrets are read from by name.
pub trait SecretStore: Send + Sync + 'static {
    /// Reads the current version of a secret.
    fn read<'a>(&'a self, name: &'a str) -> ReadResult<'a>;
}

/// AWS Secrets Manager.
pub struct SecretsManager(Client);

impl SecretsManager {
    /// Reads by this client, with its timeouts and retries.
    pub fn new(client: Client) -> Self {
        Self(client)
    }
}

impl SecretStore for SecretsManager {
    fn read<'a>(&'a self, name: &'a str) -> ReadResult<'a> {
        Box::pin(async move {
            match self.0.get_secret_value().secret_id(name).send().await {
                // A binary secret has no text; it is malformed, as an empty text is.
                Ok(secret) => Ok(Some(secret.secret_string.unwrap_or_default().into())),
                Err(error) => match error.as_service_error() {
                    Some(service) if service.is_resource_not_found_exception() => Ok(None),
                    // A secret scheduled for deletion answers so: it is as good as gone.
                    Some(service) if service.is_invalid_request_exception() => Ok(None),
                    _ => Err(reason(&error)),
                },
            }
        })
    }
}
