//! What of the members' words is kept in the log: transitions, never heartbeats.

use super::{
    Look, Output,
    case::View,
    course::{Course, mark},
    gate::is_fast,
    leading::{Leading, Proposal},
};
use crate::{
    Command, Health, Instance, Member, Millis, NodeId, Phase, Report, ServiceName, lease,
    limits::BATCH_COMMANDS_MAX, reject::note,
};
use std::sync::Arc;

/// How often at most the load of an instance is written down.
const LOAD_EVERY: Millis = Millis(5_000);

impl Leading {
    /// Proposes what a member says of its instances, where that differs from what is known.
    pub(super) fn report(&mut self, look: Look<'_>, node: NodeId, out: &mut Vec<Output>) {
        if !self.authority.may_grant(look) {
            return;
        }
        let Some(known) = self.members.get(node) else {
            return;
        };
        let member = known.member;
        let mut due: Vec<(ServiceName, Report)> = Vec::new();
        for sign in &known.beat.signs {
            let key = (sign.service.clone(), node);
            let Some(now) = look.state.instance(&sign.service, node) else {
                continue;
            };
            let rested = self
                .loads
                .get(&key)
                .is_none_or(|at| look.now.since(*at) >= LOAD_EVERY);
            let differs = is_transition(now, member, &sign.report)
                || (rested && now.report.attributes != sign.report.attributes);
            if differs && !self.reporting.contains(&key) {
                due.push((sign.service.clone(), sign.report.clone()));
            }
        }
        for (service, _) in &due {
            self.loads.insert((service.clone(), node), look.now);
        }
        self.propose_reports(member, due, out);
        self.report_return(look, node, out);
    }

    fn propose_reports(
        &mut self,
        member: Member,
        due: Vec<(ServiceName, Report)>,
        out: &mut Vec<Output>,
    ) {
        if due.is_empty() {
            return;
        }
        let keys: Vec<_> = due
            .iter()
            .map(|(name, _)| (name.clone(), member.node))
            .collect();
        self.reporting.extend(keys.iter().cloned());
        let commands = due
            .into_iter()
            .map(|(service, report)| Command::ReportInstance {
                service,
                member,
                expected: None,
                report,
            });
        self.propose(Proposal::Reports(keys), in_one(commands.collect()), out);
    }

    /// What members say no more is not known: one entry for all that were lost at a time. Those were last
    /// heard within a heartbeat of one another, so it is that long that the first is waited with.
    pub(super) fn report_silent(&mut self, look: Look<'_>, out: &mut Vec<Output>) {
        if !self.authority.may_grant(look) || !self.authority.hears(look) {
            return;
        }
        let instances = look.state.services().keys();
        let mut instances = instances.flat_map(|service| look.state.instances(service));
        let overdue = |instance: &Arc<Instance>| {
            let key = (instance.service.clone(), instance.node);
            !self.reporting.contains(&key) && self.is_silent(look, instance, true)
        };
        if !instances.any(overdue) {
            return;
        }
        let mut commands = Vec::new();
        let mut keys = Vec::new();
        for service in look.state.services().keys() {
            for instance in look.state.instances(service) {
                let key = (service.clone(), instance.node);
                if commands.len() >= BATCH_COMMANDS_MAX
                    || self.reporting.contains(&key)
                    || !self.is_silent(look, instance, false)
                {
                    continue;
                }
                let Some(node) = look.state.nodes().get(&instance.node) else {
                    continue;
                };
                commands.push(Command::ReportInstance {
                    service: service.clone(),
                    member: node.member(),
                    expected: Some(instance.modified),
                    report: Report {
                        health: Health::Unknown,
                        role: None,
                        note: note("its node is not heard from"),
                        ..instance.report.clone()
                    },
                });
                keys.push(key);
            }
        }
        if !commands.is_empty() {
            self.reporting.extend(keys.iter().cloned());
            self.propose(Proposal::Reports(keys), in_one(commands), out);
        }
    }

    /// Whether an instance that is known to be well has not been heard from for its lease, and for another
    /// heartbeat. What an operator reported by hand, of a node without an agent, is left alone.
    fn is_silent(&self, look: Look<'_>, instance: &Instance, overdue: bool) -> bool {
        if instance.report.health == Health::Unknown {
            return false;
        }
        let Some(known) = self.members.get(instance.node) else {
            return false;
        };
        let automation = look.automation();
        let (lease, heartbeat) = if is_fast(look, instance.node) {
            (automation.fast_lease, automation.fast_heartbeat)
        } else {
            (automation.slow_lease, automation.slow_heartbeat)
        };
        let lease = lease.plus(if overdue { heartbeat } else { Millis(0) });
        let silent = look.now.since(known.heard_at.max(self.authority.listening));
        let over = |span| silent >= lease::cautious(span, automation.drift_permille);
        over(lease) && (!self.answers_replicas(look, instance) || over(automation.agent_grace))
    }

    /// Whether this is the primary and its replicas' agents are answered by it: what is silent is its agent, and nobody is
    /// sent away from it within the agent's grace.
    fn answers_replicas(&self, look: Look<'_>, instance: &Instance) -> bool {
        let view = View::of(look, &instance.service);
        view.is_some_and(|view| {
            let primary = view.assignment.primary.map(|primary| primary.node);
            primary == Some(instance.node) && !self.witnesses(look, &view).0.is_empty()
        })
    }

    /// Completes the receipt once the new primary says that it serves.
    pub(super) fn confirm(
        &mut self,
        look: Look<'_>,
        view: &View<'_>,
        course: &mut Course,
        out: &mut Vec<Output>,
    ) {
        let Some(confirming) = &mut course.confirming else {
            return;
        };
        if view.assignment.epoch > confirming.epoch {
            course.confirming = None;
            return;
        }
        if view.assignment.epoch < confirming.epoch || !self.is_confirmed(look, view) {
            return;
        }
        let base = confirming.base;
        mark(&mut confirming.timeline, Phase::Confirmed, base, look.now);
        let command = Command::CompleteReceipt {
            service: view.name.clone(),
            epoch: confirming.epoch,
            timeline: confirming.timeline.clone(),
        };
        course.confirming = None;
        self.propose(Proposal::Note(view.name.clone()), command, out);
    }

    /// Notes in the receipt what became of the old primary.
    fn report_return(&mut self, look: Look<'_>, node: NodeId, out: &mut Vec<Output>) {
        let mut due = Vec::new();
        let Some(known) = self.members.get(node) else {
            return;
        };
        for sign in &known.beat.signs {
            let Some(returned) = &sign.returned else {
                continue;
            };
            let receipt = look.state.receipt(&sign.service, returned.epoch);
            let open = receipt.is_some_and(|receipt| {
                receipt.returned.as_str().is_empty()
                    && receipt.from.is_some_and(|from| from.node == node)
            });
            if open && !self.noting.contains(&sign.service) {
                let sentence = if returned.tail.as_str().is_empty() {
                    returned.rejoin.to_string()
                } else {
                    format!("{}: {}", returned.rejoin, returned.tail)
                };
                due.push((sign.service.clone(), returned.epoch, note(&sentence)));
            }
        }
        for (service, epoch, returned) in due {
            self.noting.insert(service.clone());
            let command = Command::NoteReturn {
                service: service.clone(),
                epoch,
                returned,
            };
            self.propose(Proposal::Note(service), command, out);
        }
    }
}

/// Whether a report says something that others must be told: another health, role or history.
fn is_transition(now: &Instance, member: Member, report: &Report) -> bool {
    let history = |report: &Report| report.position.as_ref().map(|it| it.history.clone());
    now.reported_in != member.incarnation
        || now.report.health != report.health
        || now.report.role != report.role
        || history(&now.report) != history(report)
}

/// One command for all: a mass loss is one log entry.
fn in_one(mut commands: Vec<Command>) -> Command {
    match commands.len() {
        1 => commands.remove(0),
        _ => Command::Batch(commands),
    }
}
