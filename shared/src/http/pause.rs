//! APIs that asked to be left alone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::identity::VendorId;

/// The longest pause kept: what SQS can hide a message for.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

/// Until when each vendor's account with each API is left alone. Per vendor,
/// because limits belong to the credentials.
#[derive(Debug, Default)]
pub(super) struct Pauses(Mutex<HashMap<(VendorId, &'static str), Instant>>);

impl Pauses {
    /// Leaves the API alone for `wait`, or longer where that was asked before.
    pub(super) fn begin(&self, vendor: &VendorId, api: &'static str, wait: Duration) {
        let now = Instant::now();
        let until = now + wait.min(LONGEST);
        // A poisoned lock holds a map that is whole: nothing below panics half-way.
        let mut pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pauses.retain(|_, end| *end > now);
        let end = pauses.entry((vendor.clone(), api)).or_insert(until);
        *end = until.max(*end);
    }

    /// How long the API must still be left alone.
    pub(super) fn remaining(&self, vendor: &VendorId, api: &'static str) -> Option<Duration> {
        let pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = pauses.get(&(vendor.clone(), api))?;
        Some(end.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_concerns_one_vendor_and_api_and_ends() {
        let pauses = Pauses::default();
        let vendor = |id: &str| VendorId::try_from(id).unwrap();
        pauses.begin(&vendor("a"), "crm", Duration::from_secs(60));
        pauses.begin(&vendor("a"), "crm", Duration::from_secs(10));
        assert_eq!(
            pauses.remaining(&vendor("a"), "crm"),
            Some(Duration::from_secs(60))
        );
        assert_eq!(pauses.remaining(&vendor("b"), "crm"), None);
        assert_eq!(pauses.remaining(&vendor("a"), "sesamy"), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(pauses.remaining(&vendor("a"), "crm"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_cut_to_twelve_hours() {
        let pauses = Pauses::default();
        let vendor = VendorId::try_from("a").unwrap();
        pauses.begin(&vendor, "crm", Duration::from_secs(1_000_000));
        assert_eq!(pauses.remaining(&vendor, "crm"), Some(LONGEST));
    }
}
