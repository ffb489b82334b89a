//! A vendor's users at Sesamy, by the vendor's own credentials.

use std::time::Duration;

use shared::http::ApiError;
use shared::identity::VendorId;
use shared::secrets::{Loaded, SecretError};
use shared::sesamy::{SesamyCredentials, UsersPage};
use thiserror::Error;

use super::platform::AwsPlatform;

/// The list of a vendor's users.
pub trait Users: Send + Sync + 'static {
    fn users(
        &self,
        vendor: &VendorId,
        offset: usize,
    ) -> impl Future<Output = Result<UsersPage, UsersError>> + Send;
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UsersError {
    #[error("{reason}")]
    Temporary {
        reason: String,
        /// How long Sesamy asks to wait.
        wait: Option<Duration>,
    },
    #[error("{reason}")]
    Permanent { reason: String },
}

impl Users for AwsPlatform {
    async fn users(&self, vendor: &VendorId, offset: usize) -> Result<UsersPage, UsersError> {
        let read = self.read_users(vendor, offset).await;
        for metrics in self.http.metrics() {
            metrics.emit();
        }
        read.map_err(|error| self.classify(vendor, error))
    }
}

enum ReadError {
    Api(ApiError),
    Secret(SecretError),
    NoSecret,
}

impl From<SecretError> for ReadError {
    fn from(error: SecretError) -> Self {
        Self::Secret(error)
    }
}

impl AwsPlatform {
    async fn read_users(&self, vendor: &VendorId, offset: usize) -> Result<UsersPage, ReadError> {
        let path = format!("{vendor}/sesamy");
        let secret = self.secrets.get::<SesamyCredentials>(&path).await?;
        let read = self.read_users_by(vendor, &secret, offset).await;
        let refused = match &read {
            Err(ReadError::Api(error)) => error.is_refusal(),
            Err(ReadError::NoSecret) => true,
            _ => false,
        };
        if !refused {
            return read;
        }
        // The secret may have changed since it was cached.
        let fresh = self
            .secrets
            .get_within::<SesamyCredentials>(&path, secret.age())
            .await?;
        if fresh.fingerprint() == secret.fingerprint() {
            return read;
        }
        self.read_users_by(vendor, &fresh, offset).await
    }

    async fn read_users_by(
        &self,
        vendor: &VendorId,
        secret: &Loaded<SesamyCredentials>,
        offset: usize,
    ) -> Result<UsersPage, ReadError> {
        let credentials = secret.value.as_ref().ok_or(ReadError::NoSecret)?;
        let fingerprint = secret.fingerprint();
        let page = self.sesamy.users(vendor, credentials, fingerprint, offset);
        page.await.map_err(ReadError::Api)
    }

    fn classify(&self, vendor: &VendorId, error: ReadError) -> UsersError {
        let name = || self.secrets.name(&format!("{vendor}/sesamy"));
        match error {
            ReadError::Api(error) if error.is_transient() => UsersError::Temporary {
                reason: error.to_string(),
                wait: error.wait(),
            },
            ReadError::Api(error) if error.is_refusal() => UsersError::Permanent {
                reason: format!("{error}; correct the secret {}", name()),
            },
            ReadError::Api(error) => UsersError::Permanent {
                reason: error.to_string(),
            },
            ReadError::Secret(error @ SecretError::Unavailable { .. }) => UsersError::Temporary {
                reason: error.to_string(),
                wait: None,
            },
            ReadError::Secret(error) => UsersError::Permanent {
                reason: error.to_string(),
            },
            ReadError::NoSecret => UsersError::Permanent {
                reason: format!(
                    "secret {} is missing; store the vendor's Sesamy credentials as docs/onboard.md describes",
                    name()
                ),
            },
        }
    }
}
