//! Sesamy's ids. They are opaque: only [`UserId::connection`] looks inside one.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Sesamy documents no limit; the ids in its examples are below 40 bytes.
pub const MAX_ID_BYTES: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdError {
    #[error("must not be empty")]
    Empty,
    #[error("must be at most {MAX_ID_BYTES} bytes")]
    TooLong,
    #[error("must not contain blank, control or format characters")]
    ForbiddenCharacter,
    /// Separates the parts of secrets' names.
    #[error("must not contain a slash")]
    Slash,
}

/// Unicode's general category Cf, which `char` has no method for: invisible
/// characters that could make two ids look the same.
///
/// Source: Unicode 16, `DerivedGeneralCategory.txt`.
const FORMAT_CHARACTERS: [RangeInclusive<char>; 21] = [
    '\u{ad}'..='\u{ad}',
    '\u{600}'..='\u{605}',
    '\u{61c}'..='\u{61c}',
    '\u{6dd}'..='\u{6dd}',
    '\u{70f}'..='\u{70f}',
    '\u{890}'..='\u{891}',
    '\u{8e2}'..='\u{8e2}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{2064}',
    '\u{2066}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{fff9}'..='\u{fffb}',
    '\u{110bd}'..='\u{110bd}',
    '\u{110cd}'..='\u{110cd}',
    '\u{13430}'..='\u{1343f}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0001}'..='\u{e0001}',
    '\u{e0020}'..='\u{e007f}',
];

fn is_forbidden(c: char) -> bool {
    c.is_whitespace() || c.is_control() || FORMAT_CHARACTERS.iter().any(|range| range.contains(&c))
}

fn parse(text: String) -> Result<String, IdError> {
    if text.is_empty() {
        Err(IdError::Empty)
    } else if text.len() > MAX_ID_BYTES {
        Err(IdError::TooLong)
    } else if text.chars().any(is_forbidden) {
        Err(IdError::ForbiddenCharacter)
    } else {
        Ok(text)
    }
}

/// A vendor id is one part of its secrets' names (`{prefix}/{vendorId}/rule`).
/// It has no slash, because the `*` for it in the functions' roles would match one.
fn parse_name_part(text: String) -> Result<String, IdError> {
    let text = parse(text)?;
    if text.contains('/') {
        Err(IdError::Slash)
    } else {
        Ok(text)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        id! { $(#[$doc])* $name, parse }
    };
    ($(#[$doc:meta])* $name:ident, $parse:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                $parse(text).map(Self)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = IdError;

            fn try_from(text: &str) -> Result<Self, IdError> {
                $parse(text.to_owned()).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

id! {
    /// A publisher at Sesamy, to which credentials and users belong.
    VendorId, parse_name_part
}
id! {
    /// `{connection}|{key}`, such as `email|84cc…` or `auth0|…`.
    UserId
}
id! {
    /// A subscription or a single purchase.
    ContractId
}
id! {
    /// A right to access a product.
    EntitlementId
}
id! {
    /// A purchase, finished or not.
    CheckoutId
}
id! {
    /// Computed by us, because Sesamy sends none (see [`crate::message::Event::id`]).
    EventId
}

impl EventId {
    /// A hexadecimal digest is always a valid id.
    pub(crate) fn from_digest(digest: String) -> Self {
        Self(digest)
    }
}

impl UserId {
    /// The connection by which the user signs in: the part before the first `|`.
    pub fn connection(&self) -> Option<&str> {
        self.0.split_once('|').map(|(connection, _)| connection)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn id_is_short_and_has_only_visible_characters() {
        let longest = "x".repeat(MAX_ID_BYTES);
        let cases = [
            ("email|84cccf985de28a2a84824786", None),
            ("å", None),
            (longest.as_str(), None),
            ("", Some(IdError::Empty)),
            (" ", Some(IdError::ForbiddenCharacter)),
            ("a b", Some(IdError::ForbiddenCharacter)),
            ("a\u{a0}b", Some(IdError::ForbiddenCharacter)),
            ("a\n", Some(IdError::ForbiddenCharacter)),
            ("a\u{7f}", Some(IdError::ForbiddenCharacter)),
            ("a\u{200b}b", Some(IdError::ForbiddenCharacter)),
            ("a\u{202e}b", Some(IdError::ForbiddenCharacter)),
            ("\u{feff}a", Some(IdError::ForbiddenCharacter)),
            ("a\u{e0041}", Some(IdError::ForbiddenCharacter)),
            ("a/b", None),
        ];
        for (text, fault) in cases {
            assert_eq!(UserId::try_from(text).err(), fault, "{text:?}");
        }
        let too_long = format!("{longest}x");
        assert_eq!(
            UserId::try_from(too_long.as_str()).err(),
            Some(IdError::TooLong)
        );
    }

    #[test]
    fn vendor_id_has_no_slash() {
        for (text, fault) in [
            ("vendor_123", None),
            ("a/b", Some(IdError::Slash)),
            ("/", Some(IdError::Slash)),
            ("a\u{ad}/", Some(IdError::ForbiddenCharacter)),
        ] {
            assert_eq!(VendorId::try_from(text).err(), fault, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn only_visible_characters_are_allowed(
            hidden in "\\p{Cf}",
            seen in "[^\\s\\p{Cc}\\p{Cf}]{1,60}",
        ) {
            let id = |text: &str| UserId::try_from(text).map(drop);
            prop_assert_eq!(id(&hidden), Err(IdError::ForbiddenCharacter));
            prop_assert_eq!(id(&format!("{seen}{hidden}")), Err(IdError::ForbiddenCharacter));
            prop_assert_eq!(id(&seen), Ok(()));
        }
    }

    #[test]
    fn connection_is_the_part_before_the_first_bar() {
        let cases = [("guest|1|2", Some("guest")), ("plain", None)];
        for (id, connection) in cases {
            let id = UserId::try_from(id).unwrap();
            assert_eq!(id.connection(), connection);
        }
    }
}
