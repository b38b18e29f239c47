//! What holders of copies said last of their disks and their load: for placement and for readers. Nothing of it is in the
//! log, and every server hears every member.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tenure_core::{Heartbeat, NodeId, ServiceName};

/// What was said longer ago than this is not known any more.
const SAID_WITHIN: Duration = Duration::from_secs(60);
/// A node with less of its room free than one part in so many is given no new items.
const FULL_PART: u64 = 50;

/// What one holder said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said {
    at: Instant,
    pub(crate) free: Option<u64>,
    pub(crate) total: Option<u64>,
    pub(crate) load: u32,
}

impl Said {
    /// Whether new items should go elsewhere.
    pub(crate) fn is_full(&self) -> bool {
        match (self.free, self.total) {
            (Some(free), Some(total)) => free <= total / FULL_PART,
            (Some(free), None) => free == 0,
            (None, _) => false,
        }
    }
}

/// What all of them said.
#[derive(Default)]
pub(crate) struct Stores(Mutex<BTreeMap<ServiceName, BTreeMap<NodeId, Said>>>);

impl Stores {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServiceName, BTreeMap<NodeId, Said>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what a member says.
    pub(crate) fn hear(&self, node: NodeId, beat: &Heartbeat) {
        if beat.signs.iter().all(|sign| sign.store.is_none()) {
            return;
        }
        let at = Instant::now();
        let mut all = self.lock();
        for sign in &beat.signs {
            if let Some(store) = &sign.store {
                let (free, total, load) = (store.free, store.total, store.load);
                let said = Said {
                    at,
                    free,
                    total,
                    load,
                };
                let of = all.entry(sign.service.clone()).or_default();
                of.insert(node, said);
            }
        }
    }

    /// What the holders of one service said lately. Forgets what is old.
    pub(crate) fn of(&self, service: &ServiceName) -> BTreeMap<NodeId, Said> {
        let mut all = self.lock();
        let Some(of) = all.get_mut(service) else {
            return BTreeMap::new();
        };
        of.retain(|_, said| said.at.elapsed() <= SAID_WITHIN);
        let lately = of.clone();
        if lately.is_empty() {
            all.remove(service);
        }
        lately
    }
}
