//! Content to begin with: the format of seed files and of the control API's preload.

use serde::{Deserialize, Serialize};

use crate::{
    faults::Fault, mailmojo::MailmojoSeed, make::MakeSeed, rule::RuleSeed, sesamy::SesamySeed,
};

/// What the stand-ins hold to begin with. Every part may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Seed {
    /// Vendors and their users.
    pub sesamy: SesamySeed,
    /// Rule accounts.
    pub rule: RuleSeed,
    /// Mailmojo accounts.
    pub mailmojo: MailmojoSeed,
    /// Make.as credential sets.
    pub make: MakeSeed,
    /// Faults in force from the start.
    pub faults: Vec<Fault>,
    /// How much longer every answer takes.
    pub latency_ms: Option<u64>,
}
