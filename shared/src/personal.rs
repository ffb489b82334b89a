//! Personal data that cannot be logged by accident.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A personal value such as a name, a phone number or a street.
///
/// `Debug` prints `[personal]`, and there is no `Display`. Code that sends it to
/// a CRM calls [`Personal::expose`]. `Serialize` exposes it too, for the bodies
/// of requests.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Personal(String);

impl Personal {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For a request to an API that is meant to receive it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[personal]")
    }
}

/// An e-mail address, trimmed and never empty. The CRM decides whether it is
/// valid.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Email(Personal);

impl Email {
    /// `None` for blank text.
    pub fn parse(text: &str) -> Option<Self> {
        let trimmed = text.trim();
        (!trimmed.is_empty()).then(|| Self(Personal::new(trimmed)))
    }

    /// As Sesamy has it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The lower-case form for looking up contacts, so that a user who typed
    /// capitals at Sesamy is found in the CRM.
    ///
    /// Only ASCII is folded. Unicode's rules would make two addresses equal:
    /// U+212A, the Kelvin sign, becomes a plain `k`.
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
    fn address_is_trimmed_and_looked_up_in_lower_case() {
        let email = Email::parse(" Anna.Ask@Example.SE\n").unwrap();
        assert_eq!(email.expose(), "Anna.Ask@Example.SE");
        assert_eq!(email.lookup(), "anna.ask@example.se");
        assert_eq!(Email::parse(" \t"), None);
    }

    #[test]
    fn only_ascii_is_folded_in_an_address() {
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
