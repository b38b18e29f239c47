//! What came of a change of primary that was proposed.

use super::{
    Hold, HoldCode, Look, Moved, Output,
    course::{Confirming, Stage, mark},
    failing::ask_of,
    leading::Leading,
};
use crate::{Created, Done, Outcome, Phase, ServiceName};

impl Leading {
    /// What came of a promotion.
    pub(super) fn promotion_decided(
        &mut self,
        look: Look<'_>,
        service: &ServiceName,
        outcome: Option<Outcome>,
        out: &mut Vec<Output>,
    ) {
        let Some(mut course) = self.courses.remove(service) else {
            return;
        };
        let (base, mut timeline, asked, primary) = match &course.stage {
            Stage::Failing(it) => (it.base, it.timeline.clone(), it.asked.clone(), it.primary),
            Stage::Switching(it) => {
                let base = it.quiesced.unwrap_or(it.since);
                (base, it.timeline.clone(), it.asked.clone(), it.primary)
            }
            Stage::Steady => {
                self.courses.insert(service.clone(), course);
                return;
            }
        };
        match outcome {
            Some(Outcome::Done(Done {
                created: Some(Created::Epoch(epoch)),
                ..
            })) => {
                mark(&mut timeline, Phase::Committed, base, look.now);
                course.held = None;
                course.last = None;
                course.detached = None;
                course.unfit_since.clear();
                course.goals.clear();
                course.anew.clear();
                course.idle_since = None;
                course.stage = Stage::Steady;
                if let Some(asked) = asked {
                    let to = look.state.assignment(service).and_then(|now| now.primary);
                    let to = to.map_or(primary.node, |to| to.node);
                    let (ask, answer) = (asked.ask, Ok(Moved { to, epoch }));
                    out.push(Output::Answer { ask, answer });
                }
                course.confirming = Some(Confirming {
                    epoch,
                    base,
                    timeline,
                });
            }
            Some(Outcome::Done(_) | Outcome::Answered { .. }) | None => {}
            Some(Outcome::Rejected(reject)) => {
                course.stage = Stage::Steady;
                let hold = Hold::new(HoldCode::NotCommitted, reject.to_string());
                self.hold(look, &mut course, ask_of(asked.as_ref()), hold, out);
            }
        }
        self.courses.insert(service.clone(), course);
    }
}
