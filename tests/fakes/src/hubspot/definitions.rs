//! Definitions of properties, and the calls that read and change them.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{account::Account, object, values};
use crate::{
    rejection::Rejection,
    request::ApiRequest,
    response::ApiResponse,
    validation::{self, FieldErrors},
    violations::{Reporter, ViolationKind},
};

/// The multi-select that holds the integration's tags.
pub(crate) const TAGS: &str = "sesamy_tags";

/// HubSpot's own group of contact properties.
const BUILT_IN_GROUP: &str = "contactinformation";

/// The integration's properties. All others belong to the publisher.
pub(crate) const OWN: [(&str, Kind); 12] = [
    ("sesamy_user_id", Kind::Text),
    ("has_active_subscription", Kind::Boolean),
    ("active_subscription_count", Kind::Number),
    ("canceled_subscriptions_count", Kind::Number),
    ("subscription_type", Kind::MultiSelect),
    (TAGS, Kind::MultiSelect),
    ("sesamy_subscription_expires_at", Kind::Date),
    ("sesamy_last_payment_date", Kind::Date),
    ("sesamy_next_payment_date", Kind::Date),
    ("sesamy_will_cancel_at", Kind::Date),
    ("sesamy_articles_purchased", Kind::Number),
    ("sesamy_issues_remaining", Kind::Number),
];

const TYPES: [&str; 7] = [
    "bool",
    "date",
    "datetime",
    "enumeration",
    "number",
    "phone_number",
    "string",
];

const FIELD_TYPES: [&str; 12] = [
    "booleancheckbox",
    "calculation_equation",
    "checkbox",
    "date",
    "file",
    "html",
    "number",
    "phonenumber",
    "radio",
    "select",
    "text",
    "textarea",
];

/// The pairs of type and field type that tests and the integration use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Boolean,
    Number,
    Date,
    DateTime,
    Select,
    MultiSelect,
}

impl Kind {
    const fn types(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("string", "text"),
            Self::Boolean => ("bool", "booleancheckbox"),
            Self::Number => ("number", "number"),
            Self::Date => ("date", "date"),
            Self::DateTime => ("datetime", "date"),
            Self::Select => ("enumeration", "select"),
            Self::MultiSelect => ("enumeration", "checkbox"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PropertyOption {
    pub label: String,
    pub value: String,
    pub hidden: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_order: Option<i64>,
}

impl PropertyOption {
    pub fn new(value: &str, label: &str) -> Self {
        Self {
            label: label.to_owned(),
            value: value.to_owned(),
            hidden: false,
            description: None,
            display_order: Some(-1),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Definition {
    pub name: String,
    pub label: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub field_type: String,
    pub group_name: String,
    #[serde(default)]
    pub options: Vec<PropertyOption>,
    #[serde(default)]
    pub has_unique_value: bool,
    #[serde(default)]
    pub read_only: bool,
    #[serde(default)]
    pub built_in: bool,
}

impl Definition {
    /// A property of the publisher's.
    pub fn new(name: &str, kind: Kind) -> Self {
        let (kind, field_type) = kind.types();
        let boolean = [("true", "Yes"), ("false", "No")];
        let options = boolean.map(|(value, label)| PropertyOption::new(value, label));
        Self {
            name: name.to_owned(),
            label: name.to_owned(),
            kind: kind.to_owned(),
            field_type: field_type.to_owned(),
            group_name: BUILT_IN_GROUP.to_owned(),
            options: if kind == "bool" {
                options.into()
            } else {
                Vec::new()
            },
            has_unique_value: false,
            read_only: false,
            built_in: false,
        }
    }

    pub fn option(mut self, value: &str, label: &str) -> Self {
        self.options.push(PropertyOption::new(value, label));
        self
    }

    pub fn unique(mut self) -> Self {
        self.has_unique_value = true;
        self
    }

    /// The definition of a property that a contact has before anything defined it.
    pub(crate) fn guess(name: &str) -> Self {
        match OWN.iter().find(|(own, _)| *own == name) {
            Some((_, kind)) => Self {
                group_name: "sesamy".to_owned(),
                has_unique_value: name == "sesamy_user_id",
                ..Self::new(name, *kind)
            },
            None => Self::new(name, Kind::Text),
        }
    }

    pub(crate) fn opt_out(name: &str) -> Self {
        Self {
            read_only: true,
            built_in: true,
            ..Self::new(name, Kind::Boolean)
        }
    }

    pub(crate) fn add_options<'a>(&mut self, values: impl Iterator<Item = &'a str>) {
        for value in values {
            if self.kind == "enumeration"
                && !value.is_empty()
                && !self.options.iter().any(|option| option.value == value)
            {
                self.options.push(PropertyOption::new(value, value));
            }
        }
    }

    fn to_json(&self) -> Value {
        let created = Timestamp::UNIX_EPOCH.to_string();
        json!({
            "name": self.name,
            "label": self.label,
            "type": self.kind,
            "fieldType": self.field_type,
            "groupName": self.group_name,
            "description": "",
            "options": self.options,
            "displayOrder": -1,
            "calculated": false,
            "externalOptions": false,
            "hasUniqueValue": self.has_unique_value,
            "hidden": false,
            "hubspotDefined": self.built_in,
            "formField": !self.read_only,
            "archived": false,
            "createdAt": created,
            "updatedAt": created,
            "modificationMetadata": {
                "archivable": !self.built_in,
                "readOnlyDefinition": self.built_in || self.has_unique_value,
                "readOnlyValue": self.read_only,
            },
        })
    }
}

pub(crate) fn default_groups() -> BTreeMap<String, String> {
    BTreeMap::from([(BUILT_IN_GROUP.to_owned(), "Contact information".to_owned())])
}

/// The few properties of HubSpot's own that matter here.
pub(crate) fn built_in() -> BTreeMap<String, Definition> {
    let built_in = |name, kind, read_only| Definition {
        read_only,
        built_in: true,
        ..Definition::new(name, kind)
    };
    let mut definitions = [
        built_in("email", Kind::Text, false),
        built_in("firstname", Kind::Text, false),
        built_in("lastname", Kind::Text, false),
        built_in("phone", Kind::Text, false),
        built_in("hs_additional_emails", Kind::Text, true),
        built_in("hs_email_optout", Kind::Boolean, true),
        built_in("hs_marketable_status", Kind::Boolean, true),
        built_in("hs_object_id", Kind::Number, true),
        built_in("createdate", Kind::DateTime, true),
        built_in("lastmodifieddate", Kind::DateTime, true),
        built_in("lifecyclestage", Kind::Text, false),
    ];
    definitions[0].has_unique_value = true;
    let definitions = definitions.into_iter();
    definitions.map(|d| (d.name.clone(), d)).collect()
}

fn unknown(name: &str) -> Rejection {
    Rejection::not_found(
        "OBJECT_NOT_FOUND",
        format!("property named '{name}' does not exist in objectTypeId: '0-1'"),
    )
}

fn exists(message: String) -> Rejection {
    Rejection::new(StatusCode::CONFLICT, "OBJECT_ALREADY_EXISTS", message)
}

impl Account {
    pub fn list_definitions(&self) -> ApiResponse {
        let results = self.definitions.values().map(Definition::to_json);
        ApiResponse::ok(json!({"results": results.collect::<Vec<_>>()}))
    }

    pub fn get_definition(&self, name: &str) -> Result<ApiResponse, Rejection> {
        let definition = self.definitions.get(name).ok_or_else(|| unknown(name))?;
        Ok(ApiResponse::ok(definition.to_json()))
    }

    pub fn read_definitions(&self, request: &ApiRequest<'_>) -> Result<ApiResponse, Rejection> {
        let body = object(request)?;
        let mut errors = FieldErrors::default();
        validation::only(
            &body,
            &["archived", "dataSensitivity", "inputs"],
            &mut errors,
        );
        if validation::flag(&body, "archived", &mut errors).is_none() {
            errors.add("archived", "is required");
        }
        let sensitivity = validation::required_text(&body, "dataSensitivity", &mut errors);
        if !["highly_sensitive", "non_sensitive", "sensitive"].contains(&sensitivity) {
            errors.add("dataSensitivity", "is unknown");
        }
        let mut names = Vec::new();
        match body.get("inputs").and_then(Value::as_array) {
            Some(inputs) if inputs.len() <= 100 => {
                for input in inputs {
                    match input.get("name").and_then(Value::as_str) {
                        Some(name) => names.push(name),
                        None => errors.add("inputs.name", "is required"),
                    }
                }
            }
            _ => errors.add("inputs", "must be an array of at most 100"),
        }
        errors.into_result()?;
        let (mut results, mut missing) = (Vec::new(), Vec::new());
        for name in names {
            match self.definitions.get(name) {
                Some(definition) => results.push(definition.to_json()),
                None => missing.push(name),
            }
        }
        if results.is_empty() && self.settings.unknown_definitions_are_404 {
            return Err(unknown(missing.first().unwrap_or(&"")));
        }
        let mut answer = json!({
            "status": "COMPLETE",
            "results": results,
            "startedAt": request.now.to_string(),
            "completedAt": request.now.to_string(),
        });
        if missing.is_empty() {
            return Ok(ApiResponse::ok(answer));
        }
        let error = json!({
            "status": "error",
            "category": "OBJECT_NOT_FOUND",
            "message": "Could not get some PROPERTY objects, they may be deleted or not exist.",
            "context": {"names": missing},
            "errors": [],
            "links": {},
        });
        if let Value::Object(answer) = &mut answer {
            answer.insert("numErrors".into(), missing.len().into());
            answer.insert("errors".into(), json!([error]));
        }
        Ok(ApiResponse::json(StatusCode::MULTI_STATUS, answer))
    }

    pub fn define(
        &mut self,
        request: &ApiRequest<'_>,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let body = object(request)?;
        let mut errors = FieldErrors::default();
        let known = [
            "name",
            "label",
            "type",
            "fieldType",
            "groupName",
            "description",
            "displayOrder",
            "formField",
            "hasUniqueValue",
            "hidden",
            "options",
        ];
        validation::only(&body, &known, &mut errors);
        let text = |key, errors: &mut _| validation::required_text(&body, key, errors).to_owned();
        let name = text("name", &mut errors);
        let definition = Definition {
            label: text("label", &mut errors),
            kind: text("type", &mut errors),
            field_type: text("fieldType", &mut errors),
            group_name: text("groupName", &mut errors),
            options: self.read_options(&body, &mut errors, reporter),
            has_unique_value: validation::flag(&body, "hasUniqueValue", &mut errors)
                .unwrap_or(false),
            read_only: false,
            built_in: false,
            name: name.clone(),
        };
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if !name.bytes().all(plain) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            errors.add(
                "name",
                "must be of lower-case a to z, digits and underscores",
            );
        }
        if !TYPES.contains(&definition.kind.as_str()) {
            errors.add("type", "is unknown");
        }
        if !FIELD_TYPES.contains(&definition.field_type.as_str()) {
            errors.add("fieldType", "is unknown");
        }
        if !self.groups.contains_key(&definition.group_name) {
            errors.add("groupName", "does not exist");
        }
        errors.into_result()?;
        definition.check_options()?;
        if self.definitions.contains_key(&name) {
            return Err(exists(format!("A property named '{name}' already exists.")));
        }
        let unique = self
            .definitions
            .values()
            .filter(|d| !d.built_in && d.has_unique_value);
        if definition.has_unique_value && unique.count() >= self.settings.max_unique {
            let message = "The limit of properties with unique values is reached.";
            return Err(Rejection::new(
                StatusCode::BAD_REQUEST,
                "VALIDATION_ERROR",
                message,
            ));
        }
        // Creating a property that was archived restores it as it was.
        let archived = self.archived_definitions.remove(&name);
        let definition = archived.unwrap_or(definition);
        self.lagging_writes = self.settings.definition_lag;
        let shown = definition.to_json();
        self.definitions.insert(name, definition);
        Ok(ApiResponse::json(StatusCode::CREATED, shown))
    }

    pub fn change_definition(
        &mut self,
        request: &ApiRequest<'_>,
        name: &str,
        reporter: &mut Reporter<'_>,
    ) -> Result<ApiResponse, Rejection> {
        let body = object(request)?;
        if !self.definitions.contains_key(name) {
            return Err(unknown(name));
        }
        let mut errors = FieldErrors::default();
        let options = self.read_options(&body, &mut errors, reporter);
        for key in body.keys().filter(|key| *key != "options") {
            // HubSpot would carry it out.
            let message = format!("\"{key}\" of a definition belongs to the publisher");
            reporter.report(ViolationKind::ForeignDataChanged, message);
        }
        errors.into_result()?;
        let Some(definition) = self.definitions.get_mut(name) else {
            return Err(unknown(name));
        };
        if definition.built_in || definition.has_unique_value {
            let message = format!("the definition of '{name}' is read-only");
            return Err(Rejection::new(
                StatusCode::BAD_REQUEST,
                "VALIDATION_ERROR",
                message,
            ));
        }
        if body.contains_key("options") {
            let before = std::mem::replace(&mut definition.options, options);
            for lost in before {
                if !definition.options.contains(&lost) {
                    let message = format!("option \"{}\" is lost or changed", lost.value);
                    reporter.report(ViolationKind::ForeignDataChanged, message);
                }
            }
        }
        Ok(ApiResponse::ok(definition.to_json()))
    }

    fn read_options(
        &self,
        body: &Map<String, Value>,
        errors: &mut FieldErrors,
        reporter: &mut Reporter<'_>,
    ) -> Vec<PropertyOption> {
        let Some(list) = body.get("options") else {
            return Vec::new();
        };
        let Ok(list) = serde_json::from_value::<Vec<PropertyOption>>(list.clone()) else {
            errors.add(
                "options",
                "must be an array of options with label, value and hidden",
            );
            return Vec::new();
        };
        let fold = self.settings.fold_option_case;
        let mut options: Vec<PropertyOption> = Vec::new();
        for option in list {
            let same =
                |known: &&PropertyOption| validation::same_tag(&known.value, &option.value, fold);
            if option.value.is_empty() || option.value.chars().count() > 3_000 {
                errors.add("options.value", "must have 1 to 3,000 characters");
            } else if option.label.is_empty() {
                errors.add("options.label", "must not be empty");
            } else if option.value.contains(';') || option.value.trim() != option.value {
                // No contact could have it as its value.
                let message = format!("option \"{}\" can never be a value", option.value);
                reporter.report(ViolationKind::Undocumented, message);
            } else if let Some(known) = options.iter().find(same) {
                if known.value == option.value {
                    errors.add("options.value", "is there twice");
                }
                continue;
            }
            options.push(option);
        }
        if options.len() > self.settings.max_options {
            errors.add("options", "are too many");
        }
        options
    }

    pub fn get_group(&self, name: &str) -> Result<ApiResponse, Rejection> {
        let label = self.groups.get(name);
        let label = label.ok_or_else(|| {
            let message = format!("Property group named '{name}' does not exist");
            Rejection::not_found("OBJECT_NOT_FOUND", message)
        })?;
        Ok(ApiResponse::ok(group_json(name, label)))
    }

    pub fn define_group(&mut self, request: &ApiRequest<'_>) -> Result<ApiResponse, Rejection> {
        let body = object(request)?;
        let mut errors = FieldErrors::default();
        validation::only(&body, &["name", "label", "displayOrder"], &mut errors);
        let name = validation::required_text(&body, "name", &mut errors);
        let label = validation::required_text(&body, "label", &mut errors);
        errors.into_result()?;
        if self.groups.contains_key(name) {
            return Err(exists(format!("Property group '{name}' already exists.")));
        }
        self.groups.insert(name.to_owned(), label.to_owned());
        Ok(ApiResponse::json(
            StatusCode::CREATED,
            group_json(name, label),
        ))
    }
}

impl Definition {
    fn check_options(&self) -> Result<(), Rejection> {
        let mut values: Vec<&str> = self.options.iter().map(|o| o.value.as_str()).collect();
        values.sort_unstable();
        if self.kind == "bool" && values != ["false", "true"] {
            let message = "a bool needs exactly the options true and false";
            let code = "INVALID_BOOLEAN_OPTION";
            return Err(Rejection::new(StatusCode::BAD_REQUEST, code, message));
        }
        if !values::takes_options(self) && !values.is_empty() {
            return Err(Rejection::field("options", "only an enumeration has them"));
        }
        Ok(())
    }
}

fn group_json(name: &str, label: &str) -> Value {
    json!({"name": name, "label": label, "displayOrder": -1, "archived": false})
}
