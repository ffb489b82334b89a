//! Reading and changing contacts.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    account::{Account, Contact, FieldsEndpoint, WriteMode},
    object,
};
use crate::{
    rejection::Rejection,
    request::ApiRequest,
    response::ApiResponse,
    validation::{self, FieldErrors},
    violations::{Reporter, ViolationKind},
};

pub(crate) const BASE_KEYS: [&str; 7] = [
    "email",
    "first_name",
    "last_name",
    "name",
    "phone",
    "tags",
    "custom",
];

/// Keys that could change a subscription status.
const CONSENT_KEYS: [&str; 4] = [
    "status",
    "list_associations",
    "subscribed",
    "force_subscribe",
];

/// The integration's account fields. All others belong to the publisher.
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

pub(crate) struct ContactData {
    pub email: String,
    texts: Vec<(&'static str, String)>,
    tags: Option<Vec<String>>,
    custom: Option<BTreeMap<String, Value>>,
}

impl ContactData {
    pub fn read(
        account: &Account,
        existing: Option<&Contact>,
        body: &Map<String, Value>,
        errors: &mut FieldErrors,
    ) -> Self {
        // The documented model requires it for PATCH too.
        let email = validation::required_text(body, "email", errors);
        if !email.is_empty() && !validation::is_email(email) {
            errors.add("email", "is not an e-mail address");
        }
        let mut texts = Vec::new();
        for key in ["first_name", "last_name", "name", "phone"] {
            if let Some(text) = validation::text(body, key, errors) {
                texts.push((key, text.to_owned()));
            }
        }
        let current = existing.map_or(&[] as &[String], |contact| &contact.tags);
        let tags = validation::tag_names(body, current, errors);
        Self {
            email: email.to_owned(),
            texts,
            tags,
            custom: account.read_custom(body, errors),
        }
    }
}

impl Account {
    fn read_custom(
        &self,
        body: &Map<String, Value>,
        errors: &mut FieldErrors,
    ) -> Option<BTreeMap<String, Value>> {
        let Value::Object(custom) = body.get("custom")? else {
            errors.add("custom", "must be an object");
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
                    errors.add(format!("custom.{name}"), message);
                }
                None if self.refuses_unknown_fields() => {
                    errors.add(format!("custom.{name}"), "is no account field");
                }
                None => {}
            }
        }
        Some(values)
    }

    fn refuses_unknown_fields(&self) -> bool {
        self.settings.fields == FieldsEndpoint::Open && !self.settings.drop_unknown_fields
    }

    pub fn get_contact(&self, email: &str) -> Result<ApiResponse, Rejection> {
        self.contact(email)
            .map(|contact| ApiResponse::ok(contact.to_json()))
            .ok_or(Rejection::NOT_FOUND)
    }

    pub fn patch_contact(
        &mut self,
        request: &ApiRequest<'_>,
        email: &str,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let body = object(request)?;
        let existing = self.contact(email).ok_or(Rejection::NOT_FOUND)?;
        let mut errors = FieldErrors::default();
        for key in CONSENT_KEYS {
            if body.contains_key(key) {
                reporter.report(
                    ViolationKind::ConsentChanged,
                    format!("\"{key}\" sent for a contact"),
                );
            }
        }
        validation::only(&body, &BASE_KEYS, &mut errors);
        let data = ContactData::read(self, Some(existing), &body, &mut errors);
        let moves = !data.email.eq_ignore_ascii_case(&existing.email);
        if moves {
            self.check_move(&data.email, &mut errors);
        }
        errors.into_result()?;
        if moves {
            self.move_contact(email, &data.email);
        }
        let address = data.email.clone();
        self.write(data, reporter);
        self.contact(&address)
            .map(|contact| ApiResponse::ok(contact.base_json()))
            .ok_or(Rejection::NOT_FOUND)
    }

    /// Does nothing if the contact does not exist.
    pub fn write(&mut self, data: ContactData, reporter: &mut Reporter<'_>) {
        let settings = self.settings;
        let Some(contact) = self.contacts.get_mut(&data.email.to_ascii_lowercase()) else {
            return;
        };
        let names = ["first_name", "last_name"];
        if contact.has_only_a_whole_name() && data.texts.iter().any(|(key, _)| names.contains(key))
        {
            let message = "the contact has a whole name already";
            reporter.report(ViolationKind::ForeignDataChanged, message);
        }
        for (key, text) in data.texts {
            contact.write_text(key, text, reporter);
        }
        if let Some(tags) = data.tags {
            contact.write_tags(tags, settings.tags, settings.fold_tag_case, reporter);
        }
        if let Some(custom) = data.custom {
            contact.write_custom(custom, settings.custom, reporter);
        }
    }
}

impl Contact {
    fn write_text(&mut self, key: &str, text: String, reporter: &mut Reporter<'_>) {
        let target = match key {
            "first_name" => &mut self.first_name,
            "last_name" => &mut self.last_name,
            "phone" => &mut self.phone,
            _ => &mut self.name,
        };
        if key == "name" {
            let message = "name takes precedence over first_name and last_name";
            reporter.report(ViolationKind::ForeignDataChanged, message);
        } else if target
            .as_ref()
            .is_some_and(|old| !old.is_empty() && *old != text)
        {
            let message = format!("{key} had another value already");
            reporter.report(ViolationKind::ForeignDataChanged, message);
        }
        *target = Some(text);
    }

    fn write_tags(
        &mut self,
        sent: Vec<String>,
        mode: WriteMode,
        fold: bool,
        reporter: &mut Reporter<'_>,
    ) {
        let same = |a: &str, b: &str| validation::same_tag(a, b, fold);
        let mut tags = match mode {
            WriteMode::Merge => self.tags.clone(),
            WriteMode::Replace => Vec::new(),
        };
        for name in sent {
            if tags.iter().any(|tag| same(tag, &name)) {
                continue;
            }
            // If letter case makes no difference, the contact keeps its own spelling.
            let known = self.tags.iter().find(|tag| same(tag, &name)).cloned();
            tags.push(known.unwrap_or(name));
        }
        for lost in self.tags.iter().filter(|tag| !tags.contains(tag)) {
            if validation::is_foreign(lost) {
                let message = format!("tag \"{lost}\" is lost because it was not sent");
                reporter.report(ViolationKind::ForeignTagDropped, message);
            }
        }
        self.tags = tags;
    }

    fn write_custom(
        &mut self,
        sent: BTreeMap<String, Value>,
        mode: WriteMode,
        reporter: &mut Reporter<'_>,
    ) {
        let mut custom = match mode {
            WriteMode::Merge => self.custom.clone(),
            WriteMode::Replace => BTreeMap::new(),
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
                reporter.report(ViolationKind::ForeignDataChanged, message);
            }
        }
        self.custom = custom;
    }
}
