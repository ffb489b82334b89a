//! Removes what syncs wrote to a contact, with one call if the contact exists.

use serde_json::{Map, Value};
use shared::connector::{ContactLookup, ForgetProgress, LookupKey, is_our_tag};
use shared::http::ApiError;

use super::client::{Client, ContactWrite};
use super::mapping;

pub async fn forget(
    client: &Client<'_>,
    lookup: ContactLookup<'_>,
    progress: &ForgetProgress,
) -> Result<(), ApiError> {
    let steps = progress.contact(None);
    let work = async {
        let key = match lookup.by {
            LookupKey::Email(email) => email,
            LookupKey::Reference(reference) => reference.as_str(),
        };
        let Some(contact) = client.contact(key).await? else {
            return Ok(());
        };
        let owner = contact.fields.get(mapping::OWNER).and_then(Value::as_str);
        if !lookup.owns(owner) {
            steps.belongs_to_another_user();
            return Ok(());
        }
        let tags = contact.tags.into_iter();
        let (ours, foreign): (Vec<String>, Vec<String>) = tags.partition(|tag| is_our_tag(tag));
        let fields = mapping::FIELDS.into_iter();
        let fields: Vec<_> = fields.filter(|f| contact.fields.contains_key(*f)).collect();
        let cleared = fields.iter().map(|&name| (name.to_owned(), Value::Null));
        let write = ContactWrite {
            tags: (!ours.is_empty()).then_some(foreign),
            fields: cleared.collect::<Map<_, _>>(),
        };
        steps.found(ours, fields);
        if write != ContactWrite::default() {
            client.update(&contact.id, &write).await?;
            steps.removed_all();
            steps.cleared_all();
        }
        Ok(())
    };
    work.await.inspect_err(|error| steps.failed(error))
}
