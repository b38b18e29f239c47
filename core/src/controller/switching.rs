//! Moving a primary that works: its writes are held back, the candidate catches up, the primary is
//! fenced, the candidate is verified against what came before the fence, and the change is committed.
//! Taken back by itself when that does not end within its budget.

use super::{
    Hold, HoldCode, Look, Output,
    case::{View, name_of},
    course::{Asked, Course, Stage, Step, Switching, mark},
    failing::{ask_of, wait_for_log},
    known::Known,
    leading::{Leading, Proposal},
};
use crate::{
    Account, Cause, Command, Completeness, Considered, FenceProof, Lifecycle, NodeId, Phase,
    Position, Presence, Role, Sign, Standing, planner::failover::Candidate, reject::note,
};
use std::{cmp::Reverse, collections::BTreeSet};

impl Leading {
    /// Begins a switchover, if there is somebody to switch to.
    pub(super) fn switch(
        &mut self,
        look: Look<'_>,
        view: &View<'_>,
        to: Option<NodeId>,
        cause: Cause,
        asked: Option<Asked>,
    ) -> Result<Switching, Hold> {
        let Some(primary) = view.assignment.primary else {
            let why = format!(
                "{} has no primary yet; choose the first one with `tenure failover {} --to NODE`",
                view.name, view.name
            );
            return Err(Hold::new(HoldCode::NoPrimary, why));
        };
        if !self.authority.may_grant(look) {
            let why = "this leader has not heard from a quorum lately";
            return Err(Hold::new(HoldCode::SelfDoubt, why));
        }
        let holds = self
            .members
            .member(primary)
            .and_then(|known| known.sign(view.name));
        if holds.is_none_or(|sign| sign.standing.holds().is_none()) {
            let why = format!(
                "{} does not serve as primary now; `tenure failover {}` replaces it",
                name_of(look, primary.node),
                view.name
            );
            return Err(Hold::new(HoldCode::NotThatOne, why));
        }
        let to = self.target(look, view, to, cause)?;
        Ok(Switching {
            cause,
            primary,
            to,
            step: Step::Quiesce,
            since: look.now,
            until: look.now.after(look.automation().switchover),
            quiesced: None,
            timeline: crate::Timeline::new(),
            asked,
            committing: None,
        })
    }

    /// Whom to switch to: in sync and linked, then by preference, load and name.
    fn target(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        named: Option<NodeId>,
        cause: Cause,
    ) -> Result<crate::Member, Hold> {
        let fresh = Course::new(super::holders::Holders::default());
        let automatic = cause == Cause::Stuck;
        let case = self.case(look, view, &fresh, None, automatic);
        let why_not = |it: &Candidate| {
            let in_sync = view.assignment.in_sync.contains(&it.node);
            let known = self
                .heard(look, it.node)
                .and_then(|known| known.sign(view.name));
            let linked = known.is_some_and(|sign| sign.linked);
            it.unfit
                .clone()
                .or_else(|| (!in_sync).then(|| "it is not in sync yet".to_owned()))
                .or_else(|| (!linked).then(|| "it does not follow the primary now".to_owned()))
        };
        let mut fit: Vec<&Candidate> = Vec::new();
        let mut reasons = Vec::new();
        for it in &case.candidates {
            match why_not(it) {
                None if named.is_none_or(|named| named == it.node) => fit.push(it),
                None => {}
                Some(why) => {
                    if named == Some(it.node) {
                        let why = format!("{}: {why}", it.name);
                        return Err(Hold::new(HoldCode::NotThatOne, why));
                    }
                    reasons.push(format!("{}: {why}", it.name));
                }
            }
        }
        fit.sort_by_key(|it| (Reverse(it.preference), it.load, it.name.clone()));
        let chosen = fit.first().and_then(|it| self.heard(look, it.node));
        chosen.map(|known| known.member).ok_or_else(|| {
            let why = match named {
                Some(node) => format!(
                    "{} has no other instance of {}",
                    name_of(look, node),
                    view.name
                ),
                None if reasons.is_empty() => "there is no other instance".to_owned(),
                None => reasons.join("; "),
            };
            Hold::new(HoldCode::NoCandidate, why)
        })
    }

    /// A node that is to be emptied, or is about to stop, hands its roles over first.
    pub(super) fn hand_over(
        &mut self,
        look: Look<'_>,
        view: &View<'_>,
        course: &mut Course,
        out: &mut Vec<Output>,
    ) -> Stage {
        let Some(primary) = view.assignment.primary else {
            return Stage::Steady;
        };
        let draining = look.state.nodes().get(&primary.node).is_some_and(|node| {
            matches!(node.lifecycle, Lifecycle::Draining | Lifecycle::Maintenance)
        });
        let known = self.members.member(primary);
        let leaving = known.is_some_and(|known| known.beat.leaving);
        if !(draining || leaving) || look.now < course.retry_at {
            return Stage::Steady;
        }
        match self.switch(look, view, None, Cause::Drain, None) {
            Ok(switching) => self.switching(look, view, course, switching, out),
            Err(hold) => {
                self.hold(look, course, None, hold, out);
                Stage::Steady
            }
        }
    }

    pub(super) fn switching(
        &mut self,
        look: Look<'_>,
        view: &View<'_>,
        course: &mut Course,
        mut switching: Switching,
        out: &mut Vec<Output>,
    ) -> Stage {
        if let Some(since) = switching.committing {
            let was = switching.primary;
            return wait_for_log(look, view, was, since, Stage::Switching(switching));
        }
        let why = self.obstacle(look, view, &switching);
        if let Some(why) = why {
            let hold = Hold::new(HoldCode::Aborted, why);
            self.hold(look, course, ask_of(switching.asked.as_ref()), hold, out);
            return Stage::Steady;
        }
        // Each step may complete the next one too.
        while self.advance(look, view, &mut switching) {}
        if let Step::Verify { ballot, goal } = &switching.step
            && self.has_reached(look, view, &switching, *ballot, goal)
        {
            let goal = goal.clone();
            self.commit_switch(look, view, &mut switching, goal, out);
        }
        Stage::Switching(switching)
    }

    /// Why it cannot go on.
    fn obstacle(&self, look: Look<'_>, view: &View<'_>, switching: &Switching) -> Option<String> {
        if view.assignment.primary != Some(switching.primary) {
            return Some("the primary was changed meanwhile".to_owned());
        }
        let (from, to) = (switching.primary.node, switching.to.node);
        if look.now >= switching.until {
            let waited = look.now.since(switching.since);
            let what = match switching.step {
                Step::Quiesce => format!("{} did not hold its writes back", name_of(look, from)),
                Step::CatchUp { .. } | Step::Verify { .. } => {
                    format!("{} did not catch up", name_of(look, to))
                }
                Step::Fence => format!("{} did not confirm its fence", name_of(look, from)),
            };
            return Some(format!(
                "{what} within {waited}; {} goes on",
                name_of(look, from)
            ));
        }
        let sign = self.sign_of(look, view, switching.primary.node);
        if sign.is_none_or(|sign| sign.presence == Presence::Exited) {
            return Some(format!("{} went away meanwhile", name_of(look, from)));
        }
        let sign = self.sign_of(look, view, to);
        let runs = sign.is_some_and(|sign| sign.presence == Presence::Running);
        (!runs).then(|| format!("{} went away meanwhile", name_of(look, to)))
    }

    fn sign_of(&self, look: Look<'_>, view: &View<'_>, node: NodeId) -> Option<&Sign> {
        self.heard(look, node)
            .and_then(|known| known.sign(view.name))
    }

    /// Takes one step if what it waits for is there.
    fn advance(&mut self, look: Look<'_>, view: &View<'_>, switching: &mut Switching) -> bool {
        let from = self.heard(look, switching.primary.node);
        let told_since = from.is_some_and(|known| known.heard_at >= switching.since);
        let from = from
            .and_then(|known| known.sign(view.name))
            .filter(|_| told_since);
        let next = match &switching.step {
            Step::Quiesce => match from {
                Some(sign) if matches!(sign.standing, Standing::Quiesced(_)) => {
                    sign.report.position.clone().map(|goal| (goal, false))
                }
                Some(_) | None => None,
            },
            Step::CatchUp { ballot, goal } => {
                let reached = self.has_reached(look, view, switching, *ballot, goal);
                if reached {
                    switching.step = Step::Fence;
                    switching.since = look.now;
                    return true;
                }
                self.asked_in_vain(look, view, switching, *ballot)
                    .then(|| (goal.clone(), false))
            }
            Step::Fence => match from {
                Some(sign) if matches!(sign.standing, Standing::Idle(_)) => {
                    sign.report.position.clone().map(|goal| (goal, true))
                }
                Some(_) | None => None,
            },
            Step::Verify { ballot, goal } => {
                if self.has_reached(look, view, switching, *ballot, goal) {
                    return false;
                }
                self.asked_in_vain(look, view, switching, *ballot)
                    .then(|| (goal.clone(), true))
            }
        };
        let Some((goal, fenced)) = next else {
            return false;
        };
        let base = *switching.quiesced.get_or_insert(look.now);
        mark(&mut switching.timeline, Phase::Detected, base, look.now);
        if fenced {
            mark(&mut switching.timeline, Phase::Fenced, base, look.now);
        }
        let ballot = self.next_number();
        switching.step = if fenced {
            Step::Verify { ballot, goal }
        } else {
            Step::CatchUp { ballot, goal }
        };
        false
    }

    fn answer<'a>(
        &'a self,
        look: Look<'_>,
        view: &View<'_>,
        switching: &Switching,
        ballot: u64,
    ) -> Option<&'a Position> {
        let known: &Known = self.heard(look, switching.to.node)?;
        let answer = known.sign(view.name)?.surveyed.as_ref()?;
        let position = answer.position.as_ref()?;
        (answer.ballot == ballot).then_some(position)
    }

    /// The candidate has said how far it has got, and that is not far enough: it is asked again.
    fn asked_in_vain(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        switching: &Switching,
        ballot: u64,
    ) -> bool {
        let sign = self.sign_of(look, view, switching.to.node);
        let answer = sign.and_then(|sign| sign.surveyed.as_ref());
        answer.is_some_and(|answer| answer.ballot == ballot)
    }

    fn has_reached(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        switching: &Switching,
        ballot: u64,
        goal: &Position,
    ) -> bool {
        let at = self.answer(look, view, switching, ballot);
        at.is_some_and(|at| at.history == goal.history && at.offset >= goal.offset)
    }

    fn commit_switch(
        &mut self,
        look: Look<'_>,
        view: &View<'_>,
        switching: &mut Switching,
        goal: Position,
        out: &mut Vec<Output>,
    ) {
        let base = switching.quiesced.unwrap_or(switching.since);
        mark(&mut switching.timeline, Phase::Surveyed, base, look.now);
        let (from, to) = (switching.primary, switching.to);
        let in_sync: BTreeSet<NodeId> = [from.node, to.node].into();
        let others = view.assignment.acknowledgers();
        let syncing = others.filter(|node| !in_sync.contains(node)).collect();
        let reason = match &switching.asked {
            Some(asked) => asked.reason.clone(),
            None => note(&format!(
                "{} of {}",
                switching.cause,
                name_of(look, from.node)
            )),
        };
        let verdict = "its writes were held back, and it has nothing that the new primary lacks";
        let considered = vec![Considered {
            node: to.node,
            position: Some(goal.clone()),
            verdict: note("chosen: it caught up"),
        }];
        let command = Command::Promote {
            service: view.name.clone(),
            to,
            succeeds: view.assignment.epoch,
            in_sync,
            syncing,
            account: Account {
                cause: switching.cause,
                fence: FenceProof::Confirmed,
                completeness: Completeness::Equal,
                evidence: vec![note(&format!("{}: {verdict}", name_of(look, from.node)))],
                considered,
                timeline: switching.timeline.clone(),
            },
            reason,
        };
        switching.committing = Some(look.now);
        self.propose(Proposal::Promotion(view.name.clone()), command, out);
    }

    /// Whether the instance on a node serves as primary by the assignment's epoch, as it says.
    pub(super) fn is_confirmed(&self, look: Look<'_>, view: &View<'_>) -> bool {
        let Some(primary) = view.assignment.primary else {
            return false;
        };
        let known = self.members.member(primary);
        let sign = known.filter(|known| self.is_heard(look, known));
        let sign = sign.and_then(|known| known.sign(view.name));
        sign.is_some_and(|sign| sign.report.role == Some((Role::Primary, view.assignment.epoch)))
    }
}
