//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

use super::ClusterError;

const POLL: Duration = Duration::from_millis(10);

/// Looks again and again until `look` finds what it wants.
///
/// # Errors
/// [`ClusterError::TooLate`] with what stood in the way at the last look, once `bound` has passed.
pub async fn until<T>(
    what: impl Into<String>,
    bound: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, ClusterError> {
    let began = Instant::now();
    loop {
        let last = match look().await {
            Ok(found) => return Ok(found),
            Err(why) => why,
        };
        if began.elapsed() > bound {
            let what = what.into();
            return Err(ClusterError::TooLate { what, bound, last });
        }
        tokio::time::sleep(POLL).await;
    }
}
