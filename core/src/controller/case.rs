//! One service as it is decided on: its records, and the candidates for its primary.

use super::{Look, course::Course, known::Known, leading::Leading};
use crate::{
    Assignment, Health, Instance, Member, Node, NodeId, Note, PinKind, Policy, Presence,
    PrimaryPolicy, Role, Scope, ServiceName, lease,
    planner::failover::{Candidate, Case},
};
use std::sync::Arc;

/// A service with a primary, as the state has it.
pub(super) struct View<'a> {
    pub(super) name: &'a ServiceName,
    pub(super) policy: PrimaryPolicy,
    pub(super) assignment: &'a Assignment,
    pub(super) instances: Vec<&'a Arc<Instance>>,
    /// The node that the primary is on; none where it has begun a new life, and is a node like others.
    home: Option<NodeId>,
}

impl<'a> View<'a> {
    /// None where the service is not one with a primary.
    pub(super) fn of(look: Look<'a>, name: &ServiceName) -> Option<Self> {
        let service = look.state.services().get(name)?;
        let Policy::Primary(policy) = service.policy else {
            return None;
        };
        let assignment = look.state.assignment(name)?;
        let lives = |primary: &Member| {
            let node = look.state.nodes().get(&primary.node);
            node.is_none_or(|node| node.member() == *primary)
        };
        Some(Self {
            name: &assignment.service,
            policy,
            assignment,
            instances: look.state.instances(name).collect(),
            home: assignment.primary.filter(lives).map(|it| it.node),
        })
    }

    pub(super) fn instance(&self, node: NodeId) -> Option<&Instance> {
        let found = self.instances.iter().find(|it| it.node == node);
        found.map(|it| it.as_ref())
    }

    /// All instances but the primary's. Where its node was restarted the process that is there now is one of
    /// them: it may have kept the data, and a service of one instance has no other.
    pub(super) fn others(&self) -> impl Iterator<Item = &Instance> {
        let all = self.instances.iter();
        all.filter(|it| Some(it.node) != self.home)
            .map(|it| it.as_ref())
    }

    /// Whether a survey waits for the answer of a node. One that has just booted promises nothing for a while: for
    /// that of the old primary's node only where there is no other.
    pub(super) fn is_waited_for(&self, node: NodeId) -> bool {
        let primary = self.assignment.primary.map(|primary| primary.node);
        primary != Some(node) || self.instances.len() == 1
    }
}

/// The name of a node, for people.
pub(super) fn name_of(look: Look<'_>, node: NodeId) -> String {
    let known = look.state.nodes().get(&node);
    known.map_or_else(|| format!("node {node}"), |node| node.name.to_string())
}

/// Whether automation is paused for a scope; a pause that is over counts no more.
pub(super) fn paused<'a>(look: Look<'a>, scope: &Scope) -> Option<&'a Note> {
    let pause = look.state.pauses().get(scope)?;
    let over = pause.until.is_some_and(|until| until <= look.wall);
    (!over).then_some(&pause.reason)
}

impl Leading {
    /// Whether a member was heard within its lease.
    pub(super) fn is_heard(&self, look: Look<'_>, known: &Known) -> bool {
        let automation = look.automation();
        let lease = lease::cautious(automation.fast_lease, automation.drift_permille);
        known.silent(look.now) < lease
    }

    /// A member that is heard, with what it says of the service.
    pub(super) fn heard(&self, look: Look<'_>, node: NodeId) -> Option<&Known> {
        let present = look.state.nodes().get(&node)?;
        let known = self.members.member(present.member())?;
        self.is_heard(look, known).then_some(known)
    }

    /// What is to be decided on, with the answers to a survey; without one, by what was last heard.
    pub(super) fn case<'a>(
        &self,
        look: Look<'a>,
        view: &View<'a>,
        course: &Course,
        ballot: Option<u64>,
        automatic: bool,
    ) -> Case<'a> {
        let known = course.last.clone();
        let known = known.filter(|(epoch, _)| *epoch == view.assignment.epoch);
        let last = known.map(|(_, position)| position);
        let primary = view.assignment.primary;
        // What it said as a replica, or in another life, is not the history that it wrote as primary.
        let committed = primary.and_then(|primary| {
            let instance = view.instance(primary.node)?;
            let as_primary = Some((Role::Primary, view.assignment.epoch));
            let meant =
                instance.reported_in == primary.incarnation && instance.report.role == as_primary;
            instance.report.position.as_ref().filter(|_| meant)
        });
        let history = last.as_ref().or(committed).map(|it| it.history.clone());
        let one = |it: &Instance| {
            let mut candidate = self.candidate(look, it, ballot, automatic)?;
            candidate.whole &= !course.anew.contains_key(&it.node);
            Some(candidate)
        };
        Case {
            assignment: view.assignment,
            policy: view.policy,
            history,
            last,
            avoid: None,
            only: None,
            lossless: false,
            candidates: view.others().filter_map(one).collect(),
        }
    }

    fn candidate(
        &self,
        look: Look<'_>,
        instance: &Instance,
        ballot: Option<u64>,
        automatic: bool,
    ) -> Option<Candidate> {
        let node = look.state.nodes().get(&instance.node)?;
        let known = self.heard(look, node.id);
        let sign = known.and_then(|known| known.sign(&instance.service));
        let (position, answered, pledged) = match (ballot, sign) {
            (None, Some(sign)) => (sign.report.position.clone(), true, false),
            (Some(ballot), Some(sign)) => {
                let answer = sign.surveyed.as_ref().filter(|it| it.ballot == ballot);
                let position = answer.and_then(|it| it.position.clone());
                let pledged = answer.is_some_and(|it| it.pledged.0 > 0);
                (position, answer.is_some() && !pledged, pledged)
            }
            (None | Some(_), None) => (None, false, false),
        };
        let unfit = unfit(look, node, instance, automatic)
            .or_else(|| sign.is_none().then(|| "it is not heard from".to_owned()))
            .or_else(|| pledged.then(|| "it has pledged to the old primary".to_owned()))
            .or_else(|| match sign?.presence {
                Presence::Running => None,
                Presence::Exited => Some("its process is gone".to_owned()),
                Presence::Unknown => Some("its agent cannot reach it".to_owned()),
            })
            .or_else(|| match sign?.report.health {
                Health::Healthy | Health::Degraded => None,
                health @ (Health::Unknown | Health::Starting | Health::Failing) => {
                    Some(format!("it is {health}"))
                }
            });
        let load = sign.and_then(|sign| sign.report.attributes.get("load")?.parse().ok());
        Some(Candidate {
            node: node.id,
            name: node.name.clone(),
            zone: node.zone.clone(),
            preference: instance.preference,
            load: load.unwrap_or(0),
            position,
            answered,
            whole: sign.is_some_and(|sign| sign.whole),
            unfit,
        })
    }

    /// The node in its present life, if it is heard and says that its instance runs.
    pub(super) fn running(
        &self,
        look: Look<'_>,
        service: &ServiceName,
        node: NodeId,
    ) -> Option<Member> {
        let known = self.heard(look, node)?;
        let sign = known.sign(service)?;
        (sign.presence == Presence::Running).then_some(known.member)
    }
}

/// Why the state forbids an instance to become primary, whatever its agent says.
fn unfit(look: Look<'_>, node: &Node, instance: &Instance, automatic: bool) -> Option<String> {
    if !node.lifecycle.accepts_placement() {
        return Some(format!("its node is {}", node.lifecycle));
    }
    let pin = look.state.pins().get(&node.id);
    if let Some(pin) = pin.filter(|pin| pin.kind == PinKind::Down) {
        let over = pin.until.is_some_and(|until| until <= look.wall);
        if !over {
            return Some(format!("its node is pinned down: {}", pin.reason));
        }
    }
    if instance.preference == 0 {
        return Some("its preference is 0: never".to_owned());
    }
    let paused = paused(look, &Scope::Node(node.id)).filter(|_| automatic);
    paused.map(|reason| format!("automation is paused for its node: {reason}"))
}
