//! The order of a sync's calls: look up the account's properties and create what is
//! missing, once per account; find the contact by its id, its user or its address; then
//! write the properties that differ, in one call, or create the contact.
//!
//! An option is added before the first contact gets it as a value.
//!
//! A contact keeps its id when its address changes. Assumed, after HubSpot's knowledge
//! base: opt-outs do not move along, because they belong to the address. So a contact
//! whose address has opted out of anything keeps that address.

use std::sync::Arc;
use std::time::Duration;

use shared::cache::Once;
use shared::check::CheckItem;
use shared::connector::{
    Account, Changes, Connector, ContactChanges, ContactReference, Field, ForgetJob,
    ForgetProgress, Job, TagChanges,
};
use shared::derivation::Attribute;
use shared::http::{ApiError, FailedWrite};
use tracing::{debug, warn};

use crate::client::{Client, Contact, ContactKey};
use crate::credentials::HubSpotCredentials;
use crate::mapping::{self, Form, PROPERTIES, TAGS, split};
use crate::refusal::Refusal;
use crate::schema::Schema;
use crate::{check, forget};

/// Assumed: by then a new property can be written (seen: 0.25 to 0.7 s).
const SETTLED: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct HubSpot {
    schemas: Once<Schema>,
}

impl Connector for HubSpot {
    const NAME: &'static str = "hubspot";

    type Credentials = HubSpotCredentials;

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let client = Client::new(&job.account);
        let mut is_last = false;
        loop {
            let schema = job.account.once(&self.schemas, Schema::define(&client));
            let mut sync = Sync {
                schema: schema.await?,
                schemas: &self.schemas,
                client: &client,
                job: &job,
                email: job.desired.email.lookup(),
                changes: Changes::default(),
            };
            match sync.run().await {
                Err(failed) if failed.refusal.is_outdated && !is_last => {
                    // A person or another instance may have changed the properties.
                    debug!(error = %failed.error, "The account's properties are read again.");
                    *self.schemas.lock(job.account.id).await = None;
                    tokio::time::sleep(SETTLED).await;
                    is_last = true;
                }
                done => return Ok(done.map(|()| sync.changes)?),
            }
        }
    }

    async fn check(&self, account: Account<'_, Self>) -> Vec<CheckItem> {
        check::check(&account).await
    }

    async fn forget(&self, job: ForgetJob<'_, Self>) -> Result<(), ApiError> {
        forget::forget(job).await
    }
}

struct Sync<'a> {
    schema: Arc<Schema>,
    schemas: &'a Once<Schema>,
    client: &'a Client<'a>,
    job: &'a Job<'a, HubSpot>,
    email: String,
    changes: Changes,
}

impl Sync<'_> {
    async fn run(&mut self) -> Result<(), FailedWrite<Refusal>> {
        let Some(contact) = self.find().await? else {
            return self.write(None, false).await;
        };
        if contact.has_address(&self.email) {
            return self.write(Some(contact), false).await;
        }
        match self.client.contact(ContactKey::Email(&self.email)).await? {
            Some(other) if other.id != contact.id => {
                // First, because two contacts cannot have the same user.
                let cleared = self.clear(&contact).await?;
                self.write(Some(other), false).await?;
                self.changes += cleared;
                Ok(())
            }
            Some(_) => self.write(Some(contact), false).await,
            None if !self.client.has_opted_out(&contact.id).await? => {
                self.write(Some(contact), true).await
            }
            None => {
                warn!("A contact that has opted out keeps an address that is not its user's.");
                self.changes.refused_writes += 1;
                if self.job.earlier.is_none() {
                    return self.write(Some(contact), false).await;
                }
                // A contact of the new address would be mailed without consent.
                self.changes.left_behind = Some(ContactReference::new(contact.id));
                self.changes.keeps_earlier = true;
                Ok(())
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
        if let Some(synced) = self.job.contact {
            let key = ContactKey::Id(synced.reference.as_str());
            let found = self.client.contact(key).await?;
            // In another account, a remembered id may be another person's.
            remembered = found.filter(|contact| {
                contact.has_address(&self.email) || synced.is(contact.owner(), contact.addresses())
            });
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

    /// Creates the contact, or writes what differs.
    async fn write(
        &mut self,
        known: Option<Contact>,
        is_moving: bool,
    ) -> Result<(), FailedWrite<Refusal>> {
        let mut fields = self.differences(known.as_ref()).await?;
        let email = self.email.clone();
        let mut email = Some(&*email).filter(|_| is_moving || known.is_none());
        let mut id = known.as_ref().map(|known| known.id.clone());
        while email.is_some() || !fields.is_empty() {
            let failed = match self.client.write(known.as_ref(), email, &fields).await {
                Ok(written) => {
                    self.changes.writes += 1;
                    id = written.or(id);
                    break;
                }
                Err(failed) => failed,
            };
            if let (None, Some(id)) = (&known, &failed.refusal.holder)
                && let Some(holder) = self.client.contact(ContactKey::Id(id)).await?
            {
                return Box::pin(self.write(Some(holder), false)).await;
            }
            if email.is_none() || !failed.refusal.is_of_address() {
                self.changes
                    .leave_out(&mut fields, failed, Refusal::is_of)?;
                continue;
            }
            self.changes
                .count(Err::<(), _>(failed.error), "HubSpot refused an address.")?;
            email = None;
            match &known {
                // Without its address there is no contact.
                None => return Ok(()),
                // HubSpot refuses the move, and the user has not left.
                Some(known) if self.job.earlier.is_some() => {
                    let cleared = self.clear(known).await?;
                    Box::pin(self.write(None, false)).await?;
                    self.changes += cleared;
                    return Ok(());
                }
                Some(_) => {}
            }
        }
        let before = known.as_ref().map_or("", |known| known.value(TAGS));
        let tags = fields.extract_if(.., |field| field.name == TAGS).next();
        let after = tags
            .as_ref()
            .map(|tags| tags.value.as_str().unwrap_or_default());
        let tags = TagChanges::between(&split(before), &split(after.unwrap_or(before)));
        self.changes.reference = id.map(ContactReference::new);
        self.changes.is_moved = known.is_some() && email.is_some();
        self.changes
            .push(ContactChanges::new(known.is_none(), tags, &fields));
        Ok(())
    }

    /// Removes our data from the contact of the user's earlier address.
    async fn clear(&self, contact: &Contact) -> Result<Changes, ApiError> {
        let progress = ForgetProgress::default();
        forget::remove(self.client, contact, progress.contact(None)).await?;
        Ok(progress.into_changes())
    }

    /// The properties to write, without the address.
    async fn differences(&mut self, known: Option<&Contact>) -> Result<Vec<Field>, ApiError> {
        let desired = self.job.desired;
        let mut fields = Vec::new();
        for (attribute, name) in PROPERTIES {
            let Some(form) = self.schema.form(name) else {
                continue;
            };
            let current = known.map_or("", |known| known.value(name));
            let mut value = match attribute {
                Attribute::Tags => mapping::tags(current, &desired.tags),
                _ => form.encode(mapping::text(desired.value(attribute))),
            };
            if form == Form::MultiSelect && !form.agrees(current, &value) {
                value = self.add_options(name, &value).await?;
            }
            if !form.agrees(current, &value) {
                fields.push(Field::text(name, attribute, value));
            }
        }
        if known.is_none() {
            fields.extend(mapping::personal(desired));
        }
        Ok(fields)
    }

    /// Adds options for the values that need one, and leaves out those that HubSpot
    /// accepts none for.
    async fn add_options(&mut self, name: &str, value: &str) -> Result<String, ApiError> {
        let mut values = split(value);
        let account = &self.job.account;
        // Other users of this instance add theirs before or after.
        let mut entry = self.schemas.lock(account.id).await;
        if let Some(latest) = &*entry {
            self.schema = latest.clone();
        }
        if values
            .iter()
            .any(|value| !self.schema.has_option(name, value))
        {
            let schema = Arc::make_mut(&mut self.schema);
            schema.add_options(self.client, name, &values).await?;
            if !account.http.is_read_only() {
                *entry = Some(self.schema.clone());
            }
        }
        let count = values.len();
        values.retain(|value| self.schema.has_option(name, value));
        self.changes.refused_writes += u32::from(values.len() < count);
        Ok(values.join(";"))
    }
}
