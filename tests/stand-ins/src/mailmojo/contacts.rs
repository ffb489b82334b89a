//! Reading and changing contacts.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    account::{Account, Contact, FieldsAddress, Writing},
    refusal::{Refusal, object},
};
use crate::{
    answer::Answer,
    call::Call,
    shape::{self, Problems},
    violations::{Harm, Watch},
};

/// What a contact may be sent with.
pub(crate) const BASE_KEYS: [&str; 7] = [
    "email",
    "first_name",
    "last_name",
    "name",
    "phone",
    "tags",
    "custom",
];

/// Names under which a status might be sent.
const CONSENT_KEYS: [&str; 4] = [
    "status",
    "list_associations",
    "subscribed",
    "force_subscribe",
];

/// The account fields of the Sesamy integration. Any other is the publisher's.
const OWN_FIELDS: [&str; 13] = [
    "Sesamy User ID",
    "Has Active Subscription",
    "Articles Purchased",
    "Active Subscriptions",
    "Canceled Subscriptions",
    "Expired Subscriptions",
    "Ended Subscriptions Total",
    "Issues Remaining",
    "Subscription Expires At",
    "Contract Duration Type",
    "Last Payment Date",
    "Next Payment Date",
    "Will Cancel At",
];

/// A contact's data as sent, checked.
pub(crate) struct Data {
    pub email: String,
    texts: Vec<(&'static str, String)>,
    tags: Option<Vec<String>>,
    custom: Option<BTreeMap<String, Value>>,
}

impl Data {
    /// Reads a body. Faults are added to `problems`.
    pub fn read(account: &Account, body: &Map<String, Value>, problems: &mut Problems) -> Self {
        // The documented model requires it, of PATCH too.
        let email = shape::required_text(body, "email", problems).unwrap_or_default();
        if !email.is_empty() && !shape::is_email(email) {
            problems.add("email", "is not an e-mail address");
        }
        let mut texts = Vec::new();
        for key in ["first_name", "last_name", "name", "phone"] {
            if let Some(text) = shape::text(body, key, problems) {
                texts.push((key, text.to_owned()));
            }
        }
        let present = account
            .contact(email)
            .map_or(&[] as &[String], |contact| &contact.tags);
        let tags = shape::tag_names(body, present, problems);
        Self {
            email: email.to_owned(),
            texts,
            tags,
            custom: account.read_custom(body, problems),
        }
    }
}

impl Account {
    fn read_custom(
        &self,
        body: &Map<String, Value>,
        problems: &mut Problems,
    ) -> Option<BTreeMap<String, Value>> {
        let Value::Object(custom) = body.get("custom")? else {
            problems.add("custom", "must be an object");
            return None;
        };
        let mut values = BTreeMap::new();
        for (name, value) in custom {
            match self.definition(name) {
                Some(field) if field.kind.fits(value) => {
                    values.insert(name.clone(), value.clone());
                }
                Some(field) => {
                    let message = format!("{value} is no {:?}", field.kind).to_lowercase();
                    problems.add(format!("custom.{name}"), message);
                }
                None if self.refuses_unknown_fields() => {
                    problems.add(format!("custom.{name}"), "is no account field");
                }
                None => {}
            }
        }
        Some(values)
    }

    fn refuses_unknown_fields(&self) -> bool {
        self.settings.fields == FieldsAddress::Open && !self.settings.drop_unknown_fields
    }

    pub fn get_contact(&self, email: &str) -> Result<Answer, Refusal> {
        self.contact(email)
            .map(|contact| Answer::ok(contact.shown()))
            .ok_or(Refusal::NotFound)
    }

    pub fn patch_contact(
        &mut self,
        call: &Call<'_>,
        email: &str,
        watch: &mut Watch<'_>,
    ) -> Result<Answer, Refusal> {
        let body = object(call)?;
        if self.contact(email).is_none() {
            return Err(Refusal::NotFound);
        }
        let mut problems = Problems::default();
        for key in CONSENT_KEYS {
            if body.contains_key(key) {
                watch.report(
                    Harm::ConsentChanged,
                    format!("\"{key}\" sent for a contact"),
                );
            }
        }
        shape::only(&body, &BASE_KEYS, &mut problems);
        let data = Data::read(self, &body, &mut problems);
        if shape::is_email(&data.email) && !data.email.eq_ignore_ascii_case(email) {
            watch.report(Harm::WrongContact, "body and path name different contacts");
            problems.add("email", "is not the contact's");
        }
        if !problems.is_empty() {
            return Err(Refusal::Fields(problems));
        }
        self.write(data, watch);
        self.contact(email)
            .map(|contact| Answer::ok(contact.shown_base()))
            .ok_or(Refusal::NotFound)
    }

    /// Writes checked data on a contact that exists.
    pub fn write(&mut self, data: Data, watch: &mut Watch<'_>) {
        let settings = self.settings;
        let Some(contact) = self.contacts.get_mut(&data.email.to_ascii_lowercase()) else {
            return;
        };
        let names = ["first_name", "last_name"];
        if contact.is_named_as_a_whole() && data.texts.iter().any(|(key, _)| names.contains(key)) {
            let message = "the contact has a whole name already";
            watch.report(Harm::ForeignDataChanged, message);
        }
        for (key, text) in data.texts {
            contact.write_text(key, text, watch);
        }
        if let Some(tags) = data.tags {
            contact.write_tags(tags, settings.tags, settings.fold_tag_case, watch);
        }
        if let Some(custom) = data.custom {
            contact.write_custom(custom, settings.custom, watch);
        }
    }
}

impl Contact {
    fn write_text(&mut self, key: &str, text: String, watch: &mut Watch<'_>) {
        let place = match key {
            "first_name" => &mut self.first_name,
            "last_name" => &mut self.last_name,
            "phone" => &mut self.phone,
            _ => &mut self.name,
        };
        if key == "name" {
            let message = "name takes precedence over first_name and last_name";
            watch.report(Harm::ForeignDataChanged, message);
        } else if place
            .as_ref()
            .is_some_and(|old| !old.is_empty() && *old != text)
        {
            let message = format!("{key} was there already and is another one");
            watch.report(Harm::ForeignDataChanged, message);
        }
        *place = Some(text);
    }

    fn write_tags(
        &mut self,
        sent: Vec<String>,
        writing: Writing,
        fold: bool,
        watch: &mut Watch<'_>,
    ) {
        let same = |a: &str, b: &str| a == b || fold && a.to_lowercase() == b.to_lowercase();
        let mut tags = match writing {
            Writing::Merge => self.tags.clone(),
            Writing::Replace => Vec::new(),
        };
        for name in sent {
            if tags.iter().any(|tag| same(tag, &name)) {
                continue;
            }
            // Where case does not count the spelling that is there stays.
            let known = self.tags.iter().find(|tag| same(tag, &name)).cloned();
            tags.push(known.unwrap_or(name));
        }
        for lost in self.tags.iter().filter(|tag| !tags.contains(tag)) {
            if shape::is_foreign(lost) {
                let message = format!("tag \"{lost}\" is not sent and so is lost");
                watch.report(Harm::ForeignTagDropped, message);
            }
        }
        self.tags = tags;
    }

    fn write_custom(
        &mut self,
        sent: BTreeMap<String, Value>,
        writing: Writing,
        watch: &mut Watch<'_>,
    ) {
        let mut custom = match writing {
            Writing::Merge => self.custom.clone(),
            Writing::Replace => BTreeMap::new(),
        };
        for (name, value) in sent {
            if value.is_null() {
                custom.remove(&name);
            } else {
                custom.insert(name, value);
            }
        }
        for (name, old) in &self.custom {
            if !OWN_FIELDS.contains(&name.as_str()) && custom.get(name) != Some(old) {
                let message = format!("account field \"{name}\" loses its value");
                watch.report(Harm::ForeignDataChanged, message);
            }
        }
        self.custom = custom;
    }
}
