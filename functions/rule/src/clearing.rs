//! How an account clears a field.
//!
//! A sync sends an empty text for each field that no longer applies. An account
//! that refuses this would refuse nearly every sync, and Rule blocks a key when
//! half of its calls fail. So the first sync of an account finds out, and the
//! function instance remembers: fields that an empty text does not clear are
//! left out of the upsert, and their whole group is deleted instead.

use shared::cache::{Cache, Entry};
use shared::http::{ApiError, FailedWrite};

use crate::mapping::{Field, FieldType};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClearingMethod {
    /// An empty text clears every field.
    #[default]
    ByText,
    /// An empty text clears text fields only; dates and lists need their group deleted.
    TypedByGroup,
    ByGroup,
}

impl ClearingMethod {
    fn accepts(self, field: &Field) -> bool {
        !field.is_cleared() || self.clears(field.kind)
    }

    fn clears(self, kind: FieldType) -> bool {
        match self {
            Self::ByText => true,
            Self::TypedByGroup => kind == FieldType::Text,
            Self::ByGroup => false,
        }
    }

    /// The method to use once the account has refused empty texts for fields of
    /// these types. `None` if the refusal has another cause.
    ///
    /// Assumed: an account that refuses an empty date refuses an empty list too, so
    /// one refusal is enough even if Rule names only the first field.
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

/// The method of each account that this function instance has synced.
#[derive(Debug, Default)]
pub struct ClearingMethods(Cache<ClearingMethod>);

#[derive(Debug)]
pub struct Attempt<'a, 'f> {
    pub sent: Vec<&'f Field>,
    /// Cleared fields that the account would refuse.
    pub left_out: Vec<&'f Field>,
    methods: &'a ClearingMethods,
    account: &'a str,
    method: ClearingMethod,
    /// Locks an account of unknown method until this attempt ends.
    probe: Option<Entry<ClearingMethod>>,
}

impl ClearingMethods {
    pub async fn attempt<'a, 'f>(
        &'a self,
        account: &'a str,
        fields: &'f [Field],
    ) -> Attempt<'a, 'f> {
        let known = self.0.lock(account).await;
        let method = known.unwrap_or_default();
        let (sent, left_out) = fields.iter().partition(|field| method.accepts(field));
        let is_typed = |field: &Field| field.is_cleared() && field.kind != FieldType::Text;
        let is_probe = known.is_none() && fields.iter().any(is_typed);
        Attempt {
            sent,
            left_out,
            methods: self,
            account,
            method,
            probe: is_probe.then_some(known),
        }
    }
}

impl<'f> Attempt<'_, 'f> {
    /// Returns the fields that were left out.
    pub fn succeeded(self) -> Vec<&'f Field> {
        if let Some(mut entry) = self.probe {
            *entry = Some(self.method);
        }
        self.left_out
    }

    /// `Ok` if the refusal shows how the account clears fields; then try again.
    pub async fn failed(self, failure: FailedWrite<Vec<FieldType>>) -> Result<(), ApiError> {
        let Some(learned) = self.method.after_refusing(&failure.refusal) else {
            return Err(failure.error);
        };
        let mut entry = match self.probe {
            Some(entry) => entry,
            None => self.methods.0.lock(self.account).await,
        };
        *entry = (*entry).max(Some(learned));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_changes_the_method_or_is_an_error() {
        use ClearingMethod::{ByGroup, ByText, TypedByGroup};
        use FieldType::{Date, Multiple, Text};
        struct Case {
            before: ClearingMethod,
            refused: &'static [FieldType],
            after: Option<ClearingMethod>,
        }
        let case = |before, refused, after| Case {
            before,
            refused,
            after,
        };
        for case in [
            case(ByText, &[], None),
            case(ByText, &[Date], Some(TypedByGroup)),
            case(ByText, &[Multiple], Some(TypedByGroup)),
            case(ByText, &[Date, Text], Some(ByGroup)),
            case(TypedByGroup, &[Date, Multiple], None),
            case(TypedByGroup, &[Text], Some(ByGroup)),
            case(ByGroup, &[Text], None),
            case(ByGroup, &[Date], None),
        ] {
            let name = format!("{:?} {:?}", case.before, case.refused);
            assert_eq!(
                case.before.after_refusing(case.refused),
                case.after,
                "{name}"
            );
        }
    }
}
