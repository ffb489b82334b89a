use std::time::{Duration, Instant};

use crate::{Error, Result};

/// Calls `look` every 100 ms until it returns a value. Fails after `limit`.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = look().await? {
            return Ok(value);
        }
        if start.elapsed() >= limit {
            return Err(Error::new(format!(
                "timed out after {} s waiting for {what}",
                limit.as_secs()
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
