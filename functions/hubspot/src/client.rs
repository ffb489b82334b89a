//! The calls to HubSpot's API, version 3.
//!
//! Source: HubSpot's OpenAPI and guides, unless a comment says "assumed". No call
//! sets a subscription, an opt-out, a marketing status or a lifecycle stage; none
//! merges or deletes contacts.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shared::connector::ContactReference;
use shared::http::{
    ApiCall, ApiClient, ApiDescription, ApiError, ApiErrorKind, ApiResponse, Authorization,
    FailedCall, Http, Method,
};
use shared::identity::VendorId;

use crate::credentials::HubSpotCredentials;
use crate::limits;
use crate::mapping::{DEFINITIONS, EMAIL, Kind, USER_ID, first_options};
use crate::refusal::Refusal;

const API: ApiDescription = ApiDescription {
    name: "hubspot",
    wall_clock: None,
};

/// HubSpot supports version 3 until September 2027. Then both become paths of a date.
macro_rules! contacts {
    ($rest:literal) => {
        concat!("/crm/v3/objects/contacts", $rest)
    };
}
macro_rules! definitions {
    ($rest:literal) => {
        concat!("/crm/v3/properties/contacts", $rest)
    };
}

/// The group of our properties.
const GROUP: &str = "sesamy";

/// Addresses that a contact has besides its primary one, with semicolons between them.
const SECONDARY: &str = "hs_additional_emails";

/// What an address has opted out of: all mails, and each type of subscription.
const OPT_OUT_PREFIX: &str = "hs_email_optout";

/// Values by name. An empty one clears the property.
pub type Properties = BTreeMap<&'static str, String>;

/// Names a contact in a path.
#[derive(Clone, Copy)]
pub enum ContactKey<'a> {
    Id(&'a str),
    Email(&'a str),
    /// Only where the property's values are unique.
    UserId(&'a str),
}

impl<'a> ContactKey<'a> {
    pub fn from_reference(reference: &'a ContactReference) -> Option<Self> {
        let id = reference.as_str();
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        is_id.then_some(Self::Id(id))
    }

    fn parts(self) -> (&'a str, Option<&'static str>) {
        match self {
            Self::Id(id) => (id, None),
            Self::Email(email) => (email, Some(EMAIL)),
            Self::UserId(user) => (user, Some(USER_ID)),
        }
    }
}

/// Has no `Debug`, because the values are personal.
#[derive(Clone)]
pub struct Contact {
    /// Assumed: that of the contact it was merged into, if it was.
    pub id: String,
    values: BTreeMap<String, String>,
}

impl Contact {
    /// Empty if the property has no value.
    pub fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
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

pub struct Client<'a>(ApiClient<'a>);

impl<'a> Client<'a> {
    pub fn new(http: &'a Http, vendor: &'a VendorId, credentials: &'a HubSpotCredentials) -> Self {
        let token = Authorization::Bearer(credentials.access_token.clone());
        let api = ApiClient::new(http, vendor, API, &credentials.api_url, token);
        Self(api.with_limits(limits::wait))
    }

    pub async fn contact(&self, key: ContactKey<'_>) -> Result<Option<Contact>, ApiError> {
        let names = DEFINITIONS.iter().map(|(name, _)| *name);
        let names: Vec<&str> = [EMAIL, SECONDARY].into_iter().chain(names).collect();
        self.read_contact(key, &names).await
    }

    /// Names that HubSpot does not know are left out.
    async fn read_contact(
        &self,
        key: ContactKey<'_>,
        names: &[&str],
    ) -> Result<Option<Contact>, ApiError> {
        let (segment, id_property) = key.parts();
        let mut call = ApiCall::new(Method::GET, contacts!("/{contactId}"), &[segment])
            .query("properties", names.join(","));
        if let Some(name) = id_property {
            call = call.query("idProperty", name);
        }
        match self.0.read(call).await {
            Err(error) if error.status() == Some(404) => Ok(None),
            response => read_contact(&response?).map(Some),
        }
    }

    /// Whether the contact's address has opted out of anything.
    ///
    /// Each type of subscription has a property of its own, so that their names are
    /// looked up first.
    pub async fn has_opted_out(&self, id: &str) -> Result<bool, ApiError> {
        let response = self.read_definitions("").await?;
        let definitions: Map<String, Value> = response.json()?;
        let definitions = definitions.get("results").and_then(Value::as_array);
        let definitions = definitions.ok_or_else(|| response.malformed("it has no results"))?;
        let names = definitions.iter().filter_map(|d| d.get("name")?.as_str());
        let names: Vec<&str> = names.filter(|n| n.starts_with(OPT_OUT_PREFIX)).collect();
        let contact = self.read_contact(ContactKey::Id(id), &names).await?;
        Ok(contact.is_some_and(|contact| {
            let is_set = |name: &&str| contact.value(name).eq_ignore_ascii_case("true");
            names.iter().any(is_set)
        }))
    }

    /// The id of the new contact, or `None` in a dry run.
    pub async fn create(&self, properties: &Properties) -> Result<Option<String>, Refusal> {
        // The newest description requires associations.
        let body = json!({ "properties": properties, "associations": [] });
        let call = ApiCall::new(Method::POST, contacts!(""), &[]).json(body);
        let refused = |failed: FailedCall| Refusal::new(&failed, properties);
        let response = self.0.try_write(call).await.map_err(refused)?;
        let contact = response.map(|response| read_contact(&response)).transpose();
        let contact = contact.map_err(|error| refused(error.into()))?;
        Ok(contact.map(|contact| contact.id))
    }

    /// Properties that are not named stay.
    pub async fn update(&self, id: &str, properties: &Properties) -> Result<(), Refusal> {
        let body = json!({ "properties": properties });
        let call = ApiCall::new(Method::PATCH, contacts!("/{contactId}"), &[id]).json(body);
        let updated = self.0.try_write(call).await.map(drop);
        updated.map_err(|failed| Refusal::new(&failed, properties))
    }

    /// Our properties that the account has.
    ///
    /// Assumed: those that it does not have are left out of the results, or make
    /// the answer a 404 if it has none of them.
    pub async fn definitions(&self) -> Result<Vec<Value>, ApiError> {
        let inputs = DEFINITIONS.map(|(name, _)| json!({ "name": name }));
        let body = json!({
            "archived": false,
            "dataSensitivity": "non_sensitive",
            "inputs": inputs,
        });
        let call = ApiCall::new(Method::POST, definitions!("/batch/read"), &[]).json(body);
        let response = match self.0.read(call).await {
            Err(error) if error.status() == Some(404) => {
                // Every account has an address among its properties.
                return match self.definition(EMAIL).await? {
                    Some(_) => Ok(Vec::new()),
                    None => Err(ApiError {
                        kind: ApiErrorKind::WrongAddress,
                        ..error
                    }),
                };
            }
            response => response?,
        };
        let mut answer: Map<String, Value> = response.json()?;
        match answer.remove("results") {
            Some(Value::Array(results)) => Ok(results),
            _ => Err(response.malformed("it has no results")),
        }
    }

    async fn read_definitions(&self, name: &str) -> Result<ApiResponse, ApiError> {
        let call = match name {
            "" => ApiCall::new(Method::GET, definitions!(""), &[]),
            name => ApiCall::new(Method::GET, definitions!("/{propertyName}"), &[name]),
        };
        self.0.read(call).await
    }

    pub async fn definition(&self, name: &str) -> Result<Option<Value>, ApiError> {
        let response = match self.read_definitions(name).await {
            Err(error) if error.status() == Some(404) => return Ok(None),
            response => response?,
        };
        let definition: Value = response.json()?;
        // Without them, adding one would remove the others.
        match definition.get("options") {
            Some(Value::Array(_)) => Ok(Some(definition)),
            _ => Err(response.malformed("a definition has no options")),
        }
    }

    /// Returns the definition. A property that was archived comes back as it was.
    pub async fn define(&self, name: &str, kind: Kind, unique: bool) -> Result<Value, ApiError> {
        let (kind_name, field) = kind.types();
        let label = name.trim_start_matches("sesamy_").replace('_', " ");
        let body = |unique: bool| {
            json!({
                "name": name,
                "label": format!("Sesamy {label}"),
                "type": kind_name,
                "fieldType": field,
                "groupName": GROUP,
                "hasUniqueValue": unique,
                "options": first_options(name, kind),
            })
        };
        let call = ApiCall::new(Method::POST, definitions!(""), &[]).json(body(unique));
        match self.0.write(call).await? {
            Some(response) => response.json(),
            // A dry run: no contact can be looked up by the property.
            None => Ok(body(false)),
        }
    }

    /// A group that exists already is not an error.
    pub async fn define_group(&self) -> Result<(), ApiError> {
        let body = json!({ "name": GROUP, "label": "Sesamy" });
        let call = ApiCall::new(Method::POST, definitions!("/groups"), &[]).json(body);
        match self.0.write(call).await {
            Err(error) if error.status() == Some(409) => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Replaces the whole list, so that it must have the present options too.
    pub async fn set_options(&self, name: &str, options: Vec<Value>) -> Result<(), ApiError> {
        let body = json!({ "options": options });
        let call = ApiCall::new(Method::PATCH, definitions!("/{propertyName}"), &[name]).json(body);
        self.0.write(call).await.map(drop)
    }
}

/// A property without a value is null, or an empty text if it was cleared.
fn read_contact(response: &ApiResponse) -> Result<Contact, ApiError> {
    let mut answer: Map<String, Value> = response.json()?;
    let id = match answer.remove("id") {
        Some(Value::String(id)) => id,
        Some(Value::Number(id)) => id.to_string(),
        _ => return Err(response.malformed("a contact has no id")),
    };
    let Some(Value::Object(properties)) = answer.remove("properties") else {
        return Err(response.malformed("a contact has no properties"));
    };
    let values = properties
        .into_iter()
        .filter_map(|(name, value)| match value {
            Value::Null => None,
            Value::String(text) => Some((name, text)),
            other => Some((name, other.to_string())),
        });
    let values = values.collect();
    Ok(Contact { id, values })
}
