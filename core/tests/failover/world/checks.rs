//! The promises, checked where something changed.

use super::World;
use std::collections::{BTreeMap, BTreeSet};
use tenure_core::{Epoch, Millis, Moment};

/// A write that a client was told is done.
#[derive(Debug, Clone, Copy)]
#[expect(dead_code, reason = "all of it is shown when something is broken")]
pub struct Ack {
    pub number: u64,
    /// Its place in the log, from 1 on.
    pub at: usize,
    pub node: u64,
    /// The epoch by which the store was promoted.
    pub epoch: Epoch,
    pub when: Moment,
}

#[derive(Clone, Default)]
pub struct Checks {
    /// What was found broken.
    pub broken: Vec<String>,
    /// By the index of the service.
    pub acked: BTreeMap<usize, Vec<Ack>>,
    /// The place of the latest acknowledged write of each service.
    latest: BTreeMap<usize, Ack>,
    /// When a write of the first service was last acknowledged, and the longest time without.
    pub last_ack: Moment,
    pub longest_gap: Millis,
    /// Who believes, or believed last, that it is primary of a service.
    pub believed: BTreeMap<usize, (u64, Epoch)>,
    /// How many leases began.
    pub terms_of_office: u64,
    /// An operator accepted that something may be lost.
    pub forgiven: bool,
    /// Some clock did what no clock may: what rests on clocks is not checked any more.
    pub clocks_broken: bool,
    /// When each store was last started anew, by service and node.
    pub restarted: BTreeMap<(usize, u64), Moment>,
}

impl World {
    pub(super) fn broken(&mut self, what: &str) {
        if self.checks.broken.len() < 10 {
            let at = self.now.0 / 1_000;
            self.checks.broken.push(format!("at {at}: {what}"));
        }
    }

    /// Promise 1, once a member was told something: nobody believes beside it that it may take writes.
    pub(super) fn check_believers(&mut self, node: u64) {
        self.tell_permitted();
        if self.checks.clocks_broken {
            return;
        }
        for service in 0..self.services.len() {
            let Some(epoch) = self.believes(node, service) else {
                continue;
            };
            if self.now.since(self.quorum_at) > self.longest_lease.plus(Millis(500)) {
                self.count("lived on pledges");
            }
            for other in self.node_ids().filter(|other| *other != node) {
                if let Some(theirs) = self.believes(other, service) {
                    let what = format!("n{node} by {epoch} and n{other} by {theirs} both believe");
                    self.broken(&what);
                }
            }
            let last = self.checks.believed.insert(service, (node, epoch));
            if last != Some((node, epoch)) {
                self.checks.terms_of_office += 1;
                if let Some((before, then)) = last.filter(|(_, then)| *then >= epoch) {
                    let what = format!("n{node} holds by {epoch} after n{before} by {then}");
                    self.broken(&what);
                }
            }
        }
    }

    /// The epoch by which a member believes that it may take writes now.
    pub fn believes(&self, node: u64, service: usize) -> Option<Epoch> {
        let it = self.node(node);
        it.stores[service].as_ref()?;
        let agent = it.agent.as_ref()?;
        agent.primary_of(&self.services[service], self.clock(node))
    }

    /// Promise 1 at the data: where clients wait for replicas, nothing that a deposed primary took after
    /// its successor began is acknowledged; unless loss was allowed, since some may still follow it then.
    pub(super) fn check_acked(&mut self, service: usize, ack: Ack) {
        if let Some(latest) = self.checks.latest.get(&service)
            && ack.epoch < latest.epoch
            && ack.number > latest.number
            && self.client_acks > 0
            && !self.checks.clocks_broken
            && !self.checks.forgiven
            && self.was_proven(service, ack.epoch, latest.epoch)
        {
            let what = format!("{ack:?} was acknowledged after {latest:?}");
            self.broken(&what);
        }
        self.checks.latest.insert(service, ack);
        self.checks.acked.entry(service).or_default().push(ack);
    }

    /// Promise 3, when a store begins to take writes: what was acknowledged is there.
    pub(super) fn check_promoted(&mut self, node: u64, service: usize) {
        let name = self.services[service].clone();
        if self.checks.clocks_broken || self.checks.forgiven {
            return;
        }
        if !self.is_strict_of(&name) && !self.claims_no_loss(node, service) {
            self.checks.latest.remove(&service);
            return;
        }
        let store = self.store_of(node, service).expect("it was promoted");
        if let Some(latest) = self.checks.latest.get(&service)
            && store.log.get(latest.at - 1) != Some(&latest.number)
        {
            let (epoch, has) = (store.epoch, store.log.len());
            let what = format!("n{node} begins epoch {epoch} with {has}, and lacks {latest:?}");
            self.broken(&what);
        }
    }

    /// Promise 4, where loss is allowed: whether the receipts since the latest acknowledged write all say that
    /// nothing was lost. Of one that was started anew since that write they say nothing: where loss is allowed
    /// it goes on with what it has.
    fn claims_no_loss(&self, node: u64, service: usize) -> bool {
        let latest = self.checks.latest.get(&service);
        let (Some(store), Some(latest)) = (self.store_of(node, service), latest) else {
            return true;
        };
        let restarted = self.checks.restarted.get(&(service, node));
        let anew = restarted.is_some_and(|anew| *anew >= latest.when);
        !anew && store.epoch > latest.epoch && self.was_proven(service, latest.epoch, store.epoch)
    }

    /// Whether every change of primary from one epoch to another was proven to lose nothing.
    fn was_proven(&self, service: usize, from: Epoch, to: Epoch) -> bool {
        let since = self.state.receipts(&self.services[service]);
        let mut since = since.filter(|it| it.epoch > from && it.epoch <= to);
        since.all(|it| it.account.completeness.is_lossless())
    }

    /// Promise 3: what was acknowledged and is not with the primary of the first service.
    pub fn lost(&self) -> Vec<u64> {
        let log: BTreeSet<u64> = self.store(self.primary()).log.iter().copied().collect();
        let acked = self.acked().iter().map(|ack| ack.number);
        acked.filter(|number| !log.contains(number)).collect()
    }

    /// The acknowledged writes of the first service.
    pub fn acked(&self) -> &[Ack] {
        self.checks.acked.get(&0).map_or(&[], Vec::as_slice)
    }
}
