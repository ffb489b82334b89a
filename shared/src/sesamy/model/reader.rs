//! Tolerant access to the fields of a JSON object.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::dropped::Dropped;
use super::open_enum::OpenEnum;
use super::time;
use crate::personal::Personal;

/// A JSON object being read. Each method takes one field: `None` where it is
/// missing, null, or a blank text, and `None` and counted where it is
/// something else than asked for.
pub(super) struct Object<'a> {
    fields: &'a Map<String, Value>,
    path: &'static str,
}

impl<'a> Object<'a> {
    /// The object at a path. Anything but an object is dropped.
    pub(super) fn read(json: &'a Value, path: &'static str, dropped: &mut Dropped) -> Option<Self> {
        let fields = json.as_object();
        if fields.is_none() {
            dropped.add(path, "");
        }
        fields.map(|fields| Self { fields, path })
    }

    /// Counts a field whose value cannot be used.
    pub(super) fn drop(&self, field: &'static str, dropped: &mut Dropped) {
        dropped.add(self.path, field);
    }

    /// The value of a field, null being as good as missing.
    fn value(&self, field: &str) -> Option<&'a Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// What `read` makes of a field's value; counted where it makes nothing of it.
    fn with<T>(
        &self,
        field: &'static str,
        dropped: &mut Dropped,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(field)?;
        let result = read(value);
        if result.is_none() {
            self.drop(field, dropped);
        }
        result
    }

    /// A text without the blanks around it.
    pub(super) fn text(&self, field: &'static str, dropped: &mut Dropped) -> Option<&'a str> {
        self.with(field, dropped, |value| value.as_str().map(str::trim))
            .filter(|text| !text.is_empty())
    }

    /// A text that is kept.
    pub(super) fn string(&self, field: &'static str, dropped: &mut Dropped) -> Option<String> {
        self.text(field, dropped).map(str::to_owned)
    }

    /// A text about a person.
    pub(super) fn personal(&self, field: &'static str, dropped: &mut Dropped) -> Option<Personal> {
        self.text(field, dropped).map(Personal::new)
    }

    /// A value of an enumeration; counted, and kept, where it is not known.
    pub(super) fn one_of<T: OpenEnum>(
        &self,
        field: &'static str,
        dropped: &mut Dropped,
    ) -> Option<T> {
        let value = T::from_text(self.text(field, dropped)?);
        if !value.is_known() {
            dropped.add_unknown(self.path, field);
        }
        Some(value)
    }

    /// A text that must have a certain form, such as an id.
    pub(super) fn parsed<T>(
        &self,
        field: &'static str,
        dropped: &mut Dropped,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(field, dropped)?;
        let result = parse(text);
        if result.is_none() {
            self.drop(field, dropped);
        }
        result
    }

    /// A point in time.
    pub(super) fn timestamp(
        &self,
        field: &'static str,
        dropped: &mut Dropped,
    ) -> Option<Timestamp> {
        self.parsed(field, dropped, time::parse)
    }

    /// Yes or no. A text such as `"true"` is neither.
    pub(super) fn boolean(&self, field: &'static str, dropped: &mut Dropped) -> Option<bool> {
        self.with(field, dropped, Value::as_bool)
    }

    /// A number, also as a text, in the digits it was sent in.
    pub(super) fn digits(&self, field: &'static str, dropped: &mut Dropped) -> Option<String> {
        if let Some(Value::Number(number)) = self.value(field) {
            return Some(number.to_string());
        }
        self.parsed(field, dropped, |text| finite(text).map(|_| text.to_owned()))
    }

    /// A number, also as a text.
    pub(super) fn number(&self, field: &'static str, dropped: &mut Dropped) -> Option<f64> {
        match self.value(field) {
            Some(Value::Number(number)) => number.as_f64(),
            _ => self.parsed(field, dropped, finite),
        }
    }

    /// An object within this one.
    pub(super) fn object(
        &self,
        field: &'static str,
        path: &'static str,
        dropped: &mut Dropped,
    ) -> Option<Self> {
        Self::read(self.value(field)?, path, dropped)
    }

    /// The elements of a list that `read` can make something of. It counts
    /// the others itself.
    pub(super) fn list<T>(
        &self,
        field: &'static str,
        dropped: &mut Dropped,
        mut read: impl FnMut(&'a Value, &mut Dropped) -> Option<T>,
    ) -> Vec<T> {
        self.with(field, dropped, Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|element| read(element, dropped))
            .collect()
    }
}

/// A number that can be counted with: not infinite, not "not a number".
fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
