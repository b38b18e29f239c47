//! Random decisions of leaders, and what operators say of them: on evidence that fits, and that does not.

use super::generate::Generator;
use crate::fixture::*;
use std::collections::BTreeSet;
use tenure_core::{
    Account, Automation, Cause, Command, Completeness, Epoch, FenceProof, Incarnation, Key, Member,
    Millis, NodeId, Phase, Scope, ServiceName, Timeline, Timestamp,
};

impl Generator<'_> {
    pub fn decision(&mut self) -> Command {
        match self.dice.below(20) {
            0..8 => self.promotion(),
            8..12 => self.members(),
            12..14 => self.of_receipt(),
            14..19 => self.pause(),
            _ => self.automation(),
        }
    }

    /// Mostly by the present epoch, to somebody in the present life, with what fits.
    fn promotion(&mut self) -> Command {
        let (service, node) = self.placed_with_primary();
        let now = self.state.assignment(&service).cloned();
        let epoch = now.as_ref().map_or(Epoch(0), |now| now.epoch);
        let off = u64::from(self.dice.percent(5));
        let known = self.state.nodes().get(&node).map(|it| it.incarnation);
        let incarnation = known.map_or(0, |it| it.0) + u64::from(self.dice.percent(5));
        let mut in_sync: BTreeSet<NodeId> = self.some(&service);
        if self.dice.percent(95) {
            in_sync.insert(node);
        }
        let mut syncing = self.some(&service);
        if self.dice.percent(90) {
            syncing.retain(|node| !in_sync.contains(node));
        }
        let is_first = now.is_none_or(|now| now.primary.is_none());
        let account = self.account(&service, node, is_first);
        Command::Promote {
            service,
            to: Member {
                node,
                incarnation: Incarnation(incarnation),
            },
            succeeds: Epoch(epoch.0 + off),
            in_sync,
            syncing,
            account,
            reason: note("walk"),
        }
    }

    fn some(&mut self, service: &ServiceName) -> BTreeSet<NodeId> {
        let all: Vec<NodeId> = self.state.instances(service).map(|it| it.node).collect();
        let mut some: BTreeSet<NodeId> =
            all.into_iter().filter(|_| self.dice.percent(50)).collect();
        if self.dice.percent(5) {
            some.insert(self.node_id());
        }
        some
    }

    fn account(&mut self, service: &ServiceName, node: NodeId, is_first: bool) -> Account {
        let silent = Millis(1_100);
        let fits = self.dice.percent(85);
        let (cause, fence, completeness) = if is_first == fits {
            (Cause::First, FenceProof::Nobody, Completeness::First)
        } else {
            let fences = [
                FenceProof::Confirmed,
                FenceProof::Exited,
                FenceProof::LeaseOver { silent },
                FenceProof::Operator,
            ];
            let fence = self.dice.pick(fences).expect("there are some");
            let causes = [
                Cause::Exited,
                Cause::NodeLost,
                Cause::Operator,
                Cause::Switchover,
            ];
            let cause = self.dice.pick(causes).expect("there are some");
            (cause, fence, self.completeness(service, node))
        };
        let sentences = if self.dice.percent(3) { 17 } else { 1 };
        Account {
            cause,
            fence,
            completeness,
            evidence: vec![note("walk"); sentences],
            considered: Vec::new(),
            timeline: Timeline::new(),
        }
    }

    fn completeness(&mut self, service: &ServiceName, node: NodeId) -> Completeness {
        let mut heard = self.some(service);
        heard.insert(node);
        let all = self.state.instances(service).map(|it| it.node).collect();
        let each = [
            Completeness::Proven { heard },
            Completeness::Proven { heard: all },
            Completeness::Equal,
            Completeness::Bounded {
                lacks: self.dice.below(10),
            },
            Completeness::Unknown,
        ];
        self.dice.pick(each).expect("there are some")
    }

    fn members(&mut self) -> Command {
        let (service, _) = self.placed_with_primary();
        let now = self.state.assignment(&service).cloned();
        let primary = now.as_ref().and_then(|now| now.primary).map(|it| it.node);
        let mut in_sync = self.some(&service);
        in_sync.extend(primary.filter(|_| self.dice.percent(90)));
        let mut syncing = self.some(&service);
        if self.dice.percent(90) {
            syncing.retain(|node| !in_sync.contains(node));
        }
        let off = u64::from(self.dice.percent(5));
        let expected = self.expected(&Key::Assignment(service.clone()));
        Command::SetMembers {
            service,
            epoch: Epoch(now.map_or(0, |now| now.epoch.0) + off),
            expected,
            in_sync,
            syncing,
        }
    }

    fn of_receipt(&mut self) -> Command {
        let (service, _) = self.placed_with_primary();
        let epochs: Vec<Epoch> = self.state.receipts(&service).map(|it| it.epoch).collect();
        let epoch = self.dice.pick(epochs).unwrap_or(Epoch(self.dice.below(3)));
        match self.dice.below(3) {
            0 => Command::CompleteReceipt {
                service,
                epoch,
                timeline: [(Phase::Confirmed, Millis(self.dice.below(9)))].into(),
            },
            1 => Command::NoteReturn {
                service,
                epoch,
                returned: note("behind"),
            },
            _ => Command::Acknowledge { service, epoch },
        }
    }

    fn pause(&mut self) -> Command {
        let scope = match self.dice.below(3) {
            0 => Scope::Cluster,
            1 => Scope::Service(self.service_name()),
            _ => Scope::Node(self.node_id()),
        };
        let expected = self.expected(&Key::Pause(scope.clone()));
        if self.dice.percent(20) {
            return Command::RemovePause { scope, expected };
        }
        let replaces = self.state.pauses().contains_key(&scope) != self.dice.percent(15);
        Command::SetPause {
            scope,
            expected: replaces.then_some(expected),
            until: self.dice.percent(50).then_some(Timestamp(1)),
            reason: note("walk"),
        }
    }

    fn automation(&mut self) -> Command {
        let expected = self.state.automation().modified;
        let budget = u32::try_from(self.dice.below(4)).expect("it is small");
        Command::SetAutomation {
            expected: if self.dice.percent(80) {
                expected
            } else {
                self.expected(&Key::Settings)
            },
            automation: Automation {
                storm_budget: budget,
                ..Automation::default()
            },
        }
    }
}
