//! Calls of one server by the wire protocol: no retry, no following of the leader, every outcome told apart.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use tenure_core::{Command, Note, Reject, ServerId};
use tenure_proto::v1::refusal::Reason;
use tenure_proto::v1::{self, admin_client::AdminClient, discovery_client::DiscoveryClient};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

/// How long a call may take before its outcome counts as unknown.
pub const CALL_BOUND: Duration = Duration::from_secs(2);
const CHANGE_BOUND: Duration = Duration::from_secs(60);
const CONNECT_BOUND: Duration = Duration::from_secs(1);

/// How a call ended that gave no answer.
#[derive(Debug, Clone)]
pub enum CallError {
    /// The server was not reached: nothing happened.
    NotSent(String),
    /// The server said no, and why.
    Refused(Box<v1::Refusal>),
    /// The connection broke, or the answer was no answer of a server of ours. The outcome is unknown.
    Broken(String),
    /// No answer came in time. The outcome is unknown.
    NoAnswer(Duration),
}

impl CallError {
    /// Whether the call may have had its effect, or may yet have it.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::NotSent(_) => false,
            Self::Refused(refusal) => refusal.reason() == Reason::OutcomeUnknown,
            Self::Broken(_) | Self::NoAnswer(_) => true,
        }
    }

    /// The reject, when the command was committed and changed nothing.
    #[must_use]
    pub fn reject(&self) -> Option<Reject> {
        match self {
            Self::Refused(refusal) => Reject::try_from(refusal.reject.clone()?).ok(),
            Self::NotSent(_) | Self::Broken(_) | Self::NoAnswer(_) => None,
        }
    }

    /// The reason of a refusal.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused(refusal) => Some(refusal.reason()),
            Self::NotSent(_) | Self::Broken(_) | Self::NoAnswer(_) => None,
        }
    }

    /// The server that is to be asked instead.
    #[must_use]
    pub fn leader_hint(&self) -> Option<ServerId> {
        match self {
            Self::Refused(refusal) => Some(ServerId(refusal.leader.as_ref()?.id)),
            Self::NotSent(_) | Self::Broken(_) | Self::NoAnswer(_) => None,
        }
    }

    fn of(status: &Status) -> Self {
        if let Some(refusal) = tenure_proto::refusal::refusal(status) {
            return Self::Refused(Box::new(refusal));
        }
        if never_connected(status) {
            Self::NotSent(status.to_string())
        } else {
            Self::Broken(status.to_string())
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(why) => write!(f, "not reached: {why}"),
            Self::Refused(refusal) => {
                write!(f, "refused, {:?}: {}", refusal.reason(), refusal.detail)
            }
            Self::Broken(why) => write!(f, "the call broke: {why}"),
            Self::NoAnswer(bound) => write!(f, "no answer within {bound:?}"),
        }
    }
}

impl std::error::Error for CallError {}

fn never_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        let refused = error.downcast_ref::<std::io::Error>();
        if refused.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// How a read is to be answered.
#[must_use]
pub fn local(max_age: Duration) -> Option<v1::Consistency> {
    let ms = u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX);
    Some(v1::Consistency {
        local_max_age_ms: Some(ms),
    })
}

/// One server, over one connection that is opened by the first call. Clones share it.
#[derive(Clone, Debug)]
pub struct Calls {
    /// The server.
    pub server: ServerId,
    bound: Duration,
    admin: AdminClient<Channel>,
    discovery: DiscoveryClient<Channel>,
}

type Answer<T> = Result<T, CallError>;

async fn bounded<T>(
    bound: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Answer<T> {
    match tokio::time::timeout(bound, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(CallError::of(&status)),
        Err(_elapsed) => Err(CallError::NoAnswer(bound)),
    }
}

impl Calls {
    /// A server by its id and API address.
    ///
    /// # Panics
    /// When `api` is no `host:port`.
    #[must_use]
    pub fn new(server: ServerId, api: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{api}"));
        let endpoint = endpoint
            .expect("the address of a server under test is host:port")
            .connect_timeout(CONNECT_BOUND)
            .tcp_nodelay(true);
        let channel = tenure_proto::net::connect_lazy(&endpoint);
        Self {
            server,
            bound: CALL_BOUND,
            admin: AdminClient::new(channel.clone()),
            discovery: DiscoveryClient::new(channel),
        }
    }

    /// The same server with another bound for the time that a read or a command may take.
    #[must_use]
    pub fn within(&self, bound: Duration) -> Self {
        Self {
            bound,
            ..self.clone()
        }
    }

    /// The server's view of the group.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn raft_status(&self) -> Answer<v1::RaftStatusResponse> {
        let mut admin = self.admin.clone();
        bounded(
            self.bound,
            admin.raft_status(Request::new(v1::RaftStatusRequest {})),
        )
        .await
    }

    /// The digest of the server's own state.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn digest(&self) -> Answer<v1::DigestResponse> {
        let mut admin = self.admin.clone();
        bounded(
            CHANGE_BOUND,
            admin.digest(Request::new(v1::DigestRequest {})),
        )
        .await
    }

    /// Commits a command, with a request id or without.
    ///
    /// # Errors
    /// [`CallError`].
    ///
    /// # Panics
    /// When the command is one of those that servers keep for themselves.
    pub async fn execute(
        &self,
        command: &Command,
        request: Option<v1::RequestId>,
    ) -> Answer<v1::ExecuteResponse> {
        let command = v1::Command::try_from(command).expect("a command that clients may send");
        let request = v1::ExecuteRequest {
            request,
            actor: "test".to_owned(),
            command: Some(command),
        };
        let mut admin = self.admin.clone();
        bounded(self.bound, admin.execute(Request::new(request))).await
    }

    /// One instance.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn get_instance(
        &self,
        service: &str,
        node: u64,
        consistency: Option<v1::Consistency>,
    ) -> Answer<v1::GetInstanceResponse> {
        let node = v1::NodeRef {
            id: node,
            name: String::new(),
        };
        let request = v1::GetInstanceRequest {
            service: service.to_owned(),
            node: Some(node),
            consistency,
        };
        let mut discovery = self.discovery.clone();
        bounded(self.bound, discovery.get_instance(Request::new(request))).await
    }

    /// Adds a server to the group.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn add_server(&self, request: v1::AddServerRequest) -> Answer<v1::AddServerResponse> {
        let mut admin = self.admin.clone();
        bounded(CHANGE_BOUND, admin.add_server(Request::new(request))).await
    }

    /// Removes a server for good.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn remove_server(&self, id: u64) -> Answer<v1::RemoveServerResponse> {
        let mut admin = self.admin.clone();
        let request = Request::new(v1::RemoveServerRequest { id });
        bounded(CHANGE_BOUND, admin.remove_server(request)).await
    }

    /// Hands leadership over; 0 lets the leader choose.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn transfer_leader(&self, to: u64) -> Answer<v1::TransferLeaderResponse> {
        let mut admin = self.admin.clone();
        let request = Request::new(v1::TransferLeaderRequest { to });
        bounded(CHANGE_BOUND, admin.transfer_leader(request)).await
    }
}

/// A note of a test.
///
/// # Panics
/// When it has more bytes than a note may have.
#[must_use]
pub fn note(text: &str) -> Note {
    Note::new(text).expect("a short text without control characters")
}
