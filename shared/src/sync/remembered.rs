//! What a sync does with what is remembered of a user: changed addresses, events
//! that were delivered, and time.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Recalled, SECOND_LOOK, SyncDetails, Syncer};
use crate::connector::{
    Account, Changes, Connector, ContactReference, Delivery, EventStream, ForgetJob,
    ForgetProgress, LookupKey, Outcome, SkipReason, SyncedContact,
};
use crate::http::Http;
use crate::message::UserKey;
use crate::remembered::{Claim, MovingTo, Shown, Unavailable, UserRecord};
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
        let earlier = match record {
            Some(record) if record.addresses().any(|known| known != address) => {
                self.synced_contact(user, record).await?
            }
            _ => None,
        };
        match claim {
            Claim::Granted => Ok(earlier),
            Claim::AnotherUsers => {
                // The contact of the earlier address is no longer this user's.
                if let Some(earlier) = earlier {
                    self.take_off(http, user, earlier).await?;
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

    /// Notes where a contact is about to be moved, in case the sync does not complete.
    pub(super) async fn remember_move(
        &self,
        user: &UserKey,
        record: &mut UserRecord,
        address: &str,
        email: &str,
    ) {
        let moving_to = Some(MovingTo {
            address: address.to_owned(),
            reference: C::reference_at(email),
        });
        if record.moving_to != moving_to {
            record.moving_to = moving_to;
            // A failure is counted. The sync goes on: it is likely to complete.
            let _ = self.memory.remember(user, record).await;
        }
    }

    /// The contact of the last completed sync, if it may still be the user's.
    pub async fn synced_contact<'a>(
        &self,
        user: &'a UserKey,
        record: &'a UserRecord,
    ) -> Result<Option<SyncedContact<'a>>, Outcome> {
        let Some(contact) = remembered_contact(user, record) else {
            return Ok(None);
        };
        for address in record.addresses() {
            let may_own = self.memory.may_own(user, address).await;
            match may_own {
                Ok(true) => return Ok(Some(contact)),
                Ok(false) => {}
                // Moving or clearing another user's contact would be worse than waiting.
                Err(Unavailable) => {
                    return Err(Outcome::Retry {
                        reason: "the table that knows whose contact it is does not answer".into(),
                        wait: None,
                    });
                }
            }
        }
        Ok(None)
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
        let contact = self.synced_contact(user, record).await?;
        let path = Self::connector_path(&user.vendor_id);
        self.with_secret(&path, |secret: Arc<Loaded<C::Credentials>>| async move {
            let Some(credentials) = &secret.value else {
                return Ok(false);
            };
            if !C::delivers(credentials) {
                return Ok(true);
            }
            let Some(contact) = contact else {
                return Ok(false);
            };
            let delivery = Delivery {
                account: Account {
                    http,
                    vendor: &user.vendor_id,
                    credentials,
                    id: secret.fingerprint(),
                },
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
        contact: SyncedContact<'_>,
    ) -> Result<Changes, Outcome> {
        let mut changes = self.take_off_by(http, user, contact.reference).await?;
        if let Some(moved) = contact.moved_reference() {
            changes += self.take_off_by(http, user, moved).await?;
        }
        Ok(changes)
    }

    pub(super) async fn take_off_by(
        &self,
        http: &Http,
        user: &UserKey,
        contact: &ContactReference,
    ) -> Result<Changes, Outcome> {
        let progress = ForgetProgress::default();
        let by = LookupKey::Reference(contact);
        self.forget_contact(http, user, by, &progress).await?;
        Ok(progress.into_changes())
    }

    /// False if the vendor does not use the connector.
    pub async fn forget_contact(
        &self,
        http: &Http,
        user: &UserKey,
        by: LookupKey<'_>,
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
                id: secret.fingerprint(),
            };
            let job = ForgetJob {
                account,
                user: &user.user_id,
                by,
                progress,
            };
            let forgotten = self.connector.forget(job).await;
            forgotten.inspect_err(|error| progress.failed(error))?;
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
        let second_look = self.second_look(&record, events, now);
        let wanted = next_change.into_iter().chain(second_look).min();
        let pending = record.wake_up_at;
        match self.memory.wake_up(user, pending, wanted, now).await {
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
        let delivered = events.delivered_now();
        record.add_delivered(&delivered);
        let remembered = match recalled {
            // Without the old record, the new one would lack delivered events.
            Err(Unavailable) => false,
            Ok(known) => {
                self.release_left(user, known.as_ref(), &record).await;
                // The time of a read matters to webhooks only.
                let is_known = known
                    .as_ref()
                    .is_some_and(|known| known.is_as_good_as(&record));
                is_known && events.is_empty() || self.memory.remember(user, &record).await.is_ok()
            }
        };
        // Another try would deliver the events again.
        details.needs_another_sync &= remembered || delivered.is_empty();
    }

    /// When to look again for what the events announced. A second look that is due
    /// already stays: this sync may not know what it is for.
    fn second_look(
        &self,
        record: &UserRecord,
        events: &EventStream,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let soon = now + SECOND_LOOK;
        let pending = record.wake_up_at.filter(|at| *at > now && *at <= soon);
        let lags = !events.all().all(|event| record.shown.shows(event));
        pending.into_iter().chain(lags.then_some(soon)).min()
    }

    /// Gives up the addresses that the user had.
    async fn release_left(&self, user: &UserKey, known: Option<&UserRecord>, now: &UserRecord) {
        for left in known.into_iter().flat_map(UserRecord::addresses) {
            if !now.addresses().any(|address| address == left) {
                // A failure is counted; the next user of that address takes it over.
                let _ = self.memory.release(user, left).await;
            }
        }
    }

    /// Looks again at a user who was skipped, if the state does not show yet what the
    /// events announced: the user may have bought access.
    pub(super) async fn look_again(&self, user: &UserKey, shown: Shown, events: &EventStream) {
        let now = self.now();
        let mut record = UserRecord::default();
        record.shown = shown;
        if let Some(at) = self.second_look(&record, events, now) {
            // A failure is counted; the user has no access as far as is known.
            let _ = self.memory.wake_up(user, None, Some(at), now).await;
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
        let now = self.now();
        let mut record = known.clone();
        let delivered = events.delivered_now();
        record.add_delivered(&delivered);
        let second_look = self.second_look(known, events, now);
        let pending = known.wake_up_at.filter(|at| *at > now);
        let wanted = pending.into_iter().chain(second_look).min();
        match self.memory.wake_up(user, pending, wanted, now).await {
            Ok(at) => record.wake_up_at = at,
            Err(error) => details.needs_another_sync = error.is_transient,
        }
        let remembered = record == *known || self.memory.remember(user, &record).await.is_ok();
        details.needs_another_sync &= remembered || delivered.is_empty();
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
            // A failure is counted; a late repeat is delivered again.
            let _ = self.memory.remember(user, &record).await;
        }
    }
}

/// The contact of the last completed sync. It may have become another user's.
pub(super) fn remembered_contact<'a>(
    user: &'a UserKey,
    record: &'a UserRecord,
) -> Option<SyncedContact<'a>> {
    Some(SyncedContact {
        reference: record.reference.as_ref()?,
        user,
        record,
    })
}
