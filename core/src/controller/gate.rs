//! What keeps an automatic change from being made although the evidence is complete.

use super::{
    Hold, HoldCode, Look,
    case::{View, name_of, paused},
    leading::{Leading, Lost},
};
use crate::{Cause, Kind, Millis, Phase, PinKind, Scope, lease};
use std::collections::BTreeSet;

impl Leading {
    /// Whether an automatic change may be made now.
    pub(super) fn gate(&self, look: Look<'_>, view: &View<'_>, cause: Cause) -> Result<(), Hold> {
        if !self.authority.may_grant(look) {
            let why = "this leader has not heard from a quorum lately";
            return Err(Hold::new(HoldCode::SelfDoubt, why));
        }
        let Some(primary) = view.assignment.primary else {
            return Ok(());
        };
        let scopes = [
            Scope::Cluster,
            Scope::Service(view.name.clone()),
            Scope::Node(primary.node),
        ];
        for scope in &scopes {
            if let Some(reason) = paused(look, scope) {
                let why = format!("for {scope}: {reason}; resume it, or act by hand");
                return Err(Hold::new(HoldCode::Paused, why));
            }
        }
        if !cause.is_failover() {
            return Ok(());
        }
        let pin = look.state.pins().get(&primary.node);
        let up = pin.filter(|pin| pin.kind == PinKind::Up);
        if let Some(pin) = up.filter(|pin| pin.until.is_none_or(|until| until > look.wall)) {
            let name = name_of(look, primary.node);
            let why = format!("{name} is pinned up: {}", pin.reason);
            return Err(Hold::new(HoldCode::Pinned, why));
        }
        self.anti_flap(look, view)
    }

    /// After an automatic failover that was confirmed, no other within the window, unless an operator
    /// has taken note. Clocks that go back only prolong it.
    fn anti_flap(&self, look: Look<'_>, view: &View<'_>) -> Result<(), Hold> {
        let window = view.policy.anti_flap_ms;
        let mut receipts = look.state.receipts(view.name).rev();
        let last = receipts.find(|receipt| receipt.account.cause.is_failover());
        let Some(last) = last.filter(|receipt| {
            !receipt.acknowledged && receipt.account.timeline.contains_key(&Phase::Confirmed)
        }) else {
            return Ok(());
        };
        let over = last.stamp.0.saturating_add(window.0);
        if look.wall.0 >= over {
            return Ok(());
        }
        let left = Millis(over.saturating_sub(look.wall.0));
        let why = format!(
            "the failover to epoch {} has not been acknowledged; `tenure ack {}` allows another one \
             now, otherwise in {left}",
            last.epoch, view.name
        );
        Err(Hold::new(HoldCode::AntiFlap, why))
    }

    /// Counts members that have just fallen silent for good.
    pub(super) fn note_losses(&mut self, look: Look<'_>) {
        let automation = look.automation();
        let window = automation.storm_window;
        self.losses.retain(|lost| look.now.since(lost.at) < window);
        if !self.authority.hears(look) || !self.authority.may_grant(look) {
            return;
        }
        let listening = self.authority.listening;
        for known in self.members.iter_mut() {
            let node = known.member.node;
            let fast = is_fast(look, node);
            let lease = if fast {
                automation.fast_lease
            } else {
                automation.slow_lease
            };
            let silent = look.now.since(known.heard_at.max(listening));
            if known.lost || silent < lease::cautious(lease, automation.drift_permille) {
                continue;
            }
            known.lost = true;
            let zone = look.state.nodes().get(&node).and_then(|it| it.zone.clone());
            let at = look.now;
            self.losses.push_back(Lost { at, node, zone });
        }
    }

    /// Whether more members of the primary's zone were lost lately than its budget.
    pub(super) fn is_storm(&self, look: Look<'_>, view: &View<'_>) -> bool {
        let Some(primary) = view.assignment.primary else {
            return false;
        };
        let zone = look.state.nodes().get(&primary.node);
        let zone = zone.and_then(|node| node.zone.clone());
        let of_zone = self.losses.iter().filter(|lost| lost.zone == zone);
        let lost: BTreeSet<_> = of_zone.map(|lost| lost.node).collect();
        let budget = usize::try_from(look.automation().storm_budget).unwrap_or(usize::MAX);
        lost.len() > budget
    }
}

/// Whether a node has an instance of a service with a primary.
pub(super) fn is_fast(look: Look<'_>, node: crate::NodeId) -> bool {
    let mut services = look.state.services_on(node);
    services.any(|name| {
        let service = look.state.services().get(name);
        service.is_some_and(|service| service.kind() == Kind::Primary)
    })
}
