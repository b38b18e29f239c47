//! Watchers: each reads the ring of events at its own pace, and must end up with the state or be told that it
//! missed something.

use super::World;
use crate::walk::dice::Dice;
use std::collections::BTreeMap;
use tenure_core::{Event, Key, Record, Revision, Ring, State};

/// So few events are kept that a watcher that dawdles misses some.
const EVENTS_MAX: usize = 12;

#[derive(Clone)]
struct Watcher {
    cursor: Revision,
    copy: BTreeMap<Key, Record>,
    /// How likely it reads after an entry, in percent.
    keenness: u64,
}

#[derive(Clone)]
pub struct Watching {
    ring: Ring,
    watchers: Vec<Watcher>,
    /// Of its own, so that who watches changes nothing else.
    dice: Dice,
    /// How often a watcher was told that it missed something.
    pub compacted: u64,
}

impl Default for Watching {
    fn default() -> Self {
        let watcher = |keenness| Watcher {
            cursor: Revision(0),
            copy: BTreeMap::new(),
            keenness,
        };
        Self {
            ring: Ring::new(Revision(0), EVENTS_MAX),
            watchers: [90, 25, 4].into_iter().map(watcher).collect(),
            dice: Dice::new(1),
            compacted: 0,
        }
    }
}

fn visible(state: &State) -> BTreeMap<Key, Record> {
    let all = state.records().map(|record| (record.key(), record));
    all.filter(|(key, _)| key.is_visible()).collect()
}

impl World {
    /// An entry was applied. Promise 8: a watch has no gap, or says that it has one.
    pub(super) fn tell_watchers(&mut self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let revision = self.state.revision();
        self.watching.ring.push(revision, events.to_vec());
        for index in 0..self.watching.watchers.len() {
            let keenness = self.watching.watchers[index].keenness;
            if self.watching.dice.percent(keenness) {
                self.watch(index);
            }
        }
    }

    fn watch(&mut self, index: usize) {
        let watching = &mut self.watching;
        let watcher = &mut watching.watchers[index];
        match watching.ring.after(watcher.cursor, usize::MAX) {
            Ok(batches) => {
                for batch in batches {
                    watcher.cursor = batch.revision;
                    for event in batch.events.iter() {
                        match &event.after {
                            Some(record) => watcher.copy.insert(event.key.clone(), record.clone()),
                            None => watcher.copy.remove(&event.key),
                        };
                    }
                }
                let seen = watcher.copy == visible(&self.state);
                if !seen {
                    self.broken(&format!("watcher {index} has seen another state"));
                }
            }
            Err(_) => {
                watching.compacted += 1;
                watcher.cursor = self.state.revision();
                watcher.copy = visible(&self.state);
            }
        }
    }
}
