//! Why it does what it does, and what it would do: answered by the functions that decide.

use super::{
    Explanation, Forecast, Hold, HoldCode, Look,
    case::{View, name_of},
    course::{Course, Stage, Step},
    holders::Holders,
    leading::Leading,
    verdict::Verdict,
};
use crate::{
    Cause, Millis, NodeId, Presence, ServiceName, Sign, Standing, lease, planner::failover::choose,
};

/// What a commit and a promotion cost, at best and at worst, on a site: shown with a forecast.
const COMMIT_MS: (u64, u64) = (2, 50);

impl Leading {
    pub(super) fn explain(&self, look: Look<'_>, service: &ServiceName) -> Explanation {
        let Some(view) = View::of(look, service) else {
            let why = format!("{service} is not there, or has no primary by its kind");
            return Explanation {
                decision: Err(Hold::new(HoldCode::NotThatKind, why)),
                facts: Vec::new(),
            };
        };
        let fresh = Course::new(Holders::default());
        let course = self.courses.get(service).unwrap_or(&fresh);
        Explanation {
            decision: self.decision(look, &view, course),
            facts: self.facts(look, &view),
        }
    }

    fn decision(&self, look: Look<'_>, view: &View<'_>, course: &Course) -> Result<String, Hold> {
        match &course.stage {
            Stage::Failing(failing) => {
                let step = match (failing.fence, failing.survey, failing.committing) {
                    (None, _, _) => "waiting for a proof that the old primary serves no more",
                    (Some(_), None | Some(_), None) => "asking the others how far they have got",
                    (Some(_), _, Some(_)) => "the change is with the log",
                };
                return Ok(format!("failover ({}): {step}", failing.cause));
            }
            Stage::Switching(switching) => {
                let step = match switching.step {
                    Step::Quiesce => "writes are being held back",
                    Step::CatchUp { .. } | Step::Verify { .. } => "the candidate catches up",
                    Step::Fence => "the old primary is being fenced",
                };
                let to = name_of(look, switching.to.node);
                return Ok(format!("switchover to {to} ({}): {step}", switching.cause));
            }
            Stage::Steady => {}
        }
        if view.assignment.primary.is_none() {
            let why = format!("choose one with `tenure failover {} --to NODE`", view.name);
            return Err(Hold::new(HoldCode::NoPrimary, why));
        }
        match self.verdict(look, view, course) {
            Verdict::Failed(failed) => {
                self.gate(look, view, failed.cause)?;
                match &course.held {
                    Some((hold, _)) => Err(hold.clone()),
                    None => Ok(format!("failover ({}) is due", failed.cause)),
                }
            }
            Verdict::Watching(why) => Err(Hold::new(HoldCode::Watching, why)),
            Verdict::AgentGrace(why) => Err(Hold::new(HoldCode::AgentGrace, why)),
            Verdict::Fine => match &course.held {
                Some((hold, _)) => Err(hold.clone()),
                None if !self.is_held(view) => {
                    let why = "the primary is heard, and has not taken its role up yet";
                    Err(Hold::new(HoldCode::Watching, why))
                }
                None => {
                    let why = "the primary is heard and serves";
                    Err(Hold::new(HoldCode::Nothing, why))
                }
            },
        }
    }

    /// Whether the primary says that it holds its role.
    fn is_held(&self, view: &View<'_>) -> bool {
        let primary = view.assignment.primary;
        let known = primary.and_then(|primary| self.members.member(primary));
        let sign = known.and_then(|known| known.sign(view.name));
        sign.is_some_and(|sign| sign.standing.holds().is_some())
    }

    fn facts(&self, look: Look<'_>, view: &View<'_>) -> Vec<String> {
        let assignment = view.assignment;
        let names = |nodes: &std::collections::BTreeSet<NodeId>| {
            let names: Vec<String> = nodes.iter().map(|node| name_of(look, *node)).collect();
            names.join(", ")
        };
        let mut facts = vec![format!(
            "policy: loss {}, {} of the others must have a write",
            view.policy.loss, view.policy.write_acks
        )];
        if let Some(primary) = assignment.primary {
            let name = name_of(look, primary.node);
            facts.push(format!("{name} is primary by epoch {}", assignment.epoch));
            facts.push(format!("in sync: {}", names(&assignment.in_sync)));
            if !assignment.syncing.is_empty() {
                facts.push(format!("syncing: {}", names(&assignment.syncing)));
            }
        }
        for instance in &view.instances {
            facts.push(self.fact_of(look, view, instance.node));
        }
        let trust = match (self.authority.may_grant(look), self.authority.hears(look)) {
            (true, true) => "this leader has a quorum and hears a majority of the servers",
            (true, false) => "this leader has a quorum and does not hear a majority's members",
            (false, _) => "this leader has not heard from a quorum lately: it judges nobody",
        };
        facts.push(trust.to_owned());
        if self.is_storm(look, view) {
            facts.push("a storm: only provably complete candidates move".to_owned());
        }
        facts
    }

    fn fact_of(&self, look: Look<'_>, view: &View<'_>, node: NodeId) -> String {
        let name = name_of(look, node);
        let present = look.state.nodes().get(&node);
        let known = present.and_then(|node| self.members.member(node.member()));
        let Some(known) = known else {
            return format!("{name}: its agent was never heard by this leader");
        };
        let silent = known.silent(look.now);
        match known.sign(view.name) {
            None => format!("{name}: heard {silent} ago, and does not speak of this service"),
            Some(sign) => format!("{name}: heard {silent} ago, {}", wording(sign)),
        }
    }

    pub(super) fn what_if_lost(&self, look: Look<'_>, node: NodeId) -> Vec<Forecast> {
        let services: Vec<&ServiceName> = look.state.services_on(node).collect();
        let mut forecasts = Vec::new();
        for service in services {
            let Some(view) = View::of(look, service) else {
                continue;
            };
            if view
                .assignment
                .primary
                .is_some_and(|primary| primary.node == node)
            {
                forecasts.push(self.forecast(look, &view));
            }
        }
        forecasts
    }

    /// Decides as for a node that was lost, with what was last heard in place of a survey.
    fn forecast(&self, look: Look<'_>, view: &View<'_>) -> Forecast {
        let fresh = Course::new(Holders::default());
        let course = self.courses.get(view.name).unwrap_or(&fresh);
        let gate = self.gate(look, view, Cause::NodeLost);
        let mut case = self.case(look, view, course, None, true);
        // Between two heartbeats positions differ by what is under way; a survey comes after the fence.
        let most = case
            .candidates
            .iter()
            .filter_map(|it| it.position.clone())
            .max_by_key(|it| it.offset);
        for candidate in &mut case.candidates {
            let known = self
                .heard(look, candidate.node)
                .and_then(|it| it.sign(view.name));
            if known.is_some_and(|sign| sign.linked) {
                candidate.position.clone_from(&most);
            }
        }
        let decision = gate.and_then(|()| choose(&case)).map(|choice| choice.to);
        let automation = look.automation();
        let lease = lease::cautious(automation.fast_lease, automation.drift_permille);
        let outage_ms = decision.is_ok().then(|| {
            let least = lease
                .minus(automation.fast_heartbeat)
                .0
                .saturating_add(COMMIT_MS.0);
            let most: Millis = lease
                .plus(automation.fast_heartbeat)
                .plus(automation.survey);
            (least, most.0.saturating_add(COMMIT_MS.1))
        });
        Forecast {
            service: view.name.clone(),
            decision,
            facts: self.facts(look, view),
            outage_ms,
        }
    }
}

fn wording(sign: &Sign) -> String {
    let presence = match sign.presence {
        Presence::Running => "running",
        Presence::Exited => "its process is gone",
        Presence::Unknown => "its agent cannot reach it",
    };
    let standing = match sign.standing {
        Standing::Primary(epoch) => format!("primary by epoch {epoch}"),
        Standing::Quiesced(epoch) => format!("primary by epoch {epoch}, writes held back"),
        Standing::Idle(_) if sign.linked => "following".to_owned(),
        Standing::Idle(_) => "takes no writes".to_owned(),
    };
    let position = match &sign.report.position {
        Some(position) => format!("at {}", position.offset),
        None => "position not known".to_owned(),
    };
    let mut text = format!("{presence}, {}, {standing}, {position}", sign.report.health);
    if sign.stalled > Millis(0) {
        text = format!("{text}, no write has made progress for {}", sign.stalled);
    }
    if let Some(sees) = sign.sees_primary {
        text = format!(
            "{text}, the primary {} it",
            if sees { "answers" } else { "does not answer" }
        );
    }
    if !sign.report.note.as_str().is_empty() {
        text = format!("{text} ({})", sign.report.note);
    }
    text
}
