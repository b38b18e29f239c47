//! A cluster in this process: servers that share one real state and answer over real connections,
//! and that misbehave as a test tells them to.
#![allow(dead_code, reason = "each test binary uses a part of it")]

mod admin;
mod discovery;
pub mod script;
pub mod session;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tenure_core::{
    Command, Endpoint, Envelope, LogIndex, Note, Outcome, RequestId, ServerId, State, Timestamp,
};
use tenure_proto::{
    refusal,
    v1::{
        self, admin_server::AdminServer, discovery_server::DiscoveryServer,
        session_server::SessionServer,
    },
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;

/// What the next command meets at the server that would apply it.
#[derive(Debug)]
pub enum Mishap {
    /// It is applied, and the answer is lost.
    LoseAnswer,
    /// It is lost, without an answer.
    LoseRequest,
    /// It is applied, and nothing is ever answered.
    ApplyAndHang,
    /// It is refused.
    Refuse(tonic::Code, Box<v1::Refusal>),
}

/// What a watch does next.
#[derive(Debug)]
pub enum Watched {
    Send(Box<v1::WatchResponse>),
    Break,
    Hang,
    End,
}

#[derive(Default)]
pub struct Inner {
    pub state: State,
    index: u64,
    /// Which server leads, if one does.
    pub leader: Option<usize>,
    /// After so many refusals for want of a leader, this server leads.
    pub elect: Option<(usize, usize)>,
    /// For the commands to come, in order. Registrations are left alone.
    pub mishaps: VecDeque<Mishap>,
    /// Whether every command that is no registration loses its answer.
    pub lose_every_answer: bool,
    /// Requests that reached a leader, registrations not among them.
    pub requests: Vec<Option<RequestId>>,
    /// Which server each call of these kinds reached.
    pub executed_at: Vec<usize>,
    pub resolved_at: Vec<usize>,
    /// Age of each server's state.
    pub ages: Vec<u64>,
    pub membership_calls: usize,
    /// What the watches do, in the order in which they are opened.
    pub watches: VecDeque<Vec<Watched>>,
    /// Which server each watch reached, and after which revision it resumed.
    pub watched: Vec<(usize, Option<u64>)>,
    /// Which server each session reached, and how it began.
    pub hellos: Vec<(usize, v1::Hello)>,
    /// Which server each heartbeat reached.
    pub beats: Vec<(usize, v1::Heartbeat)>,
    /// What the latest session with each server says back.
    pub sayings: BTreeMap<usize, session::Saying>,
    /// Why each of these servers refuses sessions.
    pub refused: BTreeMap<usize, String>,
    /// What operators asked to have moved.
    pub asked_to_move: Vec<String>,
    /// What is answered to that.
    pub moves: VecDeque<Result<v1::MovedResponse, Status>>,
    /// What the leader says of a service, and of a node that would be lost.
    pub explained: v1::ExplainResponse,
    pub foreseen: v1::WhatIfResponse,
    pub receipts: Vec<v1::Receipt>,
}

/// What all fake servers share.
#[derive(Clone)]
pub struct Shared {
    inner: Arc<Mutex<Inner>>,
    pub apis: Arc<[Endpoint]>,
    /// Whether servers take heartbeats off the connection.
    pub hearing: Arc<watch::Sender<bool>>,
}

/// One fake server's services.
#[derive(Clone)]
struct Server {
    at: usize,
    shared: Shared,
}

/// The cluster. Its servers stop accepting when it is dropped; connections end with the test's runtime.
pub struct Cluster {
    pub shared: Shared,
    servers: Vec<JoinHandle<()>>,
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a server that does not lead says.
    fn not_leader(&self, inner: &mut Inner) -> Status {
        if let Some((left, next)) = &mut inner.elect {
            *left = left.saturating_sub(1);
            if *left == 0 {
                inner.leader = Some(*next);
                inner.elect = None;
            }
        }
        let hint = inner.leader.map(|at| (id(at), &self.apis[at]));
        refusal::status(tonic::Code::Unavailable, refusal::not_leader(hint))
    }
}

pub fn id(at: usize) -> ServerId {
    ServerId(u64::try_from(at).expect("few servers") + 1)
}

impl Inner {
    pub fn apply(&mut self, command: Command, request: Option<RequestId>) -> Outcome {
        self.index += 1;
        let envelope = Envelope {
            request,
            actor: Note::default(),
            stamp: Timestamp(self.index),
            command,
        };
        self.state.apply(LogIndex(self.index), &envelope).outcome
    }

    pub fn header(&self, at: usize) -> v1::Header {
        v1::Header {
            revision: self.state.revision().0,
            age_ms: self.ages[at],
            server: id(at).0,
        }
    }
}

impl Cluster {
    /// Starts so many servers, of which the first leads.
    pub async fn start(count: usize) -> Self {
        let mut listeners = Vec::new();
        for _ in 0..count {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let api = |listener: &TcpListener| {
            Endpoint::new(&listener.local_addr().unwrap().to_string()).unwrap()
        };
        let inner = Inner {
            leader: Some(0),
            ages: vec![0; count],
            ..Inner::default()
        };
        let shared = Shared {
            inner: Arc::new(Mutex::new(inner)),
            apis: listeners.iter().map(api).collect(),
            hearing: Arc::new(watch::Sender::new(true)),
        };
        admit(&shared);
        let serve = |(at, listener)| serve(at, listener, &shared);
        let servers = listeners.into_iter().enumerate().map(serve).collect();
        Self { shared, servers }
    }

    pub fn api(&self, at: usize) -> String {
        self.shared.apis[at].to_string()
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.lock()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
    }
}

fn admit(shared: &Shared) {
    for (at, api) in shared.apis.iter().enumerate() {
        let command = Command::AdmitServer {
            id: id(at),
            raft: api.clone(),
            api: api.clone(),
        };
        let outcome = shared.lock().apply(command, None);
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }
}

fn serve(at: usize, listener: TcpListener, shared: &Shared) -> JoinHandle<()> {
    let server = Server {
        at,
        shared: shared.clone(),
    };
    tokio::spawn(async move {
        let served = tonic::transport::Server::builder()
            .add_service(AdminServer::new(server.clone()))
            .add_service(DiscoveryServer::new(server.clone()))
            .add_service(SessionServer::new(server))
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await;
        served.expect("the fake server serves until it is dropped");
    })
}

/// Waits until the servers have seen something. Fails when that takes far too long.
pub async fn until(cluster: &Cluster, what: &str, mut seen: impl FnMut(&Inner) -> bool) {
    let looked = async {
        while !seen(&cluster.lock()) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    let bound = std::time::Duration::from_secs(30);
    let looked = tokio::time::timeout(bound, looked).await;
    assert!(looked.is_ok(), "{what}: never seen");
}

/// An endpoint that refuses connections as long as what comes with it is held.
pub fn refusing() -> (tokio::net::TcpSocket, String) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let api = socket.local_addr().unwrap().to_string();
    (socket, api)
}
