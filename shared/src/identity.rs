//! The ids of Sesamy that travel through the whole system.
//!
//! Ids are opaque: nothing but [`UserId::connection`] looks inside one.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest id accepted, in bytes. Sesamy documents no limit; the ids it
/// shows are below 40 bytes.
pub const MAX_ID_BYTES: usize = 256;

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdError {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text is longer than [`MAX_ID_BYTES`].
    #[error("must be at most {MAX_ID_BYTES} bytes")]
    TooLong,
    /// The text holds white space, a control or a format character.
    #[error("must not contain blank, control or format characters")]
    ForbiddenCharacter,
    /// The id is part of secrets' names, and the text holds what separates their parts.
    #[error("must not contain a slash")]
    Slash,
}

/// Unicode's general category Cf, which `char` does not know: characters that
/// are not seen, so that two ids would look like one.
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

/// A vendor's id is one part of its secrets' names (`{prefix}/{vendorId}/rule`),
/// and the `*` that stands for it in the functions' roles matches slashes too.
fn parse_part_of_name(text: String) -> Result<String, IdError> {
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
            /// The id as Sesamy spells it.
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
    /// A publisher at Sesamy: the tenant that credentials and users belong to.
    VendorId, parse_part_of_name
}
id! {
    /// A reader at Sesamy, spelt `{connection}|{key}` (`email|84cc…`, `auth0|…`).
    UserId
}
id! {
    /// What a reader holds with the publisher: a subscription or a single purchase.
    ContractId
}
id! {
    /// A right of access to a product.
    EntitlementId
}
id! {
    /// A purchase under way or done.
    CheckoutId
}
id! {
    /// One webhook event, named by ourselves because Sesamy sends no event id
    /// (see [`crate::message`]).
    EventId
}

impl EventId {
    /// An id from a digest in hexadecimal, which is an id by its form.
    pub(crate) fn from_digest(digest: String) -> Self {
        Self(digest)
    }
}

impl UserId {
    /// The part before the first `|`: the connection the reader signs in by.
    pub fn connection(&self) -> Option<&str> {
        self.0.split_once('|').map(|(connection, _)| connection)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_a_short_text_of_characters_that_are_seen() {
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
    fn a_vendor_id_is_one_part_of_a_secrets_name() {
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
        fn every_format_character_is_forbidden_and_nothing_else_that_is_seen(
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
    fn the_connection_is_what_stands_before_the_first_bar() {
        let cases = [("guest|1|2", Some("guest")), ("plain", None)];
        for (id, connection) in cases {
            let id = UserId::try_from(id).unwrap();
            assert_eq!(id.connection(), connection);
        }
    }
}
