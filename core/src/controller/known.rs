//! What the leader knows of each member: its opinion, never replicated as such.

use super::Look;
use crate::{Heartbeat, Member, Millis, Moment, NodeId, Presence, ServerId, ServiceName, Sign};
use std::collections::BTreeMap;

/// A member, by its latest heartbeat.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) member: Member,
    pub(super) beat: Heartbeat,
    /// Through which server it came first.
    pub(super) via: ServerId,
    pub(super) heard_at: Moment,
    /// When it last told of a grant that it had not told of before: it hears, too.
    pub(super) hears_at: Moment,
    /// When each of its instances was last seen to run.
    alive_at: BTreeMap<ServiceName, Moment>,
    /// When each was last seen at another position than before.
    moved_at: BTreeMap<ServiceName, Moment>,
    /// Whether its silence was counted as a loss.
    pub(super) lost: bool,
}

/// All members.
#[derive(Debug, Clone, Default)]
pub(super) struct Members(BTreeMap<NodeId, Known>);

impl Members {
    /// Takes a heartbeat in; false when it is an old one, or another copy.
    pub(super) fn hear(
        &mut self,
        now: Moment,
        via: ServerId,
        member: Member,
        beat: Heartbeat,
    ) -> bool {
        let known = self.0.get_mut(&member.node);
        let order = |beat: &Heartbeat| (beat.session, beat.sequence);
        let late = |known: &Known| known.member == member && order(&beat) <= order(&known.beat);
        if known.as_deref().is_some_and(late) {
            return false;
        }
        let same = known
            .as_ref()
            .filter(|known| known.beat.heard == beat.heard);
        let hears_at = same.map_or(now, |known| known.hears_at);
        let moved_at = known.as_ref().map(|known| known.moves(now, &beat));
        let alive_at = known.map(|known| std::mem::take(&mut known.alive_at));
        let mut next = Known {
            member,
            beat,
            via,
            heard_at: now,
            hears_at,
            alive_at: alive_at.unwrap_or_default(),
            moved_at: moved_at.unwrap_or_default(),
            lost: false,
        };
        for sign in &next.beat.signs {
            if sign.presence == Presence::Running {
                next.alive_at.insert(sign.service.clone(), now);
            }
        }
        self.0.insert(member.node, next);
        true
    }

    pub(super) fn get(&self, node: NodeId) -> Option<&Known> {
        self.0.get(&node)
    }

    /// A member in the life that is meant.
    pub(super) fn member(&self, member: Member) -> Option<&Known> {
        self.get(member.node).filter(|known| known.member == member)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Known> {
        self.0.values_mut()
    }

    /// Forgets who is not there any more.
    pub(super) fn retain(&mut self, look: Look<'_>) {
        self.0.retain(|node, known| {
            let now = look.state.nodes().get(node);
            now.is_some_and(|now| now.is_present() && now.member() == known.member)
        });
    }
}

impl Known {
    /// When each instance was last seen to move, with what the next heartbeat says.
    fn moves(&self, now: Moment, next: &Heartbeat) -> BTreeMap<ServiceName, Moment> {
        let one = |sign: &Sign| {
            let before = self.sign(&sign.service);
            let same = before.is_some_and(|it| it.report.position == sign.report.position);
            let at = self.moved_at(&sign.service).filter(|_| same);
            (sign.service.clone(), at.unwrap_or(now))
        };
        next.signs.iter().map(one).collect()
    }

    pub(super) fn sign(&self, service: &ServiceName) -> Option<&Sign> {
        let mut signs = self.beat.signs.iter();
        signs.find(|sign| sign.service == *service)
    }

    /// When the instance was last seen at another position than before.
    pub(super) fn moved_at(&self, service: &ServiceName) -> Option<Moment> {
        self.moved_at.get(service).copied()
    }

    pub(super) fn silent(&self, now: Moment) -> Millis {
        now.since(self.heard_at)
    }

    /// When the instance was last seen to run.
    pub(super) fn alive_at(&self, service: &ServiceName) -> Option<Moment> {
        self.alive_at.get(service).copied()
    }
}
