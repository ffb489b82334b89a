//! Writes that a CRM refuses and a sync can do without.

use tracing::warn;

use super::{Changes, Field};
use crate::http::{ApiError, FailedWrite};

impl Changes {
    /// Counts a write that a sync can do without ([`unless_refused`]).
    pub fn count<T>(
        &mut self,
        written: Result<T, ApiError>,
        message: &'static str,
    ) -> Result<Option<T>, ApiError> {
        let written = unless_refused(written, message)?;
        match written {
            Some(_) => self.writes += 1,
            None => self.refused_writes += 1,
        }
        Ok(written)
    }

    /// Takes the fields out of a write that the CRM refused because of them, for another
    /// try: one bad value refuses the whole write. An error if it was none of them.
    pub fn leave_out<R>(
        &mut self,
        fields: &mut Vec<Field>,
        failed: FailedWrite<R>,
        is_refused: impl Fn(&R, &Field) -> bool,
    ) -> Result<(), FailedWrite<R>> {
        let before = fields.len();
        fields.retain(|field| !is_refused(&failed.refusal, field));
        if fields.len() == before {
            return Err(failed);
        }
        let count = before - fields.len();
        warn!(error = %failed.error, count, "The CRM refused fields; a contact does without them.");
        self.refused_writes += 1;
        Ok(())
    }
}

/// The answer to a write that a sync can do without. `None` if the CRM refuses this
/// write alone, so that neither time nor other credentials would help.
pub fn unless_refused<T>(
    written: Result<T, ApiError>,
    message: &'static str,
) -> Result<Option<T>, ApiError> {
    match written {
        Err(error) if error.is_transient() || error.is_refusal() => Err(error),
        Err(error) => {
            warn!(%error, "{message}");
            Ok(None)
        }
        Ok(answer) => Ok(Some(answer)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::derivation::Attribute;
    use crate::http::ApiErrorKind;

    fn error(status: u16) -> ApiError {
        let kind = ApiErrorKind::Status {
            status,
            code: None,
            wait: None,
        };
        let (api, endpoint) = ("crm", "/x");
        ApiError {
            api,
            endpoint,
            kind,
        }
    }

    #[test]
    fn only_a_refusal_of_the_write_itself_is_done_without() {
        for status in [400, 404, 409, 422] {
            let mut changes = Changes::default();
            let written = changes.count(Err::<(), _>(error(status)), "refused");
            assert_eq!(written, Ok(None), "{status}");
            assert_eq!((changes.writes, changes.refused_writes), (0, 1), "{status}");
        }
        for status in [401, 403, 408, 429, 500, 503] {
            let mut changes = Changes::default();
            let written = changes.count(Err::<(), _>(error(status)), "refused");
            assert_eq!(written, Err(error(status)), "{status}");
            assert_eq!(changes, Changes::default(), "{status}");
        }
        let mut changes = Changes::default();
        assert_eq!(changes.count(Ok(1), "refused"), Ok(Some(1)));
        assert_eq!((changes.writes, changes.refused_writes), (1, 0));
    }

    #[test]
    fn refused_fields_are_left_out_and_any_other_refusal_is_an_error() {
        let field = |name| Field::new(name, Attribute::IssuesRemaining, json!(1));
        let mut fields = vec![field("a"), field("b"), field("c")];
        let mut changes = Changes::default();
        let mut leave_out = |refusal: &'static str| {
            let error = error(400);
            let failed = FailedWrite { error, refusal };
            let is_refused = |refusal: &&str, field: &Field| refusal.contains(field.name);
            changes.leave_out(&mut fields, failed, is_refused).is_ok()
        };
        assert!(leave_out("a c"));
        assert!(!leave_out("a c"));
        assert!(!leave_out(""));
        assert_eq!(fields, [field("b")]);
        assert_eq!(changes.refused_writes, 1);
    }
}
