use reqwest::Url;
use secrecy::SecretString;

use crate::secrets::{FromSecret, Keys, SecretFault};

/// Source: Sesamy's API guide and its own plugin.
const API_URL: &str = "https://api2.sesamy.com/management";

/// Source: Sesamy's guide to API keys.
const TOKEN_URL: &str = "https://token.sesamy.com/oauth/token";

/// Sesamy's guide sends this audience, its own plugin sends none. Assumed: most
/// accounts need it.
const AUDIENCE: &str = "https://api.sesamy.com";

/// The secret `{prefix}/{vendorId}/sesamy`.
#[derive(Debug)]
pub struct SesamyCredentials {
    pub(super) client_id: SecretString,
    pub(super) client_secret: SecretString,
    pub(super) api_url: Url,
    pub(super) token_url: Url,
    /// `None` to send none.
    pub(super) audience: Option<String>,
    pub(crate) sync_unconfirmed: bool,
}

impl FromSecret for SesamyCredentials {
    fn from_secret(json: &serde_json::Value) -> Result<Self, SecretFault> {
        let keys = Keys::new(json)?;
        let audience = keys.optional_text("audience")?.unwrap_or(AUDIENCE);
        Ok(Self {
            client_id: keys.secret("clientId")?,
            client_secret: keys.secret("clientSecret")?,
            api_url: keys.url("apiUrl", API_URL)?,
            token_url: keys.url("tokenUrl", TOKEN_URL)?,
            audience: (!audience.is_empty()).then(|| audience.to_owned()),
            sync_unconfirmed: keys.flag("syncUnconfirmed", false)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn urls_and_audience_have_defaults_and_empty_audience_is_none() {
        let secret = json!({ "clientId": "id", "clientSecret": "s3cret" });
        let credentials = SesamyCredentials::from_secret(&secret).unwrap();
        assert_eq!(credentials.api_url.as_str(), API_URL);
        assert_eq!(credentials.token_url.as_str(), TOKEN_URL);
        assert_eq!(credentials.audience.as_deref(), Some(AUDIENCE));
        assert!(!format!("{credentials:?}").contains("s3cret"));

        let secret = json!({ "clientId": "id", "clientSecret": "s", "audience": "" });
        let credentials = SesamyCredentials::from_secret(&secret).unwrap();
        assert_eq!(credentials.audience, None);
    }

    #[test]
    fn sync_unconfirmed_is_off_by_default_and_must_be_a_boolean() {
        let cases = [
            (json!(null), Some(false)),
            (json!(false), Some(false)),
            (json!(true), Some(true)),
            (json!("true"), None),
        ];
        for (flag, expected) in cases {
            let secret = json!({ "clientId": "id", "clientSecret": "s", "syncUnconfirmed": flag });
            let credentials = SesamyCredentials::from_secret(&secret);
            let read = credentials.ok().map(|c| c.sync_unconfirmed);
            assert_eq!(read, expected, "{flag}");
        }
    }

    #[test]
    fn error_names_the_missing_key() {
        let faults = [
            (json!({ "clientSecret": "s" }), "clientId"),
            (json!({ "clientId": "id" }), "clientSecret"),
        ];
        for (secret, key) in faults {
            assert_eq!(
                SesamyCredentials::from_secret(&secret).unwrap_err(),
                SecretFault::Missing(key)
            );
        }
    }
}
