//! The calls to HubSpot's API, version 3.
//!
//! Source: HubSpot's OpenAPI and guides, unless a comment says "assumed". No call
//! sets a subscription, an opt-out, a marketing status or a lifecycle stage; none
//! merges or deletes contacts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::connector::{Account, Field, field_values};
use shared::derivation::{Attribute, ValueKind};
use shared::http::{
    ApiCall, ApiClient, ApiError, ApiErrorKind, Authorization, FailedWrite, Method, Names,
};

use crate::limits;
use crate::mapping::{EMAIL, FIRST_TAGS, PROPERTIES, USER_ID};
use crate::refusal::Refusal;
use crate::sync::HubSpot;

// HubSpot supports version 3 until September 2027. Then these become paths of a date.
const CONTACTS: &str = "/crm/v3/objects/contacts";
const CONTACT: &str = "/crm/v3/objects/contacts/{contactId}";
const DEFINITIONS: &str = "/crm/v3/properties/contacts";
const DEFINITION: &str = "/crm/v3/properties/contacts/{propertyName}";
const DEFINITION_BATCH: &str = "/crm/v3/properties/contacts/batch/read";
const GROUPS: &str = "/crm/v3/properties/contacts/groups";

/// The group of our properties.
const GROUP: &str = "sesamy";

/// Addresses that a contact has besides its primary one, with semicolons between them.
const SECONDARY: &str = "hs_additional_emails";

/// What an address has opted out of: all mails, and each type of subscription.
const OPT_OUT_PREFIX: &str = "hs_email_optout";

/// Names a contact in a path.
#[derive(Clone, Copy)]
pub enum ContactKey<'a> {
    Id(&'a str),
    Email(&'a str),
    /// Only where the property's values are unique.
    UserId(&'a str),
}

/// Has no `Debug`, because the values are personal.
#[derive(Clone, Deserialize)]
pub struct Contact {
    /// Assumed: that of the contact it was merged into, if it was.
    pub id: String,
    properties: BTreeMap<String, Option<String>>,
}

impl Contact {
    /// Empty if the property has no value.
    pub fn value(&self, name: &str) -> &str {
        let value = self.properties.get(name).and_then(Option::as_deref);
        value.unwrap_or_default()
    }

    pub fn owner(&self) -> Option<&str> {
        Some(self.value(USER_ID)).filter(|owner| !owner.is_empty())
    }

    /// The primary one first.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        let secondary = self.value(SECONDARY).split(';').map(str::trim);
        std::iter::once(self.value(EMAIL)).chain(secondary)
    }

    pub fn has_address(&self, email: &str) -> bool {
        self.addresses().any(|a| a.eq_ignore_ascii_case(email))
    }
}

/// Of a property.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    pub name: String,
    pub label: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub field_type: String,
    pub group_name: String,
    #[serde(default)]
    pub has_unique_value: bool,
    /// Without them, adding one would remove the others.
    pub options: Vec<PropertyOption>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PropertyOption {
    pub value: String,
    label: String,
    hidden: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_order: Option<i64>,
}

impl Definition {
    /// As this system creates it.
    ///
    /// Assumed: HubSpot creates a multi-select without options, and refuses no empty
    /// list for a property of another type.
    pub fn new(attribute: Attribute, name: &str) -> Self {
        let (kind, field_type) = match attribute.kind() {
            ValueKind::Text => ("string", "text"),
            ValueKind::Boolean => ("bool", "booleancheckbox"),
            ValueKind::Number => ("number", "number"),
            ValueKind::Date => ("date", "date"),
            ValueKind::Texts => ("enumeration", "checkbox"),
        };
        let options = match attribute {
            Attribute::HasActiveSubscription => vec![
                PropertyOption::new("true", "Yes"),
                PropertyOption::new("false", "No"),
            ],
            Attribute::Tags => FIRST_TAGS.map(|tag| PropertyOption::new(tag, tag)).into(),
            _ => Vec::new(),
        };
        let label = name.trim_start_matches("sesamy_").replace('_', " ");
        Self {
            name: name.to_owned(),
            label: format!("Sesamy {label}"),
            kind: kind.to_owned(),
            field_type: field_type.to_owned(),
            group_name: GROUP.to_owned(),
            has_unique_value: attribute == Attribute::UserId,
            options,
        }
    }

    pub fn has_option(&self, value: &str) -> bool {
        self.options.iter().any(|option| option.value == value)
    }
}

impl PropertyOption {
    /// Is shown after the present ones.
    pub fn new(value: &str, label: &str) -> Self {
        Self {
            value: value.to_owned(),
            label: label.to_owned(),
            display_order: Some(-1),
            ..Self::default()
        }
    }
}

pub struct Client<'a>(ApiClient<'a>);

impl<'a> Client<'a> {
    pub fn new(account: &Account<'a, HubSpot>) -> Self {
        let credentials = account.credentials;
        let token = Authorization::Bearer(credentials.access_token.clone());
        let api = account.api(&credentials.api_url, token);
        Self(api.with_limits(limits::wait))
    }

    pub async fn contact(&self, key: ContactKey<'_>) -> Result<Option<Contact>, ApiError> {
        let names = PROPERTIES.iter().map(|(_, name)| *name);
        let names: Vec<&str> = [EMAIL, SECONDARY].into_iter().chain(names).collect();
        self.read_contact(key, &names.join(",")).await
    }

    /// Names that HubSpot does not know are left out.
    async fn read_contact(
        &self,
        key: ContactKey<'_>,
        names: &str,
    ) -> Result<Option<Contact>, ApiError> {
        let (segment, id_property) = match key {
            ContactKey::Id(id) => (id, None),
            ContactKey::Email(email) => (email, Some(EMAIL)),
            ContactKey::UserId(user) => (user, Some(USER_ID)),
        };
        let mut call = ApiCall::new(Method::GET, CONTACT, &[segment]).query("properties", names);
        if let Some(name) = id_property {
            call = call.query("idProperty", name);
        }
        self.0.find_json(call).await
    }

    /// Whether the contact's address has opted out of anything.
    ///
    /// Each type of subscription has a property of its own, so that their names are
    /// looked up first.
    pub async fn has_opted_out(&self, id: &str) -> Result<bool, ApiError> {
        let call = ApiCall::new(Method::GET, DEFINITIONS, &[]);
        let Names(mut names) = self.0.read(call).await?.part("results")?;
        names.retain(|name| name.starts_with(OPT_OUT_PREFIX));
        let contact = self
            .read_contact(ContactKey::Id(id), &names.join(","))
            .await?;
        Ok(contact.is_some_and(|contact| {
            let is_set = |name: &String| contact.value(name).eq_ignore_ascii_case("true");
            names.iter().any(is_set)
        }))
    }

    /// Creates a contact, or changes a known one; properties that are not named stay.
    /// Returns the id of a new contact, if this is no dry run.
    pub async fn write(
        &self,
        known: Option<&Contact>,
        email: Option<&str>,
        fields: &[Field],
    ) -> Result<Option<String>, FailedWrite<Refusal>> {
        // An empty text clears a property.
        let mut properties = field_values(fields, &"".into());
        properties.extend(email.map(|email| (EMAIL.to_owned(), email.into())));
        let call = match known {
            Some(known) => ApiCall::new(Method::PATCH, CONTACT, &[&*known.id])
                .json(json!({ "properties": properties })),
            // The newest description requires associations.
            None => ApiCall::new(Method::POST, CONTACTS, &[])
                .json(json!({ "properties": properties, "associations": [] })),
        };
        let written = self
            .0
            .try_write(call, |failed| Refusal::read(failed, fields));
        let answer = written.await?.map(|written| written.json::<Contact>());
        match (answer, known) {
            (Some(Ok(contact)), _) => Ok(Some(contact.id)),
            // It is written, and known by the id that it had.
            (Some(Err(_)), Some(known)) => Ok(Some(known.id.clone())),
            (Some(Err(error)), None) => Err(error.into()),
            (None, _) => Ok(None),
        }
    }

    /// Our properties that the account has.
    ///
    /// Assumed: those that it does not have are left out of the results, or make
    /// the answer a 404 if it has none of them.
    pub async fn definitions(&self) -> Result<Vec<Definition>, ApiError> {
        let body = json!({
            "archived": false,
            "dataSensitivity": "non_sensitive",
            "inputs": PROPERTIES.map(|(_, name)| json!({ "name": name })),
        });
        let call = ApiCall::new(Method::POST, DEFINITION_BATCH, &[]).json(body);
        match self.0.read(call).await {
            Err(error) if error.status() == Some(404) => {
                // Every account has an address among its properties.
                match self.definition(EMAIL).await? {
                    Some(_) => Ok(Vec::new()),
                    None => Err(ApiError {
                        kind: ApiErrorKind::WrongAddress,
                        ..error
                    }),
                }
            }
            found => found?.part("results"),
        }
    }

    pub async fn definition(&self, name: &str) -> Result<Option<Definition>, ApiError> {
        let call = ApiCall::new(Method::GET, DEFINITION, &[name]);
        self.0.find_json(call).await
    }

    /// Returns the definition. A property that was archived comes back as it was.
    pub async fn define(&self, definition: &Definition) -> Result<Definition, ApiError> {
        let call = ApiCall::new(Method::POST, DEFINITIONS, &[]).json(json!(definition));
        match self.0.write(call).await? {
            Some(response) => response.json(),
            // A dry run: no contact can be looked up by the property.
            None => Ok(Definition {
                has_unique_value: false,
                ..definition.clone()
            }),
        }
    }

    /// A group that exists already is not an error.
    pub async fn define_group(&self) -> Result<(), ApiError> {
        let body = json!({ "name": GROUP, "label": "Sesamy" });
        let call = ApiCall::new(Method::POST, GROUPS, &[]).json(body);
        match self.0.write(call).await {
            Err(error) if error.status() == Some(409) => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Replaces the whole list, so that it must have the present options too.
    pub async fn set_options(
        &self,
        name: &str,
        options: &[PropertyOption],
    ) -> Result<(), ApiError> {
        let body = json!({ "options": options });
        let call = ApiCall::new(Method::PATCH, DEFINITION, &[name]).json(body);
        self.0.write(call).await.map(drop)
    }
}
