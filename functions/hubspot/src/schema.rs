//! The properties of an account: which exist, how they take values, and the options
//! of the multi-selects.

use std::collections::BTreeMap;

use shared::connector::unless_refused;
use shared::derivation::Attribute;
use shared::http::ApiError;

use crate::client::{Client, Definition, PropertyOption};
use crate::mapping::{Form, PROPERTIES, USER_ID};

/// Properties that do not exist or cannot hold what they should say are left out.
#[derive(Debug, Clone, Default)]
pub struct Schema(BTreeMap<&'static str, (Form, Definition)>);

impl Schema {
    /// Creates what is missing.
    pub async fn define(client: &Client<'_>) -> Result<Self, ApiError> {
        let mut found = client.definitions().await?;
        let mut missing = PROPERTIES.to_vec();
        missing.retain(|(_, name)| found.iter().all(|known| known.name != *name));
        if !missing.is_empty() {
            client.define_group().await?;
        }
        for (attribute, name) in missing {
            found.extend(create(client, attribute, name).await?);
        }
        let property = |(attribute, name): (Attribute, &'static str)| {
            let definition = found.iter().find(|known| known.name == name)?.clone();
            let form = Form::new(attribute, &definition)?;
            Some((name, (form, definition)))
        };
        Ok(Self(PROPERTIES.into_iter().filter_map(property).collect()))
    }

    pub fn form(&self, name: &str) -> Option<Form> {
        self.0.get(name).map(|(form, _)| *form)
    }

    /// Whether a contact can be looked up by its user.
    pub fn finds_users(&self) -> bool {
        self.0
            .get(USER_ID)
            .is_some_and(|(_, user)| user.has_unique_value)
    }

    pub fn has_option(&self, name: &str, value: &str) -> bool {
        let property = self.0.get(name);
        property.is_some_and(|(_, property)| property.has_option(value))
    }

    /// Adds those of the values that are no options yet, if HubSpot takes them.
    pub async fn add_options(
        &mut self,
        client: &Client<'_>,
        name: &str,
        values: &[String],
    ) -> Result<(), ApiError> {
        let Some((_, property)) = self.0.get_mut(name) else {
            return Ok(());
        };
        // Read again: what is not sent along would be removed. A dry run has created none.
        if let Some(definition) = client.definition(name).await? {
            *property = definition;
        }
        let mut options = property.options.clone();
        let new = values.iter().filter(|value| !property.has_option(value));
        options.extend(new.map(|value| PropertyOption::new(value, value)));
        let set = client.set_options(name, &options).await;
        let set = unless_refused(set, "HubSpot refused an option; contacts do without it.")?;
        if set.is_some() {
            property.options = options;
        }
        Ok(())
    }
}

/// `None` if HubSpot refuses the property, for lack of room for example. Contacts do
/// without it. Few properties of an account can be unique, so that one is tried as a
/// plain one too.
async fn create(
    client: &Client<'_>,
    attribute: Attribute,
    name: &str,
) -> Result<Option<Definition>, ApiError> {
    let mut definition = Definition::new(attribute, name);
    loop {
        let defined = client.define(&definition).await;
        // Another instance may have created it already; that is not an error.
        if matches!(&defined, Err(error) if error.status() == Some(409)) {
            return client.definition(name).await;
        }
        let defined = unless_refused(defined, "HubSpot refused a property as it was defined.")?;
        if defined.is_some() || !definition.has_unique_value {
            return Ok(defined);
        }
        definition.has_unique_value = false;
    }
}
