//! Grants: what each member is allowed and told. The one place where a lease is given.

use super::{
    Look, Output,
    case::View,
    course::{Course, Stage, Step},
    known::Known,
    leading::Leading,
};
use crate::{
    Cause, Directive, Epoch, Fellow, Grant, Instance, Kind, LossPolicy, Member, Millis, NodeId,
    Presence, Role, ServiceName, Wanted, lease,
};
use std::collections::{BTreeMap, BTreeSet};

/// How much longer than its budget a switchover's writes are held back at the primary: it is taken back
/// before they would go on by themselves.
const QUIESCE_SPARE: Millis = Millis(500);

impl Leading {
    /// Answers a member's latest heartbeat with the whole picture.
    pub(super) fn grant(&mut self, look: Look<'_>, node: NodeId, out: &mut Vec<Output>) {
        let Some(known) = self.members.get(node) else {
            return;
        };
        let (member, via) = (known.member, known.via);
        let (session, answers) = (known.beat.session, known.beat.sequence);
        let automation = *look.automation();
        let services: Vec<ServiceName> = look.state.services_on(node).cloned().collect();
        let may_grant = self.authority.may_grant(look);
        let mut directives = Vec::new();
        let mut is_fast = false;
        for service in services {
            let Some(kind) = look.state.services().get(&service).map(|it| it.kind()) else {
                continue;
            };
            if kind != Kind::Primary {
                let orders = if may_grant {
                    self.orders(&service, node)
                } else {
                    vec![]
                };
                directives.push(Directive {
                    orders,
                    ..plain(service, Epoch(0), Wanted::Peer)
                });
                continue;
            }
            is_fast = true;
            directives.extend(self.directive(look, &service, member, may_grant));
        }
        let (lease, heartbeat) = if is_fast {
            (automation.fast_lease, automation.fast_heartbeat)
        } else {
            (automation.slow_lease, automation.slow_heartbeat)
        };
        let number = self.next_number();
        out.push(Output::Grant {
            via,
            grant: Grant {
                server: look.site.server,
                term: self.term,
                number,
                member,
                session,
                answers,
                lease: if may_grant { lease } else { Millis(0) },
                heartbeat,
                drift_permille: automation.drift_permille,
                control_loss: automation.control_loss,
                directives,
            },
        });
    }

    /// Tells every member of a service of what has changed for it, without waiting for its heartbeat.
    pub(super) fn push(&mut self, look: Look<'_>, view: &View<'_>, out: &mut Vec<Output>) {
        let may_grant = self.authority.may_grant(look);
        let nodes: Vec<NodeId> = view.instances.iter().map(|it| it.node).collect();
        for node in nodes {
            let Some(known) = self.heard(look, node) else {
                continue;
            };
            let member = known.member;
            let Some(course) = self.courses.get(view.name) else {
                return;
            };
            let wanted = self.wanted(look, view, course, member, may_grant);
            let told = course.told.get(&node);
            if told != wanted.as_ref() {
                self.grant(look, node, out);
            }
        }
    }

    /// What is wanted of an instance; a lease that goes with it is noted first.
    fn directive(
        &mut self,
        look: Look<'_>,
        service: &ServiceName,
        member: Member,
        may_grant: bool,
    ) -> Option<Directive> {
        let view = View::of(look, service)?;
        let mut course = self.take_course(look, &view);
        let directive = self.wanted(look, &view, &course, member, may_grant);
        if let Some(directive) = &directive {
            course.told.insert(member.node, directive.clone());
            if matches!(directive.wanted, Wanted::Primary { .. }) && may_grant {
                let automation = look.automation();
                let (lease, drift) = (automation.fast_lease, automation.drift_permille);
                let until = lease::granter_until(look.now, lease, drift);
                course.holders.granted(member, until);
            }
        }
        self.courses.insert(service.clone(), course);
        directive
    }

    fn wanted(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        course: &Course,
        member: Member,
        may_grant: bool,
    ) -> Option<Directive> {
        let instance = view.instance(member.node)?;
        let assigned = view.assignment.primary;
        if assigned == Some(member) {
            return Some(self.to_primary(look, view, course, member, may_grant));
        }
        Some(self.to_other(look, view, course, member, instance))
    }

    /// Promise 1: a member is told to take writes only while nobody else may be taking them.
    fn to_primary(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        course: &Course,
        member: Member,
        may_grant: bool,
    ) -> Directive {
        let epoch = view.assignment.epoch;
        let standby = plain(view.name.clone(), epoch, Wanted::Standby);
        let quiesce = match &course.stage {
            Stage::Steady => None,
            // That it is assigned says that it is committed: there was nobody before, who may serve already.
            Stage::Failing(failing) if failing.cause == Cause::First => None,
            Stage::Failing(_) => return standby,
            Stage::Switching(switching) => match switching.step {
                Step::Quiesce | Step::CatchUp { .. } => {
                    Some(look.automation().switchover.plus(QUIESCE_SPARE))
                }
                Step::Fence | Step::Verify { .. } => return standby,
            },
        };
        let strict = view.policy.loss == LossPolicy::Never;
        let known = self.members.member(member);
        let bereft = known
            .and_then(|known| known.sign(view.name))
            .is_some_and(|sign| strict && self.is_bereft(look, view, course, sign));
        if bereft || course.holders.others(member, look.now) || !may_grant {
            // One that holds already goes on until its lease ends: a leader without a quorum takes
            // nothing away.
            if bereft || may_grant {
                return standby;
            }
        }
        Directive {
            quiesce,
            ..plain(view.name.clone(), epoch, self.primary(look, view, course))
        }
    }

    fn primary(&self, look: Look<'_>, view: &View<'_>, course: &Course) -> Wanted {
        let fellow = |node: NodeId| {
            let instance = view.instance(node)?.endpoint.clone();
            let known = look.state.nodes().get(&node);
            let known = known.and_then(|node| self.members.member(node.member()));
            let agent = known.and_then(|known| known.beat.agent.clone());
            Some((node, Fellow { instance, agent }))
        };
        let members: BTreeMap<NodeId, Fellow> =
            view.assignment.acknowledgers().filter_map(fellow).collect();
        let detached: BTreeSet<NodeId> = course
            .detached
            .into_iter()
            .filter(|node| members.contains_key(node))
            .collect();
        Wanted::Primary {
            write_acks: view.policy.write_acks,
            strict: view.policy.loss == LossPolicy::Never,
            members,
            detached,
        }
    }

    fn to_other(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        course: &Course,
        member: Member,
        instance: &Instance,
    ) -> Directive {
        let epoch = view.assignment.epoch;
        let mut survey = None;
        match &course.stage {
            Stage::Failing(failing) => {
                if let Some(asked) = failing.survey {
                    return Directive {
                        survey: Some(asked.ballot),
                        ..plain(view.name.clone(), epoch, Wanted::Standby)
                    };
                }
            }
            Stage::Switching(switching) if switching.to == member => match &switching.step {
                Step::CatchUp { ballot, .. } | Step::Verify { ballot, .. } => {
                    survey = Some(*ballot);
                }
                Step::Quiesce | Step::Fence => {}
            },
            Stage::Switching(_) | Stage::Steady => {}
        }
        let wanted = self.follows(view, instance);
        let is_replica = matches!(wanted, Wanted::Replica { .. });
        Directive {
            survey: survey.filter(|_| is_replica),
            probe: is_replica && self.is_suspect(look, view),
            orders: vec![],
            ..plain(view.name.clone(), epoch, wanted)
        }
    }

    /// A replica follows a primary that has confirmed and lets it acknowledge; one that does follow
    /// already goes on while the primary is not heard from.
    fn follows(&self, view: &View<'_>, instance: &Instance) -> Wanted {
        let epoch = view.assignment.epoch;
        let Some(primary) = view.assignment.primary else {
            return Wanted::Standby;
        };
        let Some(of_primary) = view.instance(primary.node) else {
            return Wanted::Standby;
        };
        let counts = view
            .assignment
            .acknowledgers()
            .any(|node| node == instance.node);
        let sign = self
            .members
            .member(primary)
            .and_then(|known| known.sign(view.name));
        // What another process in its place has may be less, and would take the place of what is here.
        if sign.is_some_and(|sign| sign.presence == Presence::Exited) {
            return Wanted::Standby;
        }
        let permits = sign.is_some_and(|sign| {
            sign.report.role == Some((Role::Primary, epoch))
                && sign.permits.contains(&instance.node)
        });
        let own = self
            .members
            .get(instance.node)
            .and_then(|known| known.sign(view.name));
        let follows = own.is_some_and(|sign| sign.report.role == Some((Role::Replica, epoch)));
        if counts && (permits || follows) {
            Wanted::Replica {
                primary: primary.node,
                endpoint: of_primary.endpoint.clone(),
            }
        } else {
            Wanted::Standby
        }
    }

    /// Whether the primary was not heard from for a while: its replicas are asked what they see.
    fn is_suspect(&self, look: Look<'_>, view: &View<'_>) -> bool {
        let primary = view.assignment.primary;
        let known = primary.and_then(|primary| self.members.member(primary));
        let patience = Millis(look.automation().fast_heartbeat.0.saturating_mul(3));
        let silent = |known: &Known| known.silent(look.now) >= patience;
        known.is_none_or(silent)
    }
}

fn plain(service: ServiceName, epoch: Epoch, wanted: Wanted) -> Directive {
    Directive {
        service,
        epoch,
        wanted,
        quiesce: None,
        survey: None,
        probe: false,
        orders: vec![],
    }
}
