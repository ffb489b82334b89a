//! What a sync does with what is remembered of a user: changed addresses, events
//! that were delivered, and time.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Recalled, SECOND_LOOK, SyncDetails, Syncer};
use crate::connector::{
    Account, Changes, Connector, ContactChanges, ContactLookup, ContactReference, Delivery,
    EventStream, ForgetProgress, LookupKey, Outcome, SkipReason, SyncedContact,
};
use crate::http::Http;
use crate::message::UserKey;
use crate::remembered::{Claim, UserRecord};
use crate::secrets::Loaded;

impl<C: Connector> Syncer<C> {
    /// Makes the contact of an address the user's, and returns that of an earlier
    /// address. `Err` if the contact is another user's.
    pub(super) async fn claim<'a>(
        &self,
        http: &Http,
        user: &'a UserKey,
        record: Option<&'a UserRecord>,
        address: &str,
        has_access: bool,
    ) -> Result<Option<SyncedContact<'a>>, Outcome> {
        let dry_run = http.is_read_only();
        let claim = self.memory.claim(user, address, has_access, dry_run).await;
        let earlier = self.earlier(user, record, address).await;
        match claim {
            Claim::Granted => Ok(earlier),
            Claim::AnotherUsers => {
                // The contact of the earlier address is no longer this user's.
                if let Some(earlier) = earlier {
                    self.take_off(http, user, earlier.reference).await?;
                    if !dry_run {
                        // A failure is counted; the next sync tries again.
                        let _ = self.memory.forget(user).await;
                    }
                }
                Err(Outcome::Skipped(SkipReason::SharedAddress))
            }
            Claim::Contended => Err(Outcome::Retry {
                reason: "other users of the same address are synced at the same time".into(),
                wait: None,
            }),
        }
    }

    /// The contact at an earlier address, if the user still owns it.
    async fn earlier<'a>(
        &self,
        user: &'a UserKey,
        record: Option<&'a UserRecord>,
        address: &str,
    ) -> Option<SyncedContact<'a>> {
        let record = record.filter(|record| record.address.as_deref() != Some(address))?;
        self.synced_contact(user, record).await
    }

    /// The contact of the last completed sync, if it may still be the user's.
    pub async fn synced_contact<'a>(
        &self,
        user: &'a UserKey,
        record: &'a UserRecord,
    ) -> Option<SyncedContact<'a>> {
        let (reference, address) = (record.reference.as_ref()?, record.address.as_deref()?);
        let may_own = self.memory.may_own(user, address).await;
        may_own.then_some(SyncedContact {
            reference,
            vendor: &user.vendor_id,
            address,
        })
    }

    /// Delivers the events of messages that ask for no sync. False if the CRM does
    /// not find the contact.
    pub(super) async fn deliver(
        &self,
        http: &Http,
        user: &UserKey,
        record: &UserRecord,
        events: &EventStream,
    ) -> Result<bool, Outcome> {
        if events.pending().is_empty() {
            return Ok(true);
        }
        let contact = self.synced_contact(user, record).await;
        let path = Self::connector_path(&user.vendor_id);
        self.with_secret(&path, |secret: Arc<Loaded<C::Credentials>>| async move {
            let Some(credentials) = &secret.value else {
                return Ok(false);
            };
            let delivery = Delivery {
                http,
                vendor: &user.vendor_id,
                credentials,
                account: secret.fingerprint(),
                contact,
                events,
            };
            self.connector.deliver(delivery).await
        })
        .await
    }

    /// Removes our data from a contact that is no longer the user's.
    pub(super) async fn take_off(
        &self,
        http: &Http,
        user: &UserKey,
        contact: &ContactReference,
    ) -> Result<Changes, Outcome> {
        let progress = &ForgetProgress::default();
        let lookup = ContactLookup {
            user: &user.user_id,
            by: LookupKey::Reference(contact),
        };
        self.forget_contact(http, user, lookup, progress).await?;
        let contacts = progress.contacts().into_iter();
        let contacts: Vec<_> = contacts.filter(|contact| !contact.had_nothing()).collect();
        Ok(Changes {
            writes: u32::try_from(contacts.len()).unwrap_or(u32::MAX),
            contacts: contacts.into_iter().map(ContactChanges::removal).collect(),
            ..Changes::default()
        })
    }

    /// False if the vendor does not use the connector.
    pub async fn forget_contact(
        &self,
        http: &Http,
        user: &UserKey,
        lookup: ContactLookup<'_>,
        progress: &ForgetProgress,
    ) -> Result<bool, Outcome> {
        let path = Self::connector_path(&user.vendor_id);
        self.with_secret(&path, |secret: Arc<Loaded<C::Credentials>>| async move {
            let Some(credentials) = &secret.value else {
                return Ok(false);
            };
            let account = Account {
                http,
                vendor: &user.vendor_id,
                credentials,
            };
            self.connector.forget(account, lookup, progress).await?;
            Ok(true)
        })
        .await
    }

    /// Remembers a completed sync, and schedules the next one that time alone makes
    /// necessary.
    pub(super) async fn remember_synced(
        &self,
        user: &UserKey,
        recalled: &Recalled,
        mut record: UserRecord,
        next_change: Option<Timestamp>,
        events: &EventStream,
        details: &mut SyncDetails,
    ) {
        let now = self.now();
        let lags = !events.all().all(|event| record.shown.shows(event));
        let second_look = lags.then(|| now + SECOND_LOOK);
        let wanted = next_change.into_iter().chain(second_look).min();
        match self
            .memory
            .wake_up(user, record.wake_up_at, wanted, now)
            .await
        {
            Ok(at) => record.wake_up_at = at,
            Err(error) => {
                record.wake_up_at = None;
                if error.is_transient {
                    // The sync is not complete: the next one must not be covered by it.
                    record.read_at = None;
                    details.needs_another_sync = true;
                }
            }
        }
        record.add_delivered(&events.delivered_now());
        let Ok(known) = recalled else {
            // Without the old record, the new one would lack delivered events.
            return;
        };
        let earlier = known.as_ref().and_then(|known| known.address.as_deref());
        if let Some(earlier) = earlier
            && record.address.as_deref() != Some(earlier)
        {
            // A failure is counted; the next user of that address takes it over.
            let _ = self.memory.release(user, earlier).await;
        }
        // The time of a read matters to webhooks only.
        let is_known = known
            .as_ref()
            .is_some_and(|known| known.is_as_good_as(&record));
        if !(is_known && events.is_empty()) {
            self.memory.remember(user, &record).await;
        }
    }

    /// Remembers events that were delivered without a sync, and looks again soon if
    /// the last read did not show what they announced.
    pub(super) async fn remember_covered(
        &self,
        user: &UserKey,
        known: &UserRecord,
        events: &EventStream,
        details: &mut SyncDetails,
    ) {
        let mut record = known.clone();
        record.add_delivered(&events.delivered_now());
        if !events.all().all(|event| known.shown.shows(event)) {
            let now = self.now();
            let pending = known.wake_up_at.filter(|at| *at > now);
            let wanted = pending.into_iter().chain([now + SECOND_LOOK]).min();
            match self.memory.wake_up(user, pending, wanted, now).await {
                Ok(at) => record.wake_up_at = at,
                Err(error) => details.needs_another_sync = error.is_transient,
            }
        }
        if record != *known {
            self.memory.remember(user, &record).await;
        }
    }

    /// Remembers what a sync delivered before it failed.
    pub async fn remember_delivered(&self, user: &UserKey, events: &EventStream) {
        let delivered = events.delivered_now();
        if delivered.is_empty() {
            return;
        }
        if let Ok(record) = self.memory.recall(user).await {
            let mut record = record.unwrap_or_default();
            record.add_delivered(&delivered);
            self.memory.remember(user, &record).await;
        }
    }
}
