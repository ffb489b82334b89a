//! The order of a sync's calls:
//!
//! 1. read the member, and move it if the user's address has changed
//! 2. create missing merge fields, once per account
//! 3. create the member, or write the merge fields that differ
//! 4. change the tags that differ
//! 5. deliver the events
//!
//! The status is set for a new member only. An archived member is left as it is.

use std::collections::BTreeSet;
use std::future::ready;

use serde_json::Value;
use shared::cache::Once;
use shared::check::CheckItem;
use shared::connector::{
    Account, Changes, Connector, ContactChanges, Delivery, EventStream, Field, ForgetJob, Job,
    Moved, SyncedContact, TagChanges, unless_refused,
};
use shared::derivation::diff_tags;
use shared::http::ApiError;

use crate::client::{Client, Member, Refusal, Status, hash};
use crate::credentials::MailchimpCredentials;
use crate::{audience, check, forget, mapping};

#[derive(Debug, Default)]
pub struct Mailchimp {
    /// The merge fields that an audience has and that take our values.
    writable_fields: Once<BTreeSet<&'static str>>,
}

impl Connector for Mailchimp {
    const NAME: &'static str = "mailchimp";

    /// Mailchimp takes ten calls at the same time from all that use an account. A sync
    /// makes one at a time.
    const MAX_SYNCS: usize = 4;

    type Credentials = MailchimpCredentials;

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let client = Client::new(&job.account);
        let email = job.desired.email.lookup();
        let mut changes = Changes::default();
        let mut status = job.account.credentials.new_status;
        let mut member = client.member(&hash(&email)).await?;
        match (job.earlier, &member) {
            (Some(earlier), None) => {
                let moved = move_member(&client, earlier, &email, &mut status, &mut changes);
                member = moved.await?;
            }
            // Else an earlier attempt moved it.
            (Some(earlier), Some(known))
                if known.reference().as_ref() != Some(earlier.reference) =>
            {
                changes.left_behind = Some(earlier.reference.clone());
            }
            _ => {}
        }
        let written = self.write(&client, &job, member, status, &mut changes);
        let member = written.await?;
        if let (Some(member), true) = (member, job.account.credentials.events) {
            deliver_all(&client, &member, job.events, &mut changes).await?;
        }
        Ok(changes)
    }

    fn delivers(credentials: &MailchimpCredentials) -> bool {
        credentials.events
    }

    /// Reads the member by its contact id, because only that is remembered.
    async fn deliver(&self, delivery: Delivery<'_, Self>) -> Result<bool, ApiError> {
        let (client, synced) = (Client::new(&delivery.account), delivery.contact);
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
        check::check(&account).await
    }

    async fn forget(&self, job: ForgetJob<'_, Self>) -> Result<(), ApiError> {
        forget::forget(job).await
    }
}

/// Moves the member of an earlier address to one that has none, and returns it. If it
/// stays, a new member of the address must have the status left in `new_status`.
///
/// Seen by others: Mailchimp gives a new address to subscribed members only, and only
/// one that the audience has never had.
async fn move_member(
    client: &Client<'_>,
    earlier: SyncedContact<'_>,
    email: &str,
    new_status: &mut Status,
    changes: &mut Changes,
) -> Result<Option<Member>, ApiError> {
    let id = earlier.reference.as_str();
    let Some(old) = client.member(id).await? else {
        return Ok(None);
    };
    let set_email = async {
        if old.status != Status::Subscribed {
            return Ok(None);
        }
        let set = client.set_email(id, email).await;
        unless_refused(set, "Mailchimp refused a member's new address.")
    };
    let current = Some(old.email.expose());
    let moved = earlier.move_to(email, old.owner(), current, ready(Ok(false)), set_email);
    let moved = moved.await?;
    changes.record_move(moved, earlier.reference, false);
    if moved == Moved::Refused {
        // Consent moves along: the new member has no more of it than the old one.
        *new_status = old.status.max(*new_status).min(Status::Unsubscribed);
    }
    let id = hash(email);
    Ok((moved == Moved::Done).then_some(Member { id, ..old }))
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
    const REFUSED: &str = "Mailchimp refused an event of a member that is not subscribed.";
    for event in events.pending() {
        let added = client.add_event(&member.id, event).await;
        if member.status == Status::Subscribed {
            added?;
            changes.writes += 1;
        } else {
            changes.count(added, REFUSED)?;
        }
        events.mark_delivered();
    }
    Ok(())
}

impl Mailchimp {
    /// Creates the member or writes what differs. `None` if the member is archived, or
    /// Mailchimp keeps the address out of the audience.
    async fn write(
        &self,
        client: &Client<'_>,
        job: &Job<'_, Self>,
        known: Option<Member>,
        new_status: Status,
        changes: &mut Changes,
    ) -> Result<Option<Member>, ApiError> {
        changes.reference = known.as_ref().and_then(Member::reference);
        if known.as_ref().is_some_and(|m| m.status == Status::Archived) {
            changes.refused_writes += 1;
            return Ok(None);
        }
        let (account, desired) = (&job.account, job.desired);
        let define = audience::define(client, account.http.is_read_only());
        let writable = account.once(&self.writable_fields, define).await?;
        let email = desired.email.lookup();
        let current = |tag| known.as_ref().map_or(&Value::Null, |m| m.value(tag));
        let mut fields: Vec<Field> = mapping::fields(desired)
            .filter(|field| writable.contains(field.name) && field.differs(current(field.name)))
            .collect();
        let is_new = known.is_none();
        let mut member = known;
        while member.is_none() || !fields.is_empty() {
            let written = match &member {
                Some(member) => client.update(&member.id, &fields).await.map(|()| None),
                None => client.create(&email, new_status, &fields).await.map(Some),
            };
            match written {
                Ok(created) => {
                    changes.writes += 1;
                    member = member.or(created);
                    break;
                }
                // Created by another at the same time.
                Err(failed) if is_new && failed.refusal == Refusal::Exists => {
                    let found = client.member(&email).await?.ok_or(failed.error)?;
                    return Box::pin(self.write(client, job, Some(found), new_status, changes))
                        .await;
                }
                // A new member needs its address, and no field of a known one is written.
                Err(failed) if failed.refusal.is_of_address() => {
                    changes.count(Err::<(), _>(failed.error), "Mailchimp refused an address.")?;
                    fields.clear();
                    break;
                }
                Err(failed) => changes.leave_out(&mut fields, failed, Refusal::is_of)?,
            }
        }
        let Some(member) = member else {
            return Ok(None);
        };
        // Seen: Mailchimp answers in the spelling that the audience had first.
        let diff = diff_tags(&member.tags, &desired.tags, &[]).ignoring_case(&member.tags);
        if !diff.is_empty() {
            // A resync of all users must not send each of them a welcome mail.
            let is_silent = job.events.is_empty();
            client.change_tags(&member.id, &diff, is_silent).await?;
            changes.writes += 1;
        }
        changes.reference = member.reference();
        let tags = TagChanges::new(&diff, &member.tags);
        changes.push(ContactChanges::new(is_new, tags, &fields));
        Ok(Some(member))
    }
}
