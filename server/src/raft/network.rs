//! openraft's network traits on top of links.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use openraft::errors::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{
    Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption,
    RPCTypes, RaftNetworkFactory,
};
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use tenure_proto::raft as pb;
use tenure_proto::raft::link_request::Body as Ask;
use tenure_proto::raft::link_response::Body as Answer;
use tenure_storage::types::{ServerAddr, ServerId, TypeConfig, Vote};

use super::ends::Ends;
use super::link::{Appends, Link, LinkError};
use super::peers::Links;
use super::{APPEND_BYTES, APPEND_WINDOW, snapshot, wire};

type Rpc<T> = Result<T, RPCError<TypeConfig>>;
type AppendResult = Rpc<StreamAppendResult<TypeConfig>>;

/// Makes the ways to other servers.
pub(crate) struct Network {
    links: Arc<Links>,
}

impl Network {
    pub(crate) fn new(links: Arc<Links>) -> Network {
        Network { links }
    }

    fn way(&self, target: ServerId, address: &ServerAddr, purpose: Purpose) -> Way {
        Way {
            own: self.links.id(),
            links: self.links.clone(),
            target,
            link: self.links.link(target, &address.raft),
            purpose,
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Way;

    async fn new_client(&mut self, target: ServerId, node: &ServerAddr) -> Way {
        self.way(target, node, Purpose::Calls)
    }

    async fn new_heartbeat_client(&mut self, target: ServerId, node: &ServerAddr) -> Way {
        self.way(target, node, Purpose::Heartbeats)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Calls,
    /// Each stream of appends is a single, empty one.
    Heartbeats,
}

/// The way to one server.
pub(crate) struct Way {
    own: ServerId,
    links: Arc<Links>,
    target: ServerId,
    link: Arc<Link>,
    purpose: Purpose,
}

impl Way {
    fn error(&self, error: LinkError, action: RPCTypes) -> RPCError<TypeConfig> {
        match error {
            LinkError::TimedOut(timeout) => RPCError::Timeout(Timeout {
                action,
                id: self.own,
                target: self.target,
                timeout,
            }),
            LinkError::Unreachable(_) | LinkError::Refused(_) => {
                RPCError::Unreachable(Unreachable::new(&error))
            }
            LinkError::Failed(_) => RPCError::Network(NetworkError::new(&error)),
        }
    }

    async fn call(&self, body: Ask, ttl: Duration, action: RPCTypes) -> Rpc<Answer> {
        self.link
            .call(body, ttl)
            .await
            .map_err(|error| self.error(error, action))
    }

    /// A server that has just started has forgotten whose lease it had confirmed, and its own vote for
    /// itself counts too: so it asks for none, either.
    fn check_quiet(&self, request: &VoteRequest<TypeConfig>) -> Rpc<()> {
        if request.leadership_transfer || !self.links.is_quiet() {
            return Ok(());
        }
        let why = "this server has just started and asks for no votes yet";
        let error = LinkError::Unreachable(why.into());
        Err(self.error(error, RPCTypes::Vote))
    }

    async fn ask_vote(&self, body: Ask, ttl: Duration) -> Rpc<VoteResponse<TypeConfig>> {
        let answer = self.call(body, ttl, RPCTypes::Vote).await?;
        let Answer::Vote(answer) = answer else {
            return Err(self.error(LinkError::unexpected(&answer), RPCTypes::Vote));
        };
        wire::vote_response(answer).map_err(|error| malformed(&error))
    }

    async fn heartbeat(
        &self,
        request: AppendEntriesRequest<TypeConfig>,
        ttl: Duration,
    ) -> AppendResult {
        let body = Ask::Heartbeat(wire::append_to_wire(request));
        let answer = self.call(body, ttl, RPCTypes::AppendEntries).await?;
        let Answer::Append(answer) = answer else {
            return Err(self.error(LinkError::unexpected(&answer), RPCTypes::AppendEntries));
        };
        wire::append_result(answer).map_err(|error| malformed(&error))
    }
}

fn malformed(error: &wire::Malformed) -> RPCError<TypeConfig> {
    RPCError::Unreachable(Unreachable::new(error))
}

impl NetBackoff<TypeConfig> for Way {
    fn backoff(&self) -> Option<Backoff> {
        None
    }
}

impl NetVote<TypeConfig> for Way {
    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<VoteResponse<TypeConfig>> {
        self.check_quiet(&rpc)?;
        let body = Ask::Vote(wire::vote_request_to_wire(&rpc));
        self.ask_vote(body, option.hard_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<VoteResponse<TypeConfig>> {
        self.check_quiet(&rpc)?;
        let body = Ask::PreVote(wire::vote_request_to_wire(&rpc));
        self.ask_vote(body, option.hard_ttl()).await
    }
}

impl NetTransferLeader<TypeConfig> for Way {
    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<TransferLeaderResponse<TypeConfig>> {
        let body = Ask::Transfer(wire::transfer_to_wire(&req));
        let answer = self
            .call(body, option.hard_ttl(), RPCTypes::TransferLeader)
            .await?;
        let Answer::Transfer(answer) = answer else {
            return Err(self.error(LinkError::unexpected(&answer), RPCTypes::TransferLeader));
        };
        wire::transfer_result(answer, &req).map_err(|error| malformed(&error))
    }
}

impl NetSnapshot<TypeConfig> for Way {
    type SnapshotData = snapshot::Data;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: snapshot::Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = snapshot::send(&self.link, vote, snapshot, option.hard_ttl()) => {
                sent.map_err(|error| match self.error(error, RPCTypes::InstallSnapshot) {
                    RPCError::Timeout(error) => StreamingError::Timeout(error),
                    RPCError::Unreachable(error) => StreamingError::Unreachable(error),
                    RPCError::Network(error) => StreamingError::Network(error),
                })
            }
        }
    }
}

impl NetStreamAppend<TypeConfig> for Way {
    fn stream_append<'s, S>(
        &'s mut self,
        mut input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Rpc<BoxStream<'s, AppendResult>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
    {
        Box::pin(async move {
            // Taken before the connection is looked for: openraft makes its pause after a failure
            // while it is asked for the first request.
            let Some(first) = input.next().await else {
                return Ok(stream::empty().boxed());
            };
            if self.purpose == Purpose::Heartbeats {
                let result = self.heartbeat(first, option.hard_ttl()).await;
                return Ok(stream::once(async move { result }).boxed());
            }
            let opened = async { self.link.connection().await?.appends() };
            let appends = opened
                .await
                .map_err(|error| self.error(error, RPCTypes::AppendEntries))?;
            let mut pump = Pump {
                way: self,
                input: Some(input),
                parts: VecDeque::new(),
                appends: Some(appends),
                ends: Ends::default(),
            };
            pump.take(first);
            Ok(stream::unfold(pump, Pump::step).boxed())
        })
    }
}

/// Sends appends as they come and hands on answers as they come, in one task.
struct Pump<'s, S> {
    way: &'s Way,
    /// None once openraft has no more to send.
    input: Option<S>,
    /// Parts of an append that are still to be sent.
    parts: VecDeque<pb::AppendRequest>,
    /// None once the stream has failed, or was ended by an answer.
    appends: Option<Appends>,
    /// Of everything that was taken and is not answered, sent or not.
    ends: Ends,
}

impl<S> Pump<'_, S>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin,
{
    async fn step(mut self) -> Option<(AppendResult, Self)> {
        loop {
            let result = match self.next_answer().await? {
                Ok(answer) => wire::append_result(answer).map_err(|error| malformed(&error)),
                Err(error) => Err(self.way.error(error, RPCTypes::AppendEntries)),
            };
            if !matches!(result, Ok(Ok(_))) {
                self.appends = None;
                return Some((result, self));
            }
            if self.ends.answered() {
                return Some((result, self));
            }
        }
    }

    fn take(&mut self, request: AppendEntriesRequest<TypeConfig>) {
        for part in wire::split(request, APPEND_BYTES) {
            self.ends.taken(&part);
            self.parts.push_back(wire::append_to_wire(part));
        }
    }

    /// Sends until an answer comes; what is neither answered nor still to be sent is on its way. None when everything was answered and no more is to come.
    async fn next_answer(&mut self) -> Option<Result<pb::AppendResponse, LinkError>> {
        loop {
            let appends = self.appends.as_mut()?;
            let unanswered = self.ends.len() - self.parts.len();
            let may_send = unanswered < APPEND_WINDOW;
            if may_send && let Some(part) = self.parts.pop_front() {
                if let Err(error) = appends.send(part).await {
                    return Some(Err(error));
                }
                continue;
            }
            if self.input.is_none() && unanswered == 0 {
                return None;
            }
            tokio::select! {
                biased;
                answer = appends.answer(), if unanswered > 0 => return Some(answer),
                request = next(&mut self.input), if may_send => match request {
                    Some(request) => self.take(request),
                    None => self.input = None,
                },
            }
        }
    }
}

/// The next item; never, once the input has ended.
async fn next<S: Stream + Unpin>(input: &mut Option<S>) -> Option<S::Item> {
    match input {
        Some(input) => input.next().await,
        None => std::future::pending().await,
    }
}
