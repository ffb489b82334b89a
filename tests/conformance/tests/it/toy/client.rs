//! The calls to Toy's API. No call sets a subscription.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::connector::{Account, Connector};
use shared::http::{ApiCall, ApiClient, ApiError, Authorization, Method};

use super::credentials::ToyCredentials;
use super::mapping;

const CONTACT: &str = "/contacts/{key}";

/// Holds personal data, so this type has no `Debug`.
#[derive(Deserialize)]
pub struct Contact {
    pub id: String,
    pub email: String,
    pub subscribed: bool,
    pub tags: Vec<String>,
    pub fields: Map<String, Value>,
}

impl Contact {
    pub fn owner(&self) -> Option<&str> {
        self.fields.get(mapping::OWNER)?.as_str()
    }
}

/// Parts that are empty or `None` stay as they are.
#[derive(Default, PartialEq, Serialize)]
pub struct ContactWrite {
    /// All tags, including foreign ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
}

pub struct Client<'a>(ApiClient<'a>);

impl<'a> Client<'a> {
    pub fn new<C>(account: &Account<'a, C>) -> Self
    where
        C: Connector<Credentials = ToyCredentials>,
    {
        let credentials = account.credentials;
        let token = Authorization::Bearer(credentials.token.clone());
        Self(account.api(&credentials.api_url, token))
    }

    /// By its id or its address.
    pub async fn contact(&self, key: &str) -> Result<Option<Contact>, ApiError> {
        let call = ApiCall::new(Method::GET, CONTACT, &[key]);
        let found = self.0.find(call).await?;
        found.map(|response| response.json()).transpose()
    }

    /// Toy subscribes new contacts. Returns the id; a dry run has none.
    pub async fn create(
        &self,
        email: &str,
        write: &ContactWrite,
    ) -> Result<Option<String>, ApiError> {
        let mut body = json!(write);
        body["email"] = email.into();
        let call = ApiCall::new(Method::POST, "/contacts", &[]).json(body);
        let created = self.0.write(call).await?;
        let contact: Option<Contact> = created.map(|response| response.json()).transpose()?;
        Ok(contact.map(|contact| contact.id))
    }

    pub async fn update(&self, id: &str, write: &ContactWrite) -> Result<(), ApiError> {
        self.change(id, json!(write)).await
    }

    /// The contact keeps everything else.
    pub async fn set_email(&self, id: &str, email: &str) -> Result<(), ApiError> {
        self.change(id, json!({ "email": email })).await
    }

    pub async fn change(&self, id: &str, body: Value) -> Result<(), ApiError> {
        let call = ApiCall::new(Method::PATCH, CONTACT, &[id]).json(body);
        self.0.write(call).await.map(drop)
    }
}
