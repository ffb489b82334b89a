//! Which contact to forget, and the record of what was removed and what is left.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::changes::{Changes, ContactChanges};
use super::outcome::Outcome;
use super::{Account, Connector};
use crate::derivation::TAG_PREFIX;
use crate::http::ApiError;
use crate::identity::UserId;
use crate::remembered::ContactReference;
use crate::request::ErrorAnswer;

/// Which contact [`Connector::forget`] looks up.
pub struct ForgetJob<'a, C: Connector + ?Sized> {
    pub account: Account<'a, C>,
    pub user: &'a UserId,
    pub by: LookupKey<'a>,
    pub progress: &'a ForgetProgress,
}

#[derive(Debug, Clone, Copy)]
pub enum LookupKey<'a> {
    /// From Sesamy, or typed by a person who may have mistyped it.
    Email(&'a str),
    /// From the last sync. The contact may have changed hands since.
    Reference(&'a ContactReference),
}

impl<C: Connector> ForgetJob<'_, C> {
    /// The contact, if one was found and belongs to the user. `owner` is the Sesamy
    /// user that a contact names: two users may share an address, and a remembered id
    /// may be another contact's after a change of the account. Records a contact of
    /// another user, which must stay untouched.
    pub fn admit<T>(
        &self,
        steps: ContactProgress<'_>,
        found: Option<T>,
        owner: impl FnOnce(&T) -> Option<&str>,
    ) -> Option<T> {
        let found = found?;
        let owner = owner(&found).filter(|owner| !owner.is_empty());
        let user = self.user.as_str();
        let is_users = match self.by {
            LookupKey::Email(_) => owner.is_none_or(|owner| owner == user),
            LookupKey::Reference(_) => owner == Some(user),
        };
        if !is_users {
            steps.belongs_to_another_user();
        }
        is_users.then_some(found)
    }
}

pub fn is_our_tag(tag: &str) -> bool {
    tag.starts_with(TAG_PREFIX)
}

/// Holds no personal data.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ForgottenContact {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    pub found: bool,
    pub tags: Removals,
    pub fields: Removals,
    /// What this system wrote and cannot remove, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stays: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorAnswer>,
}

impl ForgottenContact {
    pub(crate) fn had_nothing(&self) -> bool {
        self.tags == Removals::default() && self.fields == Removals::default()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Removals {
    pub removed: Vec<String>,
    pub left: Vec<String>,
}

impl Removals {
    fn remove_all(&mut self) {
        self.removed.append(&mut self.left);
    }
}

/// Outlives the task that records it, so that an answer is possible even if
/// the task is aborted.
#[derive(Debug, Default)]
pub struct ForgetProgress(Mutex<Forgotten>);

#[derive(Debug, Default)]
struct Forgotten {
    /// Of earlier lookups.
    earlier: Vec<ForgottenContact>,
    /// Of this lookup, one per list.
    current: Vec<ForgottenContact>,
}

impl ForgetProgress {
    /// Keeps what was recorded. What follows is of another lookup.
    pub(crate) fn next_contact(&self) {
        let mut contacts = self.lock();
        let current = std::mem::take(&mut contacts.current);
        contacts.earlier.extend(current);
    }

    /// Starts the record of a contact, or restarts it for a second attempt.
    pub fn contact(&self, list: Option<&str>) -> ContactProgress<'_> {
        let mut recorded = self.lock();
        let contacts = &mut recorded.current;
        let found = contacts.iter().position(|c| c.list.as_deref() == list);
        let index = found.unwrap_or(contacts.len());
        let contact = ForgottenContact {
            list: list.map(str::to_owned),
            ..ForgottenContact::default()
        };
        match contacts.get_mut(index) {
            Some(known) => *known = contact,
            None => contacts.push(contact),
        }
        drop(recorded);
        ContactProgress {
            progress: self,
            index,
        }
    }

    pub(crate) fn contacts(&self) -> Vec<ForgottenContact> {
        let contacts = self.lock();
        let contacts = contacts.earlier.iter().chain(&contacts.current);
        contacts.cloned().collect()
    }

    /// Records the failure of the only contact. A connector with several has recorded
    /// which of them failed.
    pub(crate) fn failed(&self, error: &ApiError) {
        if let [contact] = self.lock().current.as_mut_slice() {
            contact.error = Some(answer(error));
        }
    }

    /// What a contact lost by a sync.
    pub fn into_changes(self) -> Changes {
        let contacts = self.contacts().into_iter();
        let contacts: Vec<_> = contacts.filter(|contact| !contact.had_nothing()).collect();
        Changes {
            writes: u32::try_from(contacts.len()).unwrap_or(u32::MAX),
            contacts: contacts.into_iter().map(ContactChanges::removal).collect(),
            ..Changes::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Forgotten> {
        // A poisoned lock holds whole records: no update here panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone, Copy)]
pub struct ContactProgress<'a> {
    progress: &'a ForgetProgress,
    index: usize,
}

impl ContactProgress<'_> {
    fn update(&self, update: impl FnOnce(&mut ForgottenContact)) {
        if let Some(contact) = self.progress.lock().current.get_mut(self.index) {
            update(contact);
        }
    }

    /// Records that the contact exists, with those of our tags and fields it has.
    pub fn found(&self, tags: &[String], fields: impl IntoIterator<Item = &'static str>) {
        self.update(|contact| {
            contact.found = true;
            contact.tags.left = tags.to_vec();
            contact.fields.left = fields.into_iter().map(str::to_owned).collect();
        });
    }

    pub fn removed(&self, tag: &str) {
        self.update(|contact| {
            contact.tags.left.retain(|left| left != tag);
            contact.tags.removed.push(tag.to_owned());
        });
    }

    pub fn removed_tags(&self) {
        self.update(|contact| contact.tags.remove_all());
    }

    pub fn cleared_fields(&self) {
        self.update(|contact| contact.fields.remove_all());
    }

    pub fn removed_all(&self) {
        self.removed_tags();
        self.cleared_fields();
    }

    pub fn stays(&self, what: &'static str) {
        self.update(|contact| contact.stays.push(what));
    }

    fn belongs_to_another_user(&self) {
        self.update(|contact| {
            contact.found = true;
            contact.error = Some(ErrorAnswer::new(
                "another_user",
                "the contact of this address belongs to another Sesamy user; check the address",
            ));
        });
    }

    pub fn failed(&self, error: &ApiError) {
        self.update(|contact| contact.error = Some(answer(error)));
    }
}

fn answer(error: &ApiError) -> ErrorAnswer {
    Outcome::from(error.clone()).into_error()
}
