//! A queue for one reader that keeps the latest value under each key.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Values that wait for one reader, the latest under each key. While it is closed it takes nothing.
pub(crate) struct Latest<K, V> {
    waiting: Mutex<Waiting<K, V>>,
    bell: Notify,
}

struct Waiting<K, V> {
    open: bool,
    values: BTreeMap<K, V>,
}

impl<K: Ord, V> Latest<K, V> {
    fn new(open: bool) -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                open,
                values: BTreeMap::new(),
            }),
            bell: Notify::new(),
        }
    }

    /// One that takes nothing yet.
    pub(crate) fn closed() -> Self {
        Self::new(false)
    }

    /// One that takes values.
    pub(crate) fn open_one() -> Self {
        Self::new(true)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<K, V>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on values are taken.
    pub(crate) fn open(&self) {
        self.lock().open = true;
    }

    /// From here on nothing is taken, and what waits is gone.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        waiting.open = false;
        waiting.values.clear();
        self.bell.notify_one();
    }

    /// Takes a value in the place of an earlier one under its key, when it is open.
    pub(crate) fn give(&self, key: K, value: V) {
        self.put_with(key, || value);
    }

    /// The same for a value that is cloned only when it is taken.
    pub(crate) fn put(&self, key: K, value: &V)
    where
        V: Clone,
    {
        self.put_with(key, || value.clone());
    }

    fn put_with(&self, key: K, value: impl FnOnce() -> V) {
        let mut waiting = self.lock();
        if waiting.open {
            waiting.values.insert(key, value());
            self.bell.notify_one();
        }
    }

    /// All that waits, in the order of the keys.
    pub(crate) fn take(&self) -> BTreeMap<K, V> {
        std::mem::take(&mut self.lock().values)
    }

    /// Returns when something waits (true), or when it is closed. For one reader.
    pub(crate) async fn ready(&self) -> bool {
        loop {
            {
                let waiting = self.lock();
                if !waiting.open {
                    return false;
                }
                if !waiting.values.is_empty() {
                    return true;
                }
            }
            self.bell.notified().await;
        }
    }
}
