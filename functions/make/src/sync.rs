//! The order of a sync's calls, per list; lists in parallel.
//!
//! The subscriber as it is; the subscriber as it should be, unless it is so
//! already; then products and subscriptions, which have no known read and are
//! always sent. Every write can be repeated, so a list that fails makes the
//! whole sync come back without harm to the others.

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
        let sets = job.credentials.sets.iter();
        let synced = join_all(sets.map(|set| sync_list(&job, set))).await;
        let lists = all(synced)?;
        Ok(lists.into_iter().fold(Changes::default(), |mut all, list| {
            all += list;
            all
        }))
    }

    async fn check(&self, account: Account<'_, Self>) -> Vec<Finding> {
        check::check(clients(&account)).await
    }

    async fn forget(
        &self,
        account: Account<'_, Self>,
        whom: Whom<'_>,
        trail: &Trail,
    ) -> Result<(), ApiError> {
        forget::forget(clients(&account), whom, trail).await
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
    let body = mapping::subscriber(job.subscriber, tags);
    let agrees = present
        .as_ref()
        .is_some_and(|present| agrees(present, &body, &set.list_id));
    if writes.is_empty() && !agrees {
        writes.push(tags.to_vec());
    }
    for tags in &writes {
        client
            .upsert(mapping::subscriber(job.subscriber, tags).into())
            .await?;
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

/// Whether a subscriber holds everything that the body says, its tags aside,
/// and is on the list. An answer that names no lists says nothing about them,
/// so the write is made.
fn agrees(present: &Subscriber, body: &Map<String, Value>, list_id: &str) -> bool {
    let on_list = present
        .lists
        .as_ref()
        .is_some_and(|lists| lists.iter().any(|list| list == list_id));
    on_list
        && body
            .iter()
            .all(|(key, wanted)| key == "tags" || holds(present, key, wanted))
}

/// Whether a subscriber has this value at `key`.
fn holds(present: &Subscriber, key: &str, wanted: &Value) -> bool {
    let found = present.fields.get(key);
    match (key, found.and_then(Value::as_str), wanted.as_str()) {
        ("email", Some(found), Some(wanted)) => found.eq_ignore_ascii_case(wanted),
        _ => found == Some(wanted),
    }
}

/// The fields that the body changes.
fn field_changes(present: Option<&Subscriber>, body: &Map<String, Value>) -> Vec<FieldChange> {
    let changed = |(key, personal): (&'static str, bool)| {
        let wanted = body.get(key)?;
        let same = present.is_some_and(|present| holds(present, key, wanted));
        (!same).then(|| FieldChange::set(key, wanted.clone(), personal))
    };
    mapping::FIELDS.into_iter().filter_map(changed).collect()
}
