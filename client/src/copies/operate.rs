//! What operators do: verify copies, move them to where they belong, and let nodes go.

use super::Copies;
use crate::{Admin, Consistency, Error, Header, call, discovery::read_plan, servers::Server};
use std::sync::Arc;
use tenure_core::{NodeId, NodeRef, copies::ItemName};
use tenure_proto::v1;

/// What to do with the rebalancing of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebalanceAction {
    /// Begin one; one that goes on already goes on.
    Start,
    /// Count what would be moved, and move nothing.
    DryRun,
    /// Let the one that goes on wait.
    Pause,
    /// Let it go on.
    Resume,
    /// End it. Copies that were begun are finished or let go.
    Cancel,
}

impl RebalanceAction {
    fn to_wire(self) -> v1::rebalance_request::Action {
        use v1::rebalance_request::Action;
        match self {
            Self::Start => Action::Start,
            Self::DryRun => Action::DryRun,
            Self::Pause => Action::Pause,
            Self::Resume => Action::Resume,
            Self::Cancel => Action::Cancel,
        }
    }
}

/// What a rebalancing would move: of a dry run; all is 0 otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Balanced {
    /// Items looked at.
    pub looked: u64,
    /// Copies that would move.
    pub moves: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of each node that is concerned.
    pub nodes: Vec<BalancedNode>,
}

/// What a rebalancing would change of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BalancedNode {
    /// The node.
    pub node: NodeId,
    /// Copies that would come to it.
    pub comes: u64,
    /// Copies that would leave it.
    pub leaves: u64,
}

/// What of one service stands in the way when a node is to be emptied or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacles {
    /// The service.
    pub service: String,
    /// Items of which the node has a copy.
    pub items: u64,
    /// Items that could not be replaced elsewhere if the node drained.
    pub drain: u64,
    /// The first of these, by name.
    pub drain_items: Vec<String>,
    /// Items that would be left with too few fresh copies if the node went now.
    pub removal: u64,
    /// The first of these, by name.
    pub removal_items: Vec<String>,
}

impl Copies {
    /// Has nodes read their copies of these items, of all when none are named, and compares what they found with what is
    /// known. Answers with how many copies there are to compare, and goes on: [`Copies::status`] tells how far it has
    /// got. A change of leader ends it.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`] when no answer came: status tells whether it runs. After all others nothing happened,
    /// and [`Error::is_retryable`] says whether a retry may help.
    pub async fn verify(&self, items: &[ItemName]) -> Result<u64, Error> {
        let items = items.iter().map(|it| it.as_str().to_owned()).collect();
        self.send_verify(items, false).await
    }

    /// Ends a verification. When none runs nothing happens.
    ///
    /// # Errors
    /// As for [`Copies::verify`]; to do it again is harmless.
    pub async fn cancel_verify(&self) -> Result<(), Error> {
        self.send_verify(vec![], true).await.map(drop)
    }

    async fn send_verify(&self, items: Vec<String>, cancel: bool) -> Result<u64, Error> {
        let request = v1::VerifyRequest {
            service: self.name(),
            items,
            cancel,
        };
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move { server.copies().verify(request).await }
        };
        let answer = call::call(&self.shared, &self.change(), send).await;
        Ok(answer.map_err(|failure| failure.error)?.into_inner().copies)
    }

    /// Moves copies to where they belong: begins that, ends it, or says what it would do. A move gives the right node a
    /// copy first and lets the other go when that is fresh, so that no item ever has less than before.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`] when no answer came; to do the same again is harmless. After all others nothing
    /// happened, and [`Error::is_retryable`] says whether a retry may help.
    pub async fn rebalance(&self, action: RebalanceAction) -> Result<Balanced, Error> {
        let request = v1::RebalanceRequest {
            service: self.name(),
            action: action.to_wire().into(),
            actor: self.actor(),
        };
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move { server.copies().rebalance(request).await }
        };
        let plan = match action {
            // It changes nothing, and any server answers.
            RebalanceAction::DryRun => read_plan(&self.shared, Consistency::Linearizable),
            RebalanceAction::Start
            | RebalanceAction::Pause
            | RebalanceAction::Resume
            | RebalanceAction::Cancel => self.change(),
        };
        let answer = call::call(&self.shared, &plan, send).await;
        let wire = answer.map_err(|failure| failure.error)?.into_inner();
        let node = |it: v1::rebalance_response::OfNode| BalancedNode {
            node: NodeId(it.node),
            comes: it.comes,
            leaves: it.leaves,
        };
        Ok(Balanced {
            looked: wire.looked,
            moves: wire.moves,
            bytes: wire.bytes,
            nodes: wire.nodes.into_iter().map(node).collect(),
        })
    }

    /// Forgets all copies on a node, so that its instance can be removed.
    ///
    /// # Errors
    /// [`Error::Rejected`] while one of them is needed, with the items that stand in the way, unless `accept_loss`: then
    /// items may be left with too few fresh copies, or with none. [`Error::OutcomeUnknown`] when no answer came; to do
    /// it again is harmless.
    pub async fn empty_store(&self, node: &NodeRef, accept_loss: bool) -> Result<Header, Error> {
        let request = v1::EmptyStoreRequest {
            service: self.name(),
            node: Some(node.into()),
            accept_loss,
            actor: self.actor(),
        };
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move { server.copies().empty_store(request).await }
        };
        let answer = call::call(&self.shared, &self.change(), send).await;
        Header::from_wire(answer.map_err(|failure| failure.error)?.into_inner().header)
    }
}

impl Admin {
    /// What stands in the way when a node is to be drained or removed, of each service that has copies of items there;
    /// at most so many items are named of each (0 for 20).
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` when there is no such node; otherwise as for any read. A retry is safe.
    pub async fn obstacles(&self, node: &NodeRef, limit: u32) -> Result<Vec<Obstacles>, Error> {
        let shared = self.shared();
        let request = v1::ObstaclesRequest {
            node: Some(node.into()),
            service: String::new(),
            limit,
        };
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move { server.copies().obstacles(request).await }
        };
        let plan = read_plan(shared, Consistency::Linearizable);
        let answer = call::call(shared, &plan, send).await;
        let wire = answer.map_err(|failure| failure.error)?.into_inner();
        Ok(wire.services.into_iter().map(obstacles).collect())
    }
}

fn obstacles(wire: v1::obstacles_response::OfService) -> Obstacles {
    Obstacles {
        service: wire.service,
        items: wire.items,
        drain: wire.drain,
        drain_items: wire.drain_items,
        removal: wire.removal,
        removal_items: wire.removal_items,
    }
}
