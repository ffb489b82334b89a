//! Access tokens by client credentials, kept until shortly before they end.
//!
//! Source: Sesamy's guide to API keys: a form-encoded request (JSON is refused),
//! a bearer token for 24 hours whose vendor is the credentials' own.

use std::time::Duration;

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::SesamyCredentials;
use crate::cache::Cache;
use crate::http::{Api, ApiDescription, ApiError, Authorization, Call, Http};
use crate::identity::VendorId;

pub(super) const TOKEN_API: ApiDescription = ApiDescription {
    name: "sesamy-token",
    wall_clock: None,
};

/// How long before its end a token is replaced.
const MARGIN: Duration = Duration::from_secs(60);

/// How long a token is kept whose answer does not say. Assumed: Sesamy's own
/// are good for a day.
const UNSTATED_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The longest a token is kept, whatever its answer says.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// A token and the credentials it was had for.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) value: SecretString,
    /// The fingerprint of the credentials.
    credentials: String,
    minted_at: Instant,
    ends_at: Instant,
}

/// The tokens of a function instance, one per vendor.
#[derive(Debug, Default)]
pub(super) struct Tokens(Cache<Token>);

impl Tokens {
    /// A token that is good now: the kept one, unless it ends soon, was had for
    /// other credentials, or is `refused`.
    ///
    /// # Errors
    /// What the token endpoint answers.
    pub(super) async fn get(
        &self,
        http: &Http,
        vendor: &VendorId,
        credentials: &SesamyCredentials,
        fingerprint: &str,
        refused: Option<&Token>,
    ) -> Result<Token, ApiError> {
        let mut kept = self.0.lock(vendor.as_str()).await;
        if let Some(token) = kept.as_ref()
            && token.credentials == fingerprint
            && Instant::now() < token.ends_at
            // Another task may have replaced the refused one already.
            && refused.is_none_or(|refused| token.minted_at > refused.minted_at)
        {
            return Ok(token.clone());
        }
        *kept = None;
        let token = mint(http, vendor, credentials, fingerprint).await?;
        *kept = Some(token.clone());
        Ok(token)
    }
}

/// A new token, which is kept nowhere.
///
/// # Errors
/// What the token endpoint answers.
pub(super) async fn mint(
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
    let api = Api::new(
        http,
        vendor,
        TOKEN_API,
        &credentials.token_url,
        Authorization::InBody,
    );
    let minted_at = Instant::now();
    let reply = api
        .read(Call::new(Method::POST, "", &[]).form(form))
        .await?;
    let granted: Granted = reply.json()?;
    let value = granted
        .access_token
        .filter(|token| !token.is_empty())
        .ok_or_else(|| reply.malformed("it holds no access token"))?;
    Ok(Token {
        value: value.into(),
        credentials: fingerprint.to_owned(),
        minted_at,
        ends_at: minted_at + lifetime(granted.expires_in.as_ref()),
    })
}

/// What the token endpoint answers, as far as it is read.
#[derive(Deserialize)]
struct Granted {
    access_token: Option<String>,
    expires_in: Option<Value>,
}

/// How long a token is kept: its stated lifetime less a margin, or half of it
/// where it is shorter than twice the margin.
fn lifetime(expires_in: Option<&Value>) -> Duration {
    let seconds = expires_in.and_then(|value| match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    });
    let stated = seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or(UNSTATED_LIFETIME)
        .min(LONGEST_LIFETIME);
    stated.saturating_sub(MARGIN).max((stated / 2).min(MARGIN))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_kept_until_a_minute_before_its_end() {
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
