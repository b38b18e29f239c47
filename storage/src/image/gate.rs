//! Keeps readers of a checkpoint and the writer of the next one apart.
//!
//! A pin freezes the rows at the checkpoint that it was taken at. The writer waits until there is
//! none; a pin is never refused because a writer waits, only while one writes, so that one slow
//! transfer does not make a second follower wait for its snapshot.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Inside {
    pins: usize,
    writing: bool,
}

#[derive(Debug, Default)]
struct Shared {
    inside: Mutex<Inside>,
    changed: Condvar,
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

    /// The right to change rows, as soon as there is no pin and no other writer. Blocks the thread.
    pub fn write(&self) -> Writing {
        let busy = |inside: &mut Inside| inside.writing || inside.pins > 0;
        let mut inside = self
            .0
            .changed
            .wait_while(self.lock(), busy)
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
    }
}

/// While it lives, its holder alone changes rows.
#[derive(Debug)]
pub struct Writing(Gate);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.lock().writing = false;
        self.0.0.changed.notify_all();
    }
}
