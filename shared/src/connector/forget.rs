//! Which contact to forget, and the record of what was removed and what is left.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::outcome::Outcome;
use crate::derivation::TAG_PREFIX;
use crate::http::ApiError;
use crate::identity::UserId;
use crate::remembered::ContactReference;
use crate::request::ErrorAnswer;

#[derive(Debug, Clone, Copy)]
pub struct ContactLookup<'a> {
    pub user: &'a UserId,
    pub by: LookupKey<'a>,
}

#[derive(Debug, Clone, Copy)]
pub enum LookupKey<'a> {
    /// From Sesamy, or typed by a person who may have mistyped it.
    Email(&'a str),
    /// From the last sync. The contact may have changed hands since.
    Reference(&'a ContactReference),
}

impl ContactLookup<'_> {
    /// Whether a contact belongs to the user if it names `owner` as its Sesamy
    /// user. Two users may share an address, and a remembered id may be another
    /// contact's after a change of the account.
    pub fn owns(self, owner: Option<&str>) -> bool {
        let user = self.user.as_str();
        match self.by {
            LookupKey::Email(_) => owner.is_none_or(|owner| owner == user),
            LookupKey::Reference(_) => owner == Some(user),
        }
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
    pub fn found(
        &self,
        tags: impl IntoIterator<Item = String>,
        fields: impl IntoIterator<Item = &'static str>,
    ) {
        self.update(|contact| {
            contact.found = true;
            contact.tags.left = tags.into_iter().collect();
            contact.fields.left = fields.into_iter().map(str::to_owned).collect();
        });
    }

    pub fn removed(&self, tag: &str) {
        self.update(|contact| {
            contact.tags.left.retain(|left| left != tag);
            contact.tags.removed.push(tag.to_owned());
        });
    }

    pub fn removed_all(&self) {
        self.update(|contact| {
            let left = std::mem::take(&mut contact.tags.left);
            contact.tags.removed.extend(left);
        });
    }

    pub fn cleared_all(&self) {
        self.update(|contact| {
            let left = std::mem::take(&mut contact.fields.left);
            contact.fields.removed.extend(left);
        });
    }

    pub fn stays(&self, what: &'static str) {
        self.update(|contact| contact.stays.push(what));
    }

    /// The contact belongs to another user and stays untouched.
    pub fn belongs_to_another_user(&self) {
        self.update(|contact| {
            contact.found = true;
            contact.error = Some(ErrorAnswer::new(
                "another_user",
                "the contact of this address belongs to another Sesamy user; check the address",
            ));
        });
    }

    pub fn failed(&self, error: &ApiError) {
        self.update(|contact| contact.error = Some(Outcome::from(error.clone()).into_error()));
    }
}
