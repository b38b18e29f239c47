//! The stores of all nodes and what clients do with them: replication, writes, acknowledgements, and whether what was
//! acknowledged is kept.

use std::collections::BTreeMap;

use tenure_agent::driver::PresenceTeller;
use tenure_core::agent::{Action, Feat, Observation};
use tenure_core::{Epoch, Moment, NodeId, Note, Presence};

use crate::kernel;
use crate::nodes::{Apart, NODES, host, node_at};

// The model that the simulation of the core has.
#[allow(dead_code, reason = "what only that simulation does with it")]
#[path = "../../../core/tests/failover/store.rs"]
mod store;

use store::{Process, Store, compare};

/// A write that was acknowledged.
#[derive(Clone, Copy, Debug)]
struct Ack {
    number: u64,
    at: usize,
    epoch: Epoch,
}

/// The stores, and what became of them.
pub struct Site {
    stores: Vec<Store>,
    tellers: Vec<Option<PresenceTeller>>,
    apart: Apart,
    histories: u64,
    writes: u64,
    /// The latest write that was acknowledged, and how many were.
    latest: Option<Ack>,
    pub acked: u64,
    /// Who was promoted by which epoch.
    promoted: BTreeMap<Epoch, usize>,
    /// The promise that was broken first.
    pub broken: Option<String>,
}

fn now() -> Moment {
    Moment(kernel::elapsed().unwrap_or_default().as_micros() as u64)
}

/// The model calls nodes by numbers of its own.
fn id(node: usize) -> NodeId {
    NodeId(node as u64 + 1)
}

impl Site {
    /// Stores that are empty.
    pub fn new() -> Self {
        Self {
            stores: (0..NODES).map(|_| Store::replica(0)).collect(),
            tellers: vec![None; NODES],
            apart: Apart::new(),
            histories: 0,
            writes: 0,
            latest: None,
            acked: 0,
            promoted: BTreeMap::new(),
            broken: None,
        }
    }

    /// How often a store became the primary.
    pub fn promotions(&self) -> u64 {
        self.promoted.len() as u64
    }

    /// Where an agent hears that its store is gone.
    pub fn tell_by(&mut self, node: usize, teller: PresenceTeller) {
        if self.stores[node].process == Process::Gone {
            teller.say(Presence::Exited);
        }
        self.tellers[node] = Some(teller);
    }

    /// Who does not reach whom.
    pub fn set_apart(&mut self, apart: Apart) {
        self.apart = apart;
    }

    fn talk(&self, one: usize, other: usize) -> bool {
        !self.apart.contains(&(one.min(other), one.max(other)))
    }

    /// The store that takes writes by the latest epoch.
    pub fn primary(&self) -> Option<usize> {
        let writable = (0..NODES).filter(|node| self.stores[*node].takes_writes(now()));
        writable.max_by_key(|node| self.stores[*node].epoch)
    }

    /// A store's process dies.
    pub fn kill(&mut self, node: usize) {
        let store = &mut self.stores[node];
        store.process = Process::Gone;
        store.linked = false;
        store.cut_off();
        self.unlink_from(node);
        if let Some(teller) = &self.tellers[node] {
            teller.say(Presence::Exited);
        }
    }

    /// It is started again, without the last writes that it had.
    pub fn restart(&mut self, node: usize, lost: usize) {
        if self.stores[node].process == Process::Gone {
            self.stores[node].restart(lost);
            if let Some(teller) = &self.tellers[node] {
                teller.say(Presence::Running);
            }
        }
    }

    fn unlink_from(&mut self, primary: usize) {
        for store in &mut self.stores {
            if store.follows == Some(id(primary)) {
                store.linked = false;
            }
        }
    }

    /// What an agent sees of its store.
    pub fn observe(&mut self, node: usize) -> Observation {
        let seen = self.stores[node].observe(now());
        if seen.run != 0 {
            self.stores[node].shown = seen.run;
        }
        seen
    }

    /// What a store makes of an action.
    pub fn act(&mut self, node: usize, action: &Action) -> Result<Feat, String> {
        let silent = || format!("the store of {} does not answer", host(node));
        self.histories += 1;
        let history = self.histories;
        match action {
            Action::Probe { primary } => {
                let sees = node_at(primary.as_str()).is_some_and(|other| {
                    self.talk(node, other) && self.stores[other].process == Process::Running
                });
                return Ok(Feat::Sees(sees));
            }
            Action::Follow { primary, .. } => return self.follow(node, primary.as_str()),
            Action::Detach => self.last_word(node),
            Action::Promote { .. }
            | Action::Fence { .. }
            | Action::Quiesce { .. }
            | Action::Resume
            | Action::Permit { .. }
            | Action::Measure => {}
        }
        let own = match action {
            Action::Permit { members } => {
                let nodes = members
                    .values()
                    .filter_map(|at| Some((at, node_at(at.as_str())?)));
                let members = nodes.map(|(at, node)| (id(node), at.clone())).collect();
                &Action::Permit { members }
            }
            Action::Promote { .. }
            | Action::Follow { .. }
            | Action::Fence { .. }
            | Action::Detach
            | Action::Quiesce { .. }
            | Action::Resume
            | Action::Measure
            | Action::Probe { .. } => action,
        };
        let done = self.stores[node]
            .act(now(), own, history)
            .ok_or_else(silent)??;
        if let Action::Promote { epoch, .. } = action {
            self.check_promoted(node, *epoch);
        }
        if matches!(action, Action::Permit { .. } | Action::Fence { .. }) {
            self.detach_strangers(node);
        }
        Ok(done)
    }

    fn follow(&mut self, node: usize, primary: &str) -> Result<Feat, String> {
        let other = node_at(primary).ok_or_else(|| format!("{primary} is no store"))?;
        if self.stores[node].process != Process::Running {
            return Err("no process".to_owned());
        }
        let was = self.stores[node].writable;
        let rejoin = was.then(|| {
            (
                compare(&self.stores[node], &self.stores[other]),
                Note::default(),
            )
        });
        self.stores[node].follow(id(other));
        Ok(Feat::Follows(rejoin))
    }

    /// Promises 1 and 3: nobody else has the epoch, and what was acknowledged is there.
    fn check_promoted(&mut self, node: usize, epoch: Epoch) {
        let first = *self.promoted.entry(epoch).or_insert(node);
        let log = &self.stores[node].log;
        let what = match self.latest {
            _ if first != node => {
                format!(
                    "{} and {} were both promoted by {epoch:?}",
                    host(first),
                    host(node)
                )
            }
            Some(latest) if log.get(latest.at - 1) != Some(&latest.number) => format!(
                "{} was promoted by {epoch:?} with {} writes, and lacks {latest:?}",
                host(node),
                log.len()
            ),
            Some(_) | None => return,
        };
        self.broken.get_or_insert(what);
    }

    fn detach_strangers(&mut self, primary: usize) {
        let Some(permits) = self.stores[primary].permits.clone() else {
            return;
        };
        if self.stores[primary].process != Process::Running {
            return;
        }
        let known = |node: u64| permits.contains(&NodeId(node));
        self.stores[primary].acks.retain(|node, _| known(*node));
        for (node, store) in self.stores.iter_mut().enumerate() {
            if store.follows == Some(id(primary)) && !known(id(node).0) {
                store.linked = false;
            }
        }
    }

    /// The other end of a replica's link, when there is one.
    fn upstream(&self, node: usize) -> Option<usize> {
        let from = self.stores[node].follows?.0 as usize - 1;
        let (replica, primary) = (&self.stores[node], &self.stores[from]);
        let permits = primary.permits.as_ref();
        let permitted = permits.is_none_or(|permits| permits.contains(&id(node)));
        let run = [replica, primary].map(|store| store.process == Process::Running);
        let linked = run == [true; 2] && primary.writable && permitted && self.talk(from, node);
        linked.then_some(from)
    }

    /// What a replica has is acknowledged still, though it detaches.
    fn last_word(&mut self, node: usize) {
        if let Some(from) = self.upstream(node).filter(|_| self.stores[node].linked) {
            let has = self.stores[node].log.len();
            self.stores[from].acks.insert(id(node).0, has);
        }
    }

    /// A moment goes by: what was sent arrives, and is acknowledged; clients write wherever writes are taken.
    pub fn data(&mut self) {
        for node in 0..NODES {
            self.replicate_to(node);
        }
        for node in 0..NODES {
            self.acknowledge(node);
            if self.stores[node].takes_writes(now()) {
                self.writes += 1;
                let (number, store) = (self.writes, &mut self.stores[node]);
                store.log.push(number);
                store.pending.push_back((number, store.log.len()));
            }
        }
    }

    fn replicate_to(&mut self, node: usize) {
        let Some(from) = self.upstream(node) else {
            self.stores[node].linked = false;
            return;
        };
        let Ok([primary, replica]) = self.stores.get_disjoint_mut([from, node]) else {
            return;
        };
        if !replica.linked {
            replica.attach(primary);
            return;
        }
        primary.acks.insert(id(node).0, replica.log.len());
        if primary.log.len() > replica.log.len() {
            let have = replica.log.len();
            replica.log.extend_from_slice(&primary.log[have..]);
        }
    }

    /// A write is acknowledged once a replica has it, while its primary lives.
    fn acknowledge(&mut self, node: usize) {
        let store = &mut self.stores[node];
        if store.process != Process::Running {
            return;
        }
        while let Some((number, at)) = store.pending.front().copied() {
            if !store.acks.values().any(|has| *has >= at) {
                break;
            }
            store.pending.pop_front();
            let ack = Ack {
                number,
                at,
                epoch: store.epoch,
            };
            if let Some(latest) = self.latest.filter(|latest| ack.epoch < latest.epoch) {
                let what = format!("{ack:?} was acknowledged after {latest:?}");
                self.broken.get_or_insert(what);
            }
            self.latest = Some(ack);
            self.acked += 1;
        }
    }

    /// Whether one store takes writes and the others follow it.
    ///
    /// # Errors
    /// What is not so yet.
    pub fn is_whole(&self) -> Result<(), String> {
        let state = |node: usize| {
            let store = &self.stores[node];
            format!(
                "{}: {:?}, writable {}, fenced {}, {:?}, follows {:?}, linked {}",
                host(node),
                store.process,
                store.writable,
                store.fenced,
                store.epoch,
                store.follows,
                store.linked
            )
        };
        let all = || (0..NODES).map(state).collect::<Vec<_>>().join("; ");
        let primary = self.primary().ok_or_else(all)?;
        let replicas = (0..NODES).filter(|node| *node != primary);
        let mut linked = replicas.map(|node| self.stores[node].linked);
        if linked.all(|linked| linked) {
            Ok(())
        } else {
            Err(all())
        }
    }
}
