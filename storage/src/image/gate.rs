//! Keeps readers of a checkpoint and the writer of the next one apart.
//!
//! A pin freezes the rows at the checkpoint that it was taken at. The writer waits until there is
//! none; a pin is never refused because a writer waits, only while one writes, so that one slow
//! transfer does not make a second follower wait for its snapshot.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug, Default)]
struct Inside {
    pins: usize,
    writing: bool,
}

impl Inside {
    fn is_busy(&self) -> bool {
        self.writing || self.pins > 0
    }
}

#[derive(Debug, Default)]
struct Shared {
    inside: Mutex<Inside>,
    changed: Condvar,
    freed: Notify,
}

/// The gate.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Shared>);

impl Gate {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pin, unless somebody writes at this moment.
    pub fn try_pin(&self) -> Option<Pin> {
        let mut inside = self.lock();
        if inside.writing {
            return None;
        }
        inside.pins += 1;
        Some(Pin(self.clone()))
    }

    /// A pin, as soon as nobody writes. Blocks the thread.
    pub fn pin(&self) -> Pin {
        let writing = |inside: &mut Inside| inside.writing;
        let mut inside = self
            .0
            .changed
            .wait_while(self.lock(), writing)
            .unwrap_or_else(PoisonError::into_inner);
        inside.pins += 1;
        Pin(self.clone())
    }

    /// Waits until there is neither a pin nor a writer, without a thread that waits.
    pub async fn is_free(&self) {
        loop {
            let mut freed = std::pin::pin!(self.0.freed.notified());
            freed.as_mut().enable();
            if !self.lock().is_busy() {
                return;
            }
            freed.await;
        }
    }

    /// The right to change rows, as soon as there is no pin and no other writer. Blocks the thread.
    pub fn write(&self) -> Writing {
        let mut inside = self
            .0
            .changed
            .wait_while(self.lock(), |inside| inside.is_busy())
            .unwrap_or_else(PoisonError::into_inner);
        inside.writing = true;
        Writing(self.clone())
    }
}

/// While it lives, rows stay as they are.
#[derive(Debug)]
pub struct Pin(Gate);

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.lock().pins -= 1;
        self.0.0.changed.notify_all();
        self.0.0.freed.notify_waiters();
    }
}

/// While it lives, its holder alone changes rows.
#[derive(Debug)]
pub struct Writing(Gate);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.lock().writing = false;
        self.0.0.changed.notify_all();
        self.0.0.freed.notify_waiters();
    }
}
