//! Personal data that cannot be logged by accident.

use std::fmt;

use serde::Serialize;

/// A text about a person: a name, a phone number, a street.
///
/// It prints as `[personal]`, also inside other types' `Debug`, and has no
/// `Display`. Whoever sends it to a CRM says so by [`Personal::expose`].
/// Serialising is exposing too: it exists for the bodies of requests.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Personal(String);

impl Personal {
    /// Wraps a text about a person.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for a request to an API that is meant to receive it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[personal]")
    }
}

/// An e-mail address: what a CRM knows a reader by.
///
/// Trimmed and never empty. Whether it can receive mail is the CRM's to judge.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Email(Personal);

impl Email {
    /// Reads an address as Sesamy sends it. `None` where nothing but blanks is left.
    pub fn parse(text: &str) -> Option<Self> {
        let trimmed = text.trim();
        (!trimmed.is_empty()).then(|| Self(Personal::new(trimmed)))
    }

    /// The address as Sesamy holds it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The lower-case form under which contacts are looked up, so that a user
    /// who typed capitals at Sesamy is found in the CRM.
    ///
    /// Only ASCII letters are folded. Unicode's rules would make one address
    /// out of two: U+212A, the Kelvin sign, becomes a plain `k`.
    pub fn lookup(&self) -> String {
        self.0.expose().to_ascii_lowercase()
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn personal_data_never_shows_in_debug_output() {
        let printed = format!("{:?}", (Personal::new("Anna"), Email::parse("a@b.se")));
        assert_eq!(printed, "([personal], Some([personal]))");
    }

    #[test]
    fn an_address_is_trimmed_and_looked_up_in_lower_case() {
        let email = Email::parse(" Anna.Ask@Example.SE\n").unwrap();
        assert_eq!(email.expose(), "Anna.Ask@Example.SE");
        assert_eq!(email.lookup(), "anna.ask@example.se");
        assert_eq!(Email::parse(" \t"), None);
    }

    #[test]
    fn only_ascii_letters_of_an_address_are_folded() {
        struct Case {
            address: &'static str,
            looked_up: &'static str,
        }
        let cases = [
            Case {
                address: "\u{212A}im@example.no",
                looked_up: "\u{212A}im@example.no",
            },
            Case {
                address: "\u{C5}sa@Example.no",
                looked_up: "\u{C5}sa@example.no",
            },
            Case {
                address: "KIM@Example.NO",
                looked_up: "kim@example.no",
            },
        ];
        for case in cases {
            let email = Email::parse(case.address).unwrap();
            assert_eq!(email.lookup(), case.looked_up);
        }
    }
}
