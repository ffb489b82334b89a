//! The calls to Mailchimp's Marketing API, version 3.0.
//!
//! Source: Mailchimp's own API description and SDKs, unless a comment says "assumed".
//! No call sets the status of an existing member, and none archives or deletes one.

use std::collections::BTreeSet;
use std::time::Duration;

use md5::{Digest, Md5};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::connector::{Account, ContactReference, Field, field_values};
use shared::derivation::{Attribute, TagDiff};
use shared::digest::hex;
use shared::http::{
    ApiCall, ApiClient, ApiError, Authorization, FailedCall, FailedWrite, Method, Names, Parts,
};
use shared::message::Event;
use shared::personal::Personal;
use shared::secrets::SecretFault;

use crate::mapping;
use crate::sync::Mailchimp;

const MEMBER: &str = "/lists/{listId}/members/{member}";
const MERGE_FIELDS: &str = "/lists/{listId}/merge-fields";
const TAGS: &str = "/lists/{listId}/members/{member}/tags";

/// What a sync needs of a member.
const MEMBER_PARTS: &str = "id,contact_id,email_address,status,merge_fields,tags,tags_count";

/// Mailchimp's greatest page.
const PAGE: usize = 1_000;

/// Of one member. Assumed: none has more.
const MAX_TAGS: usize = 10_000;

/// A list that does not exist concerns all of the vendor's users.
const UNKNOWN_LIST: SecretFault = SecretFault::Wrong {
    key: "listId",
    expected: "the id of one of the account's audiences",
};

/// From the most consent to the least.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Mails to the address bounced, which says nothing about consent. Never sent.
    Cleaned,
    Subscribed,
    /// Has not confirmed the subscription yet.
    Pending,
    /// Never subscribed.
    Transactional,
    Unsubscribed,
    /// The publisher put the member out of use. Never sent.
    Archived,
    /// Never sent.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Holds personal data, so this type has no `Debug`.
#[derive(Clone, Default, Deserialize)]
pub struct Member {
    /// The hash of the address.
    pub id: String,
    /// Stays the same when the address changes.
    pub contact_id: Option<String>,
    #[serde(rename = "email_address")]
    pub email: Personal,
    pub status: Status,
    pub merge_fields: Map<String, Value>,
    pub tags: Names,
    /// More than there are tags here, if it has more than fifty.
    #[serde(default)]
    pub tags_count: usize,
}

impl Member {
    pub fn reference(&self) -> Option<ContactReference> {
        self.contact_id.as_ref().map(ContactReference::new)
    }

    pub fn value(&self, tag: &str) -> &Value {
        self.merge_fields.get(tag).unwrap_or(&Value::Null)
    }

    pub fn owner(&self) -> Option<&str> {
        self.value(mapping::OWNER).as_str()
    }
}

#[derive(Deserialize)]
pub struct MergeFields {
    #[serde(rename = "merge_fields")]
    pub fields: Vec<MergeField>,
    /// How many an audience of this plan may have.
    #[serde(rename = "merge_field_limit")]
    pub limit: Option<usize>,
}

#[derive(Deserialize)]
pub struct MergeField {
    pub tag: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub options: Map<String, Value>,
}

/// Why Mailchimp refused to write a member.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Refusal {
    /// There is a member of this address.
    Exists,
    /// These merge fields have a value that Mailchimp does not take. If there are none,
    /// it does not take the address in its state, and another try does not help.
    Fields(BTreeSet<String>),
    #[default]
    Other,
}

pub type MemberWrite<T> = Result<T, FailedWrite<Refusal>>;

pub struct Client<'a> {
    api: ApiClient<'a>,
    list_id: &'a str,
}

impl<'a> Client<'a> {
    pub fn new(account: &Account<'a, Mailchimp>) -> Self {
        let credentials = account.credentials;
        let authorization = Authorization::Basic {
            // Mailchimp takes any user.
            user: "sesamy".into(),
            password: credentials.api_key.clone(),
        };
        let api = account.api(&credentials.api_url, authorization);
        Self {
            api: api.with_limits(wait_of_edge),
            list_id: &credentials.list_id,
        }
    }

    pub async fn has_list(&self) -> Result<bool, ApiError> {
        let call = ApiCall::new(Method::GET, "/lists/{listId}", &[self.list_id]);
        let list = self.api.find(call.query("fields", "id,name")).await?;
        Ok(list.is_some())
    }

    pub async fn merge_fields(&self) -> Result<MergeFields, ApiError> {
        let call = ApiCall::new(Method::GET, MERGE_FIELDS, &[self.list_id]);
        let fields = self.api.read(call.query("count", PAGE.to_string())).await;
        let fields = fields.map_err(|error| error.not_found_by(&UNKNOWN_LIST));
        fields?.json()
    }

    /// Creates a merge field that no sign-up form shows or requires.
    pub async fn define(&self, attribute: Attribute, tag: &str) -> Result<(), ApiError> {
        let is_phone = attribute == Attribute::Phone;
        let body = json!({
            "tag": tag,
            "name": attribute.label(),
            "type": mapping::type_name(attribute),
            "required": false,
            "public": false,
            "options": is_phone.then(|| json!({ "phone_format": "International" })),
        });
        let call = ApiCall::new(Method::POST, MERGE_FIELDS, &[self.list_id]);
        self.api.write(call.json_parts(body)).await.map(drop)
    }

    /// `None` if the audience is empty.
    pub async fn any_member(&self) -> Result<Option<Member>, ApiError> {
        const MEMBERS: &str = "/lists/{listId}/members";
        let call = ApiCall::new(Method::GET, MEMBERS, &[self.list_id]).query("count", "1");
        let members: Vec<Member> = self.api.read(call).await?.part("members")?;
        Ok(members.into_iter().next())
    }

    /// With all of its tags. The id may be a [`hash`], a contact id or an address.
    pub async fn member(&self, id: &str) -> Result<Option<Member>, ApiError> {
        let call = ApiCall::new(Method::GET, MEMBER, &[self.list_id, id]);
        let Some(found) = self.api.find(call.query("fields", MEMBER_PARTS)).await? else {
            return Ok(None);
        };
        let mut member: Member = found.json()?;
        if member.tags_count > MAX_TAGS {
            return Err(found.malformed("a member has too many tags"));
        }
        if member.tags_count > member.tags.len() {
            member.tags = self.tags(&member.id).await?;
        }
        Ok(Some(member))
    }

    async fn tags(&self, id: &str) -> Result<Names, ApiError> {
        let mut all = Vec::new();
        let mut is_last = false;
        while !is_last && all.len() <= MAX_TAGS {
            let call = ApiCall::new(Method::GET, TAGS, &[self.list_id, id])
                .query("count", PAGE.to_string())
                .query("offset", all.len().to_string());
            let Names(page) = self.api.read(call).await?.part("tags")?;
            is_last = page.len() < PAGE;
            all.extend(page);
        }
        Ok(Names(all))
    }

    /// Creates a member. One that was created by another at the same time is updated
    /// and keeps its status.
    pub async fn create(
        &self,
        email: &str,
        status: Status,
        fields: &[Field],
    ) -> MemberWrite<Member> {
        let body = json!({
            "email_address": email,
            "status_if_new": status,
            "merge_fields": values(fields),
        });
        let created = self.write_member(Method::PUT, &hash(email), body).await;
        let created = created.map_err(|failed| failed.not_found_by(&UNKNOWN_LIST))?;
        // A dry run creates none.
        Ok(created.unwrap_or_else(|| Member {
            id: hash(email),
            status,
            ..Member::default()
        }))
    }

    /// Merge fields that are not named stay.
    pub async fn update(&self, id: &str, fields: &[Field]) -> MemberWrite<()> {
        let body = json!({ "merge_fields": values(fields) });
        self.write_member(Method::PATCH, id, body).await.map(drop)
    }

    /// Gives a member a new address. It keeps its contact id, tags and fields (seen).
    pub async fn set_email(&self, id: &str, email: &str) -> Result<(), ApiError> {
        let body = json!({ "email_address": email });
        self.write_member(Method::PATCH, id, body).await?;
        Ok(())
    }

    async fn write_member(
        &self,
        method: Method,
        id: &str,
        body: Value,
    ) -> MemberWrite<Option<Member>> {
        let call = ApiCall::new(method, MEMBER, &[self.list_id, id])
            // Or a merge field that the publisher requires would refuse the member.
            .query("skip_merge_validation", "true")
            .json(body);
        let written = self.api.try_write(call, Refusal::read).await?;
        Ok(written.map(|written| written.json()).transpose()?)
    }

    /// Tags that are not named stay. With `is_silent`, no automation starts.
    pub async fn change_tags(
        &self,
        id: &str,
        diff: &TagDiff,
        is_silent: bool,
    ) -> Result<(), ApiError> {
        let removed = diff.remove.iter();
        let removed = removed.map(|name| json!({ "name": name, "status": "inactive" }));
        let added = diff.add.iter();
        let added = added.map(|tag| json!({ "name": tag.as_str(), "status": "active" }));
        let tags: Vec<Value> = removed.chain(added).collect();
        let body = json!({ "tags": tags, "is_syncing": is_silent.then_some(true) });
        let call = ApiCall::new(Method::POST, TAGS, &[self.list_id, id]);
        self.api.write(call.json_parts(body)).await.map(drop)
    }

    /// Each call makes a new event.
    pub async fn add_event(&self, id: &str, event: &Event) -> Result<(), ApiError> {
        const EVENTS: &str = "/lists/{listId}/members/{member}/events";
        let call = ApiCall::new(Method::POST, EVENTS, &[self.list_id, id]);
        let call = call.json(mapping::event(event));
        self.api.write(call).await.map(drop)
    }
}

/// The MD5 of the address in lower case, which is Mailchimp's id of a member. It
/// keeps the address out of the logs of proxies.
///
/// Assumed: only ASCII characters are put in lower case.
pub fn hash(email: &str) -> String {
    hex(&Md5::digest(email.to_ascii_lowercase()))
}

/// Above a high volume Mailchimp's edge answers 403 without JSON. Assumed: half a
/// minute without calls is enough.
fn wait_of_edge(head: &Parts, body: &[u8]) -> Option<Duration> {
    let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
    (head.status == 403 && !is_json).then_some(Duration::from_secs(30))
}

impl Refusal {
    pub fn is_of(&self, field: &Field) -> bool {
        matches!(self, Self::Fields(tags) if tags.contains(field.name))
    }

    pub fn is_of_address(&self) -> bool {
        matches!(self, Self::Fields(tags) if tags.is_empty())
    }

    /// Reads the title and the fields it names: the messages are in the language of
    /// the account.
    ///
    /// Seen: a refused address is named `email_address` or `email address`, or not at
    /// all; a merge field is named by its tag.
    fn read(failed: &FailedCall) -> Self {
        let answer: Value = failed.json().unwrap_or_default();
        let errors = answer.get("errors").and_then(Value::as_array);
        let errors = errors.into_iter().flatten();
        let fields = errors.filter_map(|error| error.get("field")?.as_str());
        let fields = fields.filter(|name| !["email_address", "email address"].contains(name));
        let tags = fields.filter_map(|name| name.rsplit('.').next());
        match answer.get("title").and_then(Value::as_str) {
            _ if failed.error.status() != Some(400) => Self::Other,
            Some("Member Exists") => Self::Exists,
            Some("Member In Compliance State" | "Forgotten Email Not Subscribed") => {
                Self::Fields(BTreeSet::new())
            }
            Some("Invalid Resource") => Self::Fields(tags.map(str::to_owned).collect()),
            _ => Self::Other,
        }
    }
}

/// Assumed: an empty text clears a merge field of any type (seen for texts and numbers).
fn values(fields: &[Field]) -> Map<String, Value> {
    field_values(fields, &"".into())
}
