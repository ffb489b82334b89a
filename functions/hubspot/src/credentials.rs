use reqwest::Url;
use secrecy::SecretString;
use shared::secrets::{FromSecret, Keys, SecretFault};

/// Source: HubSpot's API documentation.
const API_URL: &str = "https://api.hubapi.com";

/// The secret `{prefix}/{vendorId}/hubspot`.
#[derive(Debug)]
pub struct HubSpotCredentials {
    /// Of a private app or a service key.
    pub access_token: SecretString,
    /// Without the version, such as `/crm/v3`.
    pub api_url: Url,
}

impl FromSecret for HubSpotCredentials {
    fn from_secret(json: &serde_json::Value) -> Result<Self, SecretFault> {
        let keys = Keys::new(json)?;
        Ok(Self {
            access_token: keys.secret("accessToken")?,
            api_url: keys.url("apiUrl", API_URL)?,
        })
    }
}
