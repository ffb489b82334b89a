//! Takes everything that this system wrote off a reader's contact.
//!
//! The contact itself is the publisher's: it stays, with its name, phone and
//! status. Every step is noted as it is done, so that the answer tells what is
//! done and what is left, whatever fails. It can be repeated until nothing is left.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::time::Instant;

use super::connector::{Account, Connector};
use super::handler::{Consumer, bounded};
use super::outcome::Outcome;
use super::queue::Queue;
use crate::derivation::TAG_PREFIX;
use crate::http::ApiError;
use crate::identity::UserId;
use crate::message::Reader;
use crate::personal::Email;
use crate::request::ErrorAnswer;
use crate::secrets::Loaded;
use crate::sesamy::Reads;

/// Whose contact is to be found.
#[derive(Debug, Clone, Copy)]
pub struct Whom<'a> {
    /// The reader's id at Sesamy.
    pub user: &'a UserId,
    /// The reader's address, as contacts are looked up by it.
    pub email: &'a str,
    /// Whether a person typed the address, who may have mistyped it.
    pub by_hand: bool,
}

impl Whom<'_> {
    /// Whether a contact is the reader's that names `owner` as its Sesamy user.
    ///
    /// An address from Sesamy is believed. One typed by a person is checked,
    /// where the contact says whose it is: it may be somebody else's.
    pub fn owns(self, owner: Option<&str>) -> bool {
        !self.by_hand || owner.is_none_or(|owner| owner == self.user.as_str())
    }
}

/// Whether a tag is one of ours: it begins with `sesamy_` in these very letters.
pub fn is_ours(tag: &str) -> bool {
    tag.starts_with(TAG_PREFIX)
}

/// What was found on one contact, and what became of it. No personal data.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Taken {
    /// The list, for a CRM that has a contact per list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// Whether there is such a contact.
    pub found: bool,
    /// The tags of ours that were on it.
    pub tags: Progress,
    /// The fields of ours that had a value.
    pub fields: Progress,
    /// What this system wrote and cannot take away, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stays: Vec<&'static str>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorAnswer>,
}

/// What is taken away already, and what is not.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Progress {
    /// Gone.
    pub removed: Vec<String>,
    /// Still there.
    pub left: Vec<String>,
}

/// The notes of one forgetting, which outlive its end by force.
#[derive(Debug, Default)]
pub struct Trail(Mutex<Vec<Taken>>);

impl Trail {
    /// Begins the notes of a contact, anew where there are some.
    pub fn contact(&self, list: Option<&str>) -> Steps<'_> {
        let mut contacts = self.lock();
        let found = contacts.iter().position(|c| c.list.as_deref() == list);
        let index = found.unwrap_or(contacts.len());
        let taken = Taken {
            list: list.map(str::to_owned),
            ..Taken::default()
        };
        match contacts.get_mut(index) {
            Some(known) => *known = taken,
            None => contacts.push(taken),
        }
        drop(contacts);
        Steps { trail: self, index }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Taken>> {
        // A poisoned lock holds notes that are whole: nothing here panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The notes of one contact.
#[derive(Debug, Clone, Copy)]
pub struct Steps<'a> {
    trail: &'a Trail,
    index: usize,
}

impl Steps<'_> {
    fn note(&self, note: impl FnOnce(&mut Taken)) {
        if let Some(taken) = self.trail.lock().get_mut(self.index) {
            note(taken);
        }
    }

    /// There is a contact, with these tags and fields of ours.
    pub fn found(
        &self,
        tags: impl IntoIterator<Item = String>,
        fields: impl IntoIterator<Item = &'static str>,
    ) {
        self.note(|taken| {
            taken.found = true;
            taken.tags.left = tags.into_iter().collect();
            taken.fields.left = fields.into_iter().map(str::to_owned).collect();
        });
    }

    /// A tag is gone.
    pub fn removed(&self, tag: &str) {
        self.note(|taken| {
            taken.tags.left.retain(|left| left != tag);
            taken.tags.removed.push(tag.to_owned());
        });
    }

    /// All tags that were left are gone.
    pub fn removed_all(&self) {
        self.note(|taken| {
            let left = std::mem::take(&mut taken.tags.left);
            taken.tags.removed.extend(left);
        });
    }

    /// All fields that were left are cleared.
    pub fn cleared_all(&self) {
        self.note(|taken| {
            let left = std::mem::take(&mut taken.fields.left);
            taken.fields.removed.extend(left);
        });
    }

    /// Something this system wrote stays, as no call is known that takes it away.
    pub fn stays(&self, what: &'static str) {
        self.note(|taken| taken.stays.push(what));
    }

    /// The contact is another reader's; nothing of it is touched.
    pub fn is_anothers(&self) {
        self.note(|taken| {
            taken.found = true;
            taken.error = Some(ErrorAnswer::new(
                "another_reader",
                "the contact of this address belongs to another Sesamy user; check the address",
            ));
        });
    }

    /// A call failed.
    pub fn failed(&self, error: &ApiError) {
        self.note(|taken| taken.error = Some(Outcome::from(error.clone()).into_error()));
    }
}

/// What became of a wish to be forgotten.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forgotten {
    action: &'static str,
    connector: &'static str,
    #[serde(flatten)]
    reader: Reader,
    /// `forgotten`, `nothing_to_forget`, `not_configured`, `incomplete` (some of
    /// it is left: ask again) or `error` (nothing was done).
    pub outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
    /// What became of the reader's contact, or of each.
    pub contacts: Vec<Taken>,
}

impl<C: Connector, Q: Queue> Consumer<C, Q> {
    /// Takes what this system wrote off the reader's contact, until `end`. The
    /// address is Sesamy's, or the one given, for a reader Sesamy has forgotten.
    pub async fn forget(
        self: Arc<Self>,
        reader: Reader,
        email: Option<Email>,
        end: Instant,
    ) -> Forgotten {
        let trail = Arc::new(Trail::default());
        let task = tokio::spawn({
            let (consumer, reader, trail) = (self, reader.clone(), trail.clone());
            async move { consumer.take_off(&reader, email, &trail).await }
        });
        let ended = bounded(task, end).await.map_err(Outcome::into_error);
        let outcome = ended.and_then(|done| done);
        let contacts = trail.lock().clone();
        let (outcome, error) = match outcome {
            Ok(false) => ("not_configured", None),
            Ok(true) if contacts.iter().any(|c| c.error.is_some()) => ("incomplete", None),
            Ok(true) if contacts.iter().all(Taken::had_nothing) => ("nothing_to_forget", None),
            Ok(true) => ("forgotten", None),
            Err(error) if contacts.iter().any(|c| c.found) => ("incomplete", Some(error)),
            Err(error) => ("error", Some(error)),
        };
        Forgotten {
            action: "forget",
            connector: C::NAME,
            reader,
            outcome,
            error,
            contacts,
        }
    }

    /// Whether there is anything to take off from: the vendor has the connector.
    async fn take_off(
        &self,
        reader: &Reader,
        email: Option<Email>,
        trail: &Trail,
    ) -> Result<bool, ErrorAnswer> {
        let by_hand = email.is_some();
        let path = format!("{}/{}", reader.vendor_id, C::NAME);
        let secret = self.secrets.get::<C::Credentials>(&path).await;
        if secret
            .map_err(|error| Outcome::from(error).into_error())?
            .value
            .is_none()
        {
            return Ok(false);
        }
        let email = match email {
            Some(email) => email,
            None => self.address(reader).await?,
        };
        let (path, email) = (&path, &email.lookup());
        self.with_secret(path, |secret: Arc<Loaded<C::Credentials>>| async move {
            let Some(credentials) = &secret.value else {
                return Ok(false);
            };
            let account = Account {
                http: &self.http,
                vendor: &reader.vendor_id,
                credentials,
            };
            let whom = Whom {
                user: &reader.user_id,
                email,
                by_hand,
            };
            self.connector.forget(account, whom, trail).await?;
            Ok(true)
        })
        .await
        .map_err(Outcome::into_error)
    }

    /// The reader's address at Sesamy, a guest's too.
    async fn address(&self, reader: &Reader) -> Result<Email, ErrorAnswer> {
        let state = self.state(reader, Reads::default()).await;
        let state = state.map_err(Outcome::into_error)?;
        let email = state.and_then(|(state, _)| state.profile.email);
        email.ok_or_else(|| {
            let message = "Sesamy knows no address of this user; name it by \"email\"";
            ErrorAnswer::new("address_unknown", message)
        })
    }
}

impl Taken {
    fn had_nothing(&self) -> bool {
        self.tags == Progress::default() && self.fields == Progress::default()
    }
}
