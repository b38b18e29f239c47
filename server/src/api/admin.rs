//! Admin: change the state, look at the servers, change which servers there are.

use super::{command, operate::Desk, read::Reads, refusal};
use crate::consensus::{Consensus, GroupStatus, Peer, PeerStatus};
use crate::control::Control;
use tenure_core::{Endpoint, ServerId, State, Topology, topology};
use tenure_proto::{NotOnWire, v1};
use tonic::{Request, Response, Status};

/// Entries of history in an answer when the caller names no limit, and at the most.
const HISTORY_DEFAULT: usize = 100;
const HISTORY_MAX: usize = 10_000;

pub(super) struct Service {
    consensus: Consensus,
    reads: Reads,
    desk: Desk,
}

impl Service {
    pub(super) fn new(consensus: Consensus, control: Control, reads: Reads) -> Self {
        let desk = Desk::new(consensus.clone(), control, reads.clone());
        Self {
            consensus,
            reads,
            desk,
        }
    }

    fn peer(&self, request: &v1::AddServerRequest) -> Result<Peer, Status> {
        let endpoint = |field: &str, text: &str| {
            Endpoint::new(text).map_err(|why| refusal::invalid(format!("{field}: {why}")))
        };
        let raft = endpoint("raft", &request.raft)?.to_string();
        let api = endpoint("api", &request.api)?.to_string();
        Ok(Peer {
            id: server_id(request.id)?,
            raft,
            api,
        })
    }
}

fn server_id(id: u64) -> Result<ServerId, Status> {
    if id == 0 {
        return Err(refusal::invalid("id: servers are numbered from 1"));
    }
    Ok(ServerId(id))
}

fn server_state(status: PeerStatus) -> v1::ServerState {
    let PeerStatus {
        peer,
        voter,
        leader,
        lag,
    } = status;
    v1::ServerState {
        id: peer.id.0,
        raft: peer.raft,
        api: peer.api,
        voter,
        leader,
        lag,
    }
}

fn status(state: &State, group: GroupStatus, cluster: &str) -> v1::StatusResponse {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    v1::StatusResponse {
        header: None,
        cluster: cluster.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        leader: group.leader.map_or(0, |id| id.0),
        term: group.term,
        servers: group.servers.into_iter().map(server_state).collect(),
        findings: state.findings().iter().map(Into::into).collect(),
        nodes: count(
            state
                .nodes()
                .values()
                .filter(|node| node.is_present())
                .count(),
        ),
        services: count(state.services().len()),
        instances: count(state.instance_count()),
    }
}

#[tonic::async_trait]
impl v1::admin_server::Admin for Service {
    async fn execute(
        &self,
        request: Request<v1::ExecuteRequest>,
    ) -> Result<Response<v1::ExecuteResponse>, Status> {
        let done = command::execute(&self.consensus, request.into_inner()).await?;
        Ok(Response::new(done.into()))
    }

    async fn status(
        &self,
        request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        let group = self.consensus.group();
        let cluster = self.consensus.cluster();
        let look = |state: &State| status(state, group, cluster);
        let (header, status) = self
            .reads
            .read(request.into_inner().consistency, look)
            .await?;
        Ok(Response::new(v1::StatusResponse {
            header: Some(header),
            ..status
        }))
    }

    async fn plan(
        &self,
        request: Request<v1::PlanRequest>,
    ) -> Result<Response<v1::PlanResponse>, Status> {
        let v1::PlanRequest { topology, remove } = request.into_inner();
        let topology = topology.ok_or_else(|| refusal::invalid("topology: is missing"))?;
        let topology = Topology::try_from(topology).map_err(refusal::invalid)?;
        let plan = |state: &State| topology::plan(state, &topology, remove);
        let (header, plan) = self.reads.read(None, plan).await?;
        let steps = plan
            .steps
            .iter()
            .map(TryInto::try_into)
            .collect::<Result<_, NotOnWire>>();
        let steps = steps.map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(v1::PlanResponse {
            header: Some(header),
            steps,
            holds: plan.holds,
        }))
    }

    async fn history(
        &self,
        request: Request<v1::HistoryRequest>,
    ) -> Result<Response<v1::HistoryResponse>, Status> {
        let v1::HistoryRequest { limit, consistency } = request.into_inner();
        let limit = match usize::try_from(limit).unwrap_or(HISTORY_MAX) {
            0 => HISTORY_DEFAULT,
            some => some.min(HISTORY_MAX),
        };
        let latest = |state: &State| {
            let newest_first = state.history().values().rev().take(limit);
            newest_first.map(|entry| entry.as_ref().into()).collect()
        };
        let (header, entries) = self.reads.read(consistency, latest).await?;
        Ok(Response::new(v1::HistoryResponse {
            header: Some(header),
            entries,
        }))
    }

    async fn raft_status(
        &self,
        _request: Request<v1::RaftStatusRequest>,
    ) -> Result<Response<v1::RaftStatusResponse>, Status> {
        let group = self.consensus.group();
        Ok(Response::new(v1::RaftStatusResponse {
            server: self.consensus.id().0,
            role: group.role.to_string(),
            term: group.term,
            leader: group.leader.map_or(0, |id| id.0),
            last_log: group.last_log,
            committed: group.committed,
            applied: group.applied,
            checkpoint: group.snapshot,
            purged: group.purged,
            servers: group.servers.into_iter().map(server_state).collect(),
            pid: std::process::id(),
        }))
    }

    async fn add_server(
        &self,
        request: Request<v1::AddServerRequest>,
    ) -> Result<Response<v1::AddServerResponse>, Status> {
        let request = request.into_inner();
        let peer = self.peer(&request)?;
        let added = self.consensus.add_server(peer, request.learner).await;
        let voter = added.map_err(refusal::membership)?;
        Ok(Response::new(v1::AddServerResponse { voter }))
    }

    async fn remove_server(
        &self,
        request: Request<v1::RemoveServerRequest>,
    ) -> Result<Response<v1::RemoveServerResponse>, Status> {
        let id = server_id(request.into_inner().id)?;
        self.consensus
            .remove_server(id)
            .await
            .map_err(refusal::membership)?;
        Ok(Response::new(v1::RemoveServerResponse {}))
    }

    async fn transfer_leader(
        &self,
        request: Request<v1::TransferLeaderRequest>,
    ) -> Result<Response<v1::TransferLeaderResponse>, Status> {
        let to = match request.into_inner().to {
            0 => None,
            id => Some(ServerId(id)),
        };
        let leader = self
            .consensus
            .transfer_leader(to)
            .await
            .map_err(refusal::membership)?;
        Ok(Response::new(v1::TransferLeaderResponse {
            leader: leader.0,
        }))
    }

    async fn digest(
        &self,
        _request: Request<v1::DigestRequest>,
    ) -> Result<Response<v1::DigestResponse>, Status> {
        let reader = self.consensus.reader().clone();
        let digest = tenure_storage::work::beside(move || reader.digest()).await;
        let digest = digest.map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(v1::DigestResponse {
            server: self.consensus.id().0,
            applied: digest.applied.0,
            revision: digest.revision.0,
            digest: digest.digest.to_string(),
        }))
    }

    async fn checkpoint(
        &self,
        _request: Request<v1::CheckpointRequest>,
    ) -> Result<Response<v1::CheckpointResponse>, Status> {
        let applied = self.consensus.checkpoint().await;
        let applied = applied
            .map_err(|why| Status::internal(format!("the checkpoint was not written: {why}")))?;
        Ok(Response::new(v1::CheckpointResponse { applied: applied.0 }))
    }

    async fn switchover(
        &self,
        request: Request<v1::SwitchoverRequest>,
    ) -> Result<Response<v1::MovedResponse>, Status> {
        let moved = self.desk.switchover(request.into_inner()).await;
        moved.map(Response::new)
    }

    async fn failover(
        &self,
        request: Request<v1::FailoverRequest>,
    ) -> Result<Response<v1::MovedResponse>, Status> {
        let moved = self.desk.failover(request.into_inner()).await;
        moved.map(Response::new)
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        let explained = self.desk.explain(request.into_inner()).await;
        explained.map(Response::new)
    }

    async fn what_if(
        &self,
        request: Request<v1::WhatIfRequest>,
    ) -> Result<Response<v1::WhatIfResponse>, Status> {
        let forecast = self.desk.what_if(request.into_inner()).await;
        forecast.map(Response::new)
    }

    async fn receipts(
        &self,
        request: Request<v1::ReceiptsRequest>,
    ) -> Result<Response<v1::ReceiptsResponse>, Status> {
        let receipts = self.desk.receipts(request.into_inner()).await;
        receipts.map(Response::new)
    }
}
