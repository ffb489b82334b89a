//! Figures that were measured many times.

/// Many measurements of one thing, in order of size.
#[derive(Debug, Clone, Default)]
pub struct Spread(Vec<f64>);

impl Spread {
    /// The smallest: what the machine can do when nothing else runs on it.
    pub fn least(&self) -> f64 {
        self.at(0.0)
    }

    /// The one in the middle.
    pub fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// The largest.
    pub fn most(&self) -> f64 {
        self.at(1.0)
    }

    /// The one that a share of all are not larger than; 0 without any.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a short list"
    )]
    pub fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let place = (last as f64 * share).round() as usize;
        self.0.get(place).copied().unwrap_or_default()
    }
}

impl FromIterator<f64> for Spread {
    fn from_iter<I: IntoIterator<Item = f64>>(measured: I) -> Self {
        let mut sorted: Vec<_> = measured.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Self(sorted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_tells_places_whatever_the_order() {
        let spread: Spread = (0..=100).rev().map(f64::from).collect();
        let places = [
            spread.least(),
            spread.at(0.05),
            spread.median(),
            spread.at(0.95),
            spread.most(),
        ];
        assert_eq!(places, [0.0, 5.0, 50.0, 95.0, 100.0]);
        assert_eq!(Spread::default().median(), 0.0);
    }
}
