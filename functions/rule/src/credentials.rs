use reqwest::Url;
use secrecy::SecretString;
use shared::secrets::{FromSecret, Keys, SecretFault};

/// Source: Rule's API documentation.
const API_URL: &str = "https://app.rule.io/api";

/// The secret `{prefix}/{vendorId}/rule`.
#[derive(Debug)]
pub struct RuleCredentials {
    pub api_key: SecretString,
    /// Without the version, such as `/v2`.
    pub api_url: Url,
    /// Whether each event becomes a tag that starts journeys.
    pub events: bool,
}

impl FromSecret for RuleCredentials {
    fn from_secret(json: &serde_json::Value) -> Result<Self, SecretFault> {
        let keys = Keys::new(json)?;
        Ok(Self {
            api_key: keys.secret("apiKey")?,
            api_url: keys.url("apiUrl", API_URL)?,
            events: keys.flag("events", true)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_api_key_is_required() {
        let credentials = RuleCredentials::from_secret(&json!({ "apiKey": "k" })).unwrap();
        assert_eq!(credentials.api_url.as_str(), API_URL);
        assert!(credentials.events);
        assert_eq!(
            RuleCredentials::from_secret(&json!({})).unwrap_err(),
            SecretFault::Missing("apiKey")
        );
    }
}
