//! The fields of a contact as a sync wants them, for CRMs whose fields have JSON values.

use std::fmt;

use serde_json::{Map, Value};

use super::changes::FieldChange;
use crate::derivation::Attribute;

#[derive(Clone, PartialEq)]
pub struct Field {
    /// In the CRM.
    pub name: &'static str,
    pub attribute: Attribute,
    /// Null clears the field.
    pub value: Value,
}

/// Omits the value, which may be personal.
impl fmt::Debug for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} ({})",
            self.name,
            self.attribute.kind().name()
        )
    }
}

impl Field {
    pub fn new(name: &'static str, attribute: Attribute, value: Value) -> Self {
        Self {
            name,
            attribute,
            value,
        }
    }

    /// For a CRM in which every value is a text, and an empty one clears the field.
    pub fn text(name: &'static str, attribute: Attribute, text: String) -> Self {
        let value = Some(text).filter(|text| !text.is_empty());
        Self::new(name, attribute, value.into())
    }

    /// Clears a table's fields, apart from those of name and phone.
    pub fn cleared(
        table: impl IntoIterator<Item = (Attribute, &'static str)>,
    ) -> impl Iterator<Item = Self> {
        let own = table.into_iter().filter(|(own, _)| !own.is_personal());
        own.map(|(attribute, name)| Self::new(name, attribute, Value::Null))
    }

    pub fn is_cleared(&self) -> bool {
        self.value.is_null()
    }

    /// Whether a contact with this value needs a write.
    ///
    /// Assumed: a CRM may return a number as a text or with other digits after the
    /// point, and null or a blank text for a field without a value.
    pub fn differs(&self, current: &Value) -> bool {
        if self.attribute.is_personal() {
            return is_blank(current) && !self.is_cleared();
        }
        match &self.value {
            Value::Number(_) => number(current) != number(&self.value),
            Value::Null => !is_blank(current),
            desired => current != desired,
        }
    }

    pub fn change(&self) -> FieldChange {
        if self.is_cleared() {
            FieldChange::cleared(self.name)
        } else {
            let is_personal = self.attribute.is_personal();
            FieldChange::set(self.name, self.value.clone(), is_personal)
        }
    }
}

/// The values by name, with the one that clears a field at the CRM.
pub fn field_values(fields: &[Field], cleared: &Value) -> Map<String, Value> {
    let value = |field: &Field| match &field.value {
        Value::Null => cleared.clone(),
        value => value.clone(),
    };
    let values = fields.iter();
    values
        .map(|field| (field.name.to_owned(), value(field)))
        .collect()
}

/// Whether a field with this value has none.
pub fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::changes::NewValue;
    use super::*;

    fn field(attribute: Attribute, value: Value) -> Field {
        Field::new("field", attribute, value)
    }

    #[test]
    fn cleared_fields_have_the_value_that_clears_and_leave_the_name() {
        let table = [(Attribute::UserId, "id"), (Attribute::FirstName, "name")];
        let cleared: Vec<Field> = Field::cleared(table).collect();
        let values = field_values(&cleared, &json!(""));
        assert_eq!(Value::from(values), json!({ "id": "" }));
        let set = [field(Attribute::UserId, json!("u"))];
        assert_eq!(
            Value::from(field_values(&set, &json!(""))),
            json!({ "field": "u" })
        );
    }

    #[test]
    fn values_agree_in_each_form_a_crm_may_return() {
        let agreeing = [
            (json!(1), json!(1)),
            (json!(1.0), json!(1)),
            (json!("1"), json!(1)),
            (json!(null), json!(null)),
            (json!(""), json!(null)),
            (json!(true), json!(true)),
            (json!("True"), json!("True")),
            (json!("2026-01-01"), json!("2026-01-01")),
        ];
        let differing = [
            (json!(2), json!(1)),
            (json!(null), json!(1)),
            (json!(""), json!(0)),
            (json!(0), json!(null)),
            (json!(null), json!(false)),
            (json!("true"), json!("True")),
            (json!(""), json!("2026-01-01")),
        ];
        for (current, desired) in agreeing {
            let field = field(Attribute::IssuesRemaining, desired);
            assert!(!field.differs(&current), "{current} {}", field.value);
        }
        for (current, desired) in differing {
            let field = field(Attribute::IssuesRemaining, desired);
            assert!(field.differs(&current), "{current} {}", field.value);
        }
    }

    #[test]
    fn name_and_phone_are_written_only_where_the_contact_has_none() {
        struct Case {
            current: Value,
            desired: Value,
            is_written: bool,
        }
        let case = |current, desired, is_written| Case {
            current,
            desired,
            is_written,
        };
        for case in [
            case(json!(null), json!("Anna"), true),
            case(json!(" "), json!("Anna"), true),
            case(json!("Anne"), json!("Anna"), false),
            case(json!("Anne"), json!(null), false),
            case(json!(""), json!(null), false),
        ] {
            let field = field(Attribute::FirstName, case.desired);
            let is_written = field.differs(&case.current);
            assert_eq!(is_written, case.is_written, "{}", case.current);
        }
    }

    #[test]
    fn personal_values_are_not_shown() {
        let personal = field(Attribute::Phone, json!("+4790000001"));
        assert_eq!(personal.change().to, NewValue::Personal);
        assert_eq!(format!("{personal:?}"), "field (text)");
        let count = field(Attribute::IssuesRemaining, json!(3));
        assert_eq!(count.change().to, NewValue::Shown(json!(3)));
        let cleared = field(Attribute::IssuesRemaining, json!(null));
        assert_eq!(cleared.change().to, NewValue::Cleared);
    }
}
