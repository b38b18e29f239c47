//! Drivers: what agents see of their stores, and what they make of what they are told to do.

use super::{Event, Place, World};
use crate::failover::store::{Process, Store, compare};
use std::rc::Rc;
use tenure_core::{
    Endpoint, Millis, Moment, NodeId, Note, ServiceName,
    agent::{Action, Feat, Input},
};

/// How often a driver looks.
const LOOK: Millis = Millis(40);
/// After which a driver takes a store that does not answer to have failed.
const NO_ANSWER: Millis = Millis(200);

impl World {
    pub fn index(&self, service: &ServiceName) -> usize {
        let found = self.services.iter().position(|it| it == service);
        found.expect("the service is there")
    }

    /// The store of the first service.
    pub fn store(&self, node: u64) -> &Store {
        self.store_of(node, 0).expect("it has one")
    }

    pub fn store_mut(&mut self, node: u64) -> &mut Store {
        self.node_mut(node).stores[0].as_mut().expect("it has one")
    }

    pub fn store_of(&self, node: u64, service: usize) -> Option<&Store> {
        self.node(node).stores[service].as_ref()
    }

    pub fn kill_store(&mut self, node: u64) {
        self.kill_store_of(node, 0);
    }

    pub fn kill_store_of(&mut self, node: u64, service: usize) {
        if let Some(store) = &mut self.node_mut(node).stores[service] {
            store.process = Process::Gone;
            store.linked = false;
            store.cut_off();
        }
        let session = self.node(node).session;
        let again = false;
        let look = Event::Observe {
            node,
            session,
            again,
        };
        self.at(self.now, look);
    }

    /// A node's disks are replaced while it is off.
    pub fn wipe(&mut self, node: u64) {
        for store in self.node_mut(node).stores.iter_mut().flatten() {
            store.wipe();
        }
        self.wipe_items(node);
    }

    /// Unless its machine is off.
    pub fn restart_store(&mut self, node: u64) {
        if self.node(node).kept.is_some() {
            self.restart_store_of(node, 0);
        }
    }

    /// The process is started again, as what it is by the files that its driver wrote: it takes
    /// no writes, and follows nobody. What was written last was not on the disk yet.
    pub fn restart_store_of(&mut self, node: u64, service: usize) {
        let lost = match self.dice.below(10) {
            0 => usize::MAX,
            tens => usize::try_from(tens * 4).expect("it is small"),
        };
        let now = self.now;
        self.checks.restarted.insert((service, node), now);
        self.unlink_from(node, service);
        // What an earlier agent had sent was meant for the process before.
        let it = self.node_mut(node);
        if it.latest_by[service] != it.session {
            it.latest[service] = 0;
        }
        if let Some(store) = &mut self.node_mut(node).stores[service] {
            store.restart(lost);
        }
    }

    /// The connections of whoever follows a process end with it.
    fn unlink_from(&mut self, primary: u64, service: usize) {
        for other in &mut self.nodes {
            if let Some(store) = &mut other.stores[service]
                && store.follows == Some(NodeId(primary))
            {
                store.linked = false;
            }
        }
    }

    /// Writes of the first service get stuck: a full disk, a lock.
    pub fn jam_store(&mut self, node: u64) {
        let now = self.now;
        let store = self.store_mut(node);
        (store.jammed, store.jammed_since) = (true, now);
    }

    pub fn freeze_store(&mut self, node: u64) {
        let now = self.now;
        let store = self.store_mut(node);
        if store.process == Process::Running {
            (store.process, store.jammed_since) = (Process::Frozen, now);
        }
    }

    pub fn thaw_store(&mut self, node: u64) {
        let store = self.store_mut(node);
        if store.process == Process::Frozen {
            store.process = Process::Running;
        }
    }

    pub(super) fn observe(&mut self, node: u64, session: u64, again: bool) {
        if self.node(node).session != session || self.node(node).agent.is_none() {
            return;
        }
        if self.runs(node) {
            for service in 0..self.services.len() {
                let now = self.now;
                let Some(store) = &mut self.node_mut(node).stores[service] else {
                    continue;
                };
                let seen = store.observe(now);
                if seen.run != 0 {
                    store.shown = seen.run;
                }
                let service = self.services[service].clone();
                self.tell_agent(node, Input::Observed { service, seen });
            }
            self.say_stored(node);
        }
        if again {
            let look = Event::Observe {
                node,
                session,
                again,
            };
            self.later(LOOK, look);
        }
    }

    /// A driver is given an action: a later one takes the place of one that has not begun.
    pub(super) fn begin(&mut self, node: u64, service: &ServiceName, action: u64, what: Action) {
        let service = self.index(service);
        let begins = self.lasts(400, self.net.weather.slow_driver);
        let it = self.node_mut(node);
        it.latest[service] = action;
        it.latest_by[service] = it.session;
        let event = Event::Act {
            node,
            session: it.session,
            service,
            action,
            what: Rc::new(what),
        };
        self.at(begins, event);
    }

    pub(super) fn act(
        &mut self,
        node: u64,
        session: u64,
        service: usize,
        action: u64,
        what: &Rc<Action>,
    ) {
        let it = self.node(node);
        // What an agent had sent before it was killed may still be done.
        let orphaned = it.session != session;
        if it.latest[service] != action || (orphaned && self.dice.percent(50)) {
            return;
        }
        if !self.runs(node) {
            let when = Moment(self.node(node).stalled_until.0 + 1);
            let event = Event::Act {
                node,
                session,
                service,
                action,
                what: what.clone(),
            };
            return self.at(when, event);
        }
        let (result, arrives) = match self.act_on_store(node, service, what) {
            Some(result) => (result, self.lasts(200, self.net.weather.slow_driver)),
            None => (Err("no answer".to_owned()), self.now.after(NO_ANSWER)),
        };
        let input = Input::Acted {
            service: self.services[service].clone(),
            action,
            result,
        };
        let event = Event::Tell {
            node,
            session,
            input: Rc::new(input),
        };
        self.at(arrives, event);
    }

    /// None when the store does not answer.
    fn act_on_store(
        &mut self,
        node: u64,
        service: usize,
        what: &Action,
    ) -> Option<Result<Feat, String>> {
        let (now, next) = (self.now, self.next_history);
        self.next_history += 1;
        let answered = match what {
            Action::Probe { primary } => Some(Ok(Feat::Sees(self.sees(node, primary, service)))),
            Action::Follow { primary, .. } => self.follow(node, service, node_of(primary)),
            Action::Detach => {
                self.last_word(node, service);
                self.store_at(node, service).act(now, what, next)
            }
            Action::Promote { .. }
            | Action::Fence { .. }
            | Action::Quiesce { .. }
            | Action::Resume
            | Action::Permit { .. }
            | Action::Measure => self.store_at(node, service).act(now, what, next),
        };
        self.tell_act(node, what, answered.as_ref());
        if matches!(what, Action::Promote { .. }) && matches!(answered, Some(Ok(_))) {
            self.check_promoted(node, service);
        }
        if matches!(what, Action::Permit { .. } | Action::Fence { .. }) {
            self.detach_strangers(node, service);
        }
        answered
    }

    fn store_at(&mut self, node: u64, service: usize) -> &mut Store {
        self.node_mut(node).stores[service]
            .as_mut()
            .expect("it has one")
    }

    fn sees(&self, node: u64, primary: &Endpoint, service: usize) -> bool {
        let target = node_of(primary);
        let store = self.store_of(target.0, service);
        self.net.talk(Place::Node(node), Place::Node(target.0))
            && self.runs(target.0)
            && store.is_some_and(|it| it.process == Process::Running)
    }

    fn follow(
        &mut self,
        node: u64,
        service: usize,
        primary: NodeId,
    ) -> Option<Result<Feat, String>> {
        let theirs = self.store_of(primary.0, service).cloned();
        let store = self.store_at(node, service);
        match store.process {
            Process::Frozen => return None,
            Process::Gone => return Some(Err("no process".to_owned())),
            Process::Running => {}
        }
        let rejoin = theirs
            .filter(|_| store.writable)
            .map(|theirs| (compare(store, &theirs), Note::default()));
        store.follow(primary);
        Some(Ok(Feat::Follows(rejoin)))
    }

    /// Whoever is not permitted is attached no more, and acknowledges no more.
    fn detach_strangers(&mut self, primary: u64, service: usize) {
        let Some(store) = &mut self.node_mut(primary).stores[service] else {
            return;
        };
        if store.process != Process::Running {
            return;
        }
        let permits = store.permits.clone();
        let known = |node: u64| permits.as_ref().is_none_or(|it| it.contains(&NodeId(node)));
        store.acks.retain(|node, _| known(*node));
        for node in self.node_ids() {
            if let Some(other) = &mut self.node_mut(node).stores[service]
                && other.follows == Some(NodeId(primary))
                && !known(node)
            {
                other.linked = false;
            }
        }
    }
}

pub fn node_of(endpoint: &Endpoint) -> NodeId {
    let digits = endpoint.as_str().trim_start_matches('n');
    NodeId(
        digits
            .trim_end_matches(":1")
            .parse()
            .expect("it is well-formed"),
    )
}
