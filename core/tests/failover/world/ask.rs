//! What a test asks of the world.

use super::{World, service};
use std::sync::Arc;
use tenure_core::{
    Assignment, Cause, Command, Epoch, LossPolicy, Millis, NodeId, NodeRef, Note, Outcome, Policy,
    PrimaryPolicy, Receipt, Revision, Service, ServiceName,
    controller::{Explanation, Forecast, Hold, Moved, Wish},
};

impl World {
    pub fn assignment_of(&self, service: &ServiceName) -> &Assignment {
        self.state.assignment(service).expect("it is there")
    }

    pub fn assignment(&self) -> &Assignment {
        self.assignment_of(&self.services[0])
    }

    pub fn primary(&self) -> u64 {
        self.assignment()
            .primary
            .map_or(0, |primary| primary.node.0)
    }

    pub fn epoch(&self) -> u64 {
        self.assignment().epoch.0
    }

    /// The receipt of the first service's present epoch.
    pub fn receipt(&self) -> Receipt {
        let epoch = self.assignment().epoch;
        self.receipt_of(epoch.0)
    }

    pub fn receipt_of(&self, epoch: u64) -> Receipt {
        let found = self.state.receipt(&self.services[0], Epoch(epoch));
        found.expect("the epoch has one").as_ref().clone()
    }

    pub fn cause(&self) -> Cause {
        self.receipt().account.cause
    }

    /// Whether the assigned primary of the first service believes and takes writes.
    pub fn serves(&self) -> bool {
        self.serves_as(0)
    }

    pub fn serves_as(&self, index: usize) -> bool {
        let now = self.assignment_of(&self.services[index]);
        let Some(node) = now.primary.map(|primary| primary.node.0) else {
            return false;
        };
        self.believes(node, index) == Some(now.epoch)
            && self.runs(node)
            && self
                .store_of(node, index)
                .is_some_and(|store| store.takes_writes(self.now))
    }

    /// Whether the primary of the first service serves, and everybody else follows it in sync.
    pub fn is_whole(&self) -> bool {
        let now = self.assignment();
        let primary = self.primary();
        let mut others = self.node_ids().filter(|node| *node != primary);
        self.serves()
            && others.all(|node| {
                self.store_of(node, 0)
                    .is_none_or(|store| store.linked && now.in_sync.contains(&NodeId(node)))
            })
    }

    /// Whether the first service may lose nothing.
    pub fn is_strict(&self) -> bool {
        self.is_strict_of(&self.services[0])
    }

    /// Whether a failover led to an epoch that is served.
    pub fn moved_to(&self, epoch: u64) -> bool {
        self.epoch() == epoch && self.serves()
    }

    pub fn explain_of(&self, service: &ServiceName) -> Option<Explanation> {
        let leader = self.leader()?;
        let now = self.server_clock(leader);
        let controller = &self.server(leader).controller;
        controller.explain(now, self.wall(), &self.state, service)
    }

    /// Why nothing is done about the first service.
    pub fn held(&self) -> Option<Hold> {
        self.explain_of(&self.services[0])?.decision.err()
    }

    pub fn what_if_lost(&self, node: u64) -> Vec<Forecast> {
        let leader = self.leader().expect("it is there");
        let now = self.server_clock(leader);
        let controller = &self.server(leader).controller;
        let forecasts = controller.what_if_lost(now, self.wall(), &self.state, NodeId(node));
        forecasts.expect("it is there")
    }

    pub fn switchover(&mut self, to: Option<u64>) -> u64 {
        self.wish(Wish::Switchover {
            service: service(),
            to: to.map(|node| NodeRef::Id(NodeId(node))),
            reason: Note::default(),
        })
    }

    pub fn failover(&mut self, to: Option<u64>, accept_loss: bool, fenced: bool) -> u64 {
        self.wish(Wish::Failover {
            service: service(),
            to: to.map(|node| NodeRef::Id(NodeId(node))),
            accept_loss,
            fenced,
            reason: Note::default(),
        })
    }

    /// The answer to an operator, who waits for it.
    pub fn answer(&mut self, ask: u64, within: Millis) -> Result<Moved, Hold> {
        self.run_until(within, |world| world.answers.contains_key(&ask));
        self.answers[&ask].clone()
    }

    /// An operator names the primary in the log, without a fence.
    pub fn set_primary(&mut self, to: u64, accept_loss: bool) -> Outcome {
        self.commit(Command::SetPrimary {
            service: service(),
            to: NodeRef::Id(NodeId(to)),
            succeeds: self.assignment().epoch,
            accept_loss,
            reason: Note::default(),
        })
    }

    fn first_policy(&self) -> (Arc<Service>, PrimaryPolicy) {
        let known = self.state.services()[&self.services[0]].clone();
        let Policy::Primary(policy) = known.policy else {
            panic!("the first service has a primary");
        };
        (known, policy)
    }

    pub fn loss(&self) -> LossPolicy {
        self.first_policy().1.loss
    }

    /// Changes the loss policy of the first service.
    pub fn set_loss(&mut self, loss: LossPolicy) {
        let (known, policy) = self.first_policy();
        self.checks.forgiven |= loss != LossPolicy::Never;
        self.must(Command::UpdateService {
            name: known.name.clone(),
            expected: known.modified,
            policy: Policy::Primary(PrimaryPolicy { loss, ..policy }),
        });
    }

    pub fn revision_of(&self, node: u64) -> Revision {
        self.state.nodes()[&NodeId(node)].modified
    }

    /// Everything that helps to see what went wrong.
    pub fn describe(&self) -> String {
        let notes = self.notes.join("\n");
        let broken = &self.checks.broken;
        format!("{notes}\n{}broken: {broken:#?}", self.picture())
    }

    /// What everybody is and believes now.
    pub fn picture(&self) -> String {
        let terms: Vec<_> = self.servers.values().map(|it| (it.up, it.leads)).collect();
        let mut text = format!("at {}: servers {terms:?}\n", self.now.0 / 1_000);
        for (index, name) in self.services.iter().enumerate() {
            if let Some(now) = self.state.assignment(name) {
                text += &format!(
                    "{name}: primary {:?} epoch {} in sync {:?} syncing {:?}\n",
                    now.primary, now.epoch, now.in_sync, now.syncing
                );
            }
            for node in self.node_ids() {
                let Some(store) = self.store_of(node, index) else {
                    continue;
                };
                text += &format!(
                    "n{node}: agent {} runs {} believes {:?} {:?} writable {} fenced {} follows {:?} \
                     linked {} permits {:?} h{} {} acks {:?}\n",
                    self.node(node).agent.is_some(),
                    self.runs(node),
                    self.believes(node, index),
                    store.process,
                    store.writable,
                    store.fenced,
                    store.follows,
                    store.linked,
                    store.permits,
                    store.history,
                    store.log.len(),
                    store.acks,
                );
            }
            text += &format!("{:#?}\n", self.explain_of(name));
        }
        text + &self.items_picture()
    }
}
