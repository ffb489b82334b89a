//! The CRMs that every publisher of these tests has.

use std::fmt;

use stand_ins::Api;

/// A CRM with a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Crm {
    /// Rule.
    Rule,
    /// Mailmojo.
    Mailmojo,
    /// Make.as.
    Make,
}

impl Crm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rule, Self::Mailmojo, Self::Make];

    /// The connector's name: of its secrets and its log group.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Mailmojo => "mailmojo",
            Self::Make => "make",
        }
    }

    /// The stand-in of its API.
    pub const fn api(self) -> Api {
        match self {
            Self::Rule => Api::Rule,
            Self::Mailmojo => Api::Mailmojo,
            Self::Make => Api::Make,
        }
    }
}

impl fmt::Display for Crm {
    /// As the logical ids of the template begin.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rule => "Rule",
            Self::Mailmojo => "Mailmojo",
            Self::Make => "Make",
        })
    }
}
