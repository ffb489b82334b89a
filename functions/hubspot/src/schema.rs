//! The properties of an account: which exist, how they take values, and the options
//! of the multi-selects.
//!
//! Looked up once per account and function instance, and again when HubSpot refuses
//! a write because they have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use shared::cache::Cache;
use shared::connector::Job;
use shared::http::ApiError;
use tracing::warn;

use crate::client::{Client, Properties};
use crate::mapping::{DEFINITIONS, Form, Kind, USER_ID, option, split};
use crate::sync::HubSpot;

/// What an option is made of when it is sent. Answers may have more.
const OPTION_KEYS: [&str; 5] = ["label", "value", "hidden", "description", "displayOrder"];

/// Properties that do not exist or cannot hold what they should say are left out.
#[derive(Debug, Clone, Default)]
pub struct Schema(BTreeMap<&'static str, Property>);

#[derive(Debug, Clone)]
struct Property {
    form: Form,
    is_unique: bool,
    options: BTreeSet<String>,
}

/// By account.
#[derive(Debug, Default)]
pub struct Schemas(Cache<Arc<Schema>>);

impl Schema {
    pub fn form(&self, name: &str) -> Option<Form> {
        self.0.get(name).map(|property| property.form)
    }

    /// Whether a contact can be looked up by its user.
    pub fn finds_users(&self) -> bool {
        self.0
            .get(USER_ID)
            .is_some_and(|property| property.is_unique)
    }

    /// The values of a multi-select that are no options of it.
    fn missing(&self, name: &str, value: &str) -> Vec<String> {
        let property = self.0.get(name).filter(|p| p.form == Form::MultiSelect);
        property.map_or_else(Vec::new, |property| {
            let mut values = split(value);
            values.retain(|value| !property.options.contains(value));
            values
        })
    }

    fn insert(&mut self, name: &'static str, kind: Kind, definition: &Value) {
        let property = Form::new(kind, definition).map(|form| Property {
            form,
            is_unique: definition.get("hasUniqueValue") == Some(&Value::Bool(true)),
            options: values(&sendable_options(definition)),
        });
        self.0.extend(property.map(|property| (name, property)));
    }
}

impl Schemas {
    pub async fn get(
        &self,
        client: &Client<'_>,
        job: &Job<'_, HubSpot>,
    ) -> Result<Arc<Schema>, ApiError> {
        let mut entry = self.0.lock(job.account).await;
        if let Some(schema) = &*entry {
            return Ok(schema.clone());
        }
        let schema = Arc::new(define(client).await?);
        *entry = Some(schema.clone()).filter(|_| !job.http.is_read_only());
        Ok(schema)
    }

    pub async fn forget(&self, account: &str) {
        *self.0.lock(account).await = None;
    }

    /// Adds options for the values that need one, and takes out those that HubSpot
    /// accepts none for. Returns what was taken out.
    pub async fn add_options(
        &self,
        client: &Client<'_>,
        job: &Job<'_, HubSpot>,
        schema: &mut Arc<Schema>,
        properties: &mut Properties,
    ) -> Result<Vec<String>, ApiError> {
        let mut taken_out = Vec::new();
        for (name, value) in properties {
            if schema.missing(name, value).is_empty() {
                continue;
            }
            // Other users of this instance add theirs before or after.
            let mut entry = self.0.lock(job.account).await;
            if let Some(known) = &*entry {
                *schema = known.clone();
            }
            let missing = schema.missing(name, value);
            if !missing.is_empty() {
                add_options(client, Arc::make_mut(schema), name, missing).await?;
                *entry = Some(schema.clone()).filter(|_| !job.http.is_read_only());
            }
            let refused = schema.missing(name, value);
            let mut values = split(value);
            values.retain(|value| !refused.contains(value));
            *value = values.join(";");
            taken_out.extend(refused);
        }
        Ok(taken_out)
    }
}

async fn add_options(
    client: &Client<'_>,
    schema: &mut Schema,
    name: &str,
    missing: Vec<String>,
) -> Result<(), ApiError> {
    let Some(property) = schema.0.get_mut(name) else {
        return Ok(());
    };
    // Read again: what is not sent along would be removed. A dry run has created none.
    let mut options = match client.definition(name).await? {
        Some(definition) => sendable_options(&definition),
        None => property.options.iter().map(|o| option(o, o)).collect(),
    };
    property.options = values(&options);
    let mut new = missing;
    new.retain(|value| !property.options.contains(value));
    options.extend(new.iter().map(|value| option(value, value)));
    match client.set_options(name, options).await {
        Err(error) if error.is_transient() || error.is_refusal() => return Err(error),
        Err(error) => warn!(%error, "HubSpot refused an option; contacts do without it."),
        Ok(()) => property.options.extend(new),
    }
    Ok(())
}

async fn define(client: &Client<'_>) -> Result<Schema, ApiError> {
    let mut schema = Schema::default();
    let found = client.definitions().await?;
    let find = |name| {
        found
            .iter()
            .find(|json| json.get("name") == Some(&Value::from(name)))
    };
    if DEFINITIONS.iter().any(|(name, _)| find(*name).is_none()) {
        client.define_group().await?;
    }
    for (name, kind) in DEFINITIONS {
        if let Some(definition) = find(name) {
            schema.insert(name, kind, definition);
        } else if let Some(definition) = create(client, name, kind).await? {
            schema.insert(name, kind, &definition);
        }
    }
    Ok(schema)
}

/// `None` if HubSpot refuses the property, for lack of room for example. Contacts do
/// without it. Few properties of an account can be unique, so that one is tried as a
/// plain one too.
async fn create(client: &Client<'_>, name: &str, kind: Kind) -> Result<Option<Value>, ApiError> {
    let mut is_unique = name == USER_ID;
    loop {
        match client.define(name, kind, is_unique).await {
            Ok(definition) => return Ok(Some(definition)),
            Err(error) if error.is_transient() || error.is_refusal() => return Err(error),
            // Another instance may have created it already; that is not an error.
            Err(error) if error.status() == Some(409) => return client.definition(name).await,
            Err(error) if is_unique => warn!(%error, name, "HubSpot refused a unique property."),
            Err(error) => {
                warn!(%error, name, "HubSpot refused a property; contacts do without it.");
                return Ok(None);
            }
        }
        is_unique = false;
    }
}

/// With the publisher's labels, in the publisher's order.
fn sendable_options(definition: &Value) -> Vec<Value> {
    let sendable = |option: &Map<String, Value>| {
        let mut option = option.clone();
        option.retain(|key, value| OPTION_KEYS.contains(&key.as_str()) && !value.is_null());
        Value::Object(option)
    };
    let options = definition.get("options").and_then(Value::as_array);
    let options = options.into_iter().flatten().filter_map(Value::as_object);
    options.map(sendable).collect()
}

fn values(options: &[Value]) -> BTreeSet<String> {
    let values = options.iter().filter_map(|o| o.get("value")?.as_str());
    values.map(str::to_owned).collect()
}
