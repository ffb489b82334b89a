//! The ids of Sesamy that travel through the whole system.
//!
//! Ids are opaque: nothing but [`UserId::connection`] looks inside one.

use std::fmt;

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
    /// The text holds white space or a control character.
    #[error("must not contain blank or control characters")]
    ForbiddenCharacter,
}

fn parse(text: String) -> Result<String, IdError> {
    if text.is_empty() {
        Err(IdError::Empty)
    } else if text.len() > MAX_ID_BYTES {
        Err(IdError::TooLong)
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Err(IdError::ForbiddenCharacter)
    } else {
        Ok(text)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
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
                parse(text).map(Self)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = IdError;

            fn try_from(text: &str) -> Result<Self, IdError> {
                parse(text.to_owned()).map(Self)
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
    /// A publisher at Sesamy: the tenant that credentials and readers belong to.
    VendorId
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
    use super::*;

    #[test]
    fn an_id_is_a_short_text_without_blanks_or_control_characters() {
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
    fn the_connection_is_what_stands_before_the_first_bar() {
        let cases = [("guest|1|2", Some("guest")), ("plain", None)];
        for (id, connection) in cases {
            let id = UserId::try_from(id).unwrap();
            assert_eq!(id.connection(), connection);
        }
    }
}
