//! The calls to Rule's API, version 2.
//!
//! Source: Rule's API documentation and its own SDKs, unless a comment says
//! "assumed". `fields_clear` and `tags/clear` are never used: they would remove
//! foreign data. No call sets a status, an opt-in or a suppression.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use shared::connector::{Account, ContactReference};
use shared::http::{
    ApiCall, ApiClient, ApiError, ApiResponse, Authorization, FailedCall, FailedWrite, Method,
};
use shared::personal::Personal;

use crate::mapping::{Field, FieldType};
use crate::sync::Rule;

/// Rule writes the end of a block as Stockholm time without a zone (seen in live
/// answers of version 3, assumed for version 2).
static STOCKHOLM: TimeZone = jiff::tz::get!("Europe/Stockholm");

/// Assumed: Rule states no limit.
const MAX_TAGS_PER_CALL: usize = 100;

/// Whether tags that are new to a contact start their flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flows {
    /// Rule's default.
    Start,
    Silent,
}

#[derive(Debug, Clone, PartialEq)]
pub enum UpsertOutcome {
    Contact(Contact),
    /// The address is on the account's suppression list, so there is no contact.
    Suppressed,
    /// A dry run sent nothing, and looked the contact up instead.
    DryRun(Option<Contact>),
}

/// Names a contact in a path.
#[derive(Clone, Copy)]
pub enum ContactKey<'a> {
    Email(&'a str),
    Id(u64),
}

impl ContactKey<'_> {
    pub fn from_reference(reference: &ContactReference) -> Option<Self> {
        reference.as_str().parse().ok().map(Self::Id)
    }

    fn segment(self) -> String {
        match self {
            Self::Email(email) => email.to_owned(),
            Self::Id(id) => id.to_string(),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Id(_) => "id",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Rule's answer may leave it out.
    pub id: Option<u64>,
    pub email: Option<Personal>,
    pub phone_number: Option<Personal>,
    /// The contact is suppressed, blocked or not opted in: no event may make
    /// Rule send it anything.
    pub is_silenced: bool,
}

/// A refusal has the types of the cleared fields that Rule rejects.
pub type FieldsWrite<T> = Result<T, FailedWrite<Vec<FieldType>>>;

#[derive(Debug)]
pub struct Client<'a>(ApiClient<'a>);

impl<'a> Client<'a> {
    pub fn new(account: &Account<'a, Rule>) -> Self {
        let key = Authorization::Bearer(account.credentials.api_key.clone());
        let api = account.api(&account.credentials.api_url, key);
        Self(api.with_wall_clock(&STOCKHOLM))
    }

    /// Fields that are already defined stay as they are.
    pub async fn define(&self, fields: &[(&str, FieldType)]) -> Result<(), ApiError> {
        let fields: Vec<Value> = fields
            .iter()
            .map(|(key, kind)| json!({ "key": key, "type": kind.name() }))
            .collect();
        let body = json!({ "fields": fields });
        let call = ApiCall::new(Method::POST, "/v2/customizations", &[]).json(body);
        self.0.write(call).await.map(drop)
    }

    /// Creates or updates a contact: adds tags, and keeps fields that the call
    /// does not name. A dry run looks the contact up instead, by its own key.
    ///
    /// Identifies the contact by address only. Rule may match by phone number too,
    /// and a number that a family shares must not put one user's tags on another.
    pub async fn upsert(
        &self,
        email: &str,
        tags: &[&str],
        fields: &[&Field],
        flows: Flows,
        dry_run_key: ContactKey<'_>,
    ) -> FieldsWrite<UpsertOutcome> {
        let mut chunks = tags.chunks(MAX_TAGS_PER_CALL);
        let first = chunks.next().unwrap_or_default();
        let call = upsert_call(email, first, fields, flows);
        let upserted = match self.write_fields(call, fields).await? {
            Some(response) => read_upsert(&response.json()?),
            None => UpsertOutcome::DryRun(self.contact(dry_run_key).await?),
        };
        if upserted != UpsertOutcome::Suppressed {
            for more in chunks {
                self.0.write(upsert_call(email, more, &[], flows)).await?;
            }
        }
        Ok(upserted)
    }

    /// Adds an event's tag in the same call as its fields, so that the flows it
    /// starts find them. The contact must not have the tag yet.
    pub async fn deliver(&self, email: &str, tag: &str, fields: &[&Field]) -> FieldsWrite<()> {
        let call = upsert_call(email, &[tag], fields, Flows::Start);
        self.write_fields(call, fields).await.map(drop)
    }

    /// Adds tags to an existing contact without starting a flow.
    pub async fn restore_tags(&self, email: &str, tags: &[&str]) -> Result<(), ApiError> {
        for chunk in tags.chunks(MAX_TAGS_PER_CALL) {
            let call = upsert_call(email, chunk, &[], Flows::Silent);
            self.0.write(call).await?;
        }
        Ok(())
    }

    /// Not for ordinary syncs: Rule counts the 404 of an unknown contact against the
    /// key.
    pub async fn contact(&self, key: ContactKey<'_>) -> Result<Option<Contact>, ApiError> {
        let segment = &key.segment();
        let call = ApiCall::new(Method::GET, "/v2/subscribers/{contact}", &[segment])
            .query("identified_by", key.kind());
        let Some(response) = self.0.find(call).await? else {
            return Ok(None);
        };
        let answer: Map<String, Value> = response.json()?;
        match answer.get("subscriber") {
            Some(contact @ Value::Object(_)) => Ok(Some(read_subscriber(contact))),
            _ => Err(response.malformed("it contains no subscriber")),
        }
    }

    /// Values by `Group.Field`. A sync rarely needs them: it writes them all.
    pub async fn fields(&self, key: ContactKey<'_>) -> Result<BTreeMap<String, Value>, ApiError> {
        let segment = &key.segment();
        // Singular, unlike every other path.
        let call = ApiCall::new(Method::GET, "/v2/subscriber/{contact}/fields", &[segment])
            .query("identified_by", key.kind());
        let response = self.0.read(call).await?;
        let answer: Value = response.json()?;
        by_key(&answer, "value")
            .ok_or_else(|| response.malformed("it contains no groups of fields"))
    }

    pub async fn tags(&self, key: ContactKey<'_>) -> Result<Vec<String>, ApiError> {
        let segment = &key.segment();
        let call = ApiCall::new(Method::GET, "/v2/subscribers/{contact}/tags", &[segment])
            .query("identified_by", key.kind());
        let response = self.0.read(call).await?;
        let answer: Value = response.json()?;
        let tags = answer
            .get("tags")
            .and_then(Value::as_array)
            .ok_or_else(|| response.malformed("it contains no list of tags"))?;
        let name = |tag: &Value| Some(tag.get("name").unwrap_or(tag).as_str()?.to_owned());
        tags.iter()
            .map(|tag| name(tag).ok_or_else(|| response.malformed("a tag has no name")))
            .collect()
    }

    /// A tag that is already gone is not an error.
    pub async fn remove_tag(&self, key: ContactKey<'_>, tag: &str) -> Result<(), ApiError> {
        let segment = key.segment();
        let call = ApiCall::new(
            Method::DELETE,
            "/v2/subscribers/{contact}/tags/{tag}",
            &[&segment, tag],
        )
        .query("identified_by", key.kind());
        self.0.remove(call).await
    }

    /// Sets fields of an existing contact. Never creates one.
    pub async fn set_fields(&self, id: Option<u64>, fields: &[&Field]) -> FieldsWrite<()> {
        let call = update_call(id, json!({ "fields": to_json(fields) }));
        self.write_fields(call, fields).await.map(drop)
    }

    /// Deletes every value of one of our groups. An empty group is not an error.
    ///
    /// Version 2 has no such call. Assumed: version 3 accepts the group's name
    /// in the path, and `apiUrl` serves version 3 beside version 2.
    pub async fn clear_group(&self, id: Option<u64>, group: &str) -> Result<(), ApiError> {
        let id = id.map(|id| id.to_string());
        let segments: Vec<&str> = id.as_deref().into_iter().chain([group]).collect();
        let call = ApiCall::new(
            Method::DELETE,
            "/v3/custom-field-data/{id}/group/{group}",
            &segments,
        );
        self.0.remove(call).await
    }

    /// Types by `Group.Field`, of the first hundred groups.
    pub async fn definitions(&self) -> Result<BTreeMap<String, Value>, ApiError> {
        let call = ApiCall::new(Method::GET, "/v2/customizations", &[]).query("limit", "100");
        let response = self.0.read(call).await?;
        let answer: Value = response.json()?;
        by_key(&answer, "type").ok_or_else(|| response.malformed("it contains no groups of fields"))
    }

    /// Reads one of the account's tags.
    pub async fn any_tag(&self) -> Result<(), ApiError> {
        let call = ApiCall::new(Method::GET, "/v2/tags", &[]).query("limit", "1");
        let response = self.0.read(call).await?;
        let answer: Value = response.json()?;
        match answer.get("tags") {
            Some(Value::Array(_)) => Ok(()),
            _ => Err(response.malformed("it contains no list of tags")),
        }
    }

    /// The id is `None` in a dry run for a contact that does not exist yet.
    pub async fn set_phone(&self, id: Option<u64>, phone: &str) -> Result<(), ApiError> {
        let call = update_call(id, json!({ "phone_number": phone }));
        self.0.write(call).await.map(drop)
    }

    /// Gives a contact a new address. It keeps its id, tags, fields and consent.
    pub async fn set_email(&self, id: u64, email: &str) -> Result<(), ApiError> {
        let call = update_call(Some(id), json!({ "email": email }));
        self.0.write(call).await.map(drop)
    }

    async fn write_fields(
        &self,
        call: ApiCall<'_>,
        fields: &[&Field],
    ) -> FieldsWrite<Option<ApiResponse>> {
        let written = self
            .0
            .try_write(call, |refused| named_types(refused, fields));
        written.await
    }
}

fn update_call<'a>(id: Option<u64>, body: Value) -> ApiCall<'a> {
    let id = id.map(|id| id.to_string());
    let id = id.as_deref();
    ApiCall::new(Method::PUT, "/v2/subscribers/{id}", id.as_slice()).json(body)
}

/// The types of the cleared fields that a refusal names.
///
/// Known: the map `fields` of a 400 says which entries are wrong. Assumed: the
/// map or the message beside it names a field by its key, or the map by its
/// index among the fields sent.
fn named_types(refused: &FailedCall, sent: &[&Field]) -> Vec<FieldType> {
    if refused.error.status() != Some(400) {
        return Vec::new();
    }
    let answer: Value = refused.json().unwrap_or_default();
    let mut names: Vec<&str> = Vec::new();
    let mut texts: Vec<&str> = Vec::new();
    if let Some(entries) = answer.get("fields").and_then(Value::as_object) {
        names.extend(entries.keys().map(String::as_str));
        texts.extend(entries.values().filter_map(Value::as_str));
    }
    texts.extend(&names);
    texts.extend(answer.get("message").and_then(Value::as_str));
    let is_named = |index: usize, field: &Field| {
        let index = index.to_string();
        texts.iter().any(|text| mentions(text, field.key))
            || names.iter().any(|name| names_index(name, &index))
    };
    let sent = sent.iter().enumerate();
    sent.filter(|(index, field)| field.is_cleared() && is_named(*index, field))
        .map(|(_, field)| field.kind)
        .collect()
}

/// Whether a text has this key as a word, or as the end of a path.
fn mentions(text: &str, key: &str) -> bool {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '.');
    let mut before = words.filter_map(|word| word.trim_end_matches('.').strip_suffix(key));
    before.any(|before| before.is_empty() || before.ends_with('.'))
}

/// Whether a path such as `subscribers.fields.3.value` names the field of this index.
fn names_index(path: &str, index: &str) -> bool {
    let mut parts = path.split('.').skip_while(|part| *part != "fields");
    parts.nth(1) == Some(index)
}

/// Never sends `automation`: according to Rule's notes, any value of it unblocks a
/// blocked contact, which only the publisher may do.
fn upsert_call<'a>(email: &str, tags: &[&str], fields: &[&Field], flows: Flows) -> ApiCall<'a> {
    let body = json!({
        "update_on_duplicate": true,
        "sync_subscribers": (flows == Flows::Silent).then_some(false),
        "tags": tags,
        "subscribers": { "email": email, "fields": to_json(fields) },
    });
    ApiCall::new(Method::POST, "/v2/subscribers", &[]).json_parts(body)
}

fn read_upsert(answer: &Map<String, Value>) -> UpsertOutcome {
    let suppressed = is_suppressed(answer.get("suppressed"));
    match answer.get("subscriber") {
        Some(contact @ Value::Object(_)) => {
            let mut contact = read_subscriber(contact);
            contact.is_silenced |= suppressed;
            UpsertOutcome::Contact(contact)
        }
        _ if suppressed => UpsertOutcome::Suppressed,
        _ => UpsertOutcome::Contact(read_subscriber(&Value::Null)),
    }
}

fn is_suppressed(channels: Option<&Value>) -> bool {
    let channels = channels.and_then(Value::as_array);
    channels.is_some_and(|channels| !channels.is_empty())
}

fn read_subscriber(contact: &Value) -> Contact {
    let status = contact.get("status").and_then(Value::as_str);
    let is_blocked = status.is_some_and(|status| status.eq_ignore_ascii_case("blocked"));
    let personal = |key| contact.get(key).and_then(Value::as_str).map(Personal::new);
    let has_not_opted_in = contact.get("opted_in") == Some(&Value::Bool(false));
    Contact {
        id: contact.get("id").and_then(|id| match id {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        }),
        email: personal("email"),
        phone_number: personal("phone_number"),
        is_silenced: is_blocked || has_not_opted_in || is_suppressed(contact.get("suppressed")),
    }
}

fn to_json(fields: &[&Field]) -> Vec<Value> {
    let entry = |field: &&Field| json!({ "key": field.key, "value": field.value, "type": field.kind.name() });
    fields.iter().map(entry).collect()
}

/// One `part` of every field, by `Group.Field`.
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
    fn a_refusal_names_a_field_by_key_or_index() {
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
            assert!(names_index(path, "3"), "{path}");
        }
        for path in ["fields.30", "fields", "tags.3", "3"] {
            assert!(!names_index(path, "3"), "{path}");
        }
    }
}
