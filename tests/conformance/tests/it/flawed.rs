//! A connector that does what Toy's does, but for one flaw.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use shared::check::CheckItem;
use shared::connector::{
    Account, Changes, Connector, Delivery, ForgetJob, ForgetProgress, Job, LookupKey, is_our_tag,
};
use shared::http::{ApiError, Http};
use shared::identity::UserId;
use shared::sesamy::Reads;

use crate::toy::client::{Client, Contact, ContactWrite};
use crate::toy::{Toy, ToyCredentials};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flaw {
    /// Writes more than Toy's connector, after each sync.
    AlsoWrites(Extra),
    HidesFailures,
    /// Creates a second contact if the address has capitals at Sesamy.
    LooksUpAsTyped,
    CountsEventsAsDelivered,
    CannotDeliver,
    PreviewWrites,
    PreviewLeavesOutAField,
    DoesNotMove,
    /// Subscribes a contact that moves.
    MoveSubscribes,
    /// Whoever's contact has the remembered id gets the new address.
    TrustsRememberedIds,
    LeavesOurDataBehind,
    /// Where a contact cannot move, its user gets a new one after having left.
    ForgetsThatTheUserLeft,
    /// Where a contact cannot move, its user's new one gets no tags.
    GivesUpRefusedMoves,
    RemembersNoReference,
    Forget(ForgetFlaw),
    CheckWrites,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extra {
    WhatIsThere,
    SpellingOfBefore,
    NoForeignTags,
    /// Takes `SESAMY_…` for ours.
    NoTagsInCapitals,
    StaleTags,
    StaleFields,
    ForeignField,
    Subscription,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ForgetFlaw {
    KeepsTags,
    DropsForeignTags,
    AlwaysWrites,
    CreatesContacts,
    IgnoresOwners,
    /// Leaves a contact that names no user.
    NeedsOwner,
    IgnoresAddresses,
    IgnoresReferences,
    HidesFailures,
}

thread_local! {
    static FLAW: Cell<Option<Flaw>> = const { Cell::new(None) };
}

/// Gives every [`FlawedToy`] that this thread creates the flaw. The laws create their
/// connectors themselves.
pub fn set_flaw(flaw: Option<Flaw>) {
    FLAW.set(flaw);
}

pub struct FlawedToy(Option<Flaw>);

impl Default for FlawedToy {
    fn default() -> Self {
        Self(FLAW.get())
    }
}

impl Connector for FlawedToy {
    const NAME: &'static str = Toy::NAME;

    type Credentials = ToyCredentials;

    fn reads(credentials: &ToyCredentials) -> Reads {
        Toy::reads(credentials)
    }

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let online;
        let client = Client::new(&job.account);
        let email = job.desired.email.lookup();
        let mut job = Job {
            account: of_toy(&job.account),
            desired: job.desired,
            contact: job.contact,
            earlier: job.earlier,
            events: job.events,
        };
        match self.0 {
            Some(Flaw::PreviewWrites) => {
                online = Http::new().unwrap();
                job.account.http = &online;
            }
            Some(Flaw::DoesNotMove) => job.earlier = None,
            Some(Flaw::CountsEventsAsDelivered) => job.events.mark_delivered(),
            Some(Flaw::LooksUpAsTyped) if job.desired.email.expose() != email => {
                let write = ContactWrite::default();
                client.create(job.desired.email.expose(), &write).await?;
            }
            Some(Flaw::TrustsRememberedIds) => {
                if let Some(earlier) = job.earlier {
                    let id = earlier.reference.as_str();
                    client.set_email(id, &email).await?;
                }
            }
            Some(Flaw::AlsoWrites(extra)) => {
                let before = client.contact(&email).await?;
                let mut changes = Toy.sync(job).await?;
                if let Some(after) = client.contact(&email).await? {
                    let body = extra.body(before.as_ref(), &after);
                    client.change(&after.id, body).await?;
                    changes.writes += 1;
                }
                return Ok(changes);
            }
            _ => {}
        }
        let has_moved = job.earlier.is_some();
        let mut changes = match Toy.sync(job).await {
            Err(_) if self.0 == Some(Flaw::HidesFailures) => return Ok(Changes::default()),
            changes => changes?,
        };
        match self.0 {
            Some(Flaw::PreviewLeavesOutAField) => {
                for contact in &mut changes.contacts {
                    contact.fields.pop();
                }
            }
            Some(Flaw::MoveSubscribes) if has_moved => {
                client.change(&email, json!({ "subscribed": true })).await?;
            }
            Some(Flaw::LeavesOurDataBehind) => changes.left_behind = None,
            Some(Flaw::ForgetsThatTheUserLeft) if changes.keeps_earlier => {
                client.create(&email, &ContactWrite::default()).await?;
                changes.keeps_earlier = false;
            }
            Some(Flaw::GivesUpRefusedMoves) if changes.refused_writes > 0 => {
                client.change(&email, json!({ "tags": [] })).await?;
            }
            Some(Flaw::RemembersNoReference) => changes.reference = None,
            _ => {}
        }
        Ok(changes)
    }

    /// Only a connector that delivers can fail at it.
    fn delivers(_: &ToyCredentials) -> bool {
        true
    }

    async fn deliver(&self, _: Delivery<'_, Self>) -> Result<bool, ApiError> {
        Ok(self.0 != Some(Flaw::CannotDeliver))
    }

    async fn check(&self, account: Account<'_, Self>) -> Vec<CheckItem> {
        let online;
        let mut account = of_toy(&account);
        if self.0 == Some(Flaw::CheckWrites) {
            online = Http::new().unwrap();
            account.http = &online;
            let write = ContactWrite::default();
            let client = Client::new(&account);
            drop(client.create("check@example.se", &write).await);
        }
        Toy.check(account).await
    }

    async fn forget(&self, job: ForgetJob<'_, Self>) -> Result<(), ApiError> {
        let client = Client::new(&job.account);
        let mut job = ForgetJob {
            account: of_toy(&job.account),
            user: job.user,
            by: job.by,
            progress: job.progress,
        };
        let Some(Flaw::Forget(flaw)) = self.0 else {
            return Toy.forget(job).await;
        };
        let key = match job.by {
            LookupKey::Email(_) if flaw == ForgetFlaw::IgnoresAddresses => return Ok(()),
            LookupKey::Reference(_) if flaw == ForgetFlaw::IgnoresReferences => return Ok(()),
            LookupKey::Email(email) => email,
            LookupKey::Reference(reference) => reference.as_str(),
        };
        if flaw == ForgetFlaw::HidesFailures {
            let unseen = ForgetProgress::default();
            let tried = ForgetJob {
                account: of_toy(&job.account),
                progress: &unseen,
                ..job
            };
            if Toy.forget(tried).await.is_err() {
                return Ok(());
            }
        }
        let before = client.contact(key).await?;
        let owner = before.as_ref().and_then(owner);
        match flaw {
            ForgetFlaw::CreatesContacts if before.is_none() => {
                client.create(key, &ContactWrite::default()).await?;
            }
            ForgetFlaw::NeedsOwner if owner.is_none() => return Ok(()),
            ForgetFlaw::IgnoresOwners => job.user = owner.as_ref().unwrap_or(job.user),
            _ => {}
        }
        Toy.forget(job).await?;
        let Some(Contact { id, tags, .. }) = before else {
            return Ok(());
        };
        let foreign = tags.iter().filter(|tag| !is_our_tag(tag));
        let tags = match flaw {
            ForgetFlaw::KeepsTags => json!(tags),
            ForgetFlaw::DropsForeignTags => json!([]),
            ForgetFlaw::AlwaysWrites => json!(foreign.collect::<Vec<_>>()),
            _ => return Ok(()),
        };
        client.change(&id, json!({ "tags": tags })).await
    }
}

impl Extra {
    fn body(self, before: Option<&Contact>, after: &Contact) -> Value {
        let earlier = || before.map_or(&[][..], |contact| &contact.tags).iter();
        let tags = after.tags.iter();
        let tags: Vec<&String> = match self {
            Self::WhatIsThere => tags.collect(),
            Self::SpellingOfBefore => tags
                .map(|tag| {
                    let mut earlier = earlier();
                    let same = earlier.find(|earlier| earlier.eq_ignore_ascii_case(tag));
                    same.unwrap_or(tag)
                })
                .collect(),
            Self::NoForeignTags => tags.filter(|tag| is_our_tag(tag)).collect(),
            Self::NoTagsInCapitals => tags.filter(|tag| !tag.starts_with("SESAMY_")).collect(),
            Self::StaleTags => tags.chain(earlier()).collect(),
            Self::StaleFields => {
                let fields = before.map(|contact| contact.fields.clone());
                let stale = fields.unwrap_or_default().into_iter();
                let stale = stale.filter(|(name, _)| !after.fields.contains_key(name));
                return json!({ "fields": stale.collect::<BTreeMap<_, _>>() });
            }
            Self::ForeignField => return json!({ "fields": { "shoe size": 39 } }),
            Self::Subscription => return json!({ "subscribed": true }),
        };
        json!({ "tags": tags })
    }
}

fn owner(contact: &Contact) -> Option<UserId> {
    UserId::try_from(contact.owner()?).ok()
}

fn of_toy<'a, C>(account: &Account<'a, C>) -> Account<'a, Toy>
where
    C: Connector<Credentials = ToyCredentials>,
{
    Account {
        http: account.http,
        vendor: account.vendor,
        credentials: account.credentials,
        id: account.id,
    }
}
