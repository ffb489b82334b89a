//! Make.as's subscriber API, version 2: the calls a sync makes.
//!
//! Source: Make.as's documentation and SDK, but where a comment says "assumed".
//! No call sets a status.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use shared::http::{Api, ApiDescription, ApiError, Authorization, Call, Http, Method, Reply};
use shared::identity::VendorId;

use crate::credentials::CredentialSet;

/// The API's name in logs, metrics and errors.
pub(crate) const API_NAME: &str = "make";

const API: ApiDescription = ApiDescription {
    name: API_NAME,
    wall_clock: None,
};

/// Where products are written.
const PRODUCTS: &str = "/subscribers/subscriptions/products/bulkinsert";

/// Where subscriptions are written, their subscriber named by `email`.
const SUBSCRIPTIONS: &str = "/subscribers/subscriptions/bulkinsert";

/// How many items one call carries at most. Documented for subscribers,
/// assumed for products and subscriptions.
const ITEMS_PER_CALL: usize = 1000;

/// A subscriber as Make.as holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscriber {
    /// What it is changed by.
    pub id: String,
    /// All of it, by key.
    pub fields: Map<String, Value>,
    /// Tag names.
    pub tags: Vec<String>,
    /// The lists it is on, as far as the answer says.
    pub lists: BTreeSet<String>,
}

impl Subscriber {
    /// Whether the subscriber may be put on a list: only where nothing says
    /// that they unsubscribed or that their mail bounced.
    ///
    /// Known: the statuses `active`, `unsubscribed` and `bounce`. Assumed: any
    /// other word is a reason to leave them where they are.
    pub fn may_join(&self) -> bool {
        match self.fields.get("email_status") {
            None | Some(Value::Null) => true,
            Some(status) => status
                .as_str()
                .is_some_and(|status| status.eq_ignore_ascii_case("active")),
        }
    }
}

/// One of a vendor's Make.as lists.
#[derive(Debug)]
pub struct Client<'a> {
    api: Api<'a>,
    list_id: &'a str,
}

impl<'a> Client<'a> {
    /// The list that this set of credentials opens.
    pub fn new(http: &'a Http, vendor: &'a VendorId, set: &'a CredentialSet) -> Self {
        let authorization = Authorization::Basic {
            user: set.user_id.clone(),
            password: set.api_key.clone(),
        };
        Self {
            api: Api::new(http, vendor, API, &set.api_url, authorization),
            list_id: &set.list_id,
        }
    }

    /// The list that the credentials are for.
    pub fn list_id(&self) -> &str {
        self.list_id
    }

    /// Whether the account has the list.
    ///
    /// # Errors
    /// [`ApiError`] where Make.as refuses, does not answer or answers otherwise.
    pub async fn has_list(&self) -> Result<bool, ApiError> {
        let call = Call::new(Method::GET, "/subscriberlists", &[]);
        let lists: Vec<Value> = self.api.read(call).await?.json()?;
        let id = |list: &Value| text(list.get("id")?);
        Ok(lists.iter().filter_map(id).any(|id| id == self.list_id))
    }

    /// A subscriber of the list. `None` where it has none.
    ///
    /// # Errors
    /// [`ApiError`] where Make.as refuses, does not answer or answers otherwise.
    pub async fn any_subscriber(&self) -> Result<Option<Subscriber>, ApiError> {
        let call = Call::new(Method::GET, "/subscribers/by_list", &[])
            .query("list_id", self.list_id)
            .query("page", "1")
            .query("per_page", "1");
        let reply = self.api.read(call).await?;
        let subscribers: Vec<Map<String, Value>> = reply.json()?;
        match subscribers.into_iter().next() {
            Some(fields) => self.subscriber_of(&reply, fields).await.map(Some),
            None => Ok(None),
        }
    }

    /// The subscriber of this address. `None` where there is none.
    ///
    /// # Errors
    /// [`ApiError`] where Make.as refuses, does not answer or answers otherwise.
    pub async fn subscriber(&self, email: &str) -> Result<Option<Subscriber>, ApiError> {
        let call =
            Call::new(Method::POST, "/subscribers/by_email", &[]).json(json!({ "email": email }));
        let reply = match self.api.read(call).await {
            Err(error) if error.status() == Some(404) => return Ok(None),
            reply => reply?,
        };
        let subscriber = self.subscriber_of(&reply, reply.json()?).await?;
        Ok(Some(subscriber))
    }

    async fn subscriber_of(
        &self,
        reply: &Reply,
        fields: Map<String, Value>,
    ) -> Result<Subscriber, ApiError> {
        let tags = match fields.get("tags") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(tags)) => self.names(reply, tags).await?,
            Some(_) => return Err(reply.malformed("tags is no list")),
        };
        // Without it no change could say whose it is.
        let id = fields.get("id").and_then(text).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| reply.malformed("a subscriber has no id"))?;
        let lists = fields.get("lists").and_then(Value::as_array);
        let list_id = |list: &Value| text(list.get("id").unwrap_or(list));
        let lists = lists.into_iter().flatten().filter_map(list_id).collect();
        Ok(Subscriber {
            id,
            fields,
            tags,
            lists,
        })
    }

    /// The names of tags that are given by name, as objects, or by id.
    ///
    /// Newer accounts answer names; one older site had ids (seen). A tag that
    /// looks like an id is looked up, so that a foreign tag is sent back by its name.
    async fn names(&self, subscriber: &Reply, tags: &[Value]) -> Result<Vec<String>, ApiError> {
        let shown = |tag: &Value| {
            let title = tag.get("title").or_else(|| tag.get("name"));
            text(title.unwrap_or(tag))
        };
        // A tag that is left out here would be lost by the next write.
        let shown: Vec<String> = tags
            .iter()
            .map(|tag| shown(tag).ok_or_else(|| subscriber.malformed("a tag has no name")))
            .collect::<Result<_, _>>()?;
        let is_id = |tag: &str| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_digit());
        if !shown.iter().any(|tag| is_id(tag)) {
            return Ok(shown);
        }
        let call = Call::new(Method::GET, "/subscriber_tags", &[]);
        let reply = self.api.read(call).await?;
        let catalogue: Vec<Value> = reply.json()?;
        let by_id: BTreeMap<String, String> = catalogue
            .iter()
            .map(|tag| Some((text(tag.get("id")?)?, text(tag.get("title")?)?)))
            .collect::<Option<_>>()
            .ok_or_else(|| reply.malformed("a tag has no id or no title"))?;
        let titles: BTreeSet<&String> = by_id.values().collect();
        let name = |tag: String| {
            if !is_id(&tag) || titles.contains(&tag) {
                return Ok(tag);
            }
            // Sent back as it is, it would be a new tag in place of a foreign one.
            by_id
                .get(&tag)
                .cloned()
                .ok_or_else(|| reply.malformed("a subscriber's tag is not in the list of tags"))
        };
        shown.into_iter().map(name).collect()
    }

    /// Creates or updates a subscriber and puts it on the list. Its tags become
    /// exactly those of the body.
    ///
    /// Only for a subscriber who is new or [may join](Subscriber::may_join):
    /// what the call does to the status of one who left is not documented.
    ///
    /// # Errors
    /// [`ApiError`] where Make.as refuses or does not answer.
    pub async fn join(&self, body: Value) -> Result<(), ApiError> {
        let call = Call::new(Method::POST, "/subscribers", &[])
            .query("subscriber_list_id[]", self.list_id)
            .query("tag", "replace")
            .json(body);
        self.api.write(call).await.map(drop)
    }

    /// Changes the subscriber of this id, whose tags become exactly those of the
    /// body. It names no list and no status, so both stay as they are.
    ///
    /// # Errors
    /// [`ApiError`] where Make.as refuses or does not answer.
    pub async fn change(&self, id: &str, body: Map<String, Value>) -> Result<(), ApiError> {
        let call = Call::new(Method::PATCH, "/subscribers/{id}", &[id])
            .query("tag", "replace")
            .json(body.into());
        self.api.write(call).await.map(drop)
    }

    /// Creates or updates products. The number of calls.
    ///
    /// # Errors
    /// [`ApiError`] where Make.as refuses or does not answer.
    pub async fn write_products(&self, products: &[Value]) -> Result<u32, ApiError> {
        self.write_in_parts(PRODUCTS, products).await
    }

    /// Creates or updates subscriptions. The number of calls.
    ///
    /// # Errors
    /// [`ApiError`] where Make.as refuses or does not answer.
    pub async fn write_subscriptions(&self, subscriptions: &[Value]) -> Result<u32, ApiError> {
        self.write_in_parts(SUBSCRIPTIONS, subscriptions).await
    }

    async fn write_in_parts(
        &self,
        endpoint: &'static str,
        items: &[Value],
    ) -> Result<u32, ApiError> {
        let mut calls = 0;
        for part in items.chunks(ITEMS_PER_CALL) {
            let call = Call::new(Method::POST, endpoint, &[]).json(part.into());
            self.api.write(call).await?;
            calls += 1;
        }
        Ok(calls)
    }
}

/// A text, or a number as its digits.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
