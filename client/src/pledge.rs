//! Pledges between agents: asking others to refuse promotion for a while, and being asked.

use crate::servers::connection;
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tenure_core::{Endpoint, PledgeRequest};
use tenure_proto::net::{self, Listener};
use tenure_proto::v1::{
    self,
    pledge_client::PledgeClient,
    pledge_server::{Pledge, PledgeServer},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tonic::{
    Request, Response, Status,
    transport::{Channel, Server},
};

/// Questions that were not taken yet; more are refused.
const QUESTIONS_MAX: usize = 64;

/// How long an answer may take. Whoever asks waits for less.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// How often an idle connection is asked whether it still lives, and how long it may take to say so.
const KEEPALIVE: Duration = Duration::from_millis(500);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(1);

/// Agents to whom a connection is kept.
const CONNECTIONS_MAX: usize = 1_024;

/// What other agents ask of this one. Dropping it ends their connections.
#[derive(Debug)]
pub struct Questions {
    address: SocketAddr,
    questions: mpsc::Receiver<Question>,
    _task: JoinSet<()>,
}

/// One question. Dropping it refuses.
#[derive(Debug)]
pub struct Question {
    /// What is asked.
    pub request: PledgeRequest,
    answer: oneshot::Sender<bool>,
}

impl Question {
    /// Answers it. Whoever asked may have stopped waiting.
    pub fn answer(self, pledged: bool) {
        let _gone = self.answer.send(pledged);
    }
}

/// Lets other agents ask at an address; port 0 takes a free one. Must be called within a runtime.
///
/// # Errors
/// What the system says when the address cannot be listened at; a retry helps when another process
/// holds it and goes.
pub async fn serve(listen: SocketAddr) -> io::Result<Questions> {
    let listener = Listener::bind(listen).await?;
    let address = listener.local_addr()?;
    let (ask, questions) = mpsc::channel(QUESTIONS_MAX);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let served = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
            .max_concurrent_streams(16)
            .add_service(PledgeServer::new(Asked { ask }))
            .serve_with_incoming(listener.incoming())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "other agents cannot ask for pledges any more");
        }
    });
    Ok(Questions {
        address,
        questions,
        _task: tasks,
    })
}

impl Questions {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next question. None when the runtime is shutting down. May be dropped and called again
    /// without losing anything.
    pub async fn next(&mut self) -> Option<Question> {
        self.questions.recv().await
    }
}

struct Asked {
    ask: mpsc::Sender<Question>,
}

#[tonic::async_trait]
impl Pledge for Asked {
    async fn ask(
        &self,
        request: Request<v1::PledgeRequest>,
    ) -> Result<Response<v1::PledgeResponse>, Status> {
        let request = PledgeRequest::try_from(request.into_inner());
        let request = request.map_err(|why| Status::invalid_argument(why.to_string()))?;
        let (answer, answered) = oneshot::channel();
        let asked = self.ask.try_send(Question { request, answer });
        asked.map_err(|_| Status::resource_exhausted("too many agents ask at once"))?;
        match tokio::time::timeout(ANSWER_WITHIN, answered).await {
            Ok(pledged) => {
                let pledged = pledged.unwrap_or(false);
                Ok(Response::new(v1::PledgeResponse { pledged }))
            }
            Err(_) => Err(Status::deadline_exceeded("the agent does not answer")),
        }
    }
}

/// Asks other agents, over connections that are kept.
#[derive(Debug, Default)]
pub struct Asker {
    connections: Mutex<BTreeMap<Endpoint, Channel>>,
}

impl Asker {
    /// One that has asked nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the agent there pledges. False when it refuses, and when no answer comes in time: it may
    /// have pledged then, which harms nobody. Where a quarter of the time passes without an answer the
    /// next question goes over another connection, and this one is still waited for. Must be called within
    /// a runtime.
    pub async fn ask(&self, agent: &Endpoint, request: &PledgeRequest, within: Duration) -> bool {
        let until = tokio::time::Instant::now() + within;
        let channel = self.connection(agent, within / 4);
        let mut client = PledgeClient::new(channel);
        let asked = client.ask(v1::PledgeRequest::from(request));
        tokio::pin!(asked);
        let early = tokio::time::timeout(within / 4, &mut asked).await;
        let answered = match early {
            Ok(answered) => Ok(answered),
            Err(_) => {
                self.forget(agent);
                tokio::time::timeout_at(until, asked).await
            }
        };
        match answered {
            Ok(Ok(answer)) => answer.into_inner().pledged,
            Ok(Err(why)) => {
                tracing::debug!(%agent, why = why.message(), "no pledge");
                self.forget(agent);
                false
            }
            Err(_) => false,
        }
    }

    fn connection(&self, agent: &Endpoint, within: Duration) -> Channel {
        let connections = self.connections.lock();
        let mut connections = connections.unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = connections.get(agent) {
            return channel.clone();
        }
        if connections.len() >= CONNECTIONS_MAX {
            connections.clear();
        }
        let target = connection(agent, within)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_ANSWER);
        let channel = net::connect_lazy(&target);
        connections.insert(agent.clone(), channel.clone());
        channel
    }

    /// The next question goes over a new connection: what is sent into one that was cut arrives late.
    fn forget(&self, agent: &Endpoint) {
        let connections = self.connections.lock();
        let mut connections = connections.unwrap_or_else(PoisonError::into_inner);
        connections.remove(agent);
    }
}
