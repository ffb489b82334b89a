use reqwest::Url;
use secrecy::SecretString;
use shared::secrets::{FromSecret, Keys, SecretFault};

/// Source: Mailmojo's own SDKs.
const API_URL: &str = "https://api.mailmojo.no";

/// The secret `{prefix}/{vendorId}/mailmojo`.
#[derive(Debug)]
pub struct MailmojoCredentials {
    pub api_token: SecretString,
    pub list_id: String,
    /// Without the version, such as `/v1`.
    pub api_url: Url,
}

impl FromSecret for MailmojoCredentials {
    fn from_secret(json: &serde_json::Value) -> Result<Self, SecretFault> {
        let keys = Keys::new(json)?;
        Ok(Self {
            api_token: keys.secret("apiToken")?,
            list_id: keys.id("listId")?,
            api_url: keys.url("apiUrl", API_URL)?,
        })
    }
}
