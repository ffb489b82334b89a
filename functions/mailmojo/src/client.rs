//! Mailmojo's API, version 1: the calls a sync makes.
//!
//! Source: Mailmojo's own SDKs, but where a comment says "assumed". Every path
//! ends in a slash. No call sets a status, and none subscribes by force.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use shared::http::{Api, ApiDescription, ApiError, Authorization, Call, Http, Method};
use shared::identity::VendorId;

use crate::credentials::MailmojoCredentials;
use crate::mapping::FieldType;

const API: ApiDescription = ApiDescription {
    name: "mailmojo",
    wall_clock: None,
};

/// Where account fields are defined. Assumed: Mailmojo shows fields to be
/// definable but publishes no address for it.
const FIELDS: &str = "/v1/fields/";

/// Whether an error of [`FIELDS`] means that fields cannot be defined there by
/// these credentials: forbidden, no such address, or not one for this.
pub fn is_closed(error: &ApiError) -> bool {
    matches!(error.status(), Some(403..=405))
}

/// A contact as Mailmojo holds it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contact {
    /// Whether it has a given name.
    pub has_first_name: bool,
    /// Whether it has a family name.
    pub has_last_name: bool,
    /// Whether it has a phone number.
    pub has_phone: bool,
    /// Tag names.
    pub tags: Vec<String>,
    /// Account fields by displayed name.
    pub custom: Map<String, Value>,
    /// Whether the contact is active as a whole, on any list.
    pub active: bool,
    /// The lists the contact is or was on, whatever its status there.
    pub lists: BTreeSet<String>,
}

/// What is written to a contact. Parts that are empty or `None` are not sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContactWrite {
    /// Names and phone by Mailmojo's keys.
    pub personal: Vec<(&'static str, String)>,
    /// All tags, foreign ones included.
    pub tags: Option<Vec<String>>,
    /// All account fields, foreign ones included.
    pub custom: Option<Map<String, Value>>,
}

/// A vendor's Mailmojo account.
#[derive(Debug)]
pub struct Client<'a>(Api<'a>);

impl<'a> Client<'a> {
    /// The account that these credentials open.
    pub fn new(http: &'a Http, vendor: &'a VendorId, credentials: &'a MailmojoCredentials) -> Self {
        let token = Authorization::Bearer(credentials.api_token.clone());
        Self(Api::new(http, vendor, API, &credentials.api_url, token))
    }

    /// The names of the account's fields.
    ///
    /// # Errors
    /// [`ApiError`] where Mailmojo refuses, does not answer or answers otherwise
    /// (see [`is_closed`]).
    pub async fn fields(&self) -> Result<BTreeSet<String>, ApiError> {
        let reply = self.0.read(Call::new(Method::GET, FIELDS, &[])).await?;
        let fields: Vec<Value> = reply.json()?;
        let name = |field: &Value| Some(field.get("name")?.as_str()?.to_owned());
        let names = fields.iter().map(name).collect::<Option<_>>();
        names.ok_or_else(|| reply.malformed("an account field has no name"))
    }

    /// Defines an account field.
    ///
    /// # Errors
    /// [`ApiError`] where Mailmojo refuses or does not answer (see [`is_closed`]).
    pub async fn define(&self, name: &str, kind: FieldType) -> Result<(), ApiError> {
        let body = json!({ "name": name, "type": kind.name() });
        let call = Call::new(Method::POST, FIELDS, &[]).json(body);
        self.0.write(call).await.map(drop)
    }

    /// Whether the account has this list.
    ///
    /// # Errors
    /// [`ApiError`] where Mailmojo refuses or does not answer.
    pub async fn list(&self, list_id: &str) -> Result<bool, ApiError> {
        let call = Call::new(Method::GET, "/v1/lists/{listId}/", &[list_id]);
        match self.0.read(call).await {
            Err(error) if error.status() == Some(404) => Ok(false),
            reply => reply.map(|_| true),
        }
    }

    /// Whether a contact of the list has the form that syncs read. `None`
    /// where the list has none.
    ///
    /// # Errors
    /// [`ApiError`] where Mailmojo refuses, does not answer or answers otherwise.
    pub async fn any_subscriber(&self, list_id: &str) -> Result<Option<()>, ApiError> {
        let call = Call::new(Method::GET, "/v1/lists/{listId}/subscribers/", &[list_id])
            .query("limit", "1");
        let reply = self.0.read(call).await?;
        let contacts: Vec<Map<String, Value>> = reply.json()?;
        let form = contacts.first().map(read_contact).transpose();
        let form = form.map_err(|what| reply.malformed(what))?;
        Ok(form.map(drop))
    }

    /// The contact of this address, on whatever list. `None` where there is none.
    ///
    /// # Errors
    /// [`ApiError`] where Mailmojo refuses, does not answer or answers otherwise.
    pub async fn contact(&self, email: &str) -> Result<Option<Contact>, ApiError> {
        let call = Call::new(Method::GET, "/v1/contacts/{email}/", &[email]);
        let reply = match self.0.read(call).await {
            Err(error) if error.status() == Some(404) => return Ok(None),
            reply => reply?,
        };
        let contact: Map<String, Value> = reply.json()?;
        read_contact(&contact)
            .map(Some)
            .map_err(|what| reply.malformed(what))
    }

    /// Writes to a contact that is there.
    ///
    /// # Errors
    /// [`ApiError`] where Mailmojo refuses or does not answer.
    pub async fn update(&self, email: &str, write: &ContactWrite) -> Result<(), ApiError> {
        let call = Call::new(Method::PATCH, "/v1/contacts/{email}/", &[email])
            .json(body(email, write).into());
        self.0.write(call).await.map(drop)
    }

    /// Puts an address on a list, with what is written to its contact. Nobody
    /// who unsubscribed is subscribed again.
    ///
    /// # Errors
    /// [`ApiError`] where Mailmojo refuses or does not answer.
    pub async fn subscribe(
        &self,
        list_id: &str,
        email: &str,
        write: &ContactWrite,
    ) -> Result<(), ApiError> {
        let mut body = body(email, write);
        // Mailmojo's default is true, which revives those who unsubscribed.
        body.insert("force_subscribe".into(), false.into());
        let call = Call::new(Method::POST, "/v1/lists/{listId}/subscribers/", &[list_id])
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

/// Reads a contact. What would be lost if it were misread (tags, account
/// fields) must be readable; the rest is taken where it can be.
fn read_contact(contact: &Map<String, Value>) -> Result<Contact, &'static str> {
    let words = |key: &str| {
        let text = contact.get(key).and_then(Value::as_str);
        text.unwrap_or_default().split_whitespace().count()
    };
    let has = |key: &str| words(key) > 0;
    // An import may leave a whole name alone, which would be overwritten by a
    // first and a last one.
    let named_as_a_whole = !has("first_name") && !has("last_name") && words("name") > 1;
    let tags = match contact.get("tags") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(tags)) => tags
            .iter()
            .map(|tag| tag.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or("a tag is no text")?,
        Some(_) => return Err("tags is no list"),
    };
    let custom = match contact.get("custom") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(custom)) => custom.clone(),
        Some(_) => return Err("custom is no object"),
    };
    let lists = contact
        .get("list_associations")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|association| match association.get("list_id")? {
            Value::String(id) => Some(id.clone()),
            Value::Number(id) => Some(id.to_string()),
            _ => None,
        })
        .collect();
    // `a`ctive, `u`nsubscribed, `b`ounced, `d`eleted: the meaning of the letters is assumed.
    let active = match contact.get("status") {
        None | Some(Value::Null) => true,
        Some(status) => status
            .as_str()
            .is_some_and(|status| status.eq_ignore_ascii_case("a")),
    };
    Ok(Contact {
        has_first_name: has("first_name") || named_as_a_whole,
        has_last_name: has("last_name") || named_as_a_whole,
        has_phone: has("phone"),
        tags,
        custom,
        active,
        lists,
    })
}
