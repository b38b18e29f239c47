//! What is under way for one service.

use super::{Hold, holders::Holders};
use crate::{
    Cause, Epoch, FenceProof, Member, Moment, NodeId, Note, Phase, Position, Revision, Timeline,
};
use std::collections::BTreeMap;

/// What is under way for one service.
#[derive(Debug, Clone)]
pub(super) struct Course {
    pub(super) holders: Holders,
    pub(super) stage: Stage,
    /// Why nothing was done when something should have been, and when that was decided.
    pub(super) held: Option<(Hold, Moment)>,
    /// Before then nothing that was held is tried again.
    pub(super) retry_at: Moment,
    /// A change of primary that is committed and not confirmed yet.
    pub(super) confirming: Option<Confirming>,
    /// How far the primary of an epoch was last known to have got.
    pub(super) last: Option<(Epoch, Position)>,
    /// Since when members are silent, or behind.
    pub(super) unfit_since: BTreeMap<NodeId, Moment>,
    /// The revision by which the members are stated as they are, and the latest grant to anybody when this
    /// leader first saw it.
    pub(super) stated: Option<(Revision, u64)>,
    /// How far each syncing member has to get to be in sync, and by which revision of the assignment.
    pub(super) goals: BTreeMap<NodeId, (Revision, Position)>,
    /// Members that were started anew, and are not known to have again what they had acknowledged; with
    /// the latest grant to anybody when they were heard to follow again.
    pub(super) anew: BTreeMap<NodeId, Option<u64>>,
    /// Who is to be detached, so that the log can leave it out.
    pub(super) detached: Option<NodeId>,
    /// How far the primary had got once it was.
    pub(super) detached_at: Option<Position>,
    /// A change of the members that was proposed and is not decided.
    pub(super) proposed: bool,
    /// What each member was last told.
    pub(super) told: BTreeMap<NodeId, crate::Directive>,
    /// Since when a primary that is heard has not been serving.
    pub(super) idle_since: Option<Moment>,
}

/// Where a service stands.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// Nothing is being changed.
    Steady,
    /// The primary is being replaced.
    Failing(Failing),
    /// The primary is being moved.
    Switching(Switching),
}

/// An operator who waits for an answer.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) ask: u64,
    pub(super) reason: Note,
}

/// Replacing a primary: fence, survey, choose, commit.
#[derive(Debug, Clone)]
pub(super) struct Failing {
    pub(super) cause: Cause,
    pub(super) primary: Member,
    pub(super) evidence: Vec<Note>,
    /// The last sign of life, from which everything is timed.
    pub(super) base: Moment,
    pub(super) since: Moment,
    pub(super) fence: Option<FenceProof>,
    pub(super) survey: Option<Survey>,
    pub(super) timeline: Timeline,
    /// Nobody but this one is to take over.
    pub(super) only: Option<NodeId>,
    /// Nothing may be lost, whatever the policy allows.
    pub(super) lossless: bool,
    /// An operator vouches for the fence.
    pub(super) vouched: bool,
    pub(super) asked: Option<Asked>,
    pub(super) committing: Option<Moment>,
}

/// A question to all who could take over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Survey {
    pub(super) ballot: u64,
    pub(super) since: Moment,
}

/// Moving a primary that works: hold writes back, catch up, fence, commit.
#[derive(Debug, Clone)]
pub(super) struct Switching {
    pub(super) cause: Cause,
    pub(super) primary: Member,
    pub(super) to: Member,
    pub(super) step: Step,
    pub(super) since: Moment,
    /// After which it is taken back.
    pub(super) until: Moment,
    /// When writes were first held back.
    pub(super) quiesced: Option<Moment>,
    pub(super) timeline: Timeline,
    pub(super) asked: Option<Asked>,
    pub(super) committing: Option<Moment>,
}

/// How far a switchover has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The primary is told to hold writes back.
    Quiesce,
    /// The candidate is asked until it has got as far as the primary.
    CatchUp {
        /// Under which ballot.
        ballot: u64,
        /// How far that is.
        goal: Position,
    },
    /// The primary is told to take no writes.
    Fence,
    /// The candidate is asked once more, for what came before the fence.
    Verify {
        /// Under which ballot.
        ballot: u64,
        /// How far the fenced primary had got.
        goal: Position,
    },
}

/// A change of primary that is committed and not confirmed yet.
#[derive(Debug, Clone)]
pub(super) struct Confirming {
    pub(super) epoch: Epoch,
    pub(super) base: Moment,
    pub(super) timeline: Timeline,
}

impl Course {
    pub(super) fn new(holders: Holders) -> Self {
        Self {
            holders,
            stage: Stage::Steady,
            held: None,
            retry_at: Moment(0),
            confirming: None,
            last: None,
            unfit_since: BTreeMap::new(),
            stated: None,
            goals: BTreeMap::new(),
            anew: BTreeMap::new(),
            detached: None,
            detached_at: None,
            proposed: false,
            told: BTreeMap::new(),
            idle_since: None,
        }
    }

    /// The question of an operator that is open.
    pub(super) fn ask(&self) -> Option<u64> {
        let asked = match &self.stage {
            Stage::Steady => None,
            Stage::Failing(failing) => failing.asked.as_ref(),
            Stage::Switching(switching) => switching.asked.as_ref(),
        };
        asked.map(|asked| asked.ask)
    }
}

/// Notes when a step was done, the first time.
pub(super) fn mark(timeline: &mut Timeline, phase: Phase, base: Moment, now: Moment) {
    timeline.entry(phase).or_insert_with(|| now.since(base));
}
