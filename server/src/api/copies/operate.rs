//! What operators ask of the copies of a service.

use super::{Service, actor, bounded, check_kind, rebalance_step, service_name};
use crate::api::{command, refusal};
use std::collections::BTreeMap;
use tenure_core::copies::{CopiesCommand, ItemId, ItemName, rebalance::rebalance};
use tenure_core::{NodeId, NodeRef, ServiceName, State};
use tenure_proto::v1;
use tonic::Status;

/// Items that a dry run looks at under one lock of the state.
const LOOK: u32 = 2_000;

/// What the leader knows of what is under way.
#[derive(Default)]
pub(super) struct UnderWay {
    pub(super) repair: Option<v1::RepairStatus>,
    pub(super) rebalance: Option<v1::RebalanceStatus>,
    pub(super) verify: Option<v1::VerifyStatus>,
}

impl Service {
    /// Nothing at a server that does not lead.
    pub(super) async fn under_way(&self, service: &ServiceName) -> UnderWay {
        if !self.consensus.leads() {
            return UnderWay::default();
        }
        let seen = self.control.copies_progress(service.clone()).await;
        let Ok((_, progress)) = seen else {
            return UnderWay::default();
        };
        UnderWay {
            repair: Some((&progress.repair).into()),
            rebalance: progress.rebalance.as_ref().map(Into::into),
            verify: progress.verify.as_ref().map(Into::into),
        }
    }

    pub(super) async fn compare(
        &self,
        request: v1::VerifyRequest,
    ) -> Result<v1::VerifyResponse, Status> {
        bounded(request.items.len())?;
        let service = service_name(&request.service)?;
        self.check_leads()?;
        let names = request.items.iter().map(|name| {
            ItemName::new(name).map_err(|why| refusal::invalid(format!("items: {why}")))
        });
        let names: Vec<ItemName> = names.collect::<Result<_, _>>()?;
        let check = |state: &State| check_kind(state, &service);
        let (_, checked) = self.reads.read(None, check).await?;
        checked?;
        let items = (!request.cancel).then_some(names);
        let begun = self.control.verify_copies(service, items).await;
        let (_, copies) = begun.map_err(|why| self.unanswered(why))?;
        Ok(v1::VerifyResponse { copies })
    }

    pub(super) async fn move_copies(
        &self,
        request: v1::RebalanceRequest,
    ) -> Result<v1::RebalanceResponse, Status> {
        let (service, actor) = (service_name(&request.service)?, actor(&request.actor)?);
        let Some(step) = rebalance_step(request.action)? else {
            return self.dry_run(&service).await;
        };
        let what = CopiesCommand::Rebalance(step);
        let _done = command::on_copies(&self.consensus, &actor, service, what).await?;
        Ok(v1::RebalanceResponse::default())
    }

    /// Counts what would be moved, in parts, so that entries are applied in between.
    async fn dry_run(&self, service: &ServiceName) -> Result<v1::RebalanceResponse, Status> {
        let check = |state: &State| check_kind(state, service);
        let (_, checked) = self.reads.read(None, check).await?;
        checked?;
        let mut told = v1::RebalanceResponse::default();
        let mut nodes: BTreeMap<NodeId, (u64, u64)> = BTreeMap::new();
        let mut from: Option<ItemId> = None;
        loop {
            let look = |state: &State| {
                let ledger = state.ledger(service)?;
                Some(rebalance(ledger, &BTreeMap::new(), from, LOOK, usize::MAX))
            };
            let Some(moves) = self.consensus.reader().read(look) else {
                break;
            };
            told.looked += moves.looked;
            told.bytes += moves.bytes;
            told.moves += u64::try_from(moves.assign.len()).unwrap_or(u64::MAX);
            for assign in &moves.assign {
                nodes.entry(assign.to).or_default().0 += 1;
            }
            for leaves in &moves.leave {
                nodes.entry(leaves.to).or_default().1 += 1;
            }
            from = moves.next;
            if from.is_none() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let of_node =
            |(node, (comes, leaves)): (NodeId, (u64, u64))| v1::rebalance_response::OfNode {
                node: node.0,
                comes,
                leaves,
            };
        told.nodes = nodes.into_iter().map(of_node).collect();
        Ok(told)
    }

    pub(super) async fn empty(
        &self,
        request: v1::EmptyStoreRequest,
    ) -> Result<v1::EmptyStoreResponse, Status> {
        let (service, actor) = (service_name(&request.service)?, actor(&request.actor)?);
        let node = request.node;
        let node = node.ok_or_else(|| refusal::invalid("node: is missing"))?;
        let node =
            NodeRef::try_from(node).map_err(|error| refusal::invalid(error.within("node")))?;
        let find = |state: &State| {
            check_kind(state, &service)?;
            Ok::<_, Status>(state.find_node(&node).map(|node| node.id))
        };
        let (_, found) = self.reads.read(None, find).await?;
        let node = found?.ok_or_else(|| refusal::not_found(format!("node {node}")))?;
        let accept_loss = request.accept_loss;
        let what = CopiesCommand::Empty { node, accept_loss };
        let _done = command::on_copies(&self.consensus, &actor, service, what).await?;
        Ok(v1::EmptyStoreResponse {
            header: Some(self.header()),
        })
    }
}
