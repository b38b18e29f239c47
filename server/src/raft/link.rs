//! The calling end of the stream to another server: connects when needed, multiplexes calls by
//! number, and fails them in time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tenure_proto::raft as pb;
use tenure_proto::raft::link_request::Body as Ask;
use tenure_proto::raft::link_response::Body as Answer;
use tenure_proto::raft::raft_client::RaftClient;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::dial;
use super::peers::Links;

/// Why a call to another server failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum LinkError {
    /// There is no connection, or it broke.
    #[error("not reached: {0}")]
    Unreachable(String),
    /// One of the two ends will not talk to the other.
    #[error("refused: {0}")]
    Refused(String),
    /// No answer came in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// It answered that it could not.
    #[error("it answered: {0}")]
    Failed(String),
}

impl LinkError {
    /// An answer of another kind than the question.
    pub(super) fn unexpected(answer: &Answer) -> LinkError {
        match answer {
            Answer::Failed(why) => LinkError::Failed(why.clone()),
            Answer::Append(_) | Answer::Vote(_) | Answer::ReadIndex(_) | Answer::Transfer(_) => {
                LinkError::Failed("an answer to another question".into())
            }
        }
    }
}

/// Messages that may wait to be written.
const OUTGOING_MAX: usize = 1_024;
/// Pause after the first failed attempt to connect; it doubles with each further one.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
/// The longest pause between attempts.
const BACKOFF_MAX: Duration = Duration::from_millis(500);
/// The longest pause where the other end said no: only people can change that.
const BACKOFF_REFUSED: Duration = Duration::from_secs(2);

#[derive(Clone)]
enum State {
    Idle,
    Dialing,
    Up(Arc<Connection>),
    Down {
        until: Instant,
        failures: u32,
        why: LinkError,
    },
}

/// The way to one server at one address.
pub(crate) struct Link {
    /// Not kept alive from here: it is what keeps this link.
    links: Weak<Links>,
    target: u64,
    address: String,
    state: watch::Sender<State>,
}

impl Link {
    pub(super) fn new(links: Weak<Links>, target: u64, address: String) -> Arc<Link> {
        Arc::new(Link {
            links,
            target,
            address,
            state: watch::Sender::new(State::Idle),
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Up(connection) if !connection.is_closed())
    }

    /// The highest feature level that the other end understands, while the stream is open.
    pub(super) fn level(&self) -> Option<u32> {
        match &*self.state.borrow() {
            State::Up(connection) if !connection.is_closed() => Some(connection.level),
            State::Up(_) | State::Idle | State::Dialing | State::Down { .. } => None,
        }
    }

    /// Who this server is, to the other end.
    pub(super) fn identity(&self) -> Result<pb::Identity, LinkError> {
        Ok(self.links()?.identity(self.target))
    }

    fn links(&self) -> Result<Arc<Links>, LinkError> {
        self.links
            .upgrade()
            .ok_or_else(|| LinkError::Unreachable("this server has stopped".into()))
    }

    /// The open connection; opens one when there is none and the pause after the last failure is over.
    pub(super) async fn connection(self: &Arc<Self>) -> Result<Arc<Connection>, LinkError> {
        let mut changes = self.state.subscribe();
        loop {
            if let Some(failures) = self.claim_dialing() {
                let link = self.clone();
                tokio::spawn(async move { link.dial(failures).await });
            }
            let state = changes.borrow_and_update().clone();
            match state {
                State::Up(connection) => return Ok(connection),
                State::Down { why, .. } => return Err(why),
                State::Idle | State::Dialing => {}
            }
            if changes.changed().await.is_err() {
                return Err(LinkError::Unreachable("the link was closed".into()));
            }
        }
    }

    /// Becomes the one that dials, if somebody should. Answers how often it has failed so far.
    fn claim_dialing(&self) -> Option<u32> {
        let mut claimed = None;
        self.state.send_if_modified(|state| {
            let failures = match state {
                State::Idle => 0,
                State::Up(connection) if connection.is_closed() => 0,
                State::Down {
                    until, failures, ..
                } if *until <= Instant::now() => *failures,
                State::Up(_) | State::Down { .. } | State::Dialing => return false,
            };
            *state = State::Dialing;
            claimed = Some(failures);
            true
        });
        claimed
    }

    async fn dial(self: Arc<Self>, failures: u32) {
        let Ok(links) = self.links() else { return };
        let next = match self.open(&links).await {
            Ok(connection) => {
                links.log_recovery(self.target);
                State::Up(connection)
            }
            Err(why) => {
                links.log_trouble(self.target, &why.to_string());
                let longest = match why {
                    LinkError::Refused(_) => BACKOFF_REFUSED,
                    LinkError::Unreachable(_) | LinkError::TimedOut(_) | LinkError::Failed(_) => {
                        BACKOFF_MAX
                    }
                };
                let pause = BACKOFF_MIN
                    .saturating_mul(1 << failures.min(16))
                    .min(longest);
                State::Down {
                    until: Instant::now() + pause,
                    failures: failures + 1,
                    why,
                }
            }
        };
        let up = matches!(next, State::Up(_));
        self.state.send_replace(next);
        if up {
            links.is_now_up();
        }
    }

    async fn open(&self, links: &Links) -> Result<Arc<Connection>, LinkError> {
        let (mut client, hello) = dial::hello(links, self.target, &self.address).await?;
        let (outgoing, queued) = mpsc::channel(OUTGOING_MAX);
        let first = pb::LinkRequest {
            identity: Some(links.identity(self.target)),
            call: 0,
            body: None,
        };
        outgoing
            .try_send(first)
            .map_err(|error| LinkError::Unreachable(error.to_string()))?;
        let opened = timeout(OPEN_TIMEOUT, client.link(ReceiverStream::new(queued)))
            .await
            .map_err(|_| LinkError::TimedOut(OPEN_TIMEOUT))?
            .map_err(|status| dial::refused(&self.address, &status))?;
        let connection = Arc::new(Connection {
            outgoing,
            calls: Mutex::new(Some(HashMap::new())),
            next: AtomicU64::new(1),
            client,
            level: hello.feature_level,
        });
        tokio::spawn(receive(Arc::downgrade(&connection), opened.into_inner()));
        Ok(connection)
    }

    /// Asks one question and waits for its answer, at most for `ttl`.
    pub(crate) async fn call(
        self: &Arc<Self>,
        body: Ask,
        ttl: Duration,
    ) -> Result<Answer, LinkError> {
        let ask = async {
            let connection = self.connection().await?;
            let (sender, answer) = oneshot::channel();
            let call = connection.register(Waiting::Once(sender))?;
            connection.send(call.number, body).await?;
            answer.await.map_err(|_| broken())
        };
        timeout(ttl, ask)
            .await
            .map_err(|_| LinkError::TimedOut(ttl))?
    }
}

/// How long the other end may take to accept the stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(1);

fn broken() -> LinkError {
    LinkError::Unreachable("the connection broke".into())
}

/// Who waits for the answers to a call.
enum Waiting {
    Once(oneshot::Sender<Answer>),
    Appends(mpsc::UnboundedSender<Answer>),
}

/// An open stream to another server.
pub(super) struct Connection {
    outgoing: mpsc::Sender<pb::LinkRequest>,
    /// None once the stream has ended.
    calls: Mutex<Option<HashMap<u64, Waiting>>>,
    next: AtomicU64,
    client: RaftClient<Channel>,
    level: u32,
}

impl Connection {
    /// For calls beside the stream.
    pub(super) fn client(&self) -> RaftClient<Channel> {
        self.client.clone()
    }

    fn calls(&self) -> MutexGuard<'_, Option<HashMap<u64, Waiting>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        self.calls().is_none()
    }

    fn register(self: &Arc<Self>, waiting: Waiting) -> Result<Call, LinkError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        match self.calls().as_mut() {
            Some(calls) => calls.insert(number, waiting),
            None => return Err(broken()),
        };
        Ok(Call {
            connection: self.clone(),
            number,
        })
    }

    async fn send(&self, call: u64, body: Ask) -> Result<(), LinkError> {
        let request = pb::LinkRequest {
            identity: None,
            call,
            body: Some(body),
        };
        self.outgoing.send(request).await.map_err(|_| broken())
    }

    /// Opens an ordered, pipelined stream of appends.
    pub(super) fn appends(self: &Arc<Self>) -> Result<Appends, LinkError> {
        let (sender, answers) = mpsc::unbounded_channel();
        let call = self.register(Waiting::Appends(sender))?;
        Ok(Appends { call, answers })
    }

    fn deliver(&self, response: pb::LinkResponse) {
        let Some(body) = response.body else {
            return;
        };
        let mut calls = self.calls();
        let Some(calls) = calls.as_mut() else {
            return;
        };
        match calls.get(&response.call) {
            Some(Waiting::Appends(sender)) => {
                // Whoever dropped the receiver wants no answers.
                let _gone = sender.send(body);
            }
            Some(Waiting::Once(_)) => {
                if let Some(Waiting::Once(sender)) = calls.remove(&response.call) {
                    let _gone = sender.send(body);
                }
            }
            None => {}
        }
    }
}

/// Delivers answers until the stream ends, and then fails what is still open. Does not keep the
/// connection: when nobody uses it any more its sending half ends, and with it the stream.
async fn receive(connection: Weak<Connection>, mut stream: Streaming<pb::LinkResponse>) {
    while let Ok(Some(response)) = stream.message().await {
        match connection.upgrade() {
            Some(connection) => connection.deliver(response),
            None => return,
        }
    }
    if let Some(connection) = connection.upgrade() {
        connection.calls().take();
    }
}

/// A call that waits for answers until it is dropped.
struct Call {
    connection: Arc<Connection>,
    number: u64,
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(calls) = self.connection.calls().as_mut() {
            calls.remove(&self.number);
        }
    }
}

/// An ordered, pipelined stream of appends to one server.
pub(super) struct Appends {
    call: Call,
    answers: mpsc::UnboundedReceiver<Answer>,
}

impl Appends {
    pub(super) async fn send(&self, append: pb::AppendRequest) -> Result<(), LinkError> {
        self.call
            .connection
            .send(self.call.number, Ask::Append(append))
            .await
    }

    /// The next answer, in the order of the appends.
    pub(super) async fn answer(&mut self) -> Result<pb::AppendResponse, LinkError> {
        match self.answers.recv().await {
            Some(Answer::Append(answer)) => Ok(answer),
            Some(other) => Err(LinkError::unexpected(&other)),
            None => Err(broken()),
        }
    }
}

impl Drop for Appends {
    fn drop(&mut self) {
        let close = pb::LinkRequest {
            identity: None,
            call: self.call.number,
            body: Some(Ask::Close(true)),
        };
        // The other end keeps an entry per stream until it is closed, so a full queue is waited for.
        if let Err(mpsc::error::TrySendError::Full(close)) =
            self.call.connection.outgoing.try_send(close)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let outgoing = self.call.connection.outgoing.clone();
            runtime.spawn(async move {
                let _broken = outgoing.send(close).await;
            });
        }
    }
}
