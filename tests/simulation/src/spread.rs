use std::time::Duration;

/// Measured durations of one kind, sorted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spread(Vec<Duration>);

impl Spread {
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The quantile at `share`; zero if there are no durations.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a list"
    )]
    pub fn at(&self, share: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let index = (last as f64 * share).ceil() as usize;
        self.0.get(index).copied().unwrap_or_default()
    }
}

impl FromIterator<Duration> for Spread {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let mut sorted: Vec<_> = times.into_iter().collect();
        sorted.sort_unstable();
        Self(sorted)
    }
}
