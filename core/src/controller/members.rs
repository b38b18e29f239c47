//! Who may acknowledge writes: stated in the log before an instance follows, and taken out of it only
//! after the primary has detached it and everybody else has what it may have acknowledged.

use super::{
    Look, Output,
    case::View,
    course::Course,
    leading::{Leading, Proposal},
};
use crate::{Assignment, Command, Health, Instance, NodeId, Position, Role, Sign};
use std::collections::BTreeSet;

impl Leading {
    /// Brings the members of a service that is served in line with who is there.
    pub(super) fn keep_members(
        &mut self,
        look: Look<'_>,
        view: &View<'_>,
        course: &mut Course,
        out: &mut Vec<Output>,
    ) {
        if course.proposed || !self.authority.may_grant(look) || !self.is_confirmed(look, view) {
            return;
        }
        self.note_unfit(look, view, course);
        self.note_goals(look, view, course);
        let next = self
            .with_newcomers(look, view, course)
            .or_else(|| self.with_synced(look, view, course))
            .or_else(|| self.without_lost(look, view, course));
        let Some((in_sync, syncing)) = next else {
            return;
        };
        course.proposed = true;
        let command = Command::SetMembers {
            service: view.name.clone(),
            epoch: view.assignment.epoch,
            expected: view.assignment.modified,
            in_sync,
            syncing,
        };
        self.propose(Proposal::Membership(view.name.clone()), command, out);
    }

    fn sign(&self, look: Look<'_>, view: &View<'_>, node: NodeId) -> Option<&Sign> {
        self.heard(look, node)?.sign(view.name)
    }

    /// Whether an instance keeps up with the primary, or is on its way to.
    fn keeps_up(&self, look: Look<'_>, view: &View<'_>, instance: &Instance) -> bool {
        let syncing = view.assignment.syncing.contains(&instance.node);
        self.sign(look, view, instance.node).is_some_and(|sign| {
            let well = matches!(
                sign.report.health,
                Health::Healthy | Health::Degraded | Health::Starting
            );
            // A first synchronisation takes as long as it takes; it counts as behind, not as lost.
            well && (sign.linked || syncing)
        })
    }

    fn note_unfit(&self, look: Look<'_>, view: &View<'_>, course: &mut Course) {
        let counts: BTreeSet<NodeId> = view.assignment.acknowledgers().collect();
        course.unfit_since.retain(|node, _| counts.contains(node));
        course.detached = course.detached.filter(|node| counts.contains(node));
        for instance in view.others().filter(|it| counts.contains(&it.node)) {
            if self.keeps_up(look, view, instance) {
                course.unfit_since.remove(&instance.node);
                if course.detached == Some(instance.node) {
                    course.detached = None;
                }
            } else {
                course.unfit_since.entry(instance.node).or_insert(look.now);
            }
        }
    }

    /// Who is there and in neither set is let in, to be told to follow afterwards; not while it says itself
    /// that it serves nobody, for it would be left out again, over and over.
    fn with_newcomers(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        course: &Course,
    ) -> Option<(BTreeSet<NodeId>, BTreeSet<NodeId>)> {
        let known = |node: NodeId| {
            view.assignment.in_sync.contains(&node) || view.assignment.syncing.contains(&node)
        };
        let new: BTreeSet<NodeId> = view
            .others()
            .map(|instance| instance.node)
            .filter(|node| !known(*node) && course.detached != Some(*node))
            .filter(|node| self.running(look, view.name, *node).is_some())
            .filter(|node| {
                let sign = self.sign(look, view, *node);
                sign.is_some_and(|sign| sign.report.health != Health::Failing)
            })
            .collect();
        if new.is_empty() {
            return None;
        }
        let syncing = view.assignment.syncing.union(&new).copied().collect();
        Some((view.assignment.in_sync.clone(), syncing))
    }

    /// Where the primary stands when a member is first seen to follow it: that is how far the member has
    /// to get. A later word of the primary would not do, for under a steady load a replica is always a
    /// little behind the latest one. After any change of the members it is looked at anew: whoever was
    /// left out may have acknowledged in the meantime what this member lacks.
    fn note_goals(&self, look: Look<'_>, view: &View<'_>, course: &mut Course) {
        let Assignment {
            epoch,
            modified,
            syncing,
            ..
        } = view.assignment;
        let latest = self.latest_number();
        course.stated = course
            .stated
            .filter(|(by, _)| by == modified)
            .or(Some((*modified, latest)));
        let counts: BTreeSet<NodeId> = view.assignment.acknowledgers().collect();
        course.anew.retain(|node, _| counts.contains(node));
        let anew = course.anew.keys().copied();
        let waited_for: BTreeSet<NodeId> = syncing.iter().copied().chain(anew).collect();
        course.goals.retain(|node, _| waited_for.contains(node));
        for node in waited_for {
            let sign = self.sign(look, view, node);
            let follows = sign.is_some_and(|sign| {
                sign.linked && sign.whole && sign.report.role == Some((Role::Replica, *epoch))
            });
            let at = follows.then(|| self.word_of_primary(view, course, node));
            let Some(at) = at.flatten() else {
                course.goals.remove(&node);
                continue;
            };
            let goal = course.goals.get(&node);
            let stands =
                goal.is_some_and(|(by, goal)| by == modified && goal.history == at.history);
            if !stands {
                course.goals.insert(node, (*modified, at));
            }
            if self.has_caught_up(look, view, course, node) {
                course.anew.remove(&node);
            }
        }
    }

    /// How far the primary had got by its latest word, if that was sent after the members were stated as they
    /// are and nobody else may acknowledge: whatever was acknowledged by an earlier reckoning is in it. To a member that was started anew only a
    /// word counts that was sent after the member was heard to follow again: what it had acknowledged before is
    /// in that.
    fn word_of_primary(
        &self,
        view: &View<'_>,
        course: &mut Course,
        node: NodeId,
    ) -> Option<Position> {
        let (of, at) = course.last.as_ref()?;
        if *of != view.assignment.epoch {
            return None;
        }
        let (_, stated) = course.stated?;
        let since = match course.anew.get_mut(&node) {
            Some(since) => stated.max(*since.get_or_insert(self.latest_number())),
            None => stated,
        };
        let primary = self.members.member(view.assignment.primary?)?;
        let permits = &primary.sign(view.name)?.permits;
        let member = |node: &NodeId| view.assignment.acknowledgers().any(|it| it == *node);
        let alone = !permits.is_empty() && permits.iter().all(member);
        (alone && primary.beat.heard > (self.term, since)).then(|| at.clone())
    }

    fn has_caught_up(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        course: &Course,
        node: NodeId,
    ) -> bool {
        let sign = self.sign(look, view, node);
        let both = course.goals.get(&node).zip(sign);
        both.is_some_and(|((_, goal), sign)| has(sign.report.position.as_ref(), goal))
    }

    /// Who has everything that the primary had since it was let in is in sync.
    fn with_synced(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        course: &Course,
    ) -> Option<(BTreeSet<NodeId>, BTreeSet<NodeId>)> {
        let caught_up = |node: &&NodeId| {
            let anew = course.anew.contains_key(*node);
            !anew && self.has_caught_up(look, view, course, **node)
        };
        let synced: BTreeSet<NodeId> = view
            .assignment
            .syncing
            .iter()
            .filter(caught_up)
            .copied()
            .collect();
        if synced.is_empty() {
            return None;
        }
        let in_sync = view.assignment.in_sync.union(&synced).copied().collect();
        let syncing = view
            .assignment
            .syncing
            .difference(&synced)
            .copied()
            .collect();
        Some((in_sync, syncing))
    }

    /// Who has been silent or behind for longer than its grace no longer counts, as long as enough are
    /// left for a write to be acknowledged. First the primary detaches it; then all that it may have
    /// acknowledged must be on everybody who stays; then the log says so.
    fn without_lost(
        &self,
        look: Look<'_>,
        view: &View<'_>,
        course: &mut Course,
    ) -> Option<(BTreeSet<NodeId>, BTreeSet<NodeId>)> {
        let grace = look.automation().replica_grace;
        let overdue = |node: &NodeId| {
            let since = course.unfit_since.get(node);
            since.is_some_and(|since| look.now.since(*since) >= grace)
        };
        let lost = view.assignment.acknowledgers().find(overdue)?;
        let stay: BTreeSet<NodeId> = view
            .assignment
            .in_sync
            .iter()
            .copied()
            .filter(|node| *node != lost)
            .collect();
        let primary = view.assignment.primary?.node;
        let needed = usize::try_from(view.policy.write_acks)
            .unwrap_or(usize::MAX)
            .max(1);
        if stay.len().saturating_sub(1) < needed {
            return None;
        }
        if course.detached.replace(lost) != Some(lost) {
            course.detached_at = None;
        }
        let at_primary = self.sign(look, view, primary)?;
        let others = stay.iter().filter(|node| **node != primary);
        let permits = |node: &NodeId| at_primary.permits.contains(node);
        if permits(&lost) || !others.clone().all(permits) {
            return None;
        }
        let now_at = at_primary.report.position.as_ref()?;
        let known = course.detached_at.take();
        let known = known.filter(|at| at.history == now_at.history);
        let at = course
            .detached_at
            .insert(known.unwrap_or_else(|| now_at.clone()));
        let all_have = others.clone().all(|node| {
            let sign = self.sign(look, view, *node);
            sign.is_some_and(|sign| has(sign.report.position.as_ref(), at))
        });
        if !all_have {
            return None;
        }
        let syncing = view
            .assignment
            .syncing
            .iter()
            .copied()
            .filter(|node| *node != lost);
        Some((stay, syncing.collect()))
    }
}

/// Whether an instance has all of a history up to a position.
fn has(position: Option<&Position>, at: &Position) -> bool {
    position.is_some_and(|it| it.history == at.history && it.offset >= at.offset)
}
