//! The answering end: takes what other servers send to the Raft core and sends back what it says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use openraft::errors::Infallible;
use openraft::errors::RaftError;
use openraft::raft::AppendEntriesRequest;
use tenure_proto::raft as pb;
use tenure_proto::raft::link_request::Body as Ask;
use tenure_proto::raft::link_response::Body as Answer;
use tenure_proto::raft::raft_server::{Raft as Rpc, RaftServer};
use tenure_storage::snapshot::SnapshotInbox;
use tenure_storage::types::TypeConfig;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::peers::{Links, Refusal};
use super::{APPEND_WINDOW, MESSAGE_MAX, Raft, relay, snapshot, wire};
use crate::consensus::{Unconfirmed, confirm};
use crate::exchange::Exchange;

/// How long the caller may take to say who it is.
const IDENTIFY_TIMEOUT: Duration = Duration::from_secs(2);
/// Answers that may wait to be written to one server.
const ANSWERS_MAX: usize = 1_024;

/// The Raft service of one server.
#[derive(Clone)]
pub(crate) struct Service {
    links: Arc<Links>,
    raft: Raft,
    inbox: SnapshotInbox,
    exchange: Arc<Exchange>,
}

impl Service {
    pub(crate) fn new(
        links: Arc<Links>,
        raft: Raft,
        inbox: SnapshotInbox,
        exchange: Arc<Exchange>,
    ) -> Service {
        Service {
            links,
            raft,
            inbox,
            exchange,
        }
    }

    /// The service with the limits of links between servers.
    pub(crate) fn into_server(self) -> RaftServer<Service> {
        RaftServer::new(self)
            .max_decoding_message_size(MESSAGE_MAX)
            .max_encoding_message_size(MESSAGE_MAX)
    }

    fn admit(&self, identity: Option<&pb::Identity>) -> Result<u64, Status> {
        self.links.check_caller(identity).map_err(|refusal| {
            let from = identity.map_or(0, |identity| identity.from);
            self.refuse(from, &refusal)
        })
    }

    fn refuse(&self, from: u64, refusal: &Refusal) -> Status {
        self.links
            .log_trouble(from, &format!("refused a caller: {refusal}"));
        Status::permission_denied(refusal.to_string())
    }
}

#[tonic::async_trait]
impl Rpc for Service {
    async fn hello(
        &self,
        request: Request<pb::HelloRequest>,
    ) -> Result<Response<pb::HelloResponse>, Status> {
        let identity = request.into_inner().identity;
        let identity = identity.ok_or_else(|| self.refuse(0, &Refusal::Nameless))?;
        self.links
            .check_addressed(&identity)
            .map_err(|refusal| self.refuse(identity.from, &refusal))?;
        let formed = self.raft.is_initialized().await.map_err(stopped)?;
        Ok(Response::new(self.links.describe(identity.from, formed)))
    }

    type LinkStream = ReceiverStream<Result<pb::LinkResponse, Status>>;

    async fn link(
        &self,
        request: Request<Streaming<pb::LinkRequest>>,
    ) -> Result<Response<Self::LinkStream>, Status> {
        let mut requests = request.into_inner();
        let first = timeout(IDENTIFY_TIMEOUT, requests.message())
            .await
            .map_err(|_| Status::deadline_exceeded("the caller did not say who it is"))??;
        let from = self.admit(first.and_then(|first| first.identity).as_ref())?;
        let (answers, queued) = mpsc::channel(ANSWERS_MAX);
        let session = Session {
            service: self.clone(),
            from,
            answers,
            appends: HashMap::new(),
        };
        tokio::spawn(session.run(requests));
        Ok(Response::new(ReceiverStream::new(queued)))
    }

    type RelayStream = relay::Answers;

    async fn relay(
        &self,
        request: Request<Streaming<pb::RelayUp>>,
    ) -> Result<Response<relay::Answers>, Status> {
        let mut ups = request.into_inner();
        let first = timeout(IDENTIFY_TIMEOUT, ups.message())
            .await
            .map_err(|_| Status::deadline_exceeded("the caller did not say who it is"))??;
        let from = self.admit(first.and_then(|first| first.identity).as_ref())?;
        let (links, exchange) = (self.links.clone(), self.exchange.clone());
        Ok(Response::new(relay::answer(links, exchange, from, ups)))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<pb::SnapshotChunk>>,
    ) -> Result<Response<pb::SnapshotResponse>, Status> {
        let mut chunks = request.into_inner();
        let start = snapshot::start(&mut chunks).await?;
        self.admit(start.identity.as_ref())?;
        let response = snapshot::receive(&self.raft, &self.inbox, start, chunks).await?;
        Ok(Response::new(response))
    }
}

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("consensus has stopped on this server: {error}"))
}

type Answers = mpsc::Sender<Result<pb::LinkResponse, Status>>;

/// What one server sends, for as long as its stream lasts.
struct Session {
    service: Service,
    from: u64,
    answers: Answers,
    /// Replication streams that were opened and not yet closed by the caller. One that has ended on
    /// this side stays, so that what was under way to it does not open another.
    appends: HashMap<u64, mpsc::Sender<AppendEntriesRequest<TypeConfig>>>,
}

impl Session {
    async fn run(mut self, mut requests: Streaming<pb::LinkRequest>) {
        let links = self.service.links.clone();
        let mut closed = std::pin::pin!(links.closed());
        loop {
            let request = tokio::select! {
                request = requests.message() => request,
                () = &mut closed => return,
            };
            let Ok(Some(request)) = request else { return };
            let call = request.call;
            let Some(body) = request.body else { continue };
            if let Err(why) = self.take(call, body) {
                answer(&self.answers, call, Answer::Failed(why)).await;
            }
        }
    }

    fn take(&mut self, call: u64, body: Ask) -> Result<(), String> {
        match body {
            Ask::Append(append) => self.append(call, append),
            Ask::Close(_) => {
                self.appends.remove(&call);
                Ok(())
            }
            Ask::Heartbeat(append) => {
                let request = wire::append(append).map_err(|error| error.to_string())?;
                let (raft, answers) = (self.service.raft.clone(), self.answers.clone());
                tokio::spawn(async move {
                    let body = heartbeat(&raft, request).await;
                    answer(&answers, call, body).await;
                });
                Ok(())
            }
            other @ (Ask::Vote(_) | Ask::PreVote(_) | Ask::Transfer(_) | Ask::ReadIndex(_)) => {
                self.service
                    .links
                    .check_known(self.from, None)
                    .map_err(|refusal| refusal.to_string())?;
                let (service, answers) = (self.service.clone(), self.answers.clone());
                tokio::spawn(async move {
                    let body = service
                        .answer_call(other)
                        .await
                        .unwrap_or_else(Answer::Failed);
                    answer(&answers, call, body).await;
                });
                Ok(())
            }
        }
    }

    fn append(&mut self, call: u64, append: pb::AppendRequest) -> Result<(), String> {
        let request = wire::append(append).map_err(|error| error.to_string())?;
        let stream = self.appends.entry(call).or_insert_with(|| {
            // The caller keeps to its window, so the channel is never full.
            let (sender, appends) = mpsc::channel(2 * APPEND_WINDOW);
            tokio::spawn(replicate(
                self.service.raft.clone(),
                call,
                appends,
                self.answers.clone(),
            ));
            sender
        });
        match stream.try_send(request) {
            // A stream that has ended has answered why.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(format!(
                "more than {} appends without an answer",
                2 * APPEND_WINDOW
            )),
        }
    }
}

async fn answer(answers: &Answers, call: u64, body: Answer) {
    let response = pb::LinkResponse {
        call,
        body: Some(body),
    };
    // A caller whose stream has ended waits for nothing.
    let _ended = answers.send(Ok(response)).await;
}

/// Runs one replication stream to its end.
async fn replicate(
    raft: Raft,
    call: u64,
    appends: mpsc::Receiver<AppendEntriesRequest<TypeConfig>>,
    answers: Answers,
) {
    let mut results = Box::pin(raft.stream_append(ReceiverStream::new(appends)));
    while let Some(result) = results.next().await {
        let body = match result {
            Ok(result) => Answer::Append(wire::append_result_to_wire(&result)),
            Err(fatal) => Answer::Failed(fatal.to_string()),
        };
        answer(&answers, call, body).await;
    }
}

async fn heartbeat(raft: &Raft, request: AppendEntriesRequest<TypeConfig>) -> Answer {
    let last = request
        .entries
        .last()
        .map(|entry| entry.log_id)
        .or(request.prev_log_id);
    let previous = request.prev_log_id;
    match raft.append_entries(request).await {
        // A conflict has a previous entry to conflict with.
        Ok(response) if response.is_conflict() && previous.is_none() => {
            Answer::Failed("a conflict with nothing".into())
        }
        Ok(response) => {
            let result = response.into_stream_result(previous, last);
            Answer::Append(wire::append_result_to_wire(&result))
        }
        Err(error) => Answer::Failed(error.to_string()),
    }
}

impl Service {
    async fn answer_call(&self, body: Ask) -> Result<Answer, String> {
        match body {
            Ask::Vote(request) => {
                let request = wire::vote_request(request).map_err(|error| error.to_string())?;
                // The leader itself gave up its lease to a transfer.
                if !request.leadership_transfer {
                    self.check_quiet()?;
                }
                let response = self.raft.vote(request).await.map_err(told)?;
                Ok(Answer::Vote(wire::vote_response_to_wire(&response)))
            }
            Ask::PreVote(request) => {
                self.check_quiet()?;
                let request = wire::vote_request(request).map_err(|error| error.to_string())?;
                let response = self.raft.pre_vote(request).await.map_err(told)?;
                Ok(Answer::Vote(wire::vote_response_to_wire(&response)))
            }
            Ask::Transfer(request) => {
                let request = wire::transfer(request).map_err(|error| error.to_string())?;
                let result = self
                    .raft
                    .handle_transfer_leader(request)
                    .await
                    .map_err(|error| error.to_string())?;
                Ok(Answer::Transfer(wire::transfer_result_to_wire(&result)))
            }
            Ask::ReadIndex(_) => match confirm(&self.raft).await {
                Ok(index) => Ok(Answer::ReadIndex(pb::ReadIndexResponse { index })),
                Err(Unconfirmed::Elsewhere(_)) => Err("it does not lead".into()),
                Err(Unconfirmed::NoQuorum(why) | Unconfirmed::Fatal(why)) => Err(why),
            },
            Ask::Append(_) | Ask::Heartbeat(_) | Ask::Close(_) => {
                Err("appends are not answered as calls".into())
            }
        }
    }

    fn check_quiet(&self) -> Result<(), String> {
        if self.links.is_quiet() {
            return Err("it has just started and votes for nobody yet".into());
        }
        Ok(())
    }
}

fn told(error: RaftError<TypeConfig, Infallible>) -> String {
    error.to_string()
}
