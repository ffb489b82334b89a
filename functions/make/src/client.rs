//! The calls to Make.as's subscriber API, version 2.
//!
//! Source: Make.as's documentation and SDK, unless a comment says "assumed". No
//! call sets a status.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use shared::connector::Account;
use shared::http::{ApiCall, ApiClient, ApiError, ApiResponse, Authorization, Method};
use shared::identity::UserId;

use crate::credentials::CredentialSet;
use crate::sync::Make;

const PRODUCTS: &str = "/subscribers/subscriptions/products/bulkinsert";

/// Each subscription names its contact by `email`.
const SUBSCRIPTIONS: &str = "/subscribers/subscriptions/bulkinsert";

/// Documented for subscribers, assumed for products and subscriptions.
const MAX_ITEMS_PER_CALL: usize = 1000;

#[derive(Debug, Clone, PartialEq)]
pub struct Contact {
    pub id: String,
    /// The whole contact as Make.as sent it.
    pub fields: Map<String, Value>,
    pub tags: Vec<String>,
    /// Those that the answer names.
    pub lists: BTreeSet<String>,
}

impl Contact {
    /// The Sesamy user that the contact belongs to.
    ///
    /// Known: Sesamy's ids of users are `connection|key`. Assumed: any other id that is
    /// not this user's is of another system of the publisher's.
    pub fn owner(&self, user: &UserId) -> Option<&str> {
        let id = self.fields.get("external_id").and_then(Value::as_str)?;
        (id == user.as_str() || id.contains('|')).then_some(id)
    }

    pub fn email(&self) -> Option<&str> {
        self.fields.get("email").and_then(Value::as_str)
    }

    /// Whether the contact may be added to a list: not if it unsubscribed or
    /// bounced.
    ///
    /// Known: the statuses `active`, `unsubscribed` and `bounce`. Assumed: any
    /// other status is a reason not to add it.
    pub fn may_join(&self) -> bool {
        match self.fields.get("email_status") {
            None | Some(Value::Null) => true,
            Some(status) => status
                .as_str()
                .is_some_and(|status| status.eq_ignore_ascii_case("active")),
        }
    }
}

/// Calls on behalf of one list.
#[derive(Debug)]
pub struct Client<'a> {
    api: ApiClient<'a>,
    list_id: &'a str,
}

impl<'a> Client<'a> {
    pub fn new(account: &Account<'a, Make>, set: &'a CredentialSet) -> Self {
        let authorization = Authorization::Basic {
            user: set.user_id.clone(),
            password: set.api_key.clone(),
        };
        Self {
            api: account.api(&set.api_url, authorization),
            list_id: &set.list_id,
        }
    }

    pub fn list_id(&self) -> &str {
        self.list_id
    }

    pub async fn has_list(&self) -> Result<bool, ApiError> {
        let call = ApiCall::new(Method::GET, "/subscriberlists", &[]);
        let lists: Vec<Value> = self.api.read(call).await?.json()?;
        let id = |list: &Value| text(list.get("id")?);
        Ok(lists.iter().filter_map(id).any(|id| id == self.list_id))
    }

    /// `None` if the list is empty.
    pub async fn any_contact(&self) -> Result<Option<Contact>, ApiError> {
        let call = ApiCall::new(Method::GET, "/subscribers/by_list", &[])
            .query("list_id", self.list_id)
            .query("page", "1")
            .query("per_page", "1");
        let response = self.api.read(call).await?;
        let contacts: Vec<Map<String, Value>> = response.json()?;
        match contacts.into_iter().next() {
            Some(fields) => self.read_contact(&response, fields).await.map(Some),
            None => Ok(None),
        }
    }

    pub async fn contact(&self, email: &str) -> Result<Option<Contact>, ApiError> {
        let call = ApiCall::new(Method::POST, "/subscribers/by_email", &[])
            .json(json!({ "email": email }));
        self.find(call).await
    }

    pub async fn contact_by_id(&self, id: &str) -> Result<Option<Contact>, ApiError> {
        let call = ApiCall::new(Method::GET, "/subscribers/{id}", &[id]);
        self.find(call).await
    }

    async fn find(&self, call: ApiCall<'_>) -> Result<Option<Contact>, ApiError> {
        let Some(response) = self.api.find(call).await? else {
            return Ok(None);
        };
        let contact = self.read_contact(&response, response.json()?).await?;
        Ok(Some(contact))
    }

    async fn read_contact(
        &self,
        response: &ApiResponse,
        fields: Map<String, Value>,
    ) -> Result<Contact, ApiError> {
        let tags = match fields.get("tags") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(tags)) => self.tag_names(response, tags).await?,
            Some(_) => return Err(response.malformed("tags is not a list")),
        };
        let id = fields.get("id").and_then(text).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| response.malformed("a contact has no id"))?;
        let lists = fields.get("lists").and_then(Value::as_array);
        let list_id = |list: &Value| text(list.get("id").unwrap_or(list));
        let lists = lists.into_iter().flatten().filter_map(list_id).collect();
        Ok(Contact {
            id,
            fields,
            tags,
            lists,
        })
    }

    /// Make.as returns tags as names, objects or ids: newer accounts have names, one
    /// older site had ids (seen). A tag that looks like an id is looked up, so that a
    /// foreign tag is sent back by its name.
    async fn tag_names(
        &self,
        contact_response: &ApiResponse,
        tags: &[Value],
    ) -> Result<Vec<String>, ApiError> {
        let name_or_id = |tag: &Value| {
            let title = tag.get("title").or_else(|| tag.get("name"));
            text(title.unwrap_or(tag))
        };
        // The next write would lose a tag that is left out here.
        let tags: Vec<String> = tags
            .iter()
            .map(|tag| {
                name_or_id(tag).ok_or_else(|| contact_response.malformed("a tag has no name"))
            })
            .collect::<Result<_, _>>()?;
        let is_id = |tag: &str| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_digit());
        if !tags.iter().any(|tag| is_id(tag)) {
            return Ok(tags);
        }
        let call = ApiCall::new(Method::GET, "/subscriber_tags", &[]);
        let response = self.api.read(call).await?;
        let catalogue: Vec<Value> = response.json()?;
        let by_id: BTreeMap<String, String> = catalogue
            .iter()
            .map(|tag| Some((text(tag.get("id")?)?, text(tag.get("title")?)?)))
            .collect::<Option<_>>()
            .ok_or_else(|| response.malformed("a tag has no id or no title"))?;
        let titles: BTreeSet<&String> = by_id.values().collect();
        let name = |tag: String| {
            if !is_id(&tag) || titles.contains(&tag) {
                return Ok(tag);
            }
            // Sending the id back would create a tag of that name.
            by_id
                .get(&tag)
                .cloned()
                .ok_or_else(|| response.malformed("a contact's tag is not in the list of tags"))
        };
        tags.into_iter().map(name).collect()
    }

    /// Creates or updates a contact and adds it to the list. The body's tags
    /// replace the contact's. Returns the contact's id; a dry run has none.
    ///
    /// Only for a contact that is new or [may join](Contact::may_join): what the call
    /// does to the status of a contact that left is not documented.
    pub async fn join(&self, body: Value) -> Result<Option<String>, ApiError> {
        let call = ApiCall::new(Method::POST, "/subscribers", &[])
            .query("subscriber_list_id[]", self.list_id)
            .query("tag", "replace")
            .json(body);
        let Some(response) = self.api.write(call).await? else {
            return Ok(None);
        };
        // The contact is written; without its id, it is only not remembered.
        let contact: Map<String, Value> = response.json().unwrap_or_default();
        Ok(contact.get("id").and_then(text))
    }

    /// Gives a contact a new address. It keeps its tags, which are sent along because
    /// the call's tags replace the contact's. Assumed: the address may change, and
    /// the contact keeps its lists and its status.
    pub async fn set_email(&self, contact: &Contact, email: &str) -> Result<(), ApiError> {
        let mut body = Map::new();
        body.insert("email".to_owned(), email.into());
        body.insert("tags".to_owned(), contact.tags.as_slice().into());
        self.change(&contact.id, body).await
    }

    /// The body's tags replace the contact's. The call names no list and no
    /// status, so both stay as they are (assumed).
    pub async fn change(&self, id: &str, body: Map<String, Value>) -> Result<(), ApiError> {
        let call = ApiCall::new(Method::PATCH, "/subscribers/{id}", &[id])
            .query("tag", "replace")
            .json(body.into());
        self.api.write(call).await.map(drop)
    }

    /// Returns the number of calls.
    pub async fn write_products(&self, products: &[Value]) -> Result<u32, ApiError> {
        self.write_chunks(PRODUCTS, products).await
    }

    /// Returns the number of calls.
    pub async fn write_subscriptions(&self, subscriptions: &[Value]) -> Result<u32, ApiError> {
        self.write_chunks(SUBSCRIPTIONS, subscriptions).await
    }

    async fn write_chunks(&self, endpoint: &'static str, items: &[Value]) -> Result<u32, ApiError> {
        let mut calls = 0;
        for chunk in items.chunks(MAX_ITEMS_PER_CALL) {
            let call = ApiCall::new(Method::POST, endpoint, &[]).json(chunk.into());
            self.api.write(call).await?;
            calls += 1;
        }
        Ok(calls)
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
