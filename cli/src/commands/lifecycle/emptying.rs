//! Waiting until a node is primary of nothing, and saying meanwhile what moves and what does not.

use super::super::{Context, explain};
use crate::{
    cluster::Cluster,
    exit::Failure,
    output::{self, shape},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};
use tenure_core::{Assignment, Node, NodeId, RecordKind, ServiceName, State, controller::Hold};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

/// How often it is looked whether something has moved. Each look costs the servers one read.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How many looks are between two questions why something has not.
const LOOKS_PER_QUESTION: u32 = 10;

const KINDS: &[RecordKind] = &[
    RecordKind::Node,
    RecordKind::Service,
    RecordKind::Assignment,
];

/// What an emptied node was primary of, and what it still is primary of.
#[derive(Debug, Default)]
pub(super) struct Emptied {
    pub(super) moved: Vec<MovedAway>,
    pub(super) left: Vec<Left>,
}

impl Emptied {
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }
}

/// A service whose primary has moved away.
#[derive(Debug, Serialize)]
pub(super) struct MovedAway {
    service: String,
    primary: String,
    epoch: u64,
}

impl MovedAway {
    pub(super) fn new(service: &ServiceName, primary: &str, epoch: u64) -> Self {
        Self {
            service: service.to_string(),
            primary: primary.to_owned(),
            epoch,
        }
    }
}

impl fmt::Display for MovedAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            service,
            primary,
            epoch,
        } = self;
        write!(f, "{service}: moved to {primary}, epoch {epoch}")
    }
}

/// A service whose primary has not: what the leader does about it, or why it does nothing. Both are
/// null when it was not asked.
#[derive(Debug, Serialize)]
pub(super) struct Left {
    service: String,
    decision: Option<String>,
    hold: Option<shape::Hold>,
    #[serde(skip)]
    wording: Option<String>,
}

impl Left {
    pub(super) fn new(service: &ServiceName, decision: Option<&Result<String, Hold>>) -> Self {
        let done = decision.and_then(|it| it.as_ref().ok());
        let hold = decision.and_then(|it| it.as_ref().err());
        Self {
            service: service.to_string(),
            decision: done.cloned(),
            hold: hold.map(Into::into),
            wording: decision.map(explain::wording),
        }
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: still primary here", self.service)?;
        match &self.wording {
            Some(wording) => write!(f, "; {wording}"),
            None => Ok(()),
        }
    }
}

/// What a node is primary of now.
pub(super) async fn held(cluster: &Cluster, node: &Node) -> Result<Vec<ServiceName>, Failure> {
    let state = cluster.state(KINDS, &[]).await?;
    Ok(held_by(&state, node.id))
}

/// What has become by now of what a node was primary of before, without asking why.
pub(super) async fn look(
    cluster: &Cluster,
    node: &Node,
    before: Vec<ServiceName>,
) -> Result<Emptied, Failure> {
    let state = cluster.state(KINDS, &[]).await?;
    let all = joined(before, held_by(&state, node.id));
    Ok(Progress::new(node, true).emptied(&state, &all))
}

/// Waits until a node that is draining is primary of nothing, for at most as long as a command may
/// take. It is given nothing any more, so that what it is primary of only becomes less.
pub(super) async fn wait(
    cluster: &Cluster,
    node: &Node,
    before: Vec<ServiceName>,
    context: &Context,
) -> Result<Emptied, Failure> {
    let until = Instant::now() + context.global.deadline;
    let mut state = cluster.state(KINDS, &[]).await?;
    let all = joined(before, held_by(&state, node.id));
    let mut progress = Progress::new(node, context.out.json);
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0_u32.. {
        let left = progress.tell(&state, &all);
        if left.is_empty() || timeout_at(until, looks.tick()).await.is_err() {
            break;
        }
        if number % LOOKS_PER_QUESTION == LOOKS_PER_QUESTION / 2 {
            // Out of time, or without a leader: what was answered before stands.
            let _late = timeout_at(until, progress.ask(cluster, &left)).await;
        }
        let looked = timeout_at(until, cluster.state(KINDS, &all)).await;
        match looked {
            Ok(now) => state = now?,
            Err(_late) => break,
        }
    }
    Ok(progress.emptied(&state, &all))
}

/// Both, in order and each once: one may have moved between two looks.
fn joined(before: Vec<ServiceName>, now: Vec<ServiceName>) -> Vec<ServiceName> {
    let all: BTreeSet<ServiceName> = before.into_iter().chain(now).collect();
    all.into_iter().collect()
}

fn held_by(state: &State, node: NodeId) -> Vec<ServiceName> {
    let held = |name: &&ServiceName| {
        let now = state.assignment(name);
        now.is_some_and(|now| is_primary(now, node))
    };
    state.services().keys().filter(held).cloned().collect()
}

fn is_primary(now: &Assignment, node: NodeId) -> bool {
    now.primary.is_some_and(|primary| primary.node == node)
}

/// What was told so far.
struct Progress {
    node: NodeId,
    /// The last line of each service.
    told: BTreeMap<ServiceName, String>,
    decisions: BTreeMap<ServiceName, Result<String, Hold>>,
    is_silent: bool,
}

impl Progress {
    fn new(node: &Node, is_silent: bool) -> Self {
        Self {
            node: node.id,
            told: BTreeMap::new(),
            decisions: BTreeMap::new(),
            is_silent,
        }
    }

    /// Tells what is new, and gives what has not moved yet.
    fn tell(&mut self, state: &State, all: &[ServiceName]) -> Vec<ServiceName> {
        let mut left = Vec::new();
        for name in all {
            let line = match moved_away(state, name, self.node) {
                Some(moved) => moved.to_string(),
                None => {
                    left.push(name.clone());
                    Left::new(name, self.decisions.get(name)).to_string()
                }
            };
            if self.told.get(name) != Some(&line) {
                if !self.is_silent {
                    output::remark(&line);
                }
                self.told.insert(name.clone(), line);
            }
        }
        left
    }

    async fn ask(&mut self, cluster: &Cluster, left: &[ServiceName]) {
        for name in left {
            if let Ok(explained) = cluster.explain(name).await {
                self.decisions.insert(name.clone(), explained.decision);
            }
        }
    }

    fn emptied(&self, state: &State, all: &[ServiceName]) -> Emptied {
        let mut emptied = Emptied::default();
        for name in all {
            match moved_away(state, name, self.node) {
                Some(moved) => emptied.moved.push(moved),
                None => {
                    let left = Left::new(name, self.decisions.get(name));
                    emptied.left.push(left);
                }
            }
        }
        emptied
    }
}

/// Who is primary in place of a node; None while it still is.
fn moved_away(state: &State, service: &ServiceName, node: NodeId) -> Option<MovedAway> {
    let (primary, epoch) = match state.assignment(service) {
        Some(now) if is_primary(now, node) => return None,
        Some(now) => (now.primary, now.epoch.0),
        None => (None, 0),
    };
    let name = primary.map_or_else(
        || "nobody".to_owned(),
        |primary| shape::node_name(state, primary.node),
    );
    Some(MovedAway::new(service, &name, epoch))
}
