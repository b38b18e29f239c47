//! Taking in what came of an action.

use super::{Action, Agent, Feat, Observed, instance::Instance};
use crate::{Moment, NodeId, Position, Returned, ServiceName, Standing, Surveyed, Wanted};

impl Agent {
    pub(super) fn acted(
        &mut self,
        now: Moment,
        service: &ServiceName,
        action: u64,
        result: Result<Feat, String>,
    ) {
        let next = self.sequence;
        let Some(instance) = self.instances.get_mut(service) else {
            return;
        };
        // One that another took the place of says nothing about what is there now.
        let Some(running) = instance.running.take_if(|running| running.id == action) else {
            return;
        };
        match result {
            Ok(feat) => instance.did(next, running.what, running.ballot, feat),
            Err(why) => {
                instance.seen.note = crate::reject::note(&why);
                if matches!(running.what, Action::Probe { .. }) {
                    instance.sees_primary = None;
                }
                instance.wait(now);
            }
        }
    }
}

impl Instance {
    fn did(&mut self, next: u64, what: Action, ballot: Option<u64>, feat: Feat) {
        match what {
            Action::Promote {
                epoch,
                write_acks,
                strict,
            } => {
                self.terms = Some((write_acks, strict));
                self.seen.role = Observed::Writable;
                // Where it was before is not where it is now: a new primary may begin a history.
                self.seen.position = None;
                // One that was seen to be started anew meanwhile has let go, and is fenced next.
                if self.standing.holds() == Some(epoch) {
                    self.promoted = Some(epoch);
                    self.taken_over = false;
                }
            }
            Action::Follow { epoch, .. } => {
                self.follows = self.wanted_primary().map(|primary| (epoch, primary));
                self.seen.role = Observed::Following { linked: false };
                if let Feat::Follows(Some((rejoin, tail))) = feat {
                    self.returned = Some(Returned {
                        epoch,
                        rejoin,
                        tail,
                    });
                }
            }
            Action::Fence { orderly } => {
                self.fenced_softly = orderly;
                self.seen.role = Observed::Fenced;
                self.seen.position = position(feat);
                self.let_go(next);
            }
            Action::Detach => {
                self.seen.role = Observed::Following { linked: false };
                self.follows = None;
                self.answer(ballot, position(feat), true);
            }
            Action::Measure => self.answer(ballot, position(feat), false),
            Action::Quiesce { .. } => {
                if let Standing::Primary(epoch) = self.standing {
                    self.standing = Standing::Quiesced(epoch);
                    self.seen.position = position(feat);
                }
            }
            Action::Resume => {
                if let Standing::Quiesced(epoch) = self.standing {
                    self.standing = Standing::Primary(epoch);
                }
            }
            Action::Permit { members } => {
                self.permits = members.into_keys().collect();
                // Only where it got to after the others were detached says what those had acknowledged.
                self.seen.position = position(feat);
            }
            Action::Probe { .. } => {
                self.sees_primary = match feat {
                    Feat::Sees(answers) => Some(answers),
                    Feat::Done | Feat::At(_) | Feat::Follows(_) | Feat::Permits(_) => None,
                };
            }
        }
    }

    fn wanted_primary(&self) -> Option<NodeId> {
        match self.directive.as_ref()?.wanted {
            Wanted::Replica { primary, .. } => Some(primary),
            Wanted::Primary { .. } | Wanted::Standby | Wanted::Peer => None,
        }
    }

    /// Answers a survey. One that was detached for it pledges nothing more to the primary of the epoch.
    fn answer(&mut self, ballot: Option<u64>, position: Option<Position>, detached: bool) {
        self.seen.position = position.clone();
        let Some(ballot) = ballot else {
            return;
        };
        if detached {
            self.refuses = self.refuses.max(self.epoch);
        }
        self.surveyed = Some(Surveyed {
            ballot,
            position,
            pledged: crate::Millis(0),
        });
    }
}

fn position(feat: Feat) -> Option<Position> {
    match feat {
        Feat::At(position) | Feat::Permits(position) => position,
        Feat::Done | Feat::Follows(_) | Feat::Sees(_) => None,
    }
}
