//! What happened on a walk. A walk on which something never happened has shown nothing about it.

use std::collections::BTreeMap;
use tenure_core::{Applied, Command, Key, Lifecycle, NodeId, Outcome, RejectCode, Scope, State};

const MUST_HAPPEN: [&str; 20] = [
    "a change of primary",
    "a change of those who may acknowledge",
    "a change of automation",
    "a client evicted",
    "a client evicted by a lower bound",
    "a batch carried out",
    "a batch rolled back after its first command",
    "a command that changed nothing",
    "a loss",
    "a lossless promotion",
    "a lossy promotion",
    "a pause gone with what it was of",
    "a pause set",
    "a name taken over",
    "a node removed",
    "a plan carried out",
    "a primary in another life",
    "a retry answered",
    "an entry of history dropped",
    "an in-sync set shrunk by a removal",
];

#[derive(Default)]
pub struct Counts {
    happened: BTreeMap<&'static str, u64>,
    rejects: BTreeMap<RejectCode, u64>,
}

impl Counts {
    pub fn add(&mut self, what: &'static str) {
        assert!(MUST_HAPPEN.contains(&what), "{what} is not in the list");
        *self.happened.entry(what).or_default() += 1;
    }

    fn add_if(&mut self, happened: bool, what: &'static str) {
        if happened {
            self.add(what);
        }
    }

    /// Counts what one entry did.
    pub fn see(&mut self, command: &Command, before: &State, after: &State, applied: &Applied) {
        let batch = matches!(command, Command::Batch(_));
        match &applied.outcome {
            Outcome::Rejected(reject) => {
                *self.rejects.entry(reject.code).or_default() += 1;
                let late = reject.detail.as_str().contains("of the batch)")
                    && !reject.detail.as_str().contains("(command 0 ");
                self.add_if(late, "a batch rolled back after its first command");
                return;
            }
            Outcome::Answered { .. } => {}
            Outcome::Done(_) if applied.events.is_empty() => {
                let hidden = applied.hidden.iter();
                let only_clients = hidden.filter(|key| !matches!(key, Key::Client(_))).count() == 0;
                self.add_if(only_clients, "a command that changed nothing");
            }
            Outcome::Done(_) => self.add_if(batch, "a batch carried out"),
        }
        self.see_clients(command, before, after);
        self.see_decision(command, before, after);
        for event in &applied.events {
            self.see_change(&event.key, before, after);
        }
        let dropped = |key: &Key| matches!(key, Key::History(_)) && after.get(key).is_none();
        self.add_if(
            applied.hidden.iter().any(dropped),
            "an entry of history dropped",
        );
    }

    fn see_clients(&mut self, command: &Command, before: &State, after: &State) {
        let gone = |id: &&_| !after.clients().contains_key(id);
        let gone = before.clients().keys().filter(gone).count();
        if matches!(command, Command::OpenClient) {
            self.add_if(gone > 0, "a client evicted");
        } else if matches!(command, Command::SetSettings { .. }) {
            self.add_if(gone > 0, "a client evicted by a lower bound");
        }
    }

    fn see_decision(&mut self, command: &Command, before: &State, after: &State) {
        if let Command::Promote { account, .. } = command {
            let lossless = account.completeness.is_lossless();
            self.add_if(lossless, "a lossless promotion");
            self.add_if(!lossless, "a lossy promotion");
        }
        let changed = before.automation() != after.automation();
        self.add_if(changed, "a change of automation");
        let (was, now) = (before.pauses().len(), after.pauses().len());
        self.add_if(now > was, "a pause set");
        let of_nothing = |scope: &Scope| match scope {
            Scope::Cluster => false,
            Scope::Service(name) => !after.services().contains_key(name),
            Scope::Node(node) => !after.nodes()[node].is_present(),
        };
        let gone = before.pauses().keys().any(of_nothing);
        self.add_if(gone, "a pause gone with what it was of");
    }

    fn see_change(&mut self, key: &Key, before: &State, after: &State) {
        if let Key::Node(id) = key {
            self.see_node(*id, before, after);
        }
        let Key::Assignment(name) = key else { return };
        let (Some(was), Some(now)) = (before.assignment(name), after.assignment(name)) else {
            return;
        };
        let moved = was.primary.is_some() && now.primary.is_some() && was.primary != now.primary;
        self.add_if(moved, "a change of primary");
        self.add_if(now.loss > was.loss, "a loss");
        let node = |primary: Option<tenure_core::Member>| primary.map(|p| p.node);
        let reborn = moved && node(was.primary) == node(now.primary);
        self.add_if(reborn, "a primary in another life");
        let removed = |id: &NodeId| after.instance(name, *id).is_none();
        let shrunk = now.primary.is_some() && was.in_sync.iter().any(removed);
        self.add_if(shrunk, "an in-sync set shrunk by a removal");
        let same = was.primary == now.primary && was.syncing != now.syncing;
        self.add_if(same, "a change of those who may acknowledge");
    }

    fn see_node(&mut self, id: NodeId, before: &State, after: &State) {
        let now = &after.nodes()[&id];
        let was = before.nodes().get(&id);
        let gone = now.lifecycle == Lifecycle::Removed;
        self.add_if(gone && was.is_some(), "a node removed");
        let mut others = after.nodes().values().filter(|n| n.id != id);
        let taken = was.is_none() && others.any(|n| n.name == now.name);
        self.add_if(taken, "a name taken over");
    }

    pub fn print(&self) {
        for (what, count) in &self.happened {
            println!("{count:8} {what}");
        }
        for (code, count) in &self.rejects {
            println!("{count:8} rejected: {code:?}");
        }
    }

    /// Fails when something never happened.
    pub fn demand(&self) {
        let missing = MUST_HAPPEN
            .iter()
            .filter(|what| !self.happened.contains_key(*what));
        let missing: Vec<_> = missing.collect();
        assert!(missing.is_empty(), "never happened: {missing:?}");
        let met = |code: &&RejectCode| self.rejects.contains_key(code);
        let missing: Vec<_> = RejectCode::ALL.iter().filter(|code| !met(code)).collect();
        assert!(missing.is_empty(), "never rejected with: {missing:?}");
    }
}
