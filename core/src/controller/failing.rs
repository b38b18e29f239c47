//! Replacing a primary: a fence proof first, then a survey of those who could take over, then the
//! choice, and the commit.

use super::{
    Hold, HoldCode, Look, Output,
    case::{View, name_of},
    course::{Asked, Course, Failing, Stage, Survey, mark},
    leading::{Leading, Proposal},
    verdict::{Failed, Verdict},
};
use crate::{
    Account, Cause, Command, FenceProof, Member, Millis, NodeId, Phase, Presence, lease,
    planner::failover::{Choice, choose},
};
use std::collections::BTreeSet;

/// How long after a hold the same is looked at again.
pub(super) const RETRY_AFTER: Millis = Millis(500);
/// How long a proposal may be under way before the state alone is believed.
const DECIDED_WITHIN: Millis = Millis(12_000);

impl Leading {
    /// A service at which nothing is being changed: judges its primary.
    pub(super) fn steady(
        &mut self,
        look: Look<'_>,
        view: &View<'_>,
        course: &mut Course,
        out: &mut Vec<Output>,
    ) -> Stage {
        self.note_idle(look, view, course);
        let verdict = self.verdict(look, view, course);
        match verdict {
            Verdict::Failed(failed) if look.now >= course.retry_at => {
                self.fail(look, view, course, failed, out)
            }
            Verdict::Failed(_) => Stage::Steady,
            Verdict::AgentGrace(why) => {
                course.held = Some((Hold::new(HoldCode::AgentGrace, why), look.now));
                Stage::Steady
            }
            Verdict::Watching(_) => Stage::Steady,
            Verdict::Fine => {
                course.held = course.held.take().filter(|_| look.now < course.retry_at);
                self.keep_members(look, view, course, out);
                self.hand_over(look, view, course, out)
            }
        }
    }

    /// Since when the primary is heard and holds nothing although it is wanted to.
    fn note_idle(&self, look: Look<'_>, view: &View<'_>, course: &mut Course) {
        let primary = view.assignment.primary;
        let known = primary.and_then(|primary| self.members.member(primary));
        let sign = known.and_then(|known| known.sign(view.name));
        let idle = sign.is_some_and(|sign| sign.standing.holds().is_none());
        if !idle || !self.authority.may_grant(look) {
            course.idle_since = None;
        } else if course.idle_since.is_none() {
            course.idle_since = Some(look.now);
        }
    }

    fn fail(
        &mut self,
        look: Look<'_>,
        view: &View<'_>,
        course: &mut Course,
        failed: Failed,
        out: &mut Vec<Output>,
    ) -> Stage {
        let Some(primary) = view.assignment.primary else {
            return Stage::Steady;
        };
        if let Err(hold) = self.gate(look, view, failed.cause) {
            self.hold(look, course, None, hold, out);
            return Stage::Steady;
        }
        // What is known beforehand not to come to anything is not tried again and again: each time the
        // others would be detached, and the log would say so.
        if course.held.is_some()
            && let Err(hold) = self.preview(look, view, course)
        {
            self.hold(look, course, None, hold, out);
            return Stage::Steady;
        }
        // A stuck primary is moved in order, if it lets itself be; when that is taken back it is replaced.
        let tried = course.held.as_ref().is_some_and(|(hold, at)| {
            hold.code == HoldCode::Aborted && look.now.since(*at) < Millis(5_000)
        });
        if failed.cause == Cause::Stuck && failed.fence.is_none() && !tried {
            let switched = self.switch(look, view, None, Cause::Stuck, None);
            if let Ok(switching) = switched {
                return self.switching(look, view, course, switching, out);
            }
        }
        // What it was granted since it said that it holds nothing may yet arrive.
        let this_life = look.state.nodes().get(&primary.node);
        let this_life = this_life.is_some_and(|node| node.member() == primary);
        let open = this_life && look.now < course.holders.until(primary);
        let mut failing = Failing {
            cause: failed.cause,
            primary,
            evidence: failed.evidence,
            base: failed.base,
            since: look.now,
            fence: failed.fence.filter(|_| !open),
            survey: None,
            timeline: crate::Timeline::new(),
            only: None,
            lossless: self.is_storm(look, view),
            vouched: false,
            asked: None,
            committing: None,
        };
        mark(
            &mut failing.timeline,
            Phase::Detected,
            failing.base,
            look.now,
        );
        if course.held.is_none() {
            let first = failing.evidence.first();
            let first = first.map_or("", |first| first.as_str());
            let cause = failing.cause;
            out.push(Output::Note(format!("{cause} of {}: {first}", view.name)));
        }
        self.failing(look, view, course, failing, out)
    }

    /// What would be chosen by what was heard last.
    fn preview(&self, look: Look<'_>, view: &View<'_>, course: &Course) -> Result<Choice, Hold> {
        let mut case = self.case(look, view, course, None, true);
        case.lossless = self.is_storm(look, view);
        choose(&case).map_err(|hold| of_storm(case.lossless, hold))
    }

    pub(super) fn failing(
        &mut self,
        look: Look<'_>,
        view: &View<'_>,
        course: &mut Course,
        mut failing: Failing,
        out: &mut Vec<Output>,
    ) -> Stage {
        if let Some(since) = failing.committing {
            return wait_for_log(look, view, failing.primary, since, Stage::Failing(failing));
        }
        if view.assignment.primary != Some(failing.primary) {
            let hold = Hold::new(HoldCode::Busy, "the primary was changed meanwhile");
            self.hold(look, course, ask_of(failing.asked.as_ref()), hold, out);
            return Stage::Steady;
        }
        if failing.fence.is_none() {
            failing.fence = self.fence_proof(look, view, course, &failing);
        }
        let Some(fence) = failing.fence else {
            return Stage::Failing(failing);
        };
        mark(&mut failing.timeline, Phase::Fenced, failing.base, look.now);
        let survey = *failing.survey.get_or_insert_with(|| Survey {
            ballot: self.next_number(),
            since: look.now,
        });
        if !self.is_answered(look, view, survey, fence) {
            return Stage::Failing(failing);
        }
        mark(
            &mut failing.timeline,
            Phase::Surveyed,
            failing.base,
            look.now,
        );
        match self.decide(look, view, course, &failing, fence, survey) {
            // Whoever was lost in the same moment is noticed within a heartbeat: until then nobody knows
            // whether this is a storm.
            Ok(choice) if is_hasty(look, &failing, &choice) => Stage::Failing(failing),
            Ok(choice) => {
                self.promote(look, view, &mut failing, fence, choice, out);
                Stage::Failing(failing)
            }
            Err(hold) => {
                self.hold(look, course, ask_of(failing.asked.as_ref()), hold, out);
                Stage::Steady
            }
        }
    }

    /// Promise 2: what proves that the old primary serves no more.
    fn fence_proof(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        course: &Course,
        failing: &Failing,
    ) -> Option<FenceProof> {
        let known = self.members.member(failing.primary);
        if let Some(known) = known.filter(|known| self.is_heard(look, known)) {
            let sign = known.sign(view.name);
            // Only what it says after it was told to stop counts.
            let since = known.heard_at >= failing.since
                && look.now >= course.holders.until(failing.primary);
            if let Some(sign) = sign.filter(|sign| since && sign.standing.holds().is_none()) {
                return Some(match sign.presence {
                    Presence::Exited => FenceProof::Exited,
                    Presence::Running | Presence::Unknown => FenceProof::Confirmed,
                });
            }
        }
        if failing.vouched {
            return Some(FenceProof::Operator);
        }
        let over = look.now >= course.holders.until(failing.primary);
        let silent = look.now.since(failing.base);
        over.then_some(FenceProof::LeaseOver { silent })
    }

    /// Whether everybody who could take over has said how far it has got, or has had its time.
    ///
    /// Where the fence is a lease that ran out, one member of the in-sync set at least must have said
    /// that it pledges nothing more: the old primary could live on pledges of all of them.
    fn is_answered(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        survey: Survey,
        fence: FenceProof,
    ) -> bool {
        let automation = look.automation();
        let waited = look.now.since(survey.since);
        let mut complete = true;
        let mut is_pledged = false;
        for instance in view.others().filter(|it| view.is_waited_for(it.node)) {
            if self.running(look, view.name, instance.node).is_none() {
                continue;
            }
            let known = self.heard(look, instance.node);
            let sign = known.and_then(|known| known.sign(view.name));
            let answer = sign.and_then(|sign| sign.surveyed.as_ref());
            match answer.filter(|answer| answer.ballot == survey.ballot) {
                Some(answer) if answer.pledged.0 == 0 => {}
                Some(_) => is_pledged = true,
                None => complete = false,
            }
        }
        let pledge = lease::cautious(automation.longest_lease(), automation.drift_permille);
        let patience = match (is_pledged, fence) {
            (true, _) => automation.survey.plus(pledge),
            (false, FenceProof::LeaseOver { .. }) if !self.is_freed(look, view, survey) => {
                automation.survey.plus(pledge)
            }
            (false, _) => automation.survey,
        };
        (complete && !is_pledged) || waited >= patience
    }

    /// Whether the old primary cannot be living on pledges any more.
    fn is_freed(&self, look: Look<'_>, view: &View<'_>, survey: Survey) -> bool {
        let primary = view.assignment.primary.map(|primary| primary.node);
        let others = view.assignment.in_sync.iter();
        others.filter(|node| Some(**node) != primary).any(|node| {
            let known = self.heard(look, *node);
            let sign = known.and_then(|known| known.sign(view.name));
            let answer = sign.and_then(|sign| sign.surveyed.as_ref());
            answer.is_some_and(|it| it.ballot == survey.ballot && it.pledged.0 == 0)
        })
    }

    fn decide(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        course: &Course,
        failing: &Failing,
        fence: FenceProof,
        survey: Survey,
    ) -> Result<Choice, Hold> {
        let by_lease = matches!(fence, FenceProof::LeaseOver { .. });
        if by_lease && !self.is_freed(look, view, survey) {
            let why = format!(
                "the lease of {} is over, but no other member of the in-sync set has said that it \
                 pledges nothing to it; if you know that it is off, use `tenure failover {} --fenced`",
                name_of(look, failing.primary.node),
                view.name
            );
            return Err(Hold::new(HoldCode::NotFenced, why));
        }
        let automatic = failing.asked.is_none();
        let mut case = self.case(look, view, course, Some(survey.ballot), automatic);
        case.only = failing.only;
        // What began as the loss of one may have become one of many.
        case.lossless = failing.lossless || (automatic && self.is_storm(look, view));
        if failing.cause == Cause::NodeLost {
            let node = look.state.nodes().get(&failing.primary.node);
            case.avoid = node.and_then(|node| node.zone.clone());
        }
        choose(&case).map_err(|hold| of_storm(automatic && case.lossless, hold))
    }

    fn promote(
        &mut self,
        look: Look<'_>,
        view: &View<'_>,
        failing: &mut Failing,
        fence: FenceProof,
        choice: Choice,
        out: &mut Vec<Output>,
    ) {
        let Some(node) = look.state.nodes().get(&choice.to) else {
            return;
        };
        let running = view.others().map(|instance| instance.node);
        let running = running.filter(|node| self.running(look, view.name, *node).is_some());
        let syncing: BTreeSet<NodeId> = running
            .filter(|node| !choice.equals.contains(node))
            .collect();
        let reason = match &failing.asked {
            Some(asked) => asked.reason.clone(),
            None => failing.evidence.first().cloned().unwrap_or_default(),
        };
        let command = Command::Promote {
            service: view.name.clone(),
            to: node.member(),
            succeeds: view.assignment.epoch,
            in_sync: choice.equals,
            syncing,
            account: Account {
                cause: failing.cause,
                fence,
                completeness: choice.completeness,
                evidence: failing.evidence.clone(),
                considered: choice.considered,
                timeline: failing.timeline.clone(),
            },
            reason,
        };
        failing.committing = Some(look.now);
        self.propose(Proposal::Promotion(view.name.clone()), command, out);
    }
}

fn is_hasty(look: Look<'_>, failing: &Failing, choice: &Choice) -> bool {
    let lost = matches!(failing.cause, Cause::NodeLost | Cause::AgentLost);
    let noticed = look
        .automation()
        .fast_heartbeat
        .plus(super::TICK)
        .plus(super::TICK);
    let soon = look.now.since(failing.since) < noticed;
    lost && soon && !choice.completeness.is_lossless()
}

/// In a storm what is not proven is held because of the storm.
fn of_storm(storm: bool, hold: Hold) -> Hold {
    let is_held_by_it = storm && hold.code == HoldCode::NotProven;
    let code = if is_held_by_it {
        HoldCode::Storm
    } else {
        hold.code
    };
    Hold { code, ..hold }
}

pub(super) fn ask_of(asked: Option<&Asked>) -> Option<u64> {
    asked.map(|asked| asked.ask)
}

/// While a change is with the log nothing else is done; what never came back shows in the state.
pub(super) fn wait_for_log(
    look: Look<'_>,
    view: &View<'_>,
    was: Member,
    since: crate::Moment,
    stage: Stage,
) -> Stage {
    let moved = view.assignment.primary != Some(was);
    let overdue = look.now.since(since) >= DECIDED_WITHIN;
    if overdue || (moved && look.now.since(since) >= RETRY_AFTER) {
        return Stage::Steady;
    }
    stage
}
