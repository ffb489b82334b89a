//! What a CRM's connector implements, and the types it works with.

mod changes;
mod field;
mod forget;
mod moving;
mod outcome;
mod refusal;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cache::Once;
use crate::check::CheckItem;
use crate::derivation::DesiredContact;
use crate::http::{ApiClient, ApiDescription, ApiError, Authorization, Http, Url};
use crate::identity::{EventId, VendorId};
use crate::message::{Event, UserKey};
use crate::remembered::{UserRecord, address_digest};
use crate::secrets::FromSecret;
use crate::sesamy::Reads;

pub use changes::{Changes, ContactChanges, FieldChange, NewValue, TagChanges};
pub use field::{Field, field_values, is_blank};
pub use forget::{
    ContactProgress, ForgetJob, ForgetProgress, ForgottenContact, LookupKey, Removals, is_our_tag,
};
pub use moving::Moved;
pub use outcome::{DeadLetterKind, DeadLetterReason, Outcome, SkipReason};
pub use refusal::unless_refused;

pub use crate::remembered::ContactReference;

pub trait Connector: Send + Sync + 'static {
    /// Names the connector's secret, its queue, and its API in logs and metrics.
    const NAME: &'static str;

    /// The secret `{prefix}/{vendorId}/{NAME}`.
    type Credentials: FromSecret;

    /// How many of a vendor's users may be synced at the same time.
    const MAX_SYNCS: usize = usize::MAX;

    /// Which of Sesamy's lists a sync with these credentials needs. Bills give the
    /// date of the last payment.
    fn reads(_: &Self::Credentials) -> Reads {
        Reads { bills: true }
    }

    /// The reference of the contact of an address, for a CRM that knows contacts by
    /// nothing else.
    fn reference_at(_email: &str) -> Option<ContactReference> {
        None
    }

    /// Makes the CRM's contact agree with the desired one.
    ///
    /// If [`Job::earlier`] is set, the user's address has changed: the contact is
    /// moved to the new address, with its history, its consent and the publisher's
    /// tags. If the CRM has a contact of the new address already, that one is
    /// synced, and the other is [left behind](Changes::left_behind).
    ///
    /// Must be safe to repeat: it runs again if it may not have finished. A
    /// preview runs it with a client that sends no writes ([`Http::read_only`]);
    /// it must then continue with what it has read.
    fn sync(&self, job: Job<'_, Self>) -> impl Future<Output = Result<Changes, ApiError>> + Send;

    /// Whether the CRM receives each event.
    fn delivers(_: &Self::Credentials) -> bool {
        false
    }

    /// Delivers the pending events to a contact whose state was synced after them, if
    /// the CRM [receives](Self::delivers) them. Uses the events' own fields alone.
    /// False if the contact is not found, so that an ordinary sync is needed.
    fn deliver(
        &self,
        _: Delivery<'_, Self>,
    ) -> impl Future<Output = Result<bool, ApiError>> + Send {
        async { Ok(false) }
    }

    /// Checks, by reading only, what a sync needs of the vendor's account:
    /// credentials, lists, permissions, and assumptions about the API.
    fn check(&self, account: Account<'_, Self>) -> impl Future<Output = Vec<CheckItem>> + Send;

    /// Removes everything that a sync ever wrote to the user's contact, except
    /// what belongs to the publisher too: name, phone, status, the contact.
    ///
    /// Must look the contact up first, at its address or by its reference, so that it
    /// never creates one, be safe to repeat, and record each step. A connector with
    /// several contacts records the failure of each, and may return any of the errors.
    fn forget(&self, job: ForgetJob<'_, Self>)
    -> impl Future<Output = Result<(), ApiError>> + Send;
}

/// A vendor's account at the CRM.
pub struct Account<'a, C: Connector + ?Sized> {
    pub http: &'a Http,
    pub vendor: &'a VendorId,
    pub credentials: &'a C::Credentials,
    /// Derived from the credentials.
    pub id: &'a str,
}

impl<'a, C: Connector> Account<'a, C> {
    /// The client of the CRM's API.
    pub fn api(&self, base: &'a Url, authorization: Authorization) -> ApiClient<'a> {
        let description = ApiDescription::new(C::NAME);
        ApiClient::new(self.http, self.vendor, description, base, authorization)
    }

    /// Runs `work` once per account and function instance, and remembers its result.
    /// A preview does not count, because it makes no writes.
    pub async fn once<T, E>(
        &self,
        once: &Once<T>,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        if self.http.is_read_only() {
            once.dry_run(self.id, work).await
        } else {
            once.ensure(self.id, work).await
        }
    }
}

pub struct Job<'a, C: Connector + ?Sized> {
    pub account: Account<'a, C>,
    pub desired: &'a DesiredContact,
    /// The contact of the last completed sync, if it may still be the user's.
    pub contact: Option<SyncedContact<'a>>,
    /// The contact at the user's earlier address, if that has changed.
    pub earlier: Option<SyncedContact<'a>>,
    pub events: &'a EventStream,
}

/// A contact as it was at the last completed sync.
#[derive(Debug, Clone, Copy)]
pub struct SyncedContact<'a> {
    pub reference: &'a ContactReference,
    pub(crate) user: &'a UserKey,
    pub(crate) record: &'a UserRecord,
}

impl<'a> SyncedContact<'a> {
    /// Whether the contact had this address then, or got it from a sync that did not
    /// complete. An id alone proves little: after a change of the account, it may be
    /// another person's.
    pub fn had_address(&self, email: &str) -> bool {
        let address = address_digest(&self.user.vendor_id, &email.to_ascii_lowercase());
        self.record.addresses().any(|known| known == address)
    }

    pub(crate) fn is_only_at(&self, email: Option<&str>) -> bool {
        let vendor = &self.user.vendor_id;
        let address = email.map(|email| address_digest(vendor, &email.to_ascii_lowercase()));
        let mut addresses = self.record.addresses();
        addresses.all(|known| Some(known) == address.as_deref())
    }

    /// Whether the contact may be the user's if it names `owner` as its Sesamy user.
    pub fn may_belong_to(&self, owner: Option<&str>) -> bool {
        let owner = owner.filter(|owner| !owner.is_empty());
        owner.is_none_or(|owner| owner == self.user.user_id.as_str())
    }

    /// Whether a contact that was found by its id is still the user's: it names the
    /// user, or names none and has an address of the last sync.
    pub fn is<'b>(
        &self,
        owner: Option<&str>,
        addresses: impl IntoIterator<Item = &'b str>,
    ) -> bool {
        match owner.filter(|owner| !owner.is_empty()) {
            Some(owner) => owner == self.user.user_id.as_str(),
            None => addresses
                .into_iter()
                .any(|address| self.had_address(address)),
        }
    }

    /// The reference at an address that a sync which did not complete may have moved
    /// the contact to ([`Connector::reference_at`]).
    pub fn moved_reference(&self) -> Option<&'a ContactReference> {
        self.record.moving_to.as_ref()?.reference.as_ref()
    }
}

/// What [`Connector::deliver`] works with.
pub struct Delivery<'a, C: Connector + ?Sized> {
    pub account: Account<'a, C>,
    pub contact: SyncedContact<'a>,
    pub events: &'a EventStream,
}

/// The events that caused a sync, for CRMs that receive each of them.
///
/// An event that was delivered is done even if the sync fails later: the next
/// attempt does not deliver it again.
#[derive(Debug)]
pub struct EventStream {
    /// Oldest first.
    events: Vec<(EventId, Event)>,
    delivered: Mutex<Delivered>,
}

#[derive(Debug, Default)]
struct Delivered {
    /// By this sync or an earlier one.
    all: BTreeSet<EventId>,
    /// By this sync, oldest first.
    now: Vec<EventId>,
}

impl EventStream {
    pub fn new(events: Vec<(EventId, Event)>) -> Self {
        Self {
            events,
            delivered: Mutex::default(),
        }
    }

    /// Delivered or not.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &Event> {
        self.events.iter().map(|(_, event)| event)
    }

    /// True for a resync, which must start no automation in a CRM.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub fn pending(&self) -> Vec<&Event> {
        let delivered = self.lock();
        let events = self.events.iter();
        let pending = events.filter(|(id, _)| !delivered.all.contains(id));
        pending.map(|(_, event)| event).collect()
    }

    /// Marks the first pending event as delivered.
    pub fn mark_delivered(&self) {
        let mut delivered = self.lock();
        let mut ids = self.events.iter().map(|(id, _)| id);
        if let Some(id) = ids.find(|id| !delivered.all.contains(*id)) {
            delivered.all.insert(id.clone());
            delivered.now.push(id.clone());
        }
    }

    /// Marks the events that an earlier sync delivered.
    pub(crate) fn skip(&self, was_delivered: impl Fn(&EventId) -> bool) {
        let ids = self.events.iter().map(|(id, _)| id);
        let earlier = ids.filter(|id| was_delivered(id)).cloned();
        self.lock().all.extend(earlier);
    }

    pub(crate) fn is_delivered(&self, id: &EventId) -> bool {
        self.lock().all.contains(id)
    }

    /// What this sync delivered, oldest first.
    pub(crate) fn delivered_now(&self) -> Vec<EventId> {
        self.lock().now.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Delivered> {
        // A poisoned lock holds whole sets: no update here panics half-way.
        self.delivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
