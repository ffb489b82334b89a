//! Reads the fields of an object and counts those that are dropped.

use serde_json::value::RawValue;

use super::dropped::Dropped;
use crate::sesamy::json::{Fields, FromJson, parse};

pub(super) struct Object<'a> {
    fields: Fields<'a>,
    path: &'static str,
}

impl<'a> Object<'a> {
    /// `None` if the JSON is not an object, which counts as dropped.
    pub(super) fn read(
        json: &'a RawValue,
        path: &'static str,
        dropped: &mut Dropped,
    ) -> Option<Self> {
        let fields = parse(json).ok();
        if fields.is_none() {
            dropped.add(path, "");
        }
        fields.map(|fields| Self { fields, path })
    }

    /// `None` for a field that is missing, null, blank or dropped.
    pub(super) fn get<T: FromJson<'a>>(
        &self,
        field: &'static str,
        dropped: &mut Dropped,
    ) -> Option<T> {
        let json = self.fields.get(field).filter(|json| json.get() != "null")?;
        let Ok(value) = T::from_json(json) else {
            dropped.add(self.path, field);
            return None;
        };
        if value.as_ref().is_some_and(|value| !value.is_known()) {
            dropped.add_unknown(self.path, field);
        }
        value
    }

    /// An object within this one.
    pub(super) fn object(
        &self,
        field: &'static str,
        path: &'static str,
        dropped: &mut Dropped,
    ) -> Option<Self> {
        let fields = self.get(field, dropped)?;
        Some(Self { fields, path })
    }

    /// The elements that `read` does not drop.
    pub(super) fn list<T>(
        &self,
        field: &'static str,
        dropped: &mut Dropped,
        mut read: impl FnMut(&'a RawValue, &mut Dropped) -> Option<T>,
    ) -> Vec<T> {
        let elements: Vec<&RawValue> = self.get(field, dropped).unwrap_or_default();
        let read = elements.into_iter().filter_map(|json| read(json, dropped));
        read.collect()
    }
}
