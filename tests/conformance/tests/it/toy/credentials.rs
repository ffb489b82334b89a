use secrecy::SecretString;
use shared::http::Url;
use shared::secrets::{FromSecret, Keys, SecretFault};

/// The secret `{prefix}/{vendorId}/toy`.
#[derive(Debug)]
pub struct ToyCredentials {
    pub token: SecretString,
    pub api_url: Url,
}

impl FromSecret for ToyCredentials {
    fn from_secret(json: &serde_json::Value) -> Result<Self, SecretFault> {
        let keys = Keys::new(json)?;
        Ok(Self {
            token: keys.secret("token")?,
            api_url: keys.url("apiUrl", "https://toy.invalid")?,
        })
    }
}
