//! What each alias of a connector's function is for.
//!
//! IAM judges by a function's ARN who may invoke it, and does not look into the
//! event. An alias has an ARN of its own, which a policy must name (documented:
//! a permission for the function is none for its aliases, and the other way
//! round), and an invocation tells by which ARN it came. So there is an alias
//! for each kind of request, and the function keeps to what the alias is for.

use thiserror::Error;

use crate::request::ErrorAnswer;

/// What an invocation may be for, by the alias that it came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// No alias: the function's queue, and whoever may do everything.
    Everything,
    /// The alias `ask`: what only reads.
    Ask,
    /// The alias `forget`: what takes a reader's data away.
    Forget,
    /// Any other alias or version. The template has none.
    Nothing,
}

/// What is wanted of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// That it syncs a batch of messages, of whatever vendors.
    Sync,
    /// That it reads and answers.
    Ask,
    /// That it forgets a reader.
    Forget,
}

/// The alias is not for it. Nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("nothing was done: the function was invoked through {}", .0.described())]
pub(super) struct OutOfScope(Scope);

impl Scope {
    /// Of an invocation by this ARN.
    pub(super) fn of(invoked_arn: &str) -> Self {
        // arn:aws:lambda:REGION:ACCOUNT:function:NAME, and a qualifier if there is one.
        match invoked_arn.split(':').nth(7) {
            None | Some("$LATEST") => Self::Everything,
            Some("ask") => Self::Ask,
            Some("forget") => Self::Forget,
            Some(_) => Self::Nothing,
        }
    }

    /// Lets through what the alias is for.
    pub(super) fn admit(self, wanted: Use) -> Result<(), OutOfScope> {
        match (self, wanted) {
            (Self::Everything, _) | (Self::Ask, Use::Ask) | (Self::Forget, Use::Forget) => Ok(()),
            _ => Err(OutOfScope(self)),
        }
    }

    const fn described(self) -> &'static str {
        match self {
            Self::Everything => "no alias, which is for everything",
            Self::Ask => "its alias `ask`, which is for check and preview alone",
            Self::Forget => "its alias `forget`, which is for forget alone",
            Self::Nothing => "an alias or version that is for nothing; use `ask` or `forget`",
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
    fn an_alias_is_for_its_kind_of_request_alone() {
        let function = "arn:aws:lambda:eu-north-1:123456789012:function:stack-RuleFunction-Ab1";
        let all = [Use::Sync, Use::Ask, Use::Forget];
        let cases = [
            ("", &all[..]),
            (":$LATEST", &all[..]),
            (":ask", &[Use::Ask]),
            (":forget", &[Use::Forget]),
            (":1", &[]),
            (":live", &[]),
            (":Ask", &[]),
            (":", &[]),
        ];
        for (qualifier, allowed) in cases {
            let scope = Scope::of(&format!("{function}{qualifier}"));
            for wanted in all {
                let admitted = scope.admit(wanted).is_ok();
                assert_eq!(
                    admitted,
                    allowed.contains(&wanted),
                    "{qualifier} {wanted:?}"
                );
            }
        }
    }
}
