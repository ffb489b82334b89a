//! Removes everything that this system wrote to a user's contact.
//!
//! The contact itself belongs to the publisher: it stays, with its name, phone
//! and status. The answer lists what was removed and what is left, even after a
//! failure. The action can be repeated until nothing is left.

use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;

use crate::connector::{Connector, ForgetProgress, ForgottenContact, LookupKey, Outcome};
use crate::message::UserKey;
use crate::personal::Email;
use crate::remembered::Unavailable;
use crate::request::ErrorAnswer;
use crate::sesamy::Reads;
use crate::sync::{Syncer, bounded};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forgotten {
    action: &'static str,
    connector: &'static str,
    #[serde(flatten)]
    user: UserKey,
    /// `forgotten`, `nothing_to_forget`, `not_configured`, `incomplete` (something
    /// is left: repeat the request) or `error` (nothing was done).
    pub outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
    pub contacts: Vec<ForgottenContact>,
}

/// Looks the contact up by the given address, else by the user's address at
/// Sesamy. A caller gives one if Sesamy no longer knows the user.
pub(super) async fn run<C: Connector>(
    syncer: Arc<Syncer<C>>,
    user: UserKey,
    email: Option<Email>,
    end: Instant,
) -> Forgotten {
    let progress = Arc::new(ForgetProgress::default());
    let task = tokio::spawn({
        let (user, progress) = (user.clone(), progress.clone());
        async move { forget(&syncer, &user, email, &progress).await }
    });
    let result = match bounded(task, end).await {
        Ok(result) => result,
        Err(outcome) => Err(outcome.into_error()),
    };
    let contacts = progress.contacts();
    let (outcome, error) = match result {
        Ok(false) => ("not_configured", None),
        Ok(true) if contacts.iter().any(|c| c.error.is_some()) => ("incomplete", None),
        Ok(true) if contacts.iter().all(ForgottenContact::had_nothing) => {
            ("nothing_to_forget", None)
        }
        Ok(true) => ("forgotten", None),
        Err(error) if contacts.iter().any(|c| c.found) => ("incomplete", Some(error)),
        Err(error) => ("error", Some(error)),
    };
    Forgotten {
        action: "forget",
        connector: C::NAME,
        user,
        outcome,
        error,
        contacts,
    }
}

/// False if the vendor does not use the connector.
async fn forget<C: Connector>(
    syncer: &Syncer<C>,
    user: &UserKey,
    email: Option<Email>,
    progress: &ForgetProgress,
) -> Result<bool, ErrorAnswer> {
    let path = Syncer::<C>::connector_path(&user.vendor_id);
    let secret = syncer.secrets.get::<C::Credentials>(&path).await;
    let secret = secret.map_err(|error| Outcome::from(error).into_error())?;
    if secret.value.is_none() {
        let forgotten = syncer.memory.forget(user).await;
        return forgotten
            .map(|()| false)
            .map_err(|Unavailable| table_unavailable());
    }
    let record = syncer.memory.recall(user).await;
    let record = record.map_err(|Unavailable| table_unavailable())?;
    let synced = match &record {
        Some(record) => syncer
            .synced_contact(user, record)
            .await
            .map_err(Outcome::into_error)?,
        None => None,
    };
    let typed = email.as_ref().map(Email::lookup);
    let current = match typed {
        Some(_) => None,
        None => address(syncer, user).await?.map(|email| email.lookup()),
    };
    // The contact of an earlier address, and that of the current one, which no sync
    // may have reached yet.
    let mut lookups: Vec<LookupKey<'_>> = Vec::new();
    let email = typed.as_deref().or(current.as_deref());
    lookups.extend(email.map(LookupKey::Email));
    if let Some(synced) = synced.filter(|synced| !synced.is_only_at(email)) {
        let references = [Some(synced.reference), synced.moved_reference()];
        lookups.extend(references.into_iter().flatten().map(LookupKey::Reference));
    }
    if lookups.is_empty() {
        let message = "Sesamy has no address for this user; pass it as \"email\"";
        return Err(ErrorAnswer::new("address_unknown", message));
    }
    for by in lookups {
        progress.next_contact();
        let forgotten = syncer.forget_contact(&syncer.http, user, by, progress);
        if !forgotten.await.map_err(Outcome::into_error)? {
            return Ok(false);
        }
    }
    let forgotten = syncer.memory.forget(user).await;
    forgotten.map_err(|Unavailable| table_unavailable())?;
    Ok(true)
}

fn table_unavailable() -> ErrorAnswer {
    ErrorAnswer::new(
        "unavailable",
        "what is remembered of the user cannot be read or deleted now; repeat the request",
    )
}

/// The user's address at Sesamy, also a guest's.
async fn address<C: Connector>(
    syncer: &Syncer<C>,
    user: &UserKey,
) -> Result<Option<Email>, ErrorAnswer> {
    let state = syncer.state(user, Reads::default()).await;
    let state = state.map_err(Outcome::into_error)?;
    Ok(state.and_then(|(state, _)| state.profile.email))
}
