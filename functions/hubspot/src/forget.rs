//! Removes what syncs wrote to a contact, with one call if the contact exists.

use shared::connector::{
    ContactChanges, ContactLookup, FieldChange, ForgetProgress, LookupKey, TagChanges, is_our_tag,
};
use shared::http::ApiError;

use crate::client::{Client, Contact, ContactKey, Properties};
use crate::mapping::{self, DEFINITIONS, TAGS};

pub async fn forget(
    client: &Client<'_>,
    lookup: ContactLookup<'_>,
    progress: &ForgetProgress,
) -> Result<(), ApiError> {
    let steps = progress.contact(None);
    let work = async {
        let key = match lookup.by {
            LookupKey::Email(email) => ContactKey::Email(email),
            LookupKey::Reference(reference) => match ContactKey::from_reference(reference) {
                Some(key) => key,
                None => return Ok(()),
            },
        };
        let Some(contact) = client.contact(key).await? else {
            return Ok(());
        };
        if !lookup.owns(contact.owner()) {
            steps.belongs_to_another_user();
            return Ok(());
        }
        let removal = Removal::of(&contact);
        steps.found(removal.tags.iter().cloned(), removal.fields());
        if !removal.properties.is_empty() {
            let cleared = client.update(&contact.id, &removal.properties).await;
            cleared.map_err(|refusal| refusal.error)?;
            steps.removed_all();
            steps.cleared_all();
        }
        Ok(())
    };
    work.await.inspect_err(|error| steps.failed(error))
}

/// What is ours of a contact, and the write that removes it.
pub struct Removal {
    tags: Vec<String>,
    pub properties: Properties,
}

impl Removal {
    pub fn of(contact: &Contact) -> Self {
        let tags = mapping::split(contact.value(TAGS)).into_iter();
        let (tags, foreign): (Vec<String>, Vec<String>) = tags.partition(|tag| is_our_tag(tag));
        let names = DEFINITIONS.iter().map(|(name, _)| *name);
        let ours = names.filter(|name| *name != TAGS && !contact.value(name).is_empty());
        let mut properties: Properties = ours.map(|name| (name, String::new())).collect();
        if !tags.is_empty() {
            properties.insert(TAGS, foreign.join(";"));
        }
        Self { tags, properties }
    }

    fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.properties.keys().copied().filter(|name| *name != TAGS)
    }

    /// Of a contact that has the user's earlier address.
    pub fn changes(self) -> ContactChanges {
        ContactChanges {
            is_earlier: true,
            fields: self.fields().map(FieldChange::cleared).collect(),
            tags: TagChanges {
                removed: self.tags,
                ..TagChanges::default()
            },
            ..ContactChanges::default()
        }
    }
}
