//! Make.as's subscriber API, version 2: the calls a sync makes.
//!
//! Source: Make.as's documentation and SDK, but where a comment says "assumed".
//! No call sets a status: who unsubscribed stays unsubscribed.

use serde_json::{Map, Value, json};
use shared::http::{Api, ApiDescription, ApiError, Authorization, Call, Http, Method, Reply};
use shared::identity::VendorId;

use crate::credentials::CredentialSet;

const API: ApiDescription = ApiDescription {
    name: "make",
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
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subscriber {
    /// All of it, by key.
    pub fields: Map<String, Value>,
    /// Tag names.
    pub tags: Vec<String>,
    /// The lists it is on. `None` where the answer does not say.
    pub lists: Option<Vec<String>>,
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
        let lists = fields.get("lists").and_then(Value::as_array).map(|lists| {
            let id = |list: &Value| text(list.get("id").unwrap_or(list));
            lists.iter().filter_map(id).collect()
        });
        Ok(Subscriber {
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
        let titles: Vec<(String, String)> = catalogue
            .iter()
            .map(|tag| Some((text(tag.get("id")?)?, text(tag.get("title")?)?)))
            .collect::<Option<_>>()
            .ok_or_else(|| reply.malformed("a tag has no id or no title"))?;
        let name = |tag: String| {
            if !is_id(&tag) || titles.iter().any(|(_, title)| *title == tag) {
                return Ok(tag);
            }
            let named = titles.iter().find(|(id, _)| *id == tag);
            // Sent back as it is, it would be a new tag in place of a foreign one.
            named
                .map(|(_, title)| title.clone())
                .ok_or_else(|| reply.malformed("a subscriber's tag is not in the list of tags"))
        };
        shown.into_iter().map(name).collect()
    }

    /// Creates or updates a subscriber and puts it on the list. Its tags become
    /// exactly those of the body.
    ///
    /// # Errors
    /// [`ApiError`] where Make.as refuses or does not answer.
    pub async fn upsert(&self, body: Value) -> Result<(), ApiError> {
        let call = Call::new(Method::POST, "/subscribers", &[])
            .query("subscriber_list_id[]", self.list_id)
            .query("tag", "replace")
            .json(body);
        self.api.write(call).await.map(drop)
    }

    /// Changes the subscriber of this id, whose tags become exactly those of the
    /// body. It creates nobody and puts nobody on a list.
    ///
    /// # Errors
    /// [`ApiError`] where Make.as refuses or does not answer.
    pub async fn change(&self, id: &str, body: Value) -> Result<(), ApiError> {
        let call = Call::new(Method::PATCH, "/subscribers/{id}", &[id])
            .query("tag", "replace")
            .json(body);
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
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
