//! The Admin service of a fake server.

use super::{Mishap, Server, id};
use tenure_core::{Command, Done, NodeName, Outcome, RequestId};
use tenure_proto::{
    refusal,
    v1::{self, admin_server::Admin},
};
use tonic::{Code, Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

enum Then {
    Answer(Outcome),
    Lose,
    Hang,
}

impl Server {
    /// What comes of a command that reached this server.
    fn meet(&self, request: v1::ExecuteRequest) -> Result<Then, Status> {
        let mut inner = self.shared.lock();
        inner.executed_at.push(self.at);
        if inner.leader != Some(self.at) {
            return Err(self.shared.not_leader(&mut inner));
        }
        let invalid = |why: tenure_proto::ParseError| Status::invalid_argument(why.to_string());
        let wire = request
            .command
            .ok_or_else(|| Status::invalid_argument("no command"))?;
        let command = Command::try_from(wire).map_err(invalid)?;
        let id = request
            .request
            .map(RequestId::try_from)
            .transpose()
            .map_err(invalid)?;
        if command == Command::OpenClient {
            return Ok(Then::Answer(inner.apply(command, id)));
        }
        inner.requests.push(id);
        match inner.mishaps.pop_front() {
            None if inner.lose_every_answer => {
                drop(inner.apply(command, id));
                Ok(Then::Lose)
            }
            None => Ok(Then::Answer(inner.apply(command, id))),
            Some(Mishap::LoseAnswer) => {
                drop(inner.apply(command, id));
                Ok(Then::Lose)
            }
            Some(Mishap::LoseRequest) => Ok(Then::Lose),
            Some(Mishap::ApplyAndHang) => {
                drop(inner.apply(command, id));
                Ok(Then::Hang)
            }
            Some(Mishap::Refuse(code, refusal)) => Err(refusal::status(code, *refusal)),
        }
    }

    /// A primary is asked to be moved; the test has written down what comes of it.
    fn moved(&self, asked: String) -> Answer<v1::MovedResponse> {
        let mut inner = self.shared.lock();
        if inner.leader != Some(self.at) {
            return Err(self.shared.not_leader(&mut inner));
        }
        inner.asked_to_move.push(asked);
        let answer = inner.moves.pop_front();
        answer
            .expect("the test has written it down")
            .map(Response::new)
    }

    /// A change of the servers, whose answer is always lost.
    fn change_servers<T>(&self) -> Answer<T> {
        let mut inner = self.shared.lock();
        if inner.leader != Some(self.at) {
            return Err(self.shared.not_leader(&mut inner));
        }
        inner.membership_calls += 1;
        Err(Status::unavailable("the connection broke"))
    }
}

#[tonic::async_trait]
impl Admin for Server {
    async fn execute(&self, request: Request<v1::ExecuteRequest>) -> Answer<v1::ExecuteResponse> {
        match self.meet(request.into_inner())? {
            Then::Answer(Outcome::Answered { .. }) => {
                Err(Status::internal("no answer to this call"))
            }
            Then::Answer(Outcome::Done(done)) => Ok(Response::new(Done::into(done))),
            Then::Answer(Outcome::Rejected(reject)) => Err(refusal::status(
                Code::FailedPrecondition,
                refusal::rejected(&reject),
            )),
            Then::Lose => Err(Status::unavailable("the connection broke")),
            Then::Hang => std::future::pending().await,
        }
    }

    async fn status(&self, _: Request<v1::StatusRequest>) -> Answer<v1::StatusResponse> {
        let inner = self.shared.lock();
        let leader = inner.leader.map_or(0, |at| id(at).0);
        let finding = v1::Finding {
            severity: v1::Severity::Warning.into(),
            subject: "node a".to_owned(),
            what: "is draining".to_owned(),
        };
        Ok(Response::new(v1::StatusResponse {
            header: Some(inner.header(self.at)),
            leader,
            findings: vec![finding],
            ..v1::StatusResponse::default()
        }))
    }

    async fn plan(&self, request: Request<v1::PlanRequest>) -> Answer<v1::PlanResponse> {
        let wanted = request.into_inner().topology.unwrap_or_default();
        let step = |node: v1::topology::Node| {
            let name = NodeName::new(&node.name).unwrap();
            let command = Command::RemoveNode {
                node: tenure_core::NodeRef::Name(name),
                expected: tenure_core::Revision(1),
                reason: tenure_core::Note::default(),
            };
            v1::plan_response::Step {
                what: format!("remove {}", node.name),
                command: Some((&command).try_into().unwrap()),
            }
        };
        Ok(Response::new(v1::PlanResponse {
            header: Some(self.shared.lock().header(self.at)),
            steps: wanted.nodes.into_iter().map(step).collect(),
            holds: vec!["a hold".to_owned()],
        }))
    }

    async fn history(&self, request: Request<v1::HistoryRequest>) -> Answer<v1::HistoryResponse> {
        let inner = self.shared.lock();
        let limit = usize::try_from(request.into_inner().limit).unwrap();
        let newest = inner.state.history().values().rev().take(limit);
        Ok(Response::new(v1::HistoryResponse {
            header: Some(inner.header(self.at)),
            entries: newest.map(|entry| entry.as_ref().into()).collect(),
        }))
    }

    async fn raft_status(
        &self,
        _: Request<v1::RaftStatusRequest>,
    ) -> Answer<v1::RaftStatusResponse> {
        Ok(Response::new(v1::RaftStatusResponse {
            server: id(self.at).0,
            role: "follower".to_owned(),
            // Nobody is named, so that the client has to find the leader by its answers.
            leader: 0,
            ..v1::RaftStatusResponse::default()
        }))
    }

    async fn add_server(&self, _: Request<v1::AddServerRequest>) -> Answer<v1::AddServerResponse> {
        self.change_servers()
    }

    async fn remove_server(
        &self,
        _: Request<v1::RemoveServerRequest>,
    ) -> Answer<v1::RemoveServerResponse> {
        self.change_servers()
    }

    async fn transfer_leader(
        &self,
        request: Request<v1::TransferLeaderRequest>,
    ) -> Answer<v1::TransferLeaderResponse> {
        let mut inner = self.shared.lock();
        if inner.leader != Some(self.at) {
            return Err(self.shared.not_leader(&mut inner));
        }
        let to = request.into_inner().to;
        inner.leader = (0..self.shared.apis.len()).find(|at| id(*at).0 == to);
        Ok(Response::new(v1::TransferLeaderResponse { leader: to }))
    }

    async fn digest(&self, _: Request<v1::DigestRequest>) -> Answer<v1::DigestResponse> {
        Ok(Response::new(v1::DigestResponse {
            server: id(self.at).0,
            applied: 3,
            revision: 2,
            digest: "d".to_owned(),
        }))
    }

    async fn checkpoint(
        &self,
        _: Request<v1::CheckpointRequest>,
    ) -> Answer<v1::CheckpointResponse> {
        Err(Status::internal(
            "the checkpoint was not written: the disk is full",
        ))
    }

    async fn switchover(
        &self,
        request: Request<v1::SwitchoverRequest>,
    ) -> Answer<v1::MovedResponse> {
        let request = request.into_inner();
        self.moved(format!("{} by {}", request.service, request.actor))
    }

    async fn failover(&self, request: Request<v1::FailoverRequest>) -> Answer<v1::MovedResponse> {
        let request = request.into_inner();
        let (loss, fenced) = (request.accept_loss, request.fenced);
        self.moved(format!("{} loss {loss} fenced {fenced}", request.service))
    }

    async fn explain(&self, request: Request<v1::ExplainRequest>) -> Answer<v1::ExplainResponse> {
        let mut inner = self.shared.lock();
        if inner.leader != Some(self.at) {
            return Err(self.shared.not_leader(&mut inner));
        }
        let asked = format!("asked for {}", request.into_inner().service);
        let mut answer = inner.explained.clone();
        answer.facts.push(asked);
        Ok(Response::new(answer))
    }

    async fn what_if(&self, _: Request<v1::WhatIfRequest>) -> Answer<v1::WhatIfResponse> {
        let mut inner = self.shared.lock();
        if inner.leader != Some(self.at) {
            return Err(self.shared.not_leader(&mut inner));
        }
        Ok(Response::new(inner.foreseen.clone()))
    }

    async fn receipts(
        &self,
        request: Request<v1::ReceiptsRequest>,
    ) -> Answer<v1::ReceiptsResponse> {
        let inner = self.shared.lock();
        let request = request.into_inner();
        let limit = usize::try_from(request.limit).unwrap();
        let wanted = inner
            .receipts
            .iter()
            .filter(|receipt| request.service.is_empty() || request.service == receipt.service);
        Ok(Response::new(v1::ReceiptsResponse {
            header: Some(inner.header(self.at)),
            receipts: wanted.take(limit).cloned().collect(),
        }))
    }
}
