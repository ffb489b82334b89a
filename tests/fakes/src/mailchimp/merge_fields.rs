//! Merge fields: their definitions, their values and their limit.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    account::{Account, Audience},
    invalid, object,
    paging::Page,
};
use crate::{
    rejection::Rejection,
    request::{ApiRequest, Query},
    response::ApiResponse,
    validation::{self, FieldErrors, is_date},
};

/// The integration's merge fields. All others belong to the publisher.
const OWN_FIELDS: [(&str, FieldKind); 13] = [
    ("SESAMYUSR", FieldKind::Text),
    ("SMYSUBSC", FieldKind::Text),
    ("SMYARTPUR", FieldKind::Number),
    ("SMYACTSUBS", FieldKind::Number),
    ("SMYCANSUBS", FieldKind::Number),
    ("SMYEXPSUBS", FieldKind::Number),
    ("SMYENDSUBS", FieldKind::Number),
    ("SMYISSREM", FieldKind::Number),
    ("SMYEXPIRES", FieldKind::Date),
    ("SMYLASTPAY", FieldKind::Date),
    ("SMYNEXTPAY", FieldKind::Date),
    ("SMYCANCEL", FieldKind::Date),
    ("SMYTYPE", FieldKind::Text),
];

const MAX_TAG: usize = 10;

pub(crate) fn is_own(tag: &str) -> bool {
    OWN_FIELDS.iter().any(|(own, _)| *own == tag)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    Text,
    Number,
    /// `YYYY-MM-DD`, however the form shows it.
    Date,
    Phone,
    Address,
    Url,
    ImageUrl,
    Radio,
    Dropdown,
    Birthday,
    Zip,
}

impl FieldKind {
    /// The type of one of the integration's fields, or one that fits the value.
    pub(super) fn of(tag: &str, value: &Value) -> Self {
        let own = OWN_FIELDS.iter().find(|(own, _)| *own == tag);
        match (own, value) {
            (Some((_, kind)), _) => *kind,
            (None, Value::Number(_)) => Self::Number,
            (None, _) => Self::Text,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergeField {
    pub tag: String,
    #[serde(rename = "type")]
    pub kind: FieldKind,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub required: bool,
    /// Shown on the sign-up form.
    #[serde(default)]
    pub public: bool,
    /// Of a phone number: `US`, `International` or `none`.
    #[serde(default)]
    pub phone_format: Option<String>,
}

impl MergeField {
    pub fn new(tag: &str, kind: FieldKind) -> Self {
        Self {
            tag: tag.to_owned(),
            kind,
            name: tag.to_owned(),
            required: false,
            public: false,
            phone_format: None,
        }
    }

    /// Those of a new audience.
    pub(super) fn defaults() -> Vec<Self> {
        [
            ("FNAME", FieldKind::Text),
            ("LNAME", FieldKind::Text),
            ("ADDRESS", FieldKind::Address),
            ("PHONE", FieldKind::Phone),
        ]
        .map(|(tag, kind)| Self::new(tag, kind))
        .into()
    }

    fn to_json(&self, id: usize, list_id: &str) -> Value {
        let mut options = Map::new();
        match self.kind {
            FieldKind::Phone => {
                let format = self.phone_format.as_deref().unwrap_or("none");
                options.insert("phone_format".into(), format.into());
            }
            FieldKind::Date => {
                options.insert("date_format".into(), "MM/DD/YYYY".into());
            }
            _ => {
                options.insert("size".into(), 25.into());
            }
        }
        json!({
            "merge_id": id,
            "tag": self.tag,
            "name": self.name,
            "type": self.kind,
            "required": self.required,
            "default_value": "",
            "public": self.public,
            "display_order": id + 1,
            "options": options,
            "help_text": "",
            "list_id": list_id,
        })
    }

    /// Why the field does not take a value. An empty text clears any field.
    pub(super) fn refusal(&self, value: &Value) -> Option<&'static str> {
        let text = match value {
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) => text.as_str(),
            Value::Number(_) if self.kind == FieldKind::Number => return None,
            Value::Number(_) => return Some("Please enter a text"),
            Value::Object(_) if self.kind == FieldKind::Address => return None,
            _ => return Some("Data did not match any of the schemas described in anyOf."),
        };
        let fits = match self.kind {
            FieldKind::Text | FieldKind::Url | FieldKind::ImageUrl => true,
            FieldKind::Radio | FieldKind::Dropdown => true,
            FieldKind::Number => text.trim().parse::<f64>().is_ok(),
            FieldKind::Date => is_date(text),
            FieldKind::Phone => !self.is_us_phone() || is_us_number(text),
            FieldKind::Birthday => text.len() == 5,
            FieldKind::Zip => text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit()),
            FieldKind::Address => false,
        };
        let message = match self.kind {
            FieldKind::Number => "Please enter a number",
            FieldKind::Date => "Please enter the date",
            FieldKind::Phone => "Please enter a complete phone number",
            _ => "Please enter a complete value",
        };
        (!fits).then_some(message)
    }

    fn is_us_phone(&self) -> bool {
        self.phone_format.as_deref() == Some("US")
    }
}

/// NNN-NNN-NNNN.
fn is_us_number(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let digits = |part: &&str| part.bytes().all(|b| b.is_ascii_digit());
    parts.iter().map(|part| part.len()).eq([3, 3, 4]) && parts.iter().all(digits)
}

impl Account {
    pub fn list_merge_fields(&self, list: &str, query: &Query) -> Result<ApiResponse, Rejection> {
        let audience = self.audience(list)?;
        let page = Page::read(query)?;
        let fields = audience.merge_fields.iter().enumerate();
        let all: Vec<Value> = fields
            .map(|(index, field)| field.to_json(index + 1, list))
            .collect();
        let mut answer = json!({
            "merge_fields": page.of(&all),
            "list_id": list,
            "total_items": all.len(),
        });
        if let (true, Value::Object(answer)) = (self.settings.shows_limit, &mut answer) {
            let limit = self.settings.merge_field_limit;
            answer.insert("merge_field_limit".into(), limit.into());
        }
        Ok(page.answer(answer))
    }

    pub fn create_merge_field(
        &mut self,
        request: &ApiRequest<'_>,
        list: &str,
    ) -> Result<ApiResponse, Rejection> {
        const KEYS: [&str; 9] = [
            "tag",
            "name",
            "type",
            "required",
            "default_value",
            "public",
            "display_order",
            "options",
            "help_text",
        ];
        let settings = self.settings;
        let body = object(request)?;
        let audience = self.audience_mut(list)?;
        let mut errors = FieldErrors::default();
        validation::only(&body, &KEYS, &mut errors);
        let name = validation::required_text(&body, "name", &mut errors);
        let kind = serde_json::from_value(body.get("type").cloned().unwrap_or_default());
        if kind.is_err() {
            errors.add("type", "is no type of merge field");
        }
        let required = validation::flag(&body, "required", &mut errors);
        let public = validation::flag(&body, "public", &mut errors);
        let tag = validation::text(&body, "tag", &mut errors);
        let options = body.get("options").cloned().unwrap_or_default();
        let next = format!("MERGE{}", audience.merge_fields.len() + 1);
        let tag = tag.unwrap_or(&next);
        if let Some(refusal) = tag_refusal(audience, tag) {
            errors.add("tag", refusal);
        }
        errors.into_result()?;
        let Ok(kind) = kind else {
            return Err(Rejection::NOT_FOUND);
        };
        let field = MergeField {
            tag: tag.to_owned(),
            kind,
            name: name.to_owned(),
            required: required.unwrap_or(false),
            // Mailchimp's default.
            public: public.unwrap_or(true),
            phone_format: options
                .get("phone_format")
                .and_then(Value::as_str)
                .map(str::to_owned),
        };
        let id = audience.merge_fields.len() + 1;
        let answer = field.to_json(id, list);
        if audience.merge_fields.len() < settings.merge_field_limit {
            audience.merge_fields.push(field);
        } else if !settings.hides_limit {
            return Err(invalid("You have reached the limit of merge fields."));
        }
        Ok(ApiResponse::ok(answer))
    }
}

fn tag_refusal(audience: &Audience, tag: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if tag.is_empty() || tag.len() > MAX_TAG || !tag.bytes().all(plain) {
        Some("must be up to 10 of A to Z, digits and underscores".to_owned())
    } else if audience.definition(tag).is_some() {
        Some(format!(
            "A Merge Field with the tag \"{tag}\" already exists for this list."
        ))
    } else {
        None
    }
}
