use std::future::Future;
use std::pin::Pin;

use aws_sdk_secretsmanager::Client;
use secrecy::SecretString;

use crate::aws::reason;

/// The secret's text, `None` if there is no such secret, or the reason for the
/// failure, which never holds a value.
pub type ReadResult<'a> =
    Pin<Box<dyn Future<Output = Result<Option<SecretString>, String>> + Send + 'a>>;

pub trait SecretStore: Send + Sync + 'static {
    /// Reads the current version.
    fn read<'a>(&'a self, name: &'a str) -> ReadResult<'a>;
}

pub struct SecretsManager(Client);

impl SecretsManager {
    pub fn new(client: Client) -> Self {
        Self(client)
    }
}

impl SecretStore for SecretsManager {
    fn read<'a>(&'a self, name: &'a str) -> ReadResult<'a> {
        Box::pin(async move {
            match self.0.get_secret_value().secret_id(name).send().await {
                // A binary secret has no text; the empty text is reported as malformed.
                Ok(secret) => Ok(Some(secret.secret_string.unwrap_or_default().into())),
                Err(error) => match error.as_service_error() {
                    Some(service) if service.is_resource_not_found_exception() => Ok(None),
                    // A secret scheduled for deletion counts as deleted.
                    Some(service) if service.is_invalid_request_exception() => Ok(None),
                    _ => Err(reason(&error)),
                },
            }
        })
    }
}
