//! Reading, creating and changing contacts.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    account::{Account, Contact, OPT_OUT_PREFIX},
    definitions::{OWN, TAGS},
    object,
    values::{self, InvalidValue},
};
use crate::{
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::ApiResponse,
    validation::{self, FieldErrors},
    violations::{Reporter, ViolationKind},
};

/// What an answer has without being asked.
const DEFAULTS: [&str; 6] = [
    "createdate",
    "email",
    "firstname",
    "hs_object_id",
    "lastmodifieddate",
    "lastname",
];

/// Properties that say to what the contact agreed, or that belong to the publisher's
/// processes.
const CONSENT: [&str; 5] = [
    "hs_marketable_status",
    "hs_legal_basis",
    "hs_lead_status",
    "lifecyclestage",
    "member_email",
];

type Values = BTreeMap<String, String>;

impl Contact {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "email" => Some(self.email.clone()),
            "hs_additional_emails" if self.secondary_emails.is_empty() => None,
            "hs_additional_emails" => Some(self.secondary_emails.join(";")),
            "hs_object_id" => Some(self.id.to_string()),
            "createdate" => Some(self.created.to_string()),
            "lastmodifieddate" => Some(self.updated.to_string()),
            name if self.opt_outs.contains(name) => Some("true".to_owned()),
            name => self.properties.get(name).cloned(),
        }
    }
}

impl Account {
    fn shown(&self, contact: &Contact, asked: &[&str]) -> Value {
        let known = |name: &&&str| self.definitions.contains_key(**name);
        let names = DEFAULTS.iter().chain(asked.iter().filter(known));
        let cleared_is_null = self.settings.cleared_is_null;
        let value = |name: &str| {
            let value = contact.value(name);
            value.filter(|value| !(value.is_empty() && cleared_is_null))
        };
        let properties = names.map(|name| ((*name).to_owned(), json!(value(name))));
        json!({
            "id": contact.id.to_string(),
            "properties": properties.collect::<Map<_, _>>(),
            "createdAt": contact.created.to_string(),
            "updatedAt": contact.updated.to_string(),
            "archived": false,
        })
    }

    /// The contact that a path names.
    fn find(&self, key: &str, query: &Query) -> Result<&Contact, Rejection> {
        let found = match query.get("idProperty") {
            None => key.parse().ok().and_then(|id| self.contact(id)),
            Some("email") => self.holder(key),
            Some(name) => {
                let unique = self.definitions.get(name).filter(|d| d.has_unique_value);
                if unique.is_none() {
                    let message = format!("'{name}' has no unique values");
                    return Err(Rejection::new(
                        StatusCode::BAD_REQUEST,
                        "VALIDATION_ERROR",
                        message,
                    ));
                }
                self.contacts.values().find(|c| c.get(name) == Some(key))
            }
        };
        found.ok_or_else(|| Rejection::not_found("OBJECT_NOT_FOUND", "resource not found"))
    }

    pub fn get_contact(&self, key: &str, query: &Query) -> Result<ApiResponse, Rejection> {
        let asked: Vec<&str> = query.all("properties").flat_map(|p| p.split(',')).collect();
        let contact = self.find(key, query)?;
        Ok(ApiResponse::ok(self.shown(contact, &asked)))
    }

    pub fn create_contact(
        &mut self,
        request: &ApiRequest<'_>,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let body = object(request)?;
        let mut errors = FieldErrors::default();
        validation::only(&body, &["associations", "properties"], &mut errors);
        if !body.get("associations").is_some_and(Value::is_array) {
            errors.add("associations", "must be an array");
        }
        let values = read_values(&body, &mut errors);
        let named = ["email", "firstname", "lastname"];
        if !named.iter().any(|name| values.contains_key(*name)) {
            errors.add("properties", "must have an email, firstname or lastname");
        }
        errors.into_result()?;
        let values = self.check(values, None, reporter)?;
        let now = reporter.at;
        let id = self.new_id();
        let contact = Contact {
            id,
            created: now,
            updated: now,
            ..Contact::default()
        };
        self.contacts.insert(id, contact);
        self.write(id, values, reporter);
        let contact = self.contacts.get(&id).cloned().unwrap_or_default();
        let shown = self.shown(&contact, &[]);
        Ok(ApiResponse::json(StatusCode::CREATED, shown))
    }

    pub fn change_contact(
        &mut self,
        request: &ApiRequest<'_>,
        key: &str,
        query: &Query,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let body = object(request)?;
        let mut errors = FieldErrors::default();
        validation::only(&body, &["properties"], &mut errors);
        let values = read_values(&body, &mut errors);
        errors.into_result()?;
        let contact = self.find(key, query)?.clone();
        let values = self.check(values, Some(&contact), reporter)?;
        for (name, value) in &values {
            contact.report_harm(name, value, reporter);
        }
        self.write(contact.id, values, reporter);
        let contact = self.contacts.get(&contact.id).cloned().unwrap_or_default();
        Ok(ApiResponse::ok(self.shown(&contact, &[])))
    }

    /// The values as they are stored. One that is invalid makes the whole write so.
    fn check(
        &mut self,
        values: Values,
        contact: Option<&Contact>,
        reporter: &mut Reporter<'_>,
    ) -> Result<Values, Rejection> {
        let is_lagging = self.lagging_writes > 0;
        self.lagging_writes = self.lagging_writes.saturating_sub(1);
        let (mut stored, mut invalid) = (Values::new(), Vec::new());
        for (name, value) in values {
            if name.starts_with(OPT_OUT_PREFIX) || CONSENT.contains(&name.as_str()) {
                let message = format!("\"{name}\" is written");
                return Err(reporter.reject(ViolationKind::ConsentChanged, message, &name));
            }
            let is_own = OWN.iter().any(|(own, _)| *own == name);
            let definition = self.definitions.get(&name);
            let Some(definition) = definition.filter(|_| !(is_own && is_lagging)) else {
                let message = format!("Property \"{name}\" does not exist");
                invalid.push(InvalidValue::new(&name, "PROPERTY_DOESNT_EXIST", message));
                continue;
            };
            let before = contact.and_then(|contact| contact.value(&name));
            let before = before.unwrap_or_default();
            let fold = self.settings.fold_option_case;
            match values::check(definition, &value, &before, fold) {
                Ok(value) if definition.has_unique_value => {
                    self.check_unique(&name, &value, contact, &mut invalid)?;
                    stored.insert(name, value);
                }
                Ok(value) => drop(stored.insert(name, value)),
                Err(error) => invalid.push(error),
            }
        }
        if invalid.is_empty() {
            return Ok(stored);
        }
        let message = values::message(&invalid);
        Err(Rejection::new(
            StatusCode::BAD_REQUEST,
            "VALIDATION_ERROR",
            message,
        ))
    }

    fn check_unique(
        &self,
        name: &str,
        value: &str,
        contact: Option<&Contact>,
        invalid: &mut Vec<InvalidValue>,
    ) -> Result<(), Rejection> {
        let is_other = |other: &&Contact| contact.is_none_or(|contact| contact.id != other.id);
        if name == "email" {
            if !validation::is_email(value) {
                let message = format!("Email address {value} is invalid");
                invalid.push(InvalidValue::new(name, "INVALID_EMAIL", message));
            } else if let Some(other) = self.holder(value).filter(is_other) {
                let message = format!("Contact already exists. Existing ID: {}", other.id);
                return Err(Rejection::new(StatusCode::CONFLICT, "CONFLICT", message));
            } else if self.erased.contains(&value.to_ascii_lowercase()) {
                // Assumed: the body is not documented.
                let message = "The email has been GDPR blacklisted.";
                return Err(Rejection::new(
                    StatusCode::BAD_REQUEST,
                    "VALIDATION_ERROR",
                    message,
                ));
            } else if contact.is_some() && self.settings.refuse_moves {
                let message = "The address cannot be changed";
                invalid.push(InvalidValue::new(name, "INVALID_EMAIL", message));
            }
            return Ok(());
        }
        let mut others = self.contacts.values().filter(is_other);
        let holder = others.find(|other| other.get(name) == Some(value));
        match holder.filter(|_| !value.is_empty()) {
            Some(other) => Err(Rejection::new(
                StatusCode::BAD_REQUEST,
                "VALIDATION_ERROR",
                format!("{} already has that value.", other.id),
            )),
            None => Ok(()),
        }
    }

    fn write(&mut self, id: u64, mut values: Values, reporter: &mut Reporter<'_>) {
        if let Some(email) = values.remove("email") {
            let email = email.to_ascii_lowercase();
            let contact = self.contacts.get(&id);
            if let Some(contact) = contact.filter(|contact| contact.email != email) {
                if contact.has_address(&email) || email.is_empty() {
                    let message = "the contact's address becomes a secondary one of its own";
                    reporter.report(ViolationKind::Undocumented, message);
                }
                let kept = self.opt_outs.get(&email).cloned().unwrap_or_default();
                if !contact.opt_outs.is_subset(&kept) {
                    let message = "the new address has not opted out, and the old one has";
                    reporter.report(ViolationKind::ConsentChanged, message);
                }
                self.change_address(id, &email);
            }
        }
        if let Some(contact) = self.contacts.get_mut(&id) {
            contact.properties.extend(values);
            contact.updated = reporter.at;
        }
    }
}

impl Contact {
    /// Reports what the publisher would lose.
    fn report_harm(&self, name: &str, value: &str, reporter: &mut Reporter<'_>) {
        if name == TAGS {
            let kept: Vec<&str> = value.split(';').collect();
            for lost in self.values(TAGS) {
                if validation::is_foreign(&lost) && !kept.contains(&lost.as_str()) {
                    let message = format!("\"{lost}\" of {TAGS} is lost");
                    reporter.report(ViolationKind::ForeignTagDropped, message);
                }
            }
        } else if name != "email" && !OWN.iter().any(|(own, _)| *own == name) {
            let message = format!("\"{name}\" of an existing contact belongs to the publisher");
            reporter.report(ViolationKind::ForeignDataChanged, message);
        }
    }
}

fn read_values(body: &Map<String, Value>, errors: &mut FieldErrors) -> Values {
    let mut values = Values::new();
    let Some(Value::Object(properties)) = body.get("properties") else {
        errors.add("properties", "must be an object");
        return values;
    };
    for (name, value) in properties {
        match value {
            Value::String(value) => drop(values.insert(name.clone(), value.clone())),
            _ => errors.add(format!("properties.{name}"), "must be a string"),
        }
    }
    values
}
