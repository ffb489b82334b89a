use shared::http::ApiError;

/// The results of all lists, or the most urgent error. A transient error comes
/// first, so that its list is retried before another list's error ends the message;
/// a refusal comes second.
pub fn collect_results<T>(lists: Vec<Result<T, ApiError>>) -> Result<Vec<T>, ApiError> {
    let urgency = |error: &&ApiError| (error.is_transient(), error.is_refusal());
    let errors = lists.iter().filter_map(|list| list.as_ref().err());
    // Reversed, because `max_by_key` returns the last of equals.
    match errors.rev().max_by_key(urgency) {
        Some(error) => Err(error.clone()),
        None => Ok(lists.into_iter().flatten().collect()),
    }
}
