//! Rule's API, version 2: the calls a sync makes.
//!
//! Source: Rule's API documentation and its own SDKs, but where a comment says
//! "assumed". `fields_clear` and `tags/clear` are never used: they would take
//! what is not ours. No call sets a status, an opt-in or a suppression.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use shared::http::{
    Api, ApiDescription, ApiError, Authorization, Call, Http, Method, Refused, Reply,
};
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

/// Whether tags that are new to a subscriber start their flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flows {
    /// They do, which is what Rule does by itself.
    Start,
    /// They do not.
    Silent,
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
    /// Whether the subscriber is suppressed, blocked or not opted in, so that
    /// nothing is to be sent on account of an event.
    pub is_silenced: bool,
}

/// A call with fields that did not succeed.
#[derive(Debug)]
pub struct Refusal {
    /// What went wrong.
    pub error: ApiError,
    /// The types of the cleared fields that the answer calls wrong.
    pub cleared: Vec<FieldType>,
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let cleared = Vec::new();
        Self { error, cleared }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
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
    /// [`Refusal`] where Rule refuses or does not answer.
    pub async fn upsert(
        &self,
        email: &str,
        tags: &[&str],
        fields: &[&Field],
        flows: Flows,
    ) -> Result<Upserted, Refusal> {
        let mut chunks = tags.chunks(TAGS_PER_CALL);
        let first = chunks.next().unwrap_or_default();
        let call = upsert(email, first, fields, flows);
        let upserted = match self.write_fields(call, fields).await? {
            Some(reply) => read_upserted(&reply.json()?),
            None => Upserted::Withheld(self.subscriber(email).await?),
        };
        if upserted != Upserted::Suppressed {
            for more in chunks {
                self.0.write(upsert(email, more, &[], flows)).await?;
            }
        }
        Ok(upserted)
    }

    /// Delivers an event: adds its tag together with its fields, so that the
    /// flows it starts find these. The tag must not be there yet.
    ///
    /// # Errors
    /// [`Refusal`] where Rule refuses or does not answer.
    pub async fn deliver(&self, email: &str, tag: &str, fields: &[&Field]) -> Result<(), Refusal> {
        let call = upsert(email, &[tag], fields, Flows::Start);
        self.write_fields(call, fields).await.map(drop)
    }

    /// Makes sure that a subscriber that is there has these tags, and starts no flow.
    ///
    /// # Errors
    /// [`ApiError`] where Rule refuses or does not answer.
    pub async fn restore_tags(&self, email: &str, tags: &[&str]) -> Result<(), ApiError> {
        for chunk in tags.chunks(TAGS_PER_CALL) {
            let call = upsert(email, chunk, &[], Flows::Silent);
            self.0.write(call).await?;
        }
        Ok(())
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
    /// [`Refusal`] where Rule refuses or does not answer.
    pub async fn set_fields(&self, id: Option<u64>, fields: &[&Field]) -> Result<(), Refusal> {
        let call = change(id, json!({ "fields": shown(fields) }));
        self.write_fields(call, fields).await.map(drop)
    }

    /// Takes every value of a group of ours off the subscriber of this id. A
    /// group that holds nothing is cleared already.
    ///
    /// A call of Rule's version 3, which version 2 has nothing like. Assumed:
    /// the group is named in the path by its name, and `apiUrl` serves version
    /// 3 beside version 2.
    ///
    /// # Errors
    /// [`ApiError`] where Rule refuses or does not answer.
    pub async fn clear_group(&self, id: Option<u64>, group: &str) -> Result<(), ApiError> {
        let id = id.map(|id| id.to_string());
        let segments: Vec<&str> = id.as_deref().into_iter().chain([group]).collect();
        let call = Call::new(
            Method::DELETE,
            "/v3/custom-field-data/{id}/group/{group}",
            &segments,
        );
        match self.0.write(call).await {
            Err(error) if error.status() == Some(404) => Ok(()),
            answer => answer.map(drop),
        }
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
        let call = change(id, json!({ "phone_number": phone }));
        self.0.write(call).await.map(drop)
    }

    async fn write_fields(
        &self,
        call: Call<'_>,
        fields: &[&Field],
    ) -> Result<Option<Reply>, Refusal> {
        let written = self.0.try_write(call).await;
        written.map_err(|refused| Refusal {
            cleared: named(&refused, fields),
            error: refused.error,
        })
    }
}

/// The call that changes the subscriber of this id.
fn change<'a>(id: Option<u64>, body: Value) -> Call<'a> {
    let id = id.map(|id| id.to_string());
    let id = id.as_deref();
    Call::new(Method::PUT, "/v2/subscribers/{id}", id.as_slice()).json(body)
}

/// The types of the cleared fields that a refusal names.
///
/// Known: the map `fields` of a 400 says which entries are wrong. Assumed: it,
/// or the message beside it, names a field by its key, or the map by the
/// field's place among those that were sent.
fn named(refused: &Refused, sent: &[&Field]) -> Vec<FieldType> {
    let answer = match refused.error.status() {
        Some(400) => refused.json().unwrap_or_default(),
        _ => return Vec::new(),
    };
    let entries = answer.get("fields").and_then(Value::as_object);
    let names = || entries.into_iter().flat_map(Map::keys).map(String::as_str);
    let messages = entries.into_iter().flat_map(Map::values);
    let messages = messages.chain(answer.get("message"));
    let texts: Vec<&str> = names().chain(messages.filter_map(Value::as_str)).collect();
    let is_named = |place: usize, field: &Field| {
        let place = place.to_string();
        texts.iter().any(|text| mentions(text, field.key))
            || names().any(|name| is_place(name, &place))
    };
    let sent = sent.iter().enumerate();
    sent.filter(|(_, field)| field.is_cleared())
        .filter(|(place, field)| is_named(*place, field))
        .map(|(_, field)| field.kind)
        .collect()
}

/// Whether a text has this key as a word, or as the end of a path.
fn mentions(text: &str, key: &str) -> bool {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '.');
    let mut before = words.filter_map(|word| word.trim_end_matches('.').strip_suffix(key));
    before.any(|before| before.is_empty() || before.ends_with('.'))
}

/// Whether a path such as `subscribers.fields.3.value` leads to this place.
fn is_place(path: &str, place: &str) -> bool {
    let mut parts = path.split('.').skip_while(|part| *part != "fields");
    parts.nth(1) == Some(place)
}

/// The call that creates or updates a subscriber.
///
/// `automation` is never sent: by Rule's notes any value of it unblocks a blocked
/// subscriber, and consent is not ours.
fn upsert<'a>(email: &str, tags: &[&str], fields: &[&Field], flows: Flows) -> Call<'a> {
    let mut body = json!({
        "update_on_duplicate": true,
        "tags": tags,
        "subscribers": { "email": email, "fields": shown(fields) },
    });
    if let (Flows::Silent, Value::Object(body)) = (flows, &mut body) {
        body.insert("sync_subscribers".to_owned(), false.into());
    }
    Call::new(Method::POST, "/v2/subscribers", &[]).json(body)
}

fn read_upserted(answer: &Map<String, Value>) -> Upserted {
    let subscriber = answer.get("subscriber").filter(|s| s.is_object());
    let suppressed = is_suppressed(answer.get("suppressed"));
    match subscriber {
        None if suppressed => Upserted::Suppressed,
        None => Upserted::Subscriber(read_subscriber(&Value::Null)),
        Some(subscriber) => {
            let mut subscriber = read_subscriber(subscriber);
            subscriber.is_silenced |= suppressed;
            Upserted::Subscriber(subscriber)
        }
    }
}

/// Whether a `suppressed` names any channel.
fn is_suppressed(channels: Option<&Value>) -> bool {
    let channels = channels.and_then(Value::as_array);
    channels.is_some_and(|channels| !channels.is_empty())
}

fn read_subscriber(subscriber: &Value) -> Subscriber {
    let status = subscriber.get("status").and_then(Value::as_str);
    let is_blocked = status.is_some_and(|status| status.eq_ignore_ascii_case("blocked"));
    let has_not_opted_in = subscriber.get("opted_in") == Some(&Value::Bool(false));
    Subscriber {
        id: subscriber.get("id").and_then(|id| match id {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        }),
        phone_number: subscriber
            .get("phone_number")
            .and_then(Value::as_str)
            .map(Personal::new),
        is_silenced: is_blocked || has_not_opted_in || is_suppressed(subscriber.get("suppressed")),
    }
}

/// Fields as Rule reads them.
fn shown(fields: &[&Field]) -> Vec<Value> {
    let shown = |field: &&Field| json!({ "key": field.key, "value": field.value, "type": field.kind.name() });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_by_its_key_or_its_place() {
        let key = "Sesamy_BillingAddress.Co";
        for text in [
            key,
            "subscribers.0.fields.Sesamy_BillingAddress.Co",
            "Sesamy_BillingAddress.Co: is no text; other: is empty",
            "No value for \"Sesamy_BillingAddress.Co\".",
            "Empty: Sesamy_BillingAddress.Co.",
        ] {
            assert!(mentions(text, key), "{text}");
        }
        for text in [
            "Sesamy_BillingAddress.Country",
            "Old_Sesamy_BillingAddress.Co",
            "Co",
            "",
        ] {
            assert!(!mentions(text, key), "{text}");
        }
        for path in ["fields.3", "subscribers.fields.3.value"] {
            assert!(is_place(path, "3"), "{path}");
        }
        for path in ["fields.30", "fields", "tags.3", "3"] {
            assert!(!is_place(path, "3"), "{path}");
        }
    }
}
