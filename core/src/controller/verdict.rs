//! What the evidence says of a primary: the table of the design, section 5.2.

use super::{
    Look,
    case::{View, name_of},
    course::Course,
    known::Known,
    leading::Leading,
};
use crate::{
    Cause, Completeness, FenceProof, Health, LossPolicy, Member, Millis, Moment, Note, Position,
    Presence, Sign, Standing, lease, reject::note,
};

/// What the evidence says of a primary.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    /// It serves, or is about to.
    Fine,
    /// Something may be wrong; the sentence says what is waited for.
    Watching(String),
    /// Its agent is silent while its instance serves; until when that is borne.
    AgentGrace(String),
    /// It is to be replaced.
    Failed(Failed),
}

/// Evidence that is complete.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    pub(super) cause: Cause,
    /// The last sign of life.
    pub(super) base: Moment,
    /// The proof that it serves no more, where the evidence is one.
    pub(super) fence: Option<FenceProof>,
    pub(super) evidence: Vec<Note>,
}

impl Leading {
    /// Judges the primary of a service.
    pub(super) fn verdict(&self, look: Look<'_>, view: &View<'_>, course: &Course) -> Verdict {
        let Some(primary) = view.assignment.primary else {
            return Verdict::Fine;
        };
        if let Some(rebooted) = self.rebooted(look, view, primary) {
            return rebooted;
        }
        match self.members.member(primary) {
            Some(known) if self.is_heard(look, known) => match known.sign(view.name) {
                Some(sign) => self.of_heard(look, view, course, known, sign),
                None => Verdict::Watching(format!(
                    "the agent of {} does not speak of {}",
                    name_of(look, primary.node),
                    view.name
                )),
            },
            known => self.of_silent(look, view, course, primary, known),
        }
    }

    /// A node that has begun a new life has no process of the old one.
    fn rebooted(&self, look: Look<'_>, view: &View<'_>, primary: Member) -> Option<Verdict> {
        let node = look.state.nodes().get(&primary.node)?;
        let known = self.members.member(node.member())?;
        if node.member() == primary || !self.is_heard(look, known) {
            return None;
        }
        let sentence = format!(
            "{} was restarted: it is in incarnation {}, and was primary in {}",
            node.name, node.incarnation, primary.incarnation
        );
        let idle = known.sign(view.name)?.standing.holds().is_none();
        Some(Verdict::Failed(Failed {
            cause: Cause::Exited,
            base: known.heard_at,
            fence: idle.then_some(FenceProof::Exited),
            evidence: vec![note(&sentence)],
        }))
    }

    fn of_heard(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        course: &Course,
        known: &Known,
        sign: &Sign,
    ) -> Verdict {
        let name = name_of(look, known.member.node);
        let alive_at = known.alive_at(view.name).unwrap_or(self.authority.since);
        let idle = sign.standing.holds().is_none();
        let gone = match sign.presence {
            Presence::Exited if idle && sign.report.health == Health::Failing => {
                Some("saw its process go")
            }
            Presence::Exited if idle => Some("says that its process was started anew"),
            Presence::Running if self.is_bereft(look, view, course, sign) => {
                Some("says that its process was started anew, and lacks what others may have")
            }
            Presence::Exited | Presence::Running | Presence::Unknown => None,
        };
        if let Some(what) = gone {
            let sentence = format!("{}: the agent of {name} {what}", view.name);
            return Verdict::Failed(Failed {
                cause: Cause::Exited,
                base: alive_at,
                fence: Some(FenceProof::Exited),
                evidence: vec![note(&sentence)],
            });
        }
        let patience = look.automation().stuck_after;
        if sign.stalled >= patience && self.replicas_stand_still(look, view) {
            let remark = match sign.report.note.as_str() {
                "" => String::new(),
                remark => format!(" ({remark})"),
            };
            let sentence = format!(
                "{name} answers, but a write has made no progress for {}{remark}",
                sign.stalled
            );
            return Verdict::Failed(Failed {
                cause: Cause::Stuck,
                base: before(look.now, sign.stalled),
                fence: None,
                evidence: vec![note(&sentence)],
            });
        }
        self.of_idle(look, course, known, sign)
    }

    /// Whether a primary that takes no writes was started anew, and has lost what it was chosen for, or
    /// what others still have. Where nothing may be lost it is not to take the role up any more; elsewhere
    /// it is, should nobody with more take its place.
    pub(super) fn is_bereft(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        course: &Course,
        sign: &Sign,
    ) -> bool {
        if sign.whole || sign.standing.holds().is_some() {
            return false;
        }
        let receipt = look.state.receipt(view.name, view.assignment.epoch);
        let chosen_for_it = receipt.is_some_and(|receipt| match receipt.account.completeness {
            Completeness::Equal | Completeness::Proven { .. } => true,
            Completeness::First | Completeness::Bounded { .. } | Completeness::Unknown => false,
        });
        if chosen_for_it || view.policy.loss == LossPolicy::Never {
            return chosen_for_it;
        }
        let case = self.case(look, view, course, None, true);
        let Some(history) = &case.history else {
            return false;
        };
        let of_history = |at: Option<&Position>| {
            let at = at.filter(|at| at.history == *history);
            at.map(|at| at.offset)
        };
        let own = of_history(sign.report.position.as_ref());
        let mut fit = case.candidates.iter().filter(|it| it.unfit.is_none());
        fit.any(|it| of_history(it.position.as_ref()) > own)
    }

    /// A primary that is heard and holds nothing: either it is about to take up what it was granted,
    /// or nothing that it is sent arrives.
    fn of_idle(&self, look: Look<'_>, course: &Course, known: &Known, sign: &Sign) -> Verdict {
        let Some(since) = course.idle_since else {
            return Verdict::Fine;
        };
        let name = name_of(look, known.member.node);
        let idle = look.now.since(since);
        let automation = look.automation();
        let lease = lease::cautious(automation.fast_lease, automation.drift_permille);
        let hears = look.now.since(known.hears_at) < lease;
        let cause = match (hears, sign.presence, sign.report.health) {
            (false, _, _) => Cause::Deaf,
            (true, Presence::Running, Health::Starting) => {
                return Verdict::Watching(format!("{name} is starting"));
            }
            (true, _, _) => Cause::Stuck,
        };
        let patience = if cause == Cause::Deaf {
            lease
        } else {
            automation.stuck_after.max(lease)
        };
        let confirmed = matches!(sign.standing, Standing::Idle(_));
        if idle < patience || !confirmed {
            return Verdict::Watching(format!("{name} has held nothing for {idle}"));
        }
        let sentence = format!("{name} is heard, and has not served for {idle} ({cause})");
        Verdict::Failed(Failed {
            cause,
            base: since,
            fence: Some(FenceProof::Confirmed),
            evidence: vec![note(&sentence)],
        })
    }

    fn of_silent(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        course: &Course,
        primary: Member,
        known: Option<&Known>,
    ) -> Verdict {
        let name = name_of(look, primary.node);
        let heard_at = known.map_or(self.authority.since, |known| known.heard_at);
        // Silence counts only from when this leader has listened without a break.
        let silent = look.now.since(heard_at.max(self.authority.listening));
        let automation = look.automation();
        let lease = lease::cautious(automation.fast_lease, automation.drift_permille);
        if !self.authority.hears(look) {
            let why = format!("{name} is silent, and so is a majority of the servers");
            return Verdict::Watching(why);
        }
        let runs_until = course.holders.until(primary);
        if silent < lease || look.now < runs_until {
            let why = format!("{name} has been silent for {silent}, its lease may still run");
            return Verdict::Watching(why);
        }
        let anybody = view.others().any(|it| {
            let known = self.heard(look, it.node);
            known.is_some_and(|known| known.sign(view.name).is_some())
        });
        if !anybody {
            let why = format!("no agent speaks of {}: nobody could take over", view.name);
            return Verdict::Watching(why);
        }
        let (sees, blind) = self.witnesses(look, view);
        let grace = automation.agent_grace;
        let total = look.now.since(heard_at);
        if !sees.is_empty() && silent < grace {
            return Verdict::AgentGrace(format!(
                "the agent of {name} has been silent for {total}, but its instance answers {}; \
                 it is given {grace}",
                sees.join(", ")
            ));
        }
        let mut evidence = vec![note(&format!(
            "{name} was silent for {total}, at this leader and at a majority of the servers"
        ))];
        for (who, what) in [(&blind, "does not answer"), (&sees, "answers")] {
            if !who.is_empty() {
                let sentence = format!("its instance {what} {}", who.join(", "));
                evidence.push(note(&sentence));
            }
        }
        Verdict::Failed(Failed {
            cause: if sees.is_empty() {
                Cause::NodeLost
            } else {
                Cause::AgentLost
            },
            base: heard_at,
            fence: Some(FenceProof::LeaseOver { silent: total }),
            evidence,
        })
    }

    /// The names of the nodes whose replicas are answered by the primary, and of those whose are not.
    pub(super) fn witnesses(&self, look: Look<'_>, view: &View<'_>) -> (Vec<String>, Vec<String>) {
        let (mut sees, mut blind) = (Vec::new(), Vec::new());
        for instance in view.others() {
            let known = self.heard(look, instance.node);
            let sign = known.and_then(|known| known.sign(view.name));
            match sign.and_then(|sign| sign.sees_primary) {
                Some(true) => sees.push(name_of(look, instance.node)),
                Some(false) => blind.push(name_of(look, instance.node)),
                None => {}
            }
        }
        (sees, blind)
    }

    /// Whether nothing has arrived at any replica while the primary's write made no progress: a write that
    /// stalls while replicas still advance is the probe's own trouble.
    fn replicas_stand_still(&self, look: Look<'_>, view: &View<'_>) -> bool {
        let patience = look.automation().stuck_after;
        let moves = view.others().any(|instance| {
            let known = self.heard(look, instance.node);
            let linked = known.and_then(|known| known.sign(view.name));
            let linked = linked.is_some_and(|sign| sign.linked);
            let moved_at = known.and_then(|known| known.moved_at(view.name));
            linked && moved_at.is_some_and(|at| look.now.since(at) < patience)
        });
        !moves
    }
}

fn before(now: Moment, by: Millis) -> Moment {
    Moment(now.0.saturating_sub(by.0.saturating_mul(1_000)))
}
