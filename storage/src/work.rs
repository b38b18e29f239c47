//! Where work is done that waits for a disk: on threads beside those of the runtime, or, in a simulation of the whole
//! system, at once, since a thread beside the simulated time would end its work at any moment of it.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::{JoinError, spawn_blocking};

static AT_ONCE: AtomicBool = AtomicBool::new(false);

/// From now on, and for all of this process, work is done at once: for simulations.
pub fn simulate() {
    AT_ONCE.store(true, Ordering::Relaxed);
}

/// Whether work is done at once.
pub(crate) fn is_at_once() -> bool {
    AT_ONCE.load(Ordering::Relaxed)
}

/// Does what waits for a disk, without holding up the caller's thread. Must be called within a runtime.
///
/// # Errors
/// When the work panicked, or the runtime ends.
pub async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if is_at_once() {
        return Ok(work());
    }
    spawn_blocking(work).await
}
