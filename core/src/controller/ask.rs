//! What operators ask for.

use super::{
    Hold, HoldCode, Look, Output, Wish,
    case::{View, name_of},
    course::{Asked, Course, Failing, Stage, mark},
    leading::{Leading, Proposal},
};
use crate::{
    Account, Cause, Command, Completeness, FenceProof, Member, NodeId, NodeRef, Phase, Timeline,
    planner::failover::choose, reject::note,
};

impl Leading {
    pub(super) fn ask(&mut self, look: Look<'_>, ask: u64, wish: Wish, out: &mut Vec<Output>) {
        let refused = self.asked(look, ask, wish, out);
        if let Err(hold) = refused {
            let answer = Err(hold);
            out.push(Output::Answer { ask, answer });
        }
    }

    fn asked(
        &mut self,
        look: Look<'_>,
        ask: u64,
        wish: Wish,
        out: &mut Vec<Output>,
    ) -> Result<(), Hold> {
        let Some(view) = View::of(look, wish.service()) else {
            let why = format!(
                "{} is not there, or has no primary by its kind",
                wish.service()
            );
            return Err(Hold::new(HoldCode::NotThatKind, why));
        };
        let mut course = self.take_course(look, &view);
        let free = matches!(course.stage, Stage::Steady);
        let begun = if free {
            self.begin(look, &view, &mut course, ask, wish, out)
        } else {
            let why = format!("a change of the primary of {} is under way", view.name);
            Err(Hold::new(HoldCode::Busy, why))
        };
        let name = view.name.clone();
        self.courses.insert(name.clone(), course);
        self.attend(look, &name, out);
        begun
    }

    fn begin(
        &mut self,
        look: Look<'_>,
        view: &View<'_>,
        course: &mut Course,
        ask: u64,
        wish: Wish,
        out: &mut Vec<Output>,
    ) -> Result<(), Hold> {
        match wish {
            Wish::Switchover { to, reason, .. } => {
                let to = named(look, to)?;
                let asked = Asked { ask, reason };
                let switching = self.switch(look, view, to, Cause::Switchover, Some(asked))?;
                course.stage = Stage::Switching(switching);
                Ok(())
            }
            Wish::Failover {
                to,
                accept_loss,
                fenced,
                reason,
                ..
            } => {
                let to = named(look, to)?;
                let asked = Asked { ask, reason };
                let Some(primary) = view.assignment.primary else {
                    return self.first(look, view, course, to, asked, out);
                };
                self.somebody(look, view, course, primary, to)?;
                let mut failing = Failing {
                    cause: Cause::Operator,
                    primary,
                    evidence: vec![note("an operator asked for it")],
                    base: self
                        .members
                        .member(primary)
                        .and_then(|known| known.alive_at(view.name))
                        .unwrap_or(look.now),
                    since: look.now,
                    fence: None,
                    survey: None,
                    timeline: Timeline::new(),
                    only: to,
                    lossless: !accept_loss,
                    vouched: fenced,
                    asked: Some(asked),
                    committing: None,
                };
                mark(
                    &mut failing.timeline,
                    Phase::Detected,
                    failing.base,
                    look.now,
                );
                course.stage = Stage::Failing(failing);
                Ok(())
            }
        }
    }

    /// Nobody is fenced where it is known beforehand that nobody can take over.
    fn somebody(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        course: &Course,
        primary: Member,
        to: Option<NodeId>,
    ) -> Result<(), Hold> {
        if to == Some(primary.node) {
            let why = format!("{} is the primary", name_of(look, primary.node));
            return Err(Hold::new(HoldCode::NotThatOne, why));
        }
        let mut case = self.case(look, view, course, None, false);
        case.only = to;
        match choose(&case) {
            Err(hold) if matches!(hold.code, HoldCode::NoCandidate | HoldCode::NotThatOne) => {
                Err(hold)
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The first primary of a service: nobody is to be fenced, and there is nothing to be complete to.
    fn first(
        &mut self,
        look: Look<'_>,
        view: &View<'_>,
        course: &mut Course,
        to: Option<NodeId>,
        asked: Asked,
        out: &mut Vec<Output>,
    ) -> Result<(), Hold> {
        let Some(to) = to else {
            let why = format!(
                "name the first primary: `tenure failover {} --to NODE`",
                view.name
            );
            return Err(Hold::new(HoldCode::NoPrimary, why));
        };
        let Some(member) = self.running(look, view.name, to) else {
            let why = format!(
                "{} is not heard, or its instance does not run",
                name_of(look, to)
            );
            return Err(Hold::new(HoldCode::NotThatOne, why));
        };
        let mut failing = first_failing(look, member, asked);
        failing.committing = Some(look.now);
        let reason = failing.asked.as_ref().map(|asked| asked.reason.clone());
        let command = Command::Promote {
            service: view.name.clone(),
            to: member,
            succeeds: view.assignment.epoch,
            in_sync: [to].into(),
            syncing: std::collections::BTreeSet::new(),
            account: Account {
                cause: Cause::First,
                fence: FenceProof::Nobody,
                completeness: Completeness::First,
                evidence: failing.evidence.clone(),
                considered: Vec::new(),
                timeline: failing.timeline.clone(),
            },
            reason: reason.unwrap_or_default(),
        };
        course.stage = Stage::Failing(failing);
        self.propose(Proposal::Promotion(view.name.clone()), command, out);
        Ok(())
    }
}

fn first_failing(look: Look<'_>, member: Member, asked: Asked) -> Failing {
    Failing {
        cause: Cause::First,
        primary: member,
        evidence: vec![note("there was no primary yet")],
        base: look.now,
        since: look.now,
        fence: Some(FenceProof::Nobody),
        survey: None,
        timeline: Timeline::new(),
        only: Some(member.node),
        lossless: false,
        vouched: false,
        asked: Some(asked),
        committing: None,
    }
}

fn named(look: Look<'_>, node: Option<NodeRef>) -> Result<Option<NodeId>, Hold> {
    let Some(node) = node else {
        return Ok(None);
    };
    match look.state.find_node(&node) {
        Some(found) => Ok(Some(found.id)),
        None => {
            let why = format!("there is no node {node}");
            Err(Hold::new(HoldCode::NotThatOne, why))
        }
    }
}
