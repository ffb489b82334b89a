//! The calls to Mailchimp's Marketing API, version 3.0.
//!
//! Source: Mailchimp's own API description and SDKs, unless a comment says "assumed".
//! No call sets the status of an existing member, and none archives or deletes one.

use std::fmt::Write as _;
use std::time::Duration;

use md5::{Digest, Md5};
use serde_json::{Map, Value, json};
use shared::http::{
    ApiCall, ApiClient, ApiDescription, ApiError, ApiErrorKind, ApiResponse, Authorization,
    FailedCall, Http, Method,
};
use shared::identity::VendorId;
use shared::message::Event;
use shared::personal::Personal;
use shared::secrets::SecretFault;

use crate::credentials::MailchimpCredentials;
use crate::mapping::{self, Definition};

const API: ApiDescription = ApiDescription {
    name: "mailchimp",
    wall_clock: None,
};

const MEMBER: &str = "/lists/{listId}/members/{member}";
const MERGE_FIELDS: &str = "/lists/{listId}/merge-fields";
const TAGS: &str = "/lists/{listId}/members/{member}/tags";

/// What a sync needs of a member.
const MEMBER_PARTS: &str = "id,contact_id,email_address,status,merge_fields,tags,tags_count";

/// Mailchimp's greatest page.
const PAGE: usize = 1_000;

/// Of one member. Assumed: none has more.
const MAX_TAGS: usize = 10_000;

/// Above a high volume Mailchimp's edge answers 403 without JSON. Assumed: half a
/// minute without calls is enough.
const EDGE_PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Subscribed,
    Unsubscribed,
    /// Mails to the address bounced.
    Cleaned,
    /// Has not confirmed the subscription yet.
    Pending,
    /// Never subscribed.
    Transactional,
    Archived,
    Unknown,
}

impl Status {
    const KNOWN: [(Self, &'static str); 6] = [
        (Self::Subscribed, "subscribed"),
        (Self::Unsubscribed, "unsubscribed"),
        (Self::Cleaned, "cleaned"),
        (Self::Pending, "pending"),
        (Self::Transactional, "transactional"),
        (Self::Archived, "archived"),
    ];

    pub fn from_name(name: &str) -> Self {
        let known = Self::KNOWN.iter().find(|(_, known)| *known == name);
        known.map_or(Self::Unknown, |(status, _)| *status)
    }

    /// An unknown status is never sent.
    pub fn name(self) -> &'static str {
        let known = Self::KNOWN.iter().find(|(known, _)| *known == self);
        known.map_or("transactional", |(_, name)| name)
    }
}

/// Holds personal data, so this type has no `Debug`.
#[derive(Clone)]
pub struct Member {
    /// The hash of the address.
    pub id: String,
    /// Stays the same when the address changes.
    pub contact_id: Option<String>,
    pub email: Personal,
    pub status: Status,
    pub merge_fields: Map<String, Value>,
    pub tags: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeField {
    pub tag: String,
    pub kind: String,
    /// Takes numbers of the United States only.
    pub is_us_phone: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergeFields {
    pub fields: Vec<MergeField>,
    /// How many an audience of this plan may have.
    pub limit: Option<usize>,
}

/// Why Mailchimp refused to write a member.
#[derive(Debug)]
pub enum WriteError {
    /// The address, or its state. Another try does not help.
    Address(ApiError),
    /// There is a member of this address.
    Exists(ApiError),
    /// These merge fields have a value that Mailchimp does not take.
    Fields(Vec<String>, ApiError),
    Other(ApiError),
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Address(error)
            | WriteError::Exists(error)
            | WriteError::Fields(_, error)
            | WriteError::Other(error) => error,
        }
    }
}

pub struct Client<'a> {
    api: ApiClient<'a>,
    list_id: &'a str,
}

impl<'a> Client<'a> {
    pub fn new(
        http: &'a Http,
        vendor: &'a VendorId,
        credentials: &'a MailchimpCredentials,
    ) -> Self {
        let authorization = Authorization::Basic {
            // Mailchimp takes any user.
            user: "sesamy".into(),
            password: credentials.api_key.clone(),
        };
        Self {
            api: ApiClient::new(http, vendor, API, &credentials.api_url, authorization),
            list_id: &credentials.list_id,
        }
    }

    pub async fn has_list(&self) -> Result<bool, ApiError> {
        let call = ApiCall::new(Method::GET, "/lists/{listId}", &[self.list_id])
            .query("fields", "id,name");
        match self.read(call).await {
            Err(error) if error.status() == Some(404) => Ok(false),
            answer => answer.map(|_| true),
        }
    }

    pub async fn merge_fields(&self) -> Result<MergeFields, ApiError> {
        let call = ApiCall::new(Method::GET, MERGE_FIELDS, &[self.list_id])
            .query("count", PAGE.to_string());
        let response = self.read(call).await;
        let response = response.map_err(unknown_list)?;
        let answer: Value = response.json()?;
        let fields = answer.get("merge_fields").and_then(Value::as_array);
        let fields = fields.and_then(|fields| fields.iter().map(read_merge_field).collect());
        let limit = answer.get("merge_field_limit").and_then(Value::as_u64);
        Ok(MergeFields {
            fields: fields.ok_or_else(|| response.malformed("a merge field has no tag or type"))?,
            limit: limit.and_then(|limit| usize::try_from(limit).ok()),
        })
    }

    /// Creates a merge field that no sign-up form shows or requires.
    pub async fn define(&self, definition: &Definition) -> Result<(), ApiError> {
        let mut body = json!({
            "tag": definition.tag,
            "name": definition.name,
            "type": definition.kind,
            "required": false,
            "public": false,
        });
        if let ("phone", Value::Object(body)) = (definition.kind, &mut body) {
            let options = json!({ "phone_format": "International" });
            body.insert("options".to_owned(), options);
        }
        let call = ApiCall::new(Method::POST, MERGE_FIELDS, &[self.list_id]).json(body);
        self.write(call).await?;
        Ok(())
    }

    /// `None` if the audience is empty.
    pub async fn any_member(&self) -> Result<Option<Member>, ApiError> {
        const MEMBERS: &str = "/lists/{listId}/members";
        let call = ApiCall::new(Method::GET, MEMBERS, &[self.list_id]).query("count", "1");
        let response = self.read(call).await?;
        let answer: Value = response.json()?;
        let members = answer.get("members").and_then(Value::as_array);
        let members = members.ok_or_else(|| response.malformed("it has no list of members"))?;
        let member = members.first().map(read_member).transpose();
        let member = member.map_err(|what| response.malformed(what))?;
        Ok(member.map(|(member, _)| member))
    }

    /// With all of its tags. The id may be a [`hash`], a contact id or an address.
    pub async fn member(&self, id: &str) -> Result<Option<Member>, ApiError> {
        let call =
            ApiCall::new(Method::GET, MEMBER, &[self.list_id, id]).query("fields", MEMBER_PARTS);
        let response = match self.read(call).await {
            Err(error) if error.status() == Some(404) => return Ok(None),
            response => response?,
        };
        let answer: Value = response.json()?;
        let member = read_member(&answer);
        let (mut member, tags_count) = member.map_err(|what| response.malformed(what))?;
        // The answer shows the first fifty.
        if tags_count > member.tags.len() {
            member.tags = self.tags(&member.id).await?;
        }
        Ok(Some(member))
    }

    async fn tags(&self, id: &str) -> Result<Vec<String>, ApiError> {
        let mut all = Vec::new();
        loop {
            let call = ApiCall::new(Method::GET, TAGS, &[self.list_id, id])
                .query("count", PAGE.to_string())
                .query("offset", all.len().to_string());
            let response = self.read(call).await?;
            let page = read_tags(&response.json()?).ok_or_else(|| response.malformed(NO_TAGS))?;
            let is_last = page.len() < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
            if all.len() > MAX_TAGS {
                return Err(response.malformed("a member has too many tags"));
            }
        }
    }

    /// Creates a member. One that was created by another at the same time is updated
    /// and keeps its status.
    pub async fn create(
        &self,
        email: &str,
        status: Status,
        fields: &Map<String, Value>,
    ) -> Result<Member, WriteError> {
        let body = json!({
            "email_address": email,
            "status_if_new": status.name(),
            "merge_fields": fields,
        });
        let created = match self.write_member(Method::PUT, &hash(email), body).await {
            Err(WriteError::Other(error)) => return Err(WriteError::Other(unknown_list(error))),
            created => created?,
        };
        // A dry run creates none.
        Ok(created.unwrap_or_else(|| Member {
            id: hash(email),
            contact_id: None,
            email: Personal::new(email),
            status,
            merge_fields: Map::new(),
            tags: Vec::new(),
        }))
    }

    /// Merge fields that are not named stay.
    pub async fn update(&self, id: &str, fields: &Map<String, Value>) -> Result<(), WriteError> {
        let body = json!({ "merge_fields": fields });
        self.write_member(Method::PATCH, id, body).await.map(drop)
    }

    /// Gives a member a new address. It keeps its contact id, tags and fields (seen).
    pub async fn set_email(&self, id: &str, email: &str) -> Result<Option<Member>, WriteError> {
        let body = json!({ "email_address": email });
        self.write_member(Method::PATCH, id, body).await
    }

    async fn write_member(
        &self,
        method: Method,
        id: &str,
        body: Value,
    ) -> Result<Option<Member>, WriteError> {
        let call = ApiCall::new(method, MEMBER, &[self.list_id, id])
            // Or a merge field that the publisher requires would refuse the member.
            .query("skip_merge_validation", "true")
            .json(body);
        let Some(response) = self.write(call).await.map_err(write_error)? else {
            return Ok(None);
        };
        let answer: Value = response.json().map_err(WriteError::Other)?;
        match read_member(&answer) {
            Ok((member, _)) => Ok(Some(member)),
            Err(what) => Err(WriteError::Other(response.malformed(what))),
        }
    }

    /// Tags that are not named stay. With `is_silent`, no automation starts.
    pub async fn change_tags(
        &self,
        id: &str,
        add: &[&str],
        remove: &[&str],
        is_silent: bool,
    ) -> Result<(), ApiError> {
        let tag = |name: &&str, status| json!({ "name": name, "status": status });
        let removed = remove.iter().map(|name| tag(name, "inactive"));
        let added = add.iter().map(|name| tag(name, "active"));
        let tags: Vec<Value> = removed.chain(added).collect();
        let mut body = Map::new();
        body.insert("tags".to_owned(), tags.into());
        if is_silent {
            body.insert("is_syncing".to_owned(), true.into());
        }
        let call = ApiCall::new(Method::POST, TAGS, &[self.list_id, id]).json(body.into());
        self.write(call).await?;
        Ok(())
    }

    /// Each call makes a new event.
    pub async fn add_event(&self, id: &str, event: &Event) -> Result<(), ApiError> {
        const EVENTS: &str = "/lists/{listId}/members/{member}/events";
        let call = ApiCall::new(Method::POST, EVENTS, &[self.list_id, id]);
        self.write(call.json(mapping::event(event))).await?;
        Ok(())
    }

    async fn read(&self, call: ApiCall<'_>) -> Result<ApiResponse, ApiError> {
        let answer = self.api.try_read(call).await;
        Ok(answer.map_err(|failed| self.limited(failed))?)
    }

    async fn write(&self, call: ApiCall<'_>) -> Result<Option<ApiResponse>, FailedCall> {
        let answer = self.api.try_write(call).await;
        answer.map_err(|failed| self.limited(failed))
    }

    /// Tells the edge, which asks to wait, from the API, which refuses the key.
    fn limited(&self, failed: FailedCall) -> FailedCall {
        if failed.error.status() == Some(403) && failed.json().is_none() {
            return self.api.pause(failed.error, EDGE_PAUSE).into();
        }
        failed
    }
}

/// The MD5 of the address in lower case, which is Mailchimp's id of a member. It
/// keeps the address out of the logs of proxies.
///
/// Assumed: only ASCII characters are put in lower case.
pub fn hash(email: &str) -> String {
    let mut text = String::with_capacity(32);
    for byte in Md5::digest(email.to_ascii_lowercase()) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A list that does not exist concerns all of the vendor's users.
fn unknown_list(error: ApiError) -> ApiError {
    if error.status() != Some(404) {
        return error;
    }
    let fault = SecretFault::Wrong {
        key: "listId",
        expected: "the id of one of the account's audiences",
    };
    ApiError {
        kind: ApiErrorKind::Credentials(fault),
        ..error
    }
}

/// Reads a refusal by its title and the fields it names: its messages are in the
/// language of the account.
///
/// Seen: a refused address is named `email_address` or `email address`, or not at
/// all; a merge field is named by its tag.
fn write_error(failed: FailedCall) -> WriteError {
    let answer = failed.json().unwrap_or_default();
    let error = failed.error;
    if error.status() != Some(400) {
        return WriteError::Other(error);
    }
    match answer.get("title").and_then(Value::as_str) {
        Some("Member Exists") => WriteError::Exists(error),
        Some("Member In Compliance State" | "Forgotten Email Not Subscribed") => {
            WriteError::Address(error)
        }
        Some("Invalid Resource") => {
            let errors = answer.get("errors").and_then(Value::as_array);
            let errors = errors.into_iter().flatten();
            let names = errors.filter_map(|error| error.get("field")?.as_str());
            let names: Vec<&str> = names.collect();
            if names.iter().all(|name| names_address(name)) {
                WriteError::Address(error)
            } else {
                let tag = |name: &&str| name.rsplit('.').next().unwrap_or(name).to_owned();
                WriteError::Fields(names.iter().map(tag).collect(), error)
            }
        }
        _ => WriteError::Other(error),
    }
}

fn names_address(field: &str) -> bool {
    ["email_address", "email address"].contains(&field)
}

const NO_TAGS: &str = "it has no list of tags with names";

/// Also returns how many tags the member has in all. What a later write could
/// overwrite must be readable.
fn read_member(answer: &Value) -> Result<(Member, usize), &'static str> {
    let text = |key: &str| answer.get(key).and_then(Value::as_str);
    let filled = |key: &str| text(key).filter(|text| !text.is_empty());
    let merge_fields = match answer.get("merge_fields") {
        Some(Value::Object(fields)) => fields.clone(),
        // PHP writes an empty object so.
        Some(Value::Array(fields)) if fields.is_empty() => Map::new(),
        _ => return Err("a member has no merge fields"),
    };
    let tags = read_tags(answer).ok_or(NO_TAGS)?;
    let tags_count = answer.get("tags_count").and_then(Value::as_u64);
    let tags_count = tags_count.and_then(|count| usize::try_from(count).ok());
    let member = Member {
        id: filled("id").ok_or("a member has no id")?.to_owned(),
        contact_id: filled("contact_id").map(str::to_owned),
        email: Personal::new(filled("email_address").ok_or("a member has no address")?),
        status: Status::from_name(text("status").ok_or("a member has no status")?),
        merge_fields,
        tags,
    };
    let tags_count = tags_count.unwrap_or(member.tags.len());
    Ok((member, tags_count))
}

fn read_tags(answer: &Value) -> Option<Vec<String>> {
    let tags = answer.get("tags")?.as_array()?.iter();
    tags.map(|tag| Some(tag.get("name")?.as_str()?.to_owned()))
        .collect()
}

fn read_merge_field(field: &Value) -> Option<MergeField> {
    let text = |key: &str| Some(field.get(key)?.as_str()?.to_owned());
    let format = field.pointer("/options/phone_format");
    Some(MergeField {
        tag: text("tag")?,
        kind: text("type")?,
        is_us_phone: format.and_then(Value::as_str) == Some("US"),
    })
}
