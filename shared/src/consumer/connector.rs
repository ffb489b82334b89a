//! What a CRM's connector is.

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;

use super::changes::Changes;
use super::forget::{Trail, Whom};
use crate::cache::Once;
use crate::check::Finding;
use crate::derivation::Subscriber;
use crate::http::{ApiError, Http};
use crate::identity::VendorId;
use crate::message::Event;
use crate::secrets::FromSecret;
use crate::sesamy::Reads;

/// How one CRM is made to agree with what Sesamy says of a reader.
pub trait Connector: Send + Sync + 'static {
    /// The connector's name: of its secret, its queue, its API in calls, logs and metrics.
    const NAME: &'static str;

    /// What opens a vendor's account: the secret `{prefix}/{vendorId}/{NAME}`.
    type Credentials: FromSecret;

    /// Which of Sesamy's lists a sync with these credentials needs.
    fn reads(credentials: &Self::Credentials) -> Reads;

    /// Makes the CRM agree with the subscriber.
    ///
    /// Must be safe to repeat: it is run again whenever it may not have come to its end.
    /// A preview runs it too, with a client that withholds writes
    /// ([`Http::read_only`]): it must then go on with what reading tells.
    ///
    /// # Errors
    /// The call that failed.
    fn sync(&self, job: Job<'_, Self>) -> impl Future<Output = Result<Changes, ApiError>> + Send;

    /// Looks, by reading alone, at what a sync needs of the vendor's account:
    /// whether the credentials are taken, the list is there, nothing is
    /// forbidden; and which assumptions about the API hold there.
    fn check(&self, account: Account<'_, Self>) -> impl Future<Output = Vec<Finding>> + Send;

    /// Takes everything that a sync ever wrote off the reader's contact, except
    /// what is the publisher's as well: name, phone, status, the contact itself.
    ///
    /// Must look the contact up first, so that none is ever created, be safe to
    /// repeat, and note each step on the trail, a failure too.
    ///
    /// # Errors
    /// The call that failed; of several contacts', any.
    fn forget(
        &self,
        account: Account<'_, Self>,
        whom: Whom<'_>,
        trail: &Trail,
    ) -> impl Future<Output = Result<(), ApiError>> + Send;
}

/// A vendor's account with a CRM, for anything but a sync.
pub struct Account<'a, C: Connector + ?Sized> {
    /// The HTTP client.
    pub http: &'a Http,
    /// The publisher.
    pub vendor: &'a VendorId,
    /// What opens the account.
    pub credentials: &'a C::Credentials,
}

/// One sync of one reader.
pub struct Job<'a, C: Connector + ?Sized> {
    /// The HTTP client of the function instance, or a read-only one for a preview.
    pub http: &'a Http,
    /// The publisher.
    pub vendor: &'a VendorId,
    /// The publisher's account with the CRM.
    pub credentials: &'a C::Credentials,
    /// A name for that account, made from its credentials: what is defined once
    /// per account is remembered by it (see [`Job::once`]).
    pub account: &'a str,
    /// What the CRM should hold.
    pub subscriber: &'a Subscriber,
    /// The events that caused the sync.
    pub events: &'a EventStream,
    /// When the sync began.
    pub now: Timestamp,
}

impl<C: Connector> Job<'_, C> {
    /// Does what is done once per account and function instance. A preview
    /// leaves no trace: what it did not really do is still to be done.
    ///
    /// # Errors
    /// What `work` fails with.
    pub async fn once<E>(
        &self,
        once: &Once,
        work: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        if self.http.is_read_only() {
            once.rehearse(self.account, work).await
        } else {
            once.ensure(self.account, work).await
        }
    }
}

/// The events that caused a sync, for CRMs that want each of them.
///
/// An event that was delivered is done even where the sync fails later, so that
/// it is not delivered again when the sync is repeated.
#[derive(Debug)]
pub struct EventStream {
    events: Vec<Event>,
    delivered: AtomicUsize,
}

impl EventStream {
    /// A stream of these events, oldest first. A resync has none.
    pub fn new(events: Vec<Event>) -> Self {
        Self {
            events,
            delivered: AtomicUsize::new(0),
        }
    }

    /// Every event of the sync, oldest first, delivered or not.
    pub fn all(&self) -> &[Event] {
        &self.events
    }

    /// Whether no event caused the sync, as with a resync: a CRM then starts
    /// no automation.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The events still to deliver, oldest first.
    pub fn pending(&self) -> &[Event] {
        self.events.get(self.delivered()..).unwrap_or_default()
    }

    /// Marks the first of the pending events as delivered.
    pub fn mark_delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    /// How many events, from the first, were delivered.
    pub fn delivered(&self) -> usize {
        self.delivered.load(Ordering::Relaxed)
    }
}
