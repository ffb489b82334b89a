//! Removes what syncs wrote to a contact, with one call if the contact exists.

use serde_json::{Map, Value};
use shared::connector::{ForgetJob, LookupKey, is_our_tag};
use shared::http::ApiError;

use super::client::{Client, Contact, ContactWrite};
use super::{Toy, mapping};

pub async fn forget(job: ForgetJob<'_, Toy>) -> Result<(), ApiError> {
    let client = Client::new(&job.account);
    let steps = job.progress.contact(None);
    let key = match job.by {
        LookupKey::Email(email) => email,
        LookupKey::Reference(reference) => reference.as_str(),
    };
    let found = client.contact(key).await?;
    let Some(contact) = job.admit(steps, found, Contact::owner) else {
        return Ok(());
    };
    let tags = contact.tags.into_iter();
    let (ours, foreign): (Vec<String>, Vec<String>) = tags.partition(|tag| is_our_tag(tag));
    let fields = mapping::FIELDS.into_iter();
    let fields: Vec<_> = fields.filter(|f| contact.fields.contains_key(*f)).collect();
    let cleared = fields.iter().map(|&name| (name.to_owned(), Value::Null));
    let write = ContactWrite {
        tags: (!ours.is_empty()).then_some(foreign),
        fields: cleared.collect::<Map<_, _>>(),
    };
    steps.found(&ours, fields);
    if write != ContactWrite::default() {
        client.update(&contact.id, &write).await?;
        steps.removed_all();
    }
    Ok(())
}
