//! What stores and clients do with data: replication, writes, acknowledgements.

use super::{Event, Place, World, checks::Ack};
use crate::failover::store::Process;
use tenure_core::{Moment, NodeId};

impl World {
    pub(super) fn data(&mut self) {
        for service in 0..self.services.len() {
            for node in self.node_ids() {
                self.replicate_to(node, service);
            }
            for node in self.node_ids() {
                self.acknowledge(node, service);
            }
            if self.writing {
                self.write(service);
            }
        }
        self.items_go_on();
        self.tell_permitted();
        self.later(super::DATA, Event::Data);
    }

    /// The other end of a replica's link, when there is one.
    fn upstream(&self, node: u64, service: usize) -> Option<u64> {
        let NodeId(from) = self.store_of(node, service)?.follows?;
        let up = |node: u64| {
            self.runs(node)
                && self
                    .store_of(node, service)
                    .is_some_and(|store| store.process == Process::Running)
        };
        let primary = self.store_of(from, service)?;
        let permitted = primary.permits.as_ref();
        let permitted = permitted.is_none_or(|it| it.contains(&NodeId(node)));
        let talk = self.net.talk(Place::Node(from), Place::Node(node));
        (up(node) && up(from) && primary.writable && permitted && talk).then_some(from)
    }

    /// What was sent a moment ago arrives, and is acknowledged to the primary a moment later.
    fn replicate_to(&mut self, node: u64, service: usize) {
        if self
            .store_of(node, service)
            .is_none_or(|it| it.follows.is_none())
        {
            return;
        }
        let Some(from) = self.upstream(node, service) else {
            let store = self.node_mut(node).stores[service]
                .as_mut()
                .expect("it is there");
            store.linked = false;
            return;
        };
        let nothing = self.chance(self.net.weather.lag);
        let (a, b) = (
            usize::try_from(from).expect("it is small") - 1,
            usize::try_from(node).expect("it is small") - 1,
        );
        let Ok([upper, lower]) = self.nodes.get_disjoint_mut([a, b]) else {
            return;
        };
        let (Some(primary), Some(replica)) =
            (&mut upper.stores[service], &mut lower.stores[service])
        else {
            return;
        };
        if !replica.linked {
            replica.attach(primary);
            return;
        }
        primary.acks.insert(node, replica.log.len());
        if !nothing && primary.log.len() > replica.log.len() {
            let have = replica.log.len();
            replica.log.extend_from_slice(&primary.log[have..]);
        }
    }

    /// What a replica has is acknowledged still, though it detaches.
    pub(super) fn last_word(&mut self, node: u64, service: usize) {
        let Some(from) = self.upstream(node, service) else {
            return;
        };
        let replica = self.store_of(node, service).expect("it is there");
        if replica.linked {
            let has = replica.log.len();
            let primary = self.node_mut(from).stores[service]
                .as_mut()
                .expect("it is there");
            primary.acks.insert(node, has);
        }
    }

    /// A client that writes wherever writes are taken.
    fn write(&mut self, service: usize) {
        for node in self.node_ids() {
            let now = self.now;
            if !self.runs(node) {
                continue;
            }
            let number = self.next_write;
            let Some(store) = &mut self.node_mut(node).stores[service] else {
                continue;
            };
            if store.takes_writes(now) {
                store.log.push(number);
                store.pending.push_back((number, store.log.len()));
                self.next_write += 1;
            }
        }
    }

    /// A write is acknowledged once enough replicas have it, while its primary lives.
    fn acknowledge(&mut self, node: u64, service: usize) {
        let (needed, now) = (self.client_acks, self.now);
        if !self.runs(node) {
            return;
        }
        let Some(store) = &mut self.node_mut(node).stores[service] else {
            return;
        };
        if store.pending.is_empty() || store.process != Process::Running {
            return;
        }
        let mut acked: Vec<Ack> = Vec::new();
        while let Some((number, at)) = store.pending.front().copied() {
            let has = store.acks.values().filter(|has| **has >= at).count();
            if has < needed {
                break;
            }
            store.pending.pop_front();
            acked.push(Ack {
                number,
                at,
                node,
                epoch: store.epoch,
                when: now,
            });
        }
        for ack in acked {
            self.note_ack(service, ack);
        }
    }

    fn note_ack(&mut self, service: usize, ack: Ack) {
        if service == 0 {
            if self.checks.last_ack > Moment(0) {
                let gap = self.now.since(self.checks.last_ack);
                self.checks.longest_gap = self.checks.longest_gap.max(gap);
            }
            self.checks.last_ack = self.now;
        }
        self.check_acked(service, ack);
    }
}
