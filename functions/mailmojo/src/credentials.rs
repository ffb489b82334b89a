//! What opens a vendor's Mailmojo account.

use reqwest::Url;
use secrecy::SecretString;
use shared::secrets::{FromSecret, Keys, SecretFault};

/// Where Mailmojo's API is. Source: Mailmojo's own SDKs.
const API_URL: &str = "https://api.mailmojo.no";

/// A vendor's Mailmojo list: the secret `{prefix}/{vendorId}/mailmojo`.
#[derive(Debug)]
pub struct MailmojoCredentials {
    /// The token, from Mailmojo's account settings.
    pub api_token: SecretString,
    /// The list readers are put on.
    pub list_id: String,
    /// The part of the address before `/v1`.
    pub api_url: Url,
}

impl FromSecret for MailmojoCredentials {
    fn from_secret(json: &serde_json::Value) -> Result<Self, SecretFault> {
        let keys = Keys::of(json)?;
        Ok(Self {
            api_token: keys.secret("apiToken")?,
            list_id: keys.id("listId")?,
            api_url: keys.url("apiUrl", API_URL)?,
        })
    }
}
