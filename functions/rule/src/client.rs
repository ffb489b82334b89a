//! Rule's API, version 2: the calls a sync makes.
//!
//! Source: Rule's API documentation and its own SDKs, but where a comment says
//! "assumed". `fields_clear` and `tags/clear` are never used: they would take
//! what is not ours. No call sets a status, an opt-in or a suppression.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use shared::http::{Api, ApiDescription, ApiError, Authorization, Call, Http, Method};
use shared::identity::VendorId;
use shared::personal::Personal;

use crate::credentials::RuleCredentials;
use crate::mapping::{Field, FieldType};

/// Rule writes the end of a block as a wall-clock time without a zone: Stockholm's
/// (seen in live answers of version 3, assumed for version 2).
static STOCKHOLM: TimeZone = jiff::tz::get!("Europe/Stockholm");

const API: ApiDescription = ApiDescription {
    name: "rule",
    wall_clock: Some(&STOCKHOLM),
};

/// How many tags one call carries at most. Assumed: Rule states no limit.
const TAGS_PER_CALL: usize = 100;

/// How a tag's journeys are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Automation {
    /// As Rule does by itself: a tag that is new starts its journeys.
    Unset,
    /// Always anew, also where the tag is there already.
    Force,
}

/// What became of an upsert.
#[derive(Debug, Clone, PartialEq)]
pub enum Upserted {
    /// The subscriber is there.
    Subscriber(Subscriber),
    /// The address is on the account's suppression list, so there is no subscriber.
    Suppressed,
    /// The upsert was withheld. There is this subscriber, or none yet.
    Withheld(Option<Subscriber>),
}

/// A subscriber, as Rule shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Rule's own id, where the answer names it.
    pub id: Option<u64>,
    /// The phone number Rule holds.
    pub phone_number: Option<Personal>,
}

/// A vendor's Rule account.
#[derive(Debug)]
pub struct Client<'a>(Api<'a>);

impl<'a> Client<'a> {
    /// The account that these credentials open.
    pub fn new(http: &'a Http, vendor: &'a VendorId, credentials: &'a RuleCredentials) -> Self {
        let key = Authorization::Bearer(credentials.api_key.clone());
        Self(Api::new(http, vendor, API, &credentials.api_url, key))
    }

    /// Makes sure that every field is defined. Fields that are there stay as they are.
    ///
    /// # Errors
    /// [`ApiError`] where Rule refuses or does not answer.
    pub async fn define(&self, fields: &[(&str, FieldType)]) -> Result<(), ApiError> {
        let fields: Vec<Value> = fields
            .iter()
            .map(|(key, kind)| json!({ "key": key, "type": kind.name() }))
            .collect();
        let body = json!({ "fields": fields });
        let call = Call::new(Method::POST, "/v2/customizations", &[]).json(body);
        self.0.write(call).await.map(drop)
    }

    /// Creates or updates the subscriber of this address. Tags are added, fields
    /// that are not named stay.
    ///
    /// The address alone names the subscriber: Rule may match by phone number
    /// too, and a number that a family shares must not put one reader's tags on
    /// another.
    ///
    /// Where it is withheld, the subscriber is looked up instead.
    ///
    /// # Errors
    /// [`ApiError`] where Rule refuses or does not answer.
    pub async fn upsert(
        &self,
        email: &str,
        tags: &[&str],
        fields: &[Field],
    ) -> Result<Upserted, ApiError> {
        let mut chunks = tags.chunks(TAGS_PER_CALL);
        let body = json!({
            "update_on_duplicate": true,
            "tags": chunks.next().unwrap_or_default(),
            "subscribers": { "email": email, "fields": shown(fields) },
        });
        let call = Call::new(Method::POST, "/v2/subscribers", &[]).json(body);
        let upserted = match self.0.write(call).await? {
            Some(reply) => read_upserted(&reply.json()?),
            None => Upserted::Withheld(self.subscriber(email).await?),
        };
        if upserted != Upserted::Suppressed {
            for more in chunks {
                self.add_tags(email, more, Automation::Unset).await?;
            }
        }
        Ok(upserted)
    }

    /// The subscriber of this address. `None` where there is none, which Rule
    /// counts as an error of the key: no sync asks.
    ///
    /// # Errors
    /// [`ApiError`] where Rule refuses, does not answer or answers otherwise.
    pub async fn subscriber(&self, email: &str) -> Result<Option<Subscriber>, ApiError> {
        let call = Call::new(Method::GET, "/v2/subscribers/{email}", &[email])
            .query("identified_by", "email");
        let reply = match self.0.read(call).await {
            Err(error) if error.status() == Some(404) => return Ok(None),
            reply => reply?,
        };
        let answer: Map<String, Value> = reply.json()?;
        let subscriber = answer.get("subscriber").filter(|s| s.is_object());
        subscriber
            .map(|subscriber| Some(read_subscriber(subscriber)))
            .ok_or_else(|| reply.malformed("it holds no subscriber"))
    }

    /// The values of the subscriber's fields by key, `Group.Field`. No sync
    /// asks: it writes them all.
    ///
    /// # Errors
    /// [`ApiError`] where Rule refuses, does not answer or answers otherwise.
    pub async fn fields(&self, email: &str) -> Result<BTreeMap<String, Value>, ApiError> {
        // "subscriber" in the singular, unlike every other path.
        let call = Call::new(Method::GET, "/v2/subscriber/{email}/fields", &[email])
            .query("identified_by", "email");
        let reply = self.0.read(call).await?;
        let answer: Value = reply.json()?;
        by_key(&answer, "value").ok_or_else(|| reply.malformed("it holds no groups of fields"))
    }

    /// The names of the tags the subscriber has.
    ///
    /// # Errors
    /// [`ApiError`] where Rule refuses, does not answer or answers otherwise.
    pub async fn tags(&self, email: &str) -> Result<Vec<String>, ApiError> {
        let call = Call::new(Method::GET, "/v2/subscribers/{email}/tags", &[email])
            .query("identified_by", "email");
        let reply = self.0.read(call).await?;
        let answer: Value = reply.json()?;
        let tags = answer
            .get("tags")
            .and_then(Value::as_array)
            .ok_or_else(|| reply.malformed("it holds no list of tags"))?;
        let name = |tag: &Value| Some(tag.get("name").unwrap_or(tag).as_str()?.to_owned());
        tags.iter()
            .map(|tag| name(tag).ok_or_else(|| reply.malformed("a tag has no name")))
            .collect()
    }

    /// Adds tags to a subscriber that is there.
    ///
    /// # Errors
    /// [`ApiError`] where Rule refuses or does not answer.
    pub async fn add_tags(
        &self,
        email: &str,
        tags: &[&str],
        automation: Automation,
    ) -> Result<(), ApiError> {
        for chunk in tags.chunks(TAGS_PER_CALL) {
            let body = match automation {
                Automation::Unset => json!({ "tags": chunk }),
                Automation::Force => json!({ "tags": chunk, "automation": "force" }),
            };
            let call = Call::new(Method::POST, "/v2/subscribers/{email}/tags", &[email])
                .query("identified_by", "email")
                .json(body);
            self.0.write(call).await?;
        }
        Ok(())
    }

    /// Takes a tag off a subscriber. One that is not there any more is taken off already.
    ///
    /// # Errors
    /// [`ApiError`] where Rule refuses or does not answer.
    pub async fn remove_tag(&self, email: &str, tag: &str) -> Result<(), ApiError> {
        let call = Call::new(
            Method::DELETE,
            "/v2/subscribers/{email}/tags/{tag}",
            &[email, tag],
        )
        .query("identified_by", "email");
        match self.0.write(call).await {
            Err(error) if error.status() == Some(404) => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Sets fields of the subscriber of this id, and nothing else. It creates nobody.
    ///
    /// # Errors
    /// [`ApiError`] where Rule refuses or does not answer.
    pub async fn set_fields(&self, id: Option<u64>, fields: &[Field]) -> Result<(), ApiError> {
        self.change(id, json!({ "fields": shown(fields) })).await
    }

    /// The types of the account's fields by key, of the first hundred groups.
    ///
    /// # Errors
    /// [`ApiError`] where Rule refuses, does not answer or answers otherwise.
    pub async fn definitions(&self) -> Result<BTreeMap<String, Value>, ApiError> {
        let call = Call::new(Method::GET, "/v2/customizations", &[]).query("limit", "100");
        let reply = self.0.read(call).await?;
        let answer: Value = reply.json()?;
        by_key(&answer, "type").ok_or_else(|| reply.malformed("it holds no groups of fields"))
    }

    /// Whether the account's tags can be read, of which one is.
    ///
    /// # Errors
    /// [`ApiError`] where Rule refuses, does not answer or answers otherwise.
    pub async fn any_tag(&self) -> Result<(), ApiError> {
        let call = Call::new(Method::GET, "/v2/tags", &[]).query("limit", "1");
        let reply = self.0.read(call).await?;
        let answer: Value = reply.json()?;
        let tags = answer.get("tags").filter(|tags| tags.is_array());
        tags.map(drop)
            .ok_or_else(|| reply.malformed("it holds no list of tags"))
    }

    /// Sets the phone number of the subscriber of this id, and nothing else.
    /// The id is `None` where an upsert that was withheld would have given it.
    ///
    /// # Errors
    /// [`ApiError`] where Rule refuses or does not answer.
    pub async fn set_phone(&self, id: Option<u64>, phone: &str) -> Result<(), ApiError> {
        self.change(id, json!({ "phone_number": phone })).await
    }

    async fn change(&self, id: Option<u64>, body: Value) -> Result<(), ApiError> {
        let id = id.map(|id| id.to_string());
        let id = id.as_deref();
        let call = Call::new(Method::PUT, "/v2/subscribers/{id}", id.as_slice()).json(body);
        self.0.write(call).await.map(drop)
    }
}

fn read_upserted(answer: &Map<String, Value>) -> Upserted {
    let subscriber = answer.get("subscriber").filter(|s| s.is_object());
    let suppressed = answer
        .get("suppressed")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty());
    match subscriber {
        None if suppressed => Upserted::Suppressed,
        None => Upserted::Subscriber(read_subscriber(&Value::Null)),
        Some(subscriber) => Upserted::Subscriber(read_subscriber(subscriber)),
    }
}

fn read_subscriber(subscriber: &Value) -> Subscriber {
    Subscriber {
        id: subscriber.get("id").and_then(|id| match id {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        }),
        phone_number: subscriber
            .get("phone_number")
            .and_then(Value::as_str)
            .map(Personal::new),
    }
}

/// Fields as Rule reads them.
fn shown(fields: &[Field]) -> Vec<Value> {
    let shown = |field: &Field| json!({ "key": field.key, "value": field.value, "type": field.kind.name() });
    fields.iter().map(shown).collect()
}

/// One `part` of each field of all groups, by `Group.Field`.
fn by_key(answer: &Value, part: &str) -> Option<BTreeMap<String, Value>> {
    let mut parts = BTreeMap::new();
    for group in answer.get("groups")?.as_array()? {
        let group_name = group.get("name")?.as_str()?;
        for field in group.get("fields")?.as_array()? {
            let name = field.get("name").or_else(|| field.get("key"))?.as_str()?;
            let part = field.get(part).cloned().unwrap_or_default();
            parts.insert(format!("{group_name}.{name}"), part);
        }
    }
    Some(parts)
}
