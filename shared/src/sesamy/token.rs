//! OAuth client credentials. Source: Sesamy's guide to API keys: a form-encoded
//! request (JSON is refused), and a bearer token valid for 24 hours.

use std::time::Duration;

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::SesamyCredentials;
use crate::cache::Cache;
use crate::http::{
    ApiCall, ApiClient, ApiDescription, ApiError, ApiErrorKind, Authorization, Http,
};
use crate::identity::VendorId;

pub(super) const TOKEN_API: ApiDescription = ApiDescription {
    name: "sesamy-token",
    wall_clock: None,
};

/// How long before its expiry a token is replaced.
const MARGIN: Duration = Duration::from_secs(60);

/// For a token without `expires_in`. Assumed: Sesamy's tokens live for a day.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60 * 60);

const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) value: SecretString,
    /// Fingerprint of the credentials that the token was issued for.
    credentials: String,
    requested_at: Instant,
    expires_at: Instant,
}

/// One token per vendor.
#[derive(Debug, Default)]
pub(super) struct TokenCache(Cache<Token>);

impl TokenCache {
    /// The cached token, unless it expires soon, was issued for other credentials
    /// or was `refused`.
    pub(super) async fn get(
        &self,
        http: &Http,
        vendor: &VendorId,
        credentials: &SesamyCredentials,
        fingerprint: &str,
        refused: Option<&Token>,
    ) -> Result<Token, ApiError> {
        let mut cached = self.0.lock(vendor.as_str()).await;
        if let Some(token) = cached.as_ref()
            && token.credentials == fingerprint
            && Instant::now() < token.expires_at
            // Another task may have replaced the refused token already.
            && refused.is_none_or(|refused| token.requested_at > refused.requested_at)
        {
            return Ok(token.clone());
        }
        *cached = None;
        let token = request(http, vendor, credentials, fingerprint).await?;
        *cached = Some(token.clone());
        Ok(token)
    }
}

/// Does not cache the token.
pub(super) async fn request(
    http: &Http,
    vendor: &VendorId,
    credentials: &SesamyCredentials,
    fingerprint: &str,
) -> Result<Token, ApiError> {
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", credentials.client_id.expose_secret()),
        ("client_secret", credentials.client_secret.expose_secret()),
    ];
    if let Some(audience) = &credentials.audience {
        form.push(("audience", audience));
    }
    let api = ApiClient::new(
        http,
        vendor,
        TOKEN_API,
        &credentials.token_url,
        Authorization::InBody,
    );
    let requested_at = Instant::now();
    let call = ApiCall::new(Method::POST, "", &[]).form(form);
    let response = api.read(call).await.map_err(refusal)?;
    let token: TokenResponse = response.json()?;
    let value = token
        .access_token
        .filter(|value| !value.is_empty())
        .ok_or_else(|| response.malformed("it holds no access token"))?;
    Ok(Token {
        value: value.into(),
        credentials: fingerprint.to_owned(),
        requested_at,
        expires_at: requested_at + lifetime(token.expires_in.as_ref()),
    })
}

/// A permanent 4xx concerns the vendor's credentials or `tokenUrl`, not a user.
fn refusal(error: ApiError) -> ApiError {
    match error.kind {
        ApiErrorKind::Status {
            status: status @ 400..500,
            code,
            ..
        } if !matches!(status, 408 | 429) => ApiError {
            kind: ApiErrorKind::TokenRefused { status, code },
            ..error
        },
        _ => error,
    }
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: Option<String>,
    expires_in: Option<Value>,
}

/// The stated lifetime less the margin, or half of it if that is longer.
fn lifetime(expires_in: Option<&Value>) -> Duration {
    let seconds = expires_in.and_then(|value| match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    });
    let stated = seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or(DEFAULT_LIFETIME)
        .min(MAX_LIFETIME);
    stated.saturating_sub(MARGIN).max((stated / 2).min(MARGIN))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn token_is_replaced_a_minute_before_it_expires() {
        let cases = [
            (Some(json!(86400)), 86340),
            (Some(json!("3600")), 3540),
            (Some(json!(120)), 60),
            (Some(json!(60)), 30),
            (Some(json!(0)), 0),
            (Some(json!(-5)), 3540),
            (Some(json!("soon")), 3540),
            (Some(json!(1e9)), 86340),
            (Some(json!(1e30)), 3540),
            (None, 3540),
        ];
        for (stated, seconds) in cases {
            assert_eq!(lifetime(stated.as_ref()).as_secs(), seconds, "{stated:?}");
        }
    }
}
