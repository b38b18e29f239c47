//! Stores in memory, which replicate as they are told to, and a driver for each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tenure_agent::driver::{Doing, Driver, DriverError, PresenceTeller, PresenceWatch};
use tenure_core::agent::{Action, Feat, Observation, Observed};
use tenure_core::{Endpoint, Health, Note, Position, Presence};

/// What one store holds and does.
#[derive(Debug, Default)]
pub struct Store {
    pub run: u64,
    pub data: Vec<u64>,
    pub writable: bool,
    pub write_acks: u32,
    pub paused: bool,
    pub follows: Option<Endpoint>,
    permitted: Option<BTreeSet<Endpoint>>,
    /// What it was told, in order.
    pub told: Vec<Action>,
}

/// All stores, by where they are reached.
#[derive(Clone, Default)]
pub struct World {
    stores: Arc<Mutex<BTreeMap<Endpoint, Store>>>,
    tellers: Arc<Mutex<BTreeMap<Endpoint, PresenceTeller>>>,
}

/// Why a write was not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No such store runs, or it takes no writes.
    NotPrimary,
    /// Its writes are held back: it was not done, and may be tried again.
    Paused,
    /// Too few replicas have it: it was done, and may be lost.
    TooFew,
}

impl World {
    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<Endpoint, Store>> {
        self.stores.lock().expect("no test dies with it")
    }

    /// Starts a store, and gives the driver for it.
    pub fn start(&self, at: &Endpoint) -> Box<dyn Driver> {
        let mut stores = self.lock();
        let run = stores.len() as u64 + 1;
        stores.entry(at.clone()).or_insert_with(|| Store {
            run,
            ..Store::default()
        });
        let mut tellers = self.tellers.lock().expect("no test dies with it");
        let teller = tellers.entry(at.clone()).or_default().clone();
        teller.say(Presence::Running);
        Box::new(Tongue {
            world: self.clone(),
            at: at.clone(),
            teller,
        })
    }

    /// The store's process dies.
    pub fn kill(&self, at: &Endpoint) {
        self.lock().remove(at);
        let tellers = self.tellers.lock().expect("no test dies with it");
        tellers[at].say(Presence::Exited);
    }

    /// A client's write.
    pub fn write(&self, at: &Endpoint, value: u64) -> Result<(), Refused> {
        let mut stores = self.lock();
        let primary = stores.get_mut(at).ok_or(Refused::NotPrimary)?;
        if !primary.writable {
            return Err(Refused::NotPrimary);
        }
        if primary.paused {
            return Err(Refused::Paused);
        }
        primary.data.push(value);
        let (data, acks) = (primary.data.clone(), primary.write_acks);
        let permitted = primary.permitted.clone();
        let mut have = 0;
        for (place, replica) in stores.iter_mut() {
            let attached = replica.follows.as_ref() == Some(at);
            if attached && permitted.as_ref().is_none_or(|it| it.contains(place)) {
                replica.data.clone_from(&data);
                have += 1;
            }
        }
        if have >= acks {
            Ok(())
        } else {
            Err(Refused::TooFew)
        }
    }

    /// What a store was told that is not a question.
    pub fn told(&self, at: &Endpoint) -> Vec<Action> {
        let stores = self.lock();
        let Some(store) = stores.get(at) else {
            return vec![];
        };
        let deed = |action: &&Action| !matches!(action, Action::Measure | Action::Probe { .. });
        store.told.iter().filter(deed).cloned().collect()
    }
}

/// The driver of one store.
struct Tongue {
    world: World,
    at: Endpoint,
    teller: PresenceTeller,
}

fn position(store: &Store) -> Option<Position> {
    Some(Position {
        history: Note::new("one").expect("short"),
        offset: store.data.len() as u64,
    })
}

impl Driver for Tongue {
    fn observe(&mut self) -> Doing<'_, Observation> {
        Box::pin(async {
            let stores = self.world.lock();
            let Some(store) = stores.get(&self.at) else {
                return Observation {
                    presence: Presence::Exited,
                    ..Observation::nothing()
                };
            };
            let role = match &store.follows {
                Some(primary) => Observed::Following {
                    linked: stores.contains_key(primary),
                },
                None if store.writable => Observed::Writable,
                None => Observed::Fenced,
            };
            Observation {
                presence: Presence::Running,
                run: store.run,
                health: Health::Healthy,
                role,
                position: position(store),
                ..Observation::nothing()
            }
        })
    }

    fn act(&mut self, action: Action) -> Doing<'_, Result<Feat, DriverError>> {
        Box::pin(async move {
            let mut stores = self.world.lock();
            if let Action::Probe { primary } = &action {
                return Ok(Feat::Sees(stores.contains_key(primary)));
            }
            let mut source = None;
            if let Action::Follow { primary, .. } = &action {
                source = stores.get(primary).map(|store| store.data.clone());
            }
            let Some(store) = stores.get_mut(&self.at) else {
                return Err(DriverError::Unreachable {
                    endpoint: self.at.to_string(),
                    why: "it does not run".to_owned(),
                });
            };
            store.told.push(action.clone());
            Ok(obey(store, action, source))
        })
    }

    fn presence(&mut self) -> PresenceWatch {
        self.teller.watch()
    }
}

fn obey(store: &mut Store, action: Action, source: Option<Vec<u64>>) -> Feat {
    match action {
        Action::Promote {
            write_acks, strict, ..
        } => {
            store.follows = None;
            store.writable = true;
            store.paused = false;
            store.write_acks = if strict { write_acks } else { 0 };
            Feat::Done
        }
        Action::Follow { primary, .. } => {
            store.writable = false;
            store.paused = false;
            store.follows = Some(primary);
            if let Some(data) = source {
                store.data = data;
            }
            Feat::Follows(None)
        }
        Action::Fence { .. } => {
            store.writable = false;
            store.paused = false;
            Feat::At(position(store))
        }
        Action::Detach => {
            store.follows = None;
            Feat::At(position(store))
        }
        Action::Quiesce { .. } => {
            store.paused = true;
            Feat::At(position(store))
        }
        Action::Resume => {
            store.paused = false;
            Feat::Done
        }
        Action::Permit { members } => {
            store.permitted = Some(members.into_values().collect());
            Feat::Permits(position(store))
        }
        Action::Measure => Feat::At(position(store)),
        Action::Probe { .. } => Feat::Done,
    }
}
