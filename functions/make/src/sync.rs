//! The order of a sync's calls, per list; lists in parallel.
//!
//! The subscriber as it is; the subscriber as it should be, unless it is so
//! already; then products and subscriptions, which have no known read and are
//! always sent. Every write can be repeated, so a list that fails makes the
//! whole sync come back without harm to the others.
//!
//! Consent is not ours: a subscriber who is there is changed by id, without a
//! list. Only one who is new, or who may join, is written together with the list.

use futures_util::future::join_all;
use serde_json::{Map, Value};
use shared::check::Finding;
use shared::consumer::{
    Account, Changes, Connector, ContactChanges, FieldChange, Job, TagChanges, Trail, Whom,
};
use shared::derivation::reconcile;
use shared::http::ApiError;
use shared::sesamy::Reads;

use crate::client::{Client, Subscriber};
use crate::credentials::{CredentialSet, MakeCredentials};
use crate::mapping;
use crate::{check, forget};

/// The Make.as connector of a function instance.
#[derive(Debug, Default)]
pub struct Make;

impl Connector for Make {
    const NAME: &'static str = "make";

    type Credentials = MakeCredentials;

    fn reads(_: &MakeCredentials) -> Reads {
        Reads::default()
    }

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let MakeCredentials { sets, malformed } = job.credentials;
        let mut synced = join_all(sets.iter().map(|set| sync_list(&job, set))).await;
        synced.extend(malformed.iter().map(|set| Err(set.error())));
        let lists = all(synced)?;
        Ok(lists.into_iter().fold(Changes::default(), |mut all, list| {
            all += list;
            all
        }))
    }

    async fn check(&self, account: Account<'_, Self>) -> Vec<Finding> {
        check::check(clients(&account), &account.credentials.malformed).await
    }

    async fn forget(
        &self,
        account: Account<'_, Self>,
        whom: Whom<'_>,
        trail: &Trail,
    ) -> Result<(), ApiError> {
        let malformed = &account.credentials.malformed;
        forget::forget(clients(&account), malformed, whom, trail).await
    }
}

fn clients<'a>(account: &Account<'a, Make>) -> Vec<Client<'a>> {
    let sets = account.credentials.sets.iter();
    sets.map(|set| Client::new(account.http, account.vendor, set))
        .collect()
}

/// What was done to all lists, or the error that decides what becomes of the
/// message: one that may pass, so that its list is tried again before the
/// message is given up for another's sake; then a refusal.
pub(crate) fn all<T>(lists: Vec<Result<T, ApiError>>) -> Result<Vec<T>, ApiError> {
    let urgency = |error: &ApiError| match error {
        error if error.is_passing() => 2,
        error if error.is_refusal() => 1,
        _ => 0,
    };
    let errors = lists.iter().filter_map(|list| list.as_ref().err());
    match errors.rev().max_by_key(|error| urgency(error)) {
        Some(worst) => Err(worst.clone()),
        None => Ok(lists.into_iter().flatten().collect()),
    }
}

async fn sync_list(job: &Job<'_, Make>, set: &CredentialSet) -> Result<Changes, ApiError> {
    let client = Client::new(job.http, job.vendor, set);
    let email = job.subscriber.email.lookup();
    let present = client.subscriber(&email).await?;
    let mut changes = Changes::default();

    let tags = present.as_ref().map_or(&[][..], |present| &present.tags);
    let plan = reconcile(tags, &job.subscriber.tags, &[]);
    let mut writes = plan.replacements(tags);
    let body = mapping::change(job.subscriber, tags);
    let joins = present
        .as_ref()
        .is_none_or(|present| !present.lists.contains(&set.list_id) && present.may_join());
    let agrees = present
        .as_ref()
        .is_some_and(|present| agrees(present, &body));
    if writes.is_empty() && (joins || !agrees) {
        writes.push(tags.to_vec());
    }
    for (n, tags) in (1..).zip(&writes) {
        match &present {
            // Who is there joins by the last write: the one before it only
            // takes a misspelt tag off.
            Some(present) if !joins || n < writes.len() => {
                let body = mapping::change(job.subscriber, tags);
                client.change(&present.id, body).await?;
            }
            _ => {
                let body = mapping::subscriber(job.subscriber, tags);
                client.join(body).await?;
            }
        }
        changes.writes += 1;
    }
    changes.contacts.push(ContactChanges {
        list: Some(set.list_id.clone()),
        is_new: present.is_none(),
        tags: TagChanges::of(&plan, tags),
        fields: field_changes(present.as_ref(), &body),
    });
    changes.writes += client
        .write_products(&mapping::products(job.subscriber))
        .await?;
    changes.writes += client
        .write_subscriptions(&mapping::subscriptions(job.subscriber))
        .await?;
    Ok(changes)
}

/// Whether a subscriber holds everything that the body says, its tags aside.
fn agrees(present: &Subscriber, body: &Map<String, Value>) -> bool {
    body.iter()
        .all(|(key, wanted)| key == "tags" || present.fields.get(key) == Some(wanted))
}

/// The fields that the body changes.
fn field_changes(present: Option<&Subscriber>, body: &Map<String, Value>) -> Vec<FieldChange> {
    let changed = |(key, personal): (&'static str, bool)| {
        let wanted = body.get(key)?;
        let same = present.is_some_and(|present| present.fields.get(key) == Some(wanted));
        (!same).then(|| FieldChange::set(key, wanted.clone(), personal))
    };
    mapping::FIELDS.into_iter().filter_map(changed).collect()
}
