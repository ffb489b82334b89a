//! The order of a sync's calls:
//!
//! 1. read the member, and move it if the user's address has changed
//! 2. create missing merge fields, once per account
//! 3. create the member, or write the merge fields that differ
//! 4. change the tags that differ
//! 5. deliver the events
//!
//! The status is set for a new member only. An archived member is left as it is.

use std::sync::Arc;

use serde_json::{Map, Value};
use shared::cache::Cache;
use shared::check::CheckItem;
use shared::connector::{
    Account, Changes, Connector, ContactChanges, ContactLookup, ContactReference, Delivery,
    EventStream, FieldChange, ForgetProgress, Job, TagChanges, is_our_tag,
};
use shared::derivation::{DesiredContact, Tag, TagDiff, Tags, diff_tags};
use shared::http::ApiError;
use shared::identity::VendorId;
use shared::sesamy::Reads;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use crate::audience::{Audiences, WritableFields};
use crate::client::{Client, Member, Status, WriteError, hash};
use crate::credentials::MailchimpCredentials;
use crate::moving::{self, Moved};
use crate::{check, forget, mapping};

/// Mailchimp takes ten calls at the same time from all that use an account. A sync
/// makes one at a time.
const MAX_CONNECTIONS: usize = 4;

#[derive(Debug, Default)]
pub struct Mailchimp {
    audiences: Audiences,
    /// By vendor.
    connections: Cache<Arc<Semaphore>>,
}

impl Connector for Mailchimp {
    const NAME: &'static str = "mailchimp";

    type Credentials = MailchimpCredentials;

    /// Bills give the date of the last payment.
    fn reads(_: &MailchimpCredentials) -> Reads {
        Reads { bills: true }
    }

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let _connection = self.connect(job.vendor).await;
        let client = Client::new(job.http, job.vendor, job.credentials);
        let email = job.desired.email.lookup();
        let mut status = job.credentials.new_status;
        let mut changes = Changes::default();
        let mut member = client.member(&hash(&email)).await?;
        let mut is_moved = false;
        if let Some(earlier) = job.earlier {
            match moving::move_member(&client, earlier, member.as_ref(), &email, status).await? {
                Moved::Done(moved) => {
                    member = Some(*moved);
                    is_moved = true;
                    changes.writes += 1;
                }
                Moved::Nothing => {}
                Moved::Stays {
                    status: required,
                    is_refused,
                } => {
                    changes.refused_writes += u32::from(is_refused);
                    changes.left_behind = Some(earlier.reference.clone());
                    status = required.unwrap_or(status);
                }
            }
        }
        let sync = MemberSync {
            client: &client,
            job: &job,
            audiences: &self.audiences,
            email: &email,
            is_moved,
        };
        let member = sync.write(member, status, &mut changes).await?;
        if let (Some(member), true) = (member, job.credentials.events) {
            deliver_all(&client, &member, job.events, &mut changes).await?;
        }
        Ok(changes)
    }

    /// Reads the member by its contact id, because only that is remembered.
    async fn deliver(&self, delivery: Delivery<'_, Self>) -> Result<bool, ApiError> {
        if !delivery.credentials.events {
            return Ok(true);
        }
        let Some(synced) = delivery.contact else {
            return Ok(false);
        };
        let _connection = self.connect(delivery.vendor).await;
        let client = Client::new(delivery.http, delivery.vendor, delivery.credentials);
        let member = client.member(synced.reference.as_str()).await?;
        let Some(member) = member.filter(|m| synced.had_address(m.email.expose())) else {
            return Ok(false);
        };
        if member.status != Status::Archived {
            let changes = &mut Changes::default();
            deliver_all(&client, &member, delivery.events, changes).await?;
        }
        Ok(true)
    }

    async fn check(&self, account: Account<'_, Self>) -> Vec<CheckItem> {
        check::check(&client(&account), &account.credentials.list_id).await
    }

    async fn forget(
        &self,
        account: Account<'_, Self>,
        lookup: ContactLookup<'_>,
        progress: &ForgetProgress,
    ) -> Result<(), ApiError> {
        let _connection = self.connect(account.vendor).await;
        forget::forget(&client(&account), lookup, progress).await
    }
}

impl Mailchimp {
    /// `None` never happens: no semaphore is closed.
    async fn connect(&self, vendor: &VendorId) -> Option<OwnedSemaphorePermit> {
        let mut entry = self.connections.lock(vendor.as_str()).await;
        let connections = entry
            .get_or_insert_with(|| Arc::new(Semaphore::new(MAX_CONNECTIONS)))
            .clone();
        drop(entry);
        connections.acquire_owned().await.ok()
    }
}

fn client<'a>(account: &Account<'a, Mailchimp>) -> Client<'a> {
    Client::new(account.http, account.vendor, account.credentials)
}

/// Delivers the pending events as activity of the member, oldest first.
///
/// Assumed: Mailchimp takes events of members of any status. One that it refuses for
/// a member that is not subscribed is counted and dropped: no retry would help.
async fn deliver_all(
    client: &Client<'_>,
    member: &Member,
    events: &EventStream,
    changes: &mut Changes,
) -> Result<(), ApiError> {
    for event in events.pending() {
        match client.add_event(&member.id, event).await {
            Ok(()) => changes.writes += 1,
            Err(error) if error.status() == Some(400) && member.status != Status::Subscribed => {
                warn!(%error, "Mailchimp refused an event of a member that is not subscribed.");
                changes.refused_writes += 1;
            }
            Err(error) => return Err(error),
        }
        events.mark_delivered();
    }
    Ok(())
}

struct MemberSync<'a> {
    client: &'a Client<'a>,
    job: &'a Job<'a, Mailchimp>,
    audiences: &'a Audiences,
    email: &'a str,
    is_moved: bool,
}

impl MemberSync<'_> {
    /// Creates the member or writes what differs. `None` if the member is archived, or
    /// Mailchimp keeps the address out of the audience.
    async fn write(
        &self,
        mut member: Option<Member>,
        new_status: Status,
        changes: &mut Changes,
    ) -> Result<Option<Member>, ApiError> {
        let contact_id = member
            .as_ref()
            .and_then(|member| member.contact_id.as_ref());
        changes.reference = contact_id.map(ContactReference::new);
        if member
            .as_ref()
            .is_some_and(|m| m.status == Status::Archived)
        {
            changes.refused_writes += 1;
            return Ok(None);
        }
        let (client, audiences) = (self.client, self.audiences);
        let writable = audiences.writable_fields(client, self.job).await?;
        let is_new = member.is_none();
        let current = member.as_ref().map(|member| &member.merge_fields);
        let mut fields = FieldWrite::new(self.job.desired, current, &writable);
        let mut has_left_out = false;
        while member.is_none() || !fields.is_empty() {
            let values = fields.values();
            let written = match &member {
                Some(member) => client.update(&member.id, &values).await.map(|()| None),
                None => {
                    let created = client.create(self.email, new_status, &values);
                    created.await.map(Some)
                }
            };
            match written {
                Ok(created) => {
                    changes.writes += 1;
                    member = member.or(created);
                    break;
                }
                Err(WriteError::Fields(refused, error))
                    if !has_left_out && fields.leave_out(&refused) =>
                {
                    warn!(%error, "Mailchimp refused merge fields; the others are written.");
                    changes.refused_writes += 1;
                    has_left_out = true;
                }
                Err(WriteError::Address(error)) => {
                    warn!(%error, "Mailchimp refused an address or the state of its member.");
                    changes.refused_writes += 1;
                    if is_new {
                        return Ok(None);
                    }
                    fields = FieldWrite::default();
                }
                Err(WriteError::Exists(error)) if is_new => {
                    // Created by another at the same time.
                    let found = client.member(self.email).await?.ok_or(error)?;
                    return Box::pin(self.write(Some(found), new_status, changes)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(member) = &member {
            let tags = self.sync_tags(member, changes).await?;
            changes.contacts.push(ContactChanges {
                is_new,
                is_moved: self.is_moved,
                tags,
                fields: fields.changes(),
                ..ContactChanges::default()
            });
            changes.reference = member.contact_id.as_ref().map(ContactReference::new);
        }
        Ok(member)
    }

    async fn sync_tags(
        &self,
        member: &Member,
        changes: &mut Changes,
    ) -> Result<TagChanges, ApiError> {
        let diff = diff_ignoring_case(&member.tags, &self.job.desired.tags);
        if !diff.is_empty() {
            let add: Vec<&str> = diff.add.iter().map(Tag::as_str).collect();
            let remove: Vec<&str> = diff.remove.iter().map(String::as_str).collect();
            // A resync of all users must not send each of them a welcome mail.
            let is_silent = self.job.events.is_empty();
            let write = self
                .client
                .change_tags(&member.id, &add, &remove, is_silent);
            write.await?;
            changes.writes += 1;
        }
        Ok(TagChanges::new(&diff, &member.tags))
    }
}

/// Seen: Mailchimp ignores the case of a tag, and answers in the spelling that the
/// audience had first. So a tag in another case is the desired one already.
fn diff_ignoring_case(current: &[String], desired: &Tags) -> TagDiff {
    let is_desired = |tag: &str| desired.keys().any(|desired| desired.as_str() == tag);
    let folded = |tag: &String| {
        let lower = tag.to_lowercase();
        if is_our_tag(tag) || is_desired(&lower) {
            lower
        } else {
            tag.clone()
        }
    };
    let names: Vec<String> = current.iter().map(folded).collect();
    let mut diff = diff_tags(&names, desired, &[]);
    let spelled = current.iter().zip(&names);
    diff.remove = spelled
        .filter(|(_, name)| diff.remove.contains(name))
        .map(|(tag, _)| tag.clone())
        .collect();
    diff
}

/// The merge fields that a write changes.
#[derive(Default)]
struct FieldWrite(Vec<(FieldChange, Value)>);

impl FieldWrite {
    fn new(
        desired: &DesiredContact,
        current: Option<&Map<String, Value>>,
        writable: &WritableFields,
    ) -> Self {
        let has = |tag: &str| {
            current
                .and_then(|fields| fields.get(tag))
                .unwrap_or(&Value::Null)
        };
        let personal = mapping::personal(desired)
            .filter(|(tag, _)| is_blank(has(tag)))
            .map(|(tag, value)| {
                let value = Value::from(value.expose());
                (FieldChange::set(tag, value.clone(), true), value)
            });
        let own = mapping::fields(desired).into_iter();
        let own = own.filter(|field| !agrees(has(field.tag), &field.value));
        let own = own.map(|field| {
            let change = match field.is_cleared() {
                true => FieldChange::cleared(field.tag),
                false => FieldChange::set(field.tag, field.value.clone(), false),
            };
            (change, field.value)
        });
        let all = personal.chain(own);
        Self(
            all.filter(|(change, _)| writable.contains(change.name.as_str()))
                .collect(),
        )
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn values(&self) -> Map<String, Value> {
        let fields = self.0.iter();
        fields
            .map(|(change, value)| (change.name.clone(), value.clone()))
            .collect()
    }

    /// One bad value refuses the whole write, and the others should not wait for a
    /// person. False if none of the refused fields was sent.
    fn leave_out(&mut self, refused: &[String]) -> bool {
        let before = self.0.len();
        self.0.retain(|(change, _)| !refused.contains(&change.name));
        self.0.len() < before
    }

    fn changes(self) -> Vec<FieldChange> {
        self.0.into_iter().map(|(change, _)| change).collect()
    }
}

/// Whether Mailchimp may return this value for a merge field without one.
pub fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// Seen: a number that was sent as a text comes back as a number.
fn agrees(current: &Value, desired: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match desired {
        Value::Number(_) => number(current) == number(desired),
        desired if is_blank(desired) => is_blank(current),
        _ => current == desired,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_agree_in_each_form_mailchimp_may_return() {
        let agreeing = [
            (json!(1), json!(1)),
            (json!(1.0), json!(1)),
            (json!("1"), json!(1)),
            (json!(null), json!("")),
            (json!(""), json!("")),
            (json!("True"), json!("True")),
        ];
        let differing = [
            (json!(2), json!(1)),
            (json!(""), json!(0)),
            (json!(0), json!("")),
            (json!("true"), json!("True")),
            (json!(""), json!("2026-01-01")),
        ];
        for (current, desired) in agreeing {
            assert!(agrees(&current, &desired), "{current} {desired}");
        }
        for (current, desired) in differing {
            assert!(!agrees(&current, &desired), "{current} {desired}");
        }
    }
}
