//! What each alias of a function allows.
//!
//! IAM decides by a function's ARN who may invoke it, and does not see the
//! event. An alias has its own ARN, which a policy must name (documented: a
//! permission for the function does not cover its aliases, nor the reverse),
//! and an invocation carries the ARN that was invoked. So there is an alias per
//! kind of request, and the function enforces it.

use thiserror::Error;

use crate::request::ErrorAnswer;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// No alias: the function's queue or state machine, and callers who may do everything.
    Everything,
    /// The alias `ask`.
    Ask,
    /// The alias `forget`, which connectors' functions have.
    Forget,
    /// Any other alias or version. The template has none.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// What no alias allows: syncs, redrives, resyncs.
    Act,
    /// Only reads.
    Ask,
    /// Removes a user's data.
    Forget,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("nothing was done: the function was invoked through {}", .0.description())]
pub struct OutOfScope(Scope);

impl Scope {
    pub fn from_arn(invoked_arn: &str) -> Self {
        // arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]
        match invoked_arn.split(':').nth(7) {
            None | Some("$LATEST") => Self::Everything,
            Some("ask") => Self::Ask,
            Some("forget") => Self::Forget,
            Some(_) => Self::Nothing,
        }
    }

    pub fn admit(self, purpose: Purpose) -> Result<(), OutOfScope> {
        match (self, purpose) {
            (Self::Everything, _) | (Self::Ask, Purpose::Ask) | (Self::Forget, Purpose::Forget) => {
                Ok(())
            }
            _ => Err(OutOfScope(self)),
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Everything => "no alias, which allows everything",
            Self::Ask => "its alias `ask`, which only reads",
            Self::Forget => "its alias `forget`, which allows only forget",
            Self::Nothing => "an alias or version that allows nothing; use `ask` or `forget`",
        }
    }
}

impl From<OutOfScope> for ErrorAnswer {
    fn from(refused: OutOfScope) -> Self {
        Self::new("not_allowed", refused.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alias_allows_only_its_kind_of_request() {
        let function = "arn:aws:lambda:eu-north-1:123456789012:function:stack-RuleFunction-Ab1";
        let all = [Purpose::Act, Purpose::Ask, Purpose::Forget];
        let cases = [
            ("", &all[..]),
            (":$LATEST", &all[..]),
            (":ask", &[Purpose::Ask]),
            (":forget", &[Purpose::Forget]),
            (":1", &[]),
            (":live", &[]),
            (":Ask", &[]),
            (":", &[]),
        ];
        for (qualifier, allowed) in cases {
            let scope = Scope::from_arn(&format!("{function}{qualifier}"));
            for purpose in all {
                assert_eq!(
                    scope.admit(purpose).is_ok(),
                    allowed.contains(&purpose),
                    "{qualifier} {purpose:?}"
                );
            }
        }
    }
}
