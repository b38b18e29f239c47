//! Who is lost as a holder of copies, who is back, and whose data are not those that they were. Transitions alone are
//! proposed.

use super::{Asked, Tending};
use crate::controller::{
    Look, Output,
    gate::is_fast,
    known::Known,
    leading::{Leading, Proposal},
};
use crate::copies::repair::NodeView;
use crate::copies::{CopiesCommand, Ledger, Store};
use crate::{
    Command, CopyOrder, Lifecycle, Member, NodeId, Presence, ServiceName, Sign, StoreSign, lease,
};
use std::collections::BTreeMap;

impl Leading {
    /// Proposes what has changed of how nodes stand as holders, all in one entry.
    pub(super) fn judge_stores(
        &mut self,
        look: Look<'_>,
        service: &ServiceName,
        ledger: &Ledger,
        tending: &mut Tending,
        out: &mut Vec<Output>,
    ) {
        let mut commands = Vec::new();
        let mut nodes = Vec::new();
        for store in ledger.stores() {
            let node = store.node();
            if !store.is_lost() {
                tending.lost_at.remove(&node);
            }
            if tending.turning.contains(&node) {
                continue;
            }
            if let Some(what) = self.turn_of(look, service, store) {
                nodes.push(node);
                commands.push(what);
            }
        }
        let (renewals, turns): (Vec<_>, Vec<_>) = commands
            .into_iter()
            .zip(nodes)
            .partition(|(what, _)| matches!(what, CopiesCommand::Renew { .. }));
        tending
            .turning
            .extend(renewals.iter().chain(&turns).map(|(_, node)| *node));
        for (what, node) in renewals {
            self.ask_copies(service, (Asked::Stores(vec![node]), what), out);
        }
        if turns.is_empty() {
            return;
        }
        let (turns, nodes): (Vec<_>, Vec<_>) = turns.into_iter().unzip();
        let command = |what| Command::Copies {
            service: service.clone(),
            what,
        };
        let all = Command::Batch(turns.into_iter().map(command).collect());
        let purpose = Proposal::Copies(service.clone(), Asked::Stores(nodes));
        self.propose(purpose, all, out);
    }

    /// What has changed of how a node stands, if something has.
    fn turn_of(
        &self,
        look: Look<'_>,
        service: &ServiceName,
        store: &Store,
    ) -> Option<CopiesCommand> {
        let node = look.state.nodes().get(&store.node())?;
        let known = self.members.get(node.id);
        let sign = known.and_then(|known| known.sign(service));
        let told = sign.and_then(|sign| sign.store.as_ref());
        let folder = told.map_or(0, |told| told.folder);
        let member = node.member();
        let silent = self.is_holder_silent(look, service, member, known);
        if folder != 0 && folder != store.folder() && !silent {
            return Some(CopiesCommand::Renew { member, folder });
        }
        let gone = sign.is_some_and(|sign| sign.presence == Presence::Exited);
        let runs = sign.is_some_and(|sign| sign.presence == Presence::Running);
        match (store.is_lost(), silent || gone) {
            (false, true) => Some(CopiesCommand::Lose { member }),
            (true, false) if runs => Some(CopiesCommand::Regain { member }),
            (true | false, _) => None,
        }
    }

    /// Whether a holder was not heard from for its lease, though this leader and a majority of servers hear. One that never said
    /// anything in any life, such as a node without an agent, is left alone.
    fn is_holder_silent(
        &self,
        look: Look<'_>,
        service: &ServiceName,
        member: Member,
        known: Option<&Known>,
    ) -> bool {
        if !self.authority.hears(look) || !self.authority.may_grant(look) {
            return false;
        }
        let instance = look.state.instance(service, member.node);
        let spoke = instance.is_some_and(|it| it.reported_in.0 > 0);
        if known.is_none() && !spoke {
            return false;
        }
        let automation = look.automation();
        let lease = if is_fast(look, member.node) {
            automation.fast_lease
        } else {
            automation.slow_lease
        };
        let listening = self.authority.listening;
        let since = known.map_or(listening, |known| known.heard_at.max(listening));
        look.now.since(since) >= lease::cautious(lease, automation.drift_permille)
    }

    /// What planning has to know of the nodes beside the ledger.
    pub(super) fn views(
        &self,
        look: Look<'_>,
        service: &ServiceName,
        ledger: &Ledger,
        tending: &mut Tending,
    ) -> BTreeMap<NodeId, NodeView> {
        let mut views = BTreeMap::new();
        for store in ledger.stores() {
            let node = store.node();
            let told = self.store_sign(node, service);
            let lost_at = store.is_lost().then(|| {
                let since = *tending.lost_at.entry(node).or_insert(look.now);
                let record = look.state.nodes().get(&node);
                // Whoever works on a node brings it back: it is waited for as long as that takes.
                match record.map(|record| record.lifecycle) {
                    Some(Lifecycle::Maintenance) => look.now,
                    Some(
                        Lifecycle::Joining
                        | Lifecycle::Active
                        | Lifecycle::Draining
                        | Lifecycle::Removed,
                    )
                    | None => since,
                }
            });
            let view = NodeView {
                free: told.and_then(|told| told.free),
                load: told.map_or(0, |told| told.load),
                lost_at,
            };
            views.insert(node, view);
        }
        views
    }

    fn store_sign(&self, node: NodeId, service: &ServiceName) -> Option<&StoreSign> {
        let known = self.members.get(node)?;
        known.sign(service)?.store.as_ref()
    }

    /// Takes in what a member says as holder of copies.
    pub(in crate::controller) fn hear_stores(
        &mut self,
        look: Look<'_>,
        node: NodeId,
        out: &mut Vec<Output>,
    ) {
        let Some(known) = self.members.get(node) else {
            return;
        };
        let told = |sign: &Sign| {
            let store = sign
                .store
                .clone()
                .filter(|store| !store.orders.is_empty())?;
            Some((sign.service.clone(), store))
        };
        let told: Vec<_> = known.beat.signs.iter().filter_map(told).collect();
        for (service, store) in told {
            if let (Some(ledger), Some(tending)) =
                (look.state.ledger(&service), self.copies.get_mut(&service))
            {
                tending.hear(look, ledger, node, &store, out);
            }
        }
    }

    /// The orders of a node, as its grant says them.
    pub(in crate::controller) fn orders(
        &self,
        service: &ServiceName,
        node: NodeId,
    ) -> Vec<CopyOrder> {
        let tending = self.copies.get(service);
        tending.map_or_else(Vec::new, |tending| tending.orders.told(node))
    }
}
