//! How an account lets a field be cleared.
//!
//! A field that no longer applies is sent with an empty text. Should an account
//! refuse that, nearly every sync would be refused, and Rule blocks a key when
//! half of its calls are. So the first sync of an account finds out, and the
//! function instance remembers it: what an empty text does not clear is left
//! out of the upsert, and cleared by taking away its whole group.

use shared::cache::{Cache, Entry};
use shared::http::ApiError;

use crate::client::Refusal;
use crate::mapping::{Field, FieldType};

/// Which fields an account lets be cleared by an empty text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clearing {
    /// All of them.
    #[default]
    ByText,
    /// Texts alone; a date or a list goes with its group.
    TypedByGroup,
    /// None; each goes with its group.
    ByGroup,
}

impl Clearing {
    fn takes(self, field: &Field) -> bool {
        !field.is_cleared() || self.clears(field.kind)
    }

    fn clears(self, kind: FieldType) -> bool {
        match self {
            Self::ByText => true,
            Self::TypedByGroup => kind == FieldType::Text,
            Self::ByGroup => false,
        }
    }

    /// What is known once an empty text was refused for fields of these types.
    /// `None` where that is nothing new, so that the refusal means something else.
    ///
    /// Assumed: an account that refuses it for a date refuses it for a list too,
    /// so that one refusal is enough where Rule names only the first field.
    fn after_refusing(self, kinds: &[FieldType]) -> Option<Self> {
        if !kinds.iter().any(|kind| self.clears(*kind)) {
            None
        } else if kinds.contains(&FieldType::Text) {
            Some(Self::ByGroup)
        } else {
            Some(Self::TypedByGroup)
        }
    }
}

/// What a function instance knows of each account.
#[derive(Debug, Default)]
pub struct Clearings(Cache<Clearing>);

/// One try to send fields.
#[derive(Debug)]
pub struct Attempt<'a, 'f> {
    /// The fields to send.
    pub sent: Vec<&'f Field>,
    /// The cleared fields that the account would refuse.
    pub left_out: Vec<&'f Field>,
    clearings: &'a Clearings,
    account: &'a str,
    clearing: Clearing,
    /// Held while this try is the one that finds out; the others wait for it.
    finding_out: Option<Entry<Clearing>>,
}

impl Clearings {
    /// Begins to send fields to an account.
    pub async fn attempt<'a, 'f>(
        &'a self,
        account: &'a str,
        fields: &'f [Field],
    ) -> Attempt<'a, 'f> {
        let known = self.0.lock(account).await;
        let clearing = known.unwrap_or_default();
        let (sent, left_out) = fields.iter().partition(|field| clearing.takes(field));
        let is_typed = |field: &Field| field.is_cleared() && field.kind != FieldType::Text;
        let finds_out = known.is_none() && fields.iter().any(is_typed);
        Attempt {
            sent,
            left_out,
            clearings: self,
            account,
            clearing,
            finding_out: finds_out.then_some(known),
        }
    }
}

impl<'f> Attempt<'_, 'f> {
    /// Rule took the fields. Gives those that were left out.
    pub fn was_taken(self) -> Vec<&'f Field> {
        if let Some(mut entry) = self.finding_out {
            *entry = Some(self.clearing);
        }
        self.left_out
    }

    /// Rule refused the fields. Where that says something new about the
    /// account, they are to be sent once more.
    ///
    /// # Errors
    /// The refusal, where it means something else.
    pub async fn was_refused(self, refusal: Refusal) -> Result<(), ApiError> {
        let Some(learned) = self.clearing.after_refusing(&refusal.cleared) else {
            return Err(refusal.error);
        };
        let mut entry = match self.finding_out {
            Some(entry) => entry,
            None => self.clearings.0.lock(self.account).await,
        };
        *entry = (*entry).max(Some(learned));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_teaches_something_or_is_an_error() {
        use Clearing::{ByGroup, ByText, TypedByGroup};
        use FieldType::{Date, Multiple, Text};
        let cases: [(Clearing, &[FieldType], Option<Clearing>); 8] = [
            (ByText, &[], None),
            (ByText, &[Date], Some(TypedByGroup)),
            (ByText, &[Multiple], Some(TypedByGroup)),
            (ByText, &[Date, Text], Some(ByGroup)),
            (TypedByGroup, &[Date, Multiple], None),
            (TypedByGroup, &[Text], Some(ByGroup)),
            (ByGroup, &[Text], None),
            (ByGroup, &[Date], None),
        ];
        for (before, refused, after) in cases {
            assert_eq!(
                before.after_refusing(refused),
                after,
                "{before:?} {refused:?}"
            );
        }
    }
}
