//! What a CRM's connector implements, and the types it works with.

mod changes;
mod forget;
mod outcome;

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;

use crate::cache::Once;
use crate::check::CheckItem;
use crate::derivation::DesiredContact;
use crate::http::{ApiError, Http};
use crate::identity::VendorId;
use crate::message::Event;
use crate::secrets::FromSecret;
use crate::sesamy::Reads;

pub use changes::{Changes, ContactChanges, FieldChange, NewValue, TagChanges};
pub use forget::{
    ContactLookup, ContactProgress, ForgetProgress, ForgottenContact, Removals, is_our_tag,
};
pub use outcome::{DeadLetterKind, DeadLetterReason, Outcome, SkipReason};

pub trait Connector: Send + Sync + 'static {
    /// Names the connector's secret, its queue, and its API in logs and metrics.
    const NAME: &'static str;

    /// The secret `{prefix}/{vendorId}/{NAME}`.
    type Credentials: FromSecret;

    /// Which of Sesamy's lists a sync with these credentials needs.
    fn reads(credentials: &Self::Credentials) -> Reads;

    /// Makes the CRM's contact agree with the desired one.
    ///
    /// Must be safe to repeat: it runs again if it may not have finished. A
    /// preview runs it with a client that sends no writes ([`Http::read_only`]);
    /// it must then continue with what it has read.
    fn sync(&self, job: Job<'_, Self>) -> impl Future<Output = Result<Changes, ApiError>> + Send;

    /// Checks, by reading only, what a sync needs of the vendor's account:
    /// credentials, lists, permissions, and assumptions about the API.
    fn check(&self, account: Account<'_, Self>) -> impl Future<Output = Vec<CheckItem>> + Send;

    /// Removes everything that a sync ever wrote to the user's contact, except
    /// what belongs to the publisher too: name, phone, status, the contact.
    ///
    /// Must look the contact up first, so that it never creates one, be safe to
    /// repeat, and record each step and failure. If several contacts fail, it may
    /// return any of their errors.
    fn forget(
        &self,
        account: Account<'_, Self>,
        lookup: ContactLookup<'_>,
        progress: &ForgetProgress,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;
}

pub struct Account<'a, C: Connector + ?Sized> {
    pub http: &'a Http,
    pub vendor: &'a VendorId,
    pub credentials: &'a C::Credentials,
}

pub struct Job<'a, C: Connector + ?Sized> {
    pub http: &'a Http,
    pub vendor: &'a VendorId,
    pub credentials: &'a C::Credentials,
    /// Derived from the credentials; the key of [`Job::once`].
    pub account: &'a str,
    pub desired: &'a DesiredContact,
    pub events: &'a EventStream,
    /// When the sync began.
    pub now: Timestamp,
}

impl<C: Connector> Job<'_, C> {
    /// Runs `work` once per account and function instance. A preview does not
    /// count, because it makes no writes.
    pub async fn once<E>(
        &self,
        once: &Once,
        work: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        if self.http.is_read_only() {
            once.dry_run(self.account, work).await
        } else {
            once.ensure(self.account, work).await
        }
    }
}

/// The events that caused a sync, for CRMs that receive each of them.
///
/// An event that was delivered is done even if the sync fails later: the next
/// attempt does not deliver it again.
#[derive(Debug)]
pub struct EventStream {
    /// Oldest first.
    events: Vec<Event>,
    delivered: AtomicUsize,
}

impl EventStream {
    pub fn new(events: Vec<Event>) -> Self {
        Self {
            events,
            delivered: AtomicUsize::new(0),
        }
    }

    /// Delivered or not.
    pub fn all(&self) -> &[Event] {
        &self.events
    }

    /// True for a resync, which must start no automation in a CRM.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub fn pending(&self) -> &[Event] {
        self.events.get(self.delivered()..).unwrap_or_default()
    }

    /// Marks the first pending event as delivered.
    pub fn mark_delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub fn delivered(&self) -> usize {
        self.delivered.load(Ordering::Relaxed)
    }
}
