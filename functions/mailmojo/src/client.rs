//! The calls to Mailmojo's API, version 1.
//!
//! Source: Mailmojo's own SDKs, unless a comment says "assumed". Every path ends
//! in a slash. No call sets a status or forces a subscription.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use shared::connector::Account;
use shared::derivation::Attribute;
use shared::http::{ApiCall, ApiClient, ApiError, Authorization, Method};

use crate::sync::Mailmojo;

/// Assumed: Mailmojo lets accounts define fields but documents no endpoint for that.
const FIELDS: &str = "/v1/fields/";

/// Whether an error of [`FIELDS`] means that these credentials cannot define
/// fields there: forbidden, no such path or no such method.
pub fn fields_are_unavailable(error: &ApiError) -> bool {
    matches!(error.status(), Some(403..=405))
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contact {
    pub has_first_name: bool,
    pub has_last_name: bool,
    pub has_phone: bool,
    pub tags: Vec<String>,
    /// Account fields by display name.
    pub custom: Map<String, Value>,
    /// The contact as a whole is active. Its status on a list may differ.
    pub active: bool,
    /// Every list it is or was on, whatever its status there.
    pub lists: BTreeSet<String>,
    /// Those that it unsubscribed from, bounced on or was deleted from.
    pub left_lists: BTreeSet<String>,
}

impl Contact {
    pub fn owner(&self) -> Option<&str> {
        self.custom.get(Attribute::UserId.label())?.as_str()
    }
}

/// Empty or `None` parts are not sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContactWrite {
    /// Names and phone by Mailmojo's keys.
    pub personal: Vec<(&'static str, String)>,
    /// All tags, including foreign ones.
    pub tags: Option<Vec<String>>,
    /// All account fields, including foreign ones.
    pub custom: Option<Map<String, Value>>,
}

#[derive(Debug)]
pub struct Client<'a>(ApiClient<'a>);

impl<'a> Client<'a> {
    pub fn new(account: &Account<'a, Mailmojo>) -> Self {
        let credentials = account.credentials;
        let token = Authorization::Bearer(credentials.api_token.clone());
        Self(account.api(&credentials.api_url, token))
    }

    pub async fn fields(&self) -> Result<BTreeSet<String>, ApiError> {
        let response = self.0.read(ApiCall::new(Method::GET, FIELDS, &[])).await?;
        let fields: Vec<Value> = response.json()?;
        let name = |field: &Value| Some(field.get("name")?.as_str()?.to_owned());
        let names = fields.iter().map(name).collect::<Option<_>>();
        names.ok_or_else(|| response.malformed("an account field has no name"))
    }

    pub async fn define(&self, field: Attribute) -> Result<(), ApiError> {
        let body = json!({ "name": field.label(), "type": field.kind().name() });
        let call = ApiCall::new(Method::POST, FIELDS, &[]).json(body);
        self.0.write(call).await.map(drop)
    }

    pub async fn list(&self, list_id: &str) -> Result<bool, ApiError> {
        let call = ApiCall::new(Method::GET, "/v1/lists/{listId}/", &[list_id]);
        Ok(self.0.find(call).await?.is_some())
    }

    /// `None` if the list is empty.
    pub async fn any_contact(&self, list_id: &str) -> Result<Option<Contact>, ApiError> {
        let call = ApiCall::new(Method::GET, "/v1/lists/{listId}/subscribers/", &[list_id])
            .query("limit", "1");
        let response = self.0.read(call).await?;
        let contacts: Vec<Map<String, Value>> = response.json()?;
        let contact = contacts.first().map(read_contact).transpose();
        contact.map_err(|what| response.malformed(what))
    }

    /// The contact may be on any list or none.
    pub async fn contact(&self, email: &str) -> Result<Option<Contact>, ApiError> {
        let call = ApiCall::new(Method::GET, "/v1/contacts/{email}/", &[email]);
        let Some(response) = self.0.find(call).await? else {
            return Ok(None);
        };
        let contact: Map<String, Value> = response.json()?;
        read_contact(&contact)
            .map(Some)
            .map_err(|what| response.malformed(what))
    }

    pub async fn update(&self, email: &str, write: &ContactWrite) -> Result<(), ApiError> {
        let call = ApiCall::new(Method::PATCH, "/v1/contacts/{email}/", &[email])
            .json(body(email, write).into());
        self.0.write(call).await.map(drop)
    }

    /// Gives a contact a new address. Assumed: it keeps all it has, its status on
    /// each list too.
    pub async fn set_email(&self, email: &str, new: &str) -> Result<(), ApiError> {
        let call = ApiCall::new(Method::PATCH, "/v1/contacts/{email}/", &[email])
            .json(json!({ "email": new }));
        self.0.write(call).await.map(drop)
    }

    /// Adds an address to a list and writes its contact. A contact that
    /// unsubscribed stays unsubscribed.
    pub async fn subscribe(
        &self,
        list_id: &str,
        email: &str,
        write: &ContactWrite,
    ) -> Result<(), ApiError> {
        let mut body = body(email, write);
        // Mailmojo's default, true, subscribes contacts that unsubscribed.
        body.insert("force_subscribe".into(), false.into());
        let call = ApiCall::new(Method::POST, "/v1/lists/{listId}/subscribers/", &[list_id])
            .json(body.into());
        self.0.write(call).await.map(drop)
    }
}

fn body(email: &str, write: &ContactWrite) -> Map<String, Value> {
    let personal = write.personal.iter();
    let mut body: Map<String, Value> = personal
        .map(|(key, value)| ((*key).to_owned(), value.as_str().into()))
        .collect();
    body.insert("email".into(), email.into());
    if let Some(tags) = &write.tags {
        body.insert("tags".into(), tags.as_slice().into());
    }
    if let Some(custom) = &write.custom {
        body.insert("custom".into(), custom.clone().into());
    }
    body
}

/// Tags and account fields must be readable, because a later write would lose
/// them. Anything else that is malformed counts as missing.
fn read_contact(contact: &Map<String, Value>) -> Result<Contact, &'static str> {
    let words = |key: &str| {
        let text = contact.get(key).and_then(Value::as_str);
        text.unwrap_or_default().split_whitespace().count()
    };
    let has = |key: &str| words(key) > 0;
    // An import may fill only `name`, which writing first and last name overwrites.
    let has_full_name = !has("first_name") && !has("last_name") && words("name") > 1;
    let tags = match contact.get("tags") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(tags)) => tags
            .iter()
            .map(|tag| tag.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or("a tag is not a text")?,
        Some(_) => return Err("tags is not a list"),
    };
    let custom = match contact.get("custom") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(custom)) => custom.clone(),
        Some(_) => return Err("custom is not an object"),
    };
    let (mut lists, mut left_lists) = (BTreeSet::new(), BTreeSet::new());
    let associations = contact.get("list_associations").and_then(Value::as_array);
    for association in associations.into_iter().flatten() {
        let id = match association.get("list_id") {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => continue,
        };
        if !is_active(association.get("status")) {
            left_lists.insert(id.clone());
        }
        lists.insert(id);
    }
    Ok(Contact {
        has_first_name: has("first_name") || has_full_name,
        has_last_name: has("last_name") || has_full_name,
        has_phone: has("phone"),
        tags,
        custom,
        active: is_active(contact.get("status")),
        lists,
        left_lists,
    })
}

/// Assumed: `a` is active, `u` unsubscribed, `b` bounced, `d` deleted.
fn is_active(status: Option<&Value>) -> bool {
    match status {
        None | Some(Value::Null) => true,
        Some(status) => status
            .as_str()
            .is_some_and(|status| status.eq_ignore_ascii_case("a")),
    }
}
