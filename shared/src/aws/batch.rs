//! The limits of SQS's calls that do several things at once.

/// The most entries of one call (documented).
pub const MOST_ENTRIES: usize = 10;

/// The most bytes of messages in one call. SQS takes 1 MiB (documented), but
/// took 256 KiB before; our own messages have less than 1 KiB.
const MOST_BYTES: usize = 200 * 1024;

/// How many of the messages of these sizes, in bytes, go into one call: at
/// least one where there is any.
pub fn fitting(sizes: impl IntoIterator<Item = usize>) -> usize {
    let mut bytes = 0_usize;
    let sizes = sizes.into_iter().take(MOST_ENTRIES).enumerate();
    let fit = sizes.take_while(|(index, size)| {
        bytes = bytes.saturating_add(*size);
        *index == 0 || bytes <= MOST_BYTES
    });
    fit.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_holds_no_more_than_sqs_takes_and_never_nothing() {
        let cases = [
            (vec![], 0),
            (vec![1; 10], 10),
            (vec![1; 12], 10),
            (vec![MOST_BYTES, 1], 1),
            (vec![MOST_BYTES + 1, 1], 1),
            (vec![MOST_BYTES / 2, MOST_BYTES / 2, 1], 2),
            (vec![usize::MAX, usize::MAX], 1),
        ];
        for (sizes, expected) in cases {
            assert_eq!(fitting(sizes.clone()), expected, "{sizes:?}");
        }
    }
}
