//! The order of a sync's calls: look up the account's properties and create what is
//! missing, once per account; find the contact by its id, its user or its address; then
//! write the properties that differ, in one call, or create the contact.
//!
//! An option is added before the first contact gets it as a value.

use std::sync::Arc;
use std::time::Duration;

use shared::check::CheckItem;
use shared::connector::{
    Account, Changes, Connector, ContactChanges, ContactLookup, ContactReference, FieldChange,
    ForgetProgress, Job, SyncedContact, TagChanges,
};
use shared::derivation::{TagDiff, diff_tags};
use shared::http::ApiError;
use shared::sesamy::Reads;
use tracing::{debug, warn};

use crate::client::{Client, Contact, ContactKey, Properties};
use crate::credentials::HubSpotCredentials;
use crate::forget::Removal;
use crate::mapping::{self, EMAIL, TAGS};
use crate::moving::{self, Address};
use crate::refusal::Refusal;
use crate::schema::{Schema, Schemas};
use crate::{check, forget};

/// Assumed: by then a new property can be written (seen: 0.25 to 0.7 s).
const SETTLED: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct HubSpot {
    schemas: Schemas,
}

impl Connector for HubSpot {
    const NAME: &'static str = "hubspot";

    type Credentials = HubSpotCredentials;

    /// Bills give the date of the last payment.
    fn reads(_: &HubSpotCredentials) -> Reads {
        Reads { bills: true }
    }

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let client = Client::new(job.http, job.vendor, job.credentials);
        let mut is_last = false;
        loop {
            let mut sync = Sync {
                schema: self.schemas.get(&client, &job).await?,
                schemas: &self.schemas,
                client: &client,
                job: &job,
                email: job.desired.email.lookup(),
                changes: Changes::default(),
                is_outdated: false,
            };
            match sync.run().await {
                Err(error) if sync.is_outdated && !is_last => {
                    // A person or another instance may have changed the properties.
                    debug!(%error, "The account's properties have changed; they are read again.");
                    self.schemas.forget(job.account).await;
                    tokio::time::sleep(SETTLED).await;
                    is_last = true;
                }
                result => return result.map(|()| sync.changes),
            }
        }
    }

    async fn check(&self, account: Account<'_, Self>) -> Vec<CheckItem> {
        check::check(&client(&account)).await
    }

    async fn forget(
        &self,
        account: Account<'_, Self>,
        lookup: ContactLookup<'_>,
        progress: &ForgetProgress,
    ) -> Result<(), ApiError> {
        forget::forget(&client(&account), lookup, progress).await
    }
}

fn client<'a>(account: &Account<'a, HubSpot>) -> Client<'a> {
    Client::new(account.http, account.vendor, account.credentials)
}

struct Sync<'a> {
    schema: Arc<Schema>,
    schemas: &'a Schemas,
    client: &'a Client<'a>,
    job: &'a Job<'a, HubSpot>,
    email: String,
    changes: Changes,
    /// The schema no longer holds.
    is_outdated: bool,
}

impl Sync<'_> {
    async fn run(&mut self) -> Result<(), ApiError> {
        let Some(contact) = self.find().await? else {
            return self.create().await;
        };
        let has_moved = self.job.earlier.is_some();
        match moving::compare(self.client, &contact, &self.email).await? {
            Address::Agrees => self.update(contact, false).await,
            Address::Changes => self.update(contact, true).await,
            Address::Taken(other) => {
                // First, because two contacts cannot have the same user.
                let earlier = self.clear(&contact).await?;
                self.update(other, false).await?;
                self.changes.contacts.extend(earlier);
                Ok(())
            }
            Address::OptedOut if has_moved => {
                self.changes.refused_writes += 1;
                self.changes.left_behind = Some(ContactReference::new(contact.id));
                self.changes.keeps_earlier = true;
                Ok(())
            }
            Address::OptedOut => {
                warn!("A contact that has opted out keeps an address that is not its user's.");
                self.changes.refused_writes += 1;
                self.update(contact, false).await
            }
        }
    }

    /// By its id, else by its user, else by an address, which may be a secondary one.
    ///
    /// A contact of the remembered id that does not name the user may have lost our
    /// data to another one, in a move that was interrupted.
    async fn find(&self) -> Result<Option<Contact>, ApiError> {
        let user = self.job.desired.user_id.as_str();
        let mut remembered = None;
        if let Some(synced) = self.job.contact
            && let Some(key) = ContactKey::from_reference(synced.reference)
        {
            remembered = self.client.contact(key).await?;
            remembered = remembered.filter(|contact| self.may_be_users(contact, synced));
        }
        let is_certain = |contact: &Contact| contact.owner() == Some(user);
        if self.schema.finds_users()
            && !remembered.as_ref().is_some_and(is_certain)
            && let Some(contact) = self.client.contact(ContactKey::UserId(user)).await?
        {
            return Ok(Some(contact));
        }
        match remembered {
            None => self.client.contact(ContactKey::Email(&self.email)).await,
            remembered => Ok(remembered),
        }
    }

    /// In another account, a remembered id may be another person's.
    fn may_be_users(&self, contact: &Contact, synced: SyncedContact<'_>) -> bool {
        let had_address = || contact.addresses().any(|a| synced.had_address(a));
        contact.has_address(&self.email)
            || match contact.owner() {
                Some(owner) => owner == self.job.desired.user_id.as_str(),
                None => had_address(),
            }
    }

    async fn create(&mut self) -> Result<(), ApiError> {
        let (mut diff, mut properties) = self.differences(None);
        properties.insert(EMAIL, self.email.clone());
        let personal = mapping::personal(self.job.desired);
        properties.extend(personal.map(|(name, value)| (name, value.expose().to_owned())));
        self.add_options(&mut properties, &mut diff).await?;
        loop {
            let refusal = match self.client.create(&properties).await {
                Ok(created) => {
                    self.changes.writes += 1;
                    self.changes.reference = created.map(ContactReference::new);
                    self.changes.contacts.push(ContactChanges {
                        is_new: true,
                        is_moved: false,
                        ..changes(&properties, &diff, &[])
                    });
                    return Ok(());
                }
                Err(refusal) => refusal,
            };
            if let Some(id) = &refusal.holder
                && let Some(existing) = self.client.contact(ContactKey::Id(id)).await?
            {
                // Boxed, because an update may end in a creation.
                return Box::pin(self.update(existing, false)).await;
            }
            let name = self.without(refusal)?;
            properties.remove(name);
            if name == EMAIL {
                // Without its address there is no contact.
                return Ok(());
            }
        }
    }

    async fn update(&mut self, contact: Contact, has_new_address: bool) -> Result<(), ApiError> {
        let (mut diff, mut properties) = self.differences(Some(&contact));
        self.add_options(&mut properties, &mut diff).await?;
        if diff.is_empty() {
            properties.remove(TAGS);
        }
        if has_new_address {
            properties.insert(EMAIL, self.email.clone());
        }
        while !properties.is_empty() {
            let Err(refusal) = self.client.update(&contact.id, &properties).await else {
                self.changes.writes += 1;
                break;
            };
            let name = self.without(refusal)?;
            properties.remove(name);
            if name == EMAIL && self.job.earlier.is_some() {
                // HubSpot refuses the move, and the user has not left.
                let earlier = self.clear(&contact).await?;
                self.create().await?;
                self.changes.contacts.extend(earlier);
                return Ok(());
            }
        }
        let tags = mapping::split(contact.value(TAGS));
        self.changes
            .contacts
            .push(changes(&properties, &diff, &tags));
        self.changes.reference = Some(ContactReference::new(contact.id));
        Ok(())
    }

    /// The property that the write can do without.
    fn without(&mut self, refusal: Refusal) -> Result<&'static str, ApiError> {
        self.is_outdated = refusal.is_outdated;
        let error = refusal.error;
        let Some(name) = refusal.dispensable else {
            return Err(error);
        };
        warn!(%error, name, "HubSpot refused a property of a contact.");
        self.changes.refused_writes += 1;
        Ok(name)
    }

    /// Removes our data from the contact of the user's earlier address.
    async fn clear(&mut self, contact: &Contact) -> Result<Option<ContactChanges>, ApiError> {
        let removal = Removal::of(contact);
        if removal.properties.is_empty() {
            return Ok(None);
        }
        let cleared = self.client.update(&contact.id, &removal.properties).await;
        cleared.map_err(|refusal| refusal.error)?;
        self.changes.writes += 1;
        Ok(Some(removal.changes()))
    }

    /// The properties that differ, without the address. A new contact has none.
    fn differences(&self, contact: Option<&Contact>) -> (TagDiff, Properties) {
        let current = |name: &str| contact.map_or("", |contact| contact.value(name));
        let mut properties = Properties::new();
        for (name, desired) in mapping::properties(self.job.desired) {
            let Some(form) = self.schema.form(name) else {
                continue;
            };
            let desired = form.encode(desired);
            if !form.agrees(current(name), &desired) {
                properties.insert(name, desired);
            }
        }
        let mut diff = TagDiff::default();
        if self.schema.form(TAGS).is_some() {
            let tags = mapping::split(current(TAGS));
            diff = diff_tags(&tags, &self.job.desired.tags, &[]);
            if !diff.is_empty() {
                properties.insert(TAGS, diff.apply(&tags).join(";"));
            }
        }
        (diff, properties)
    }

    async fn add_options(
        &mut self,
        properties: &mut Properties,
        diff: &mut TagDiff,
    ) -> Result<(), ApiError> {
        let schemas = self.schemas;
        let refused = schemas.add_options(self.client, self.job, &mut self.schema, properties);
        let refused = refused.await?;
        for tags in [&mut diff.add, &mut diff.restore] {
            tags.retain(|tag| !refused.iter().any(|refused| refused == tag.as_str()));
        }
        self.changes.refused_writes += u32::from(!refused.is_empty());
        Ok(())
    }
}

/// What a write changes.
fn changes(written: &Properties, diff: &TagDiff, current: &[String]) -> ContactChanges {
    let fields = written
        .iter()
        .filter(|(name, _)| ![EMAIL, TAGS].contains(name));
    let field = |(name, value): (&&str, &String)| match value.as_str() {
        "" => FieldChange::cleared(name),
        value => {
            let is_personal = ["firstname", "lastname", "phone"].contains(name);
            FieldChange::set(name, value.into(), is_personal)
        }
    };
    ContactChanges {
        is_moved: written.contains_key(EMAIL),
        tags: TagChanges::new(diff, current),
        fields: fields.map(field).collect(),
        ..ContactChanges::default()
    }
}
