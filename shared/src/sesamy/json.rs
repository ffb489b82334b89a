//! Tolerant reading of JSON values, without building a tree of them.
//!
//! A [`RawValue`] is the text of a value. If a key is repeated, the last wins.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use super::time;
use crate::identity::{ContractId, UserId};
use crate::personal::{Email, Personal};

/// A value whose type or form does not fit the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unusable;

/// The fields of an object.
pub(super) type Fields<'a> = HashMap<String, &'a RawValue>;

/// The type of a field. The JSON is never null.
pub(super) trait FromJson<'a>: Sized {
    /// `None` for a blank text.
    fn from_json(json: &'a RawValue) -> Result<Option<Self>, Unusable>;

    /// False for a value that an open enumeration does not list.
    fn is_known(&self) -> bool {
        true
    }
}

pub(super) fn parse<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Result<T, Unusable> {
    serde_json::from_str(json.get()).map_err(|_| Unusable)
}

/// Trims a text and reads it with `read`. `None` if it is blank.
pub(super) fn text<T>(
    json: &RawValue,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Unusable> {
    let text: String = parse(json)?;
    match text.trim() {
        "" => Ok(None),
        text => read(text).map(Some).ok_or(Unusable),
    }
}

/// Implements [`FromJson`] for types that are read from a text.
macro_rules! from_text {
    ($($name:ty: $read:expr),+ $(,)?) => {
        $(impl FromJson<'_> for $name {
            fn from_json(json: &RawValue) -> Result<Option<Self>, Unusable> {
                text(json, $read)
            }
        })+
    };
}

from_text! {
    String: |text| Some(text.to_owned()),
    Personal: |text| Some(Self::new(text)),
    Email: Self::parse,
    UserId: |text| Self::try_from(text).ok(),
    ContractId: |text| Self::try_from(text).ok(),
    Timestamp: time::parse,
}

/// Implements [`FromJson`] for types that serde reads.
macro_rules! from_serde {
    ($($name:ty),+ $(,)?) => {
        $(impl<'a> FromJson<'a> for $name {
            fn from_json(json: &'a RawValue) -> Result<Option<Self>, Unusable> {
                parse(json).map(Some)
            }
        })+
    };
}

from_serde!(bool, Vec<&'a RawValue>, Fields<'a>);

/// Sesamy may send a number as a text.
impl FromJson<'_> for f64 {
    fn from_json(json: &RawValue) -> Result<Option<Self>, Unusable> {
        parse(json).map(Some).or_else(|_| text(json, finite))
    }
}

/// A number, or a text that is one, in the digits that Sesamy sent.
pub(super) struct Digits(pub(super) String);

impl FromJson<'_> for Digits {
    fn from_json(json: &RawValue) -> Result<Option<Self>, Unusable> {
        if let Ok(number) = parse::<Number>(json) {
            return Ok(Some(Self(number.to_string())));
        }
        text(json, |text| finite(text).map(|_| Self(text.to_owned())))
    }
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
pub(super) fn raw(json: &serde_json::Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(json).unwrap()
}
