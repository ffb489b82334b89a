use shared::http::ApiError;

/// The results of all lists, or the error that decides about the message. An error
/// that may pass comes first, so that its list is retried before another list's
/// error ends the message; then a refusal.
pub fn collect_results<T>(lists: Vec<Result<T, ApiError>>) -> Result<Vec<T>, ApiError> {
    let urgency = |error: &ApiError| match error {
        error if error.is_transient() => 2,
        error if error.is_refusal() => 1,
        _ => 0,
    };
    let errors = lists.iter().filter_map(|list| list.as_ref().err());
    match errors.rev().max_by_key(|error| urgency(error)) {
        Some(error) => Err(error.clone()),
        None => Ok(lists.into_iter().flatten().collect()),
    }
}
