//! A member that says what a test wants it to say.
#![allow(dead_code, missing_docs)]

use super::{BOUND, Cluster, eventually, payload};
use std::collections::BTreeMap;
use std::time::Duration;
use tenure_core::{Command, Incarnation, NodeRef};
use tenure_proto::v1::{self, member_message, server_message::Kind, session_client::SessionClient};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Endpoint};

/// One session with one server.
pub struct Session {
    beats: mpsc::Sender<v1::MemberMessage>,
    answers: Streaming<v1::ServerMessage>,
}

/// A message that a member sends.
pub fn message(kind: member_message::Kind) -> v1::MemberMessage {
    v1::MemberMessage { kind: Some(kind) }
}

pub fn hello(node: u64, session: u64) -> v1::Hello {
    v1::Hello {
        cluster: "test".into(),
        member: Some(v1::Member {
            node,
            incarnation: 1,
        }),
        session,
        version: "test".into(),
    }
}

pub fn beat(session: u64, sequence: u64) -> v1::Heartbeat {
    v1::Heartbeat {
        session,
        sequence,
        ..v1::Heartbeat::default()
    }
}

impl Session {
    /// Opens a session; the refusal when there is none.
    pub async fn open(api: &str, first: v1::MemberMessage) -> Result<Session, Status> {
        let endpoint = Endpoint::from_shared(format!("http://{api}")).expect("an address");
        let channel = endpoint.connect().await;
        let channel = channel.map_err(|error| Status::unavailable(error.to_string()))?;
        let (beats, queued) = mpsc::channel(64);
        beats.try_send(first).expect("room");
        let attending = async {
            SessionClient::new(channel)
                .attend(ReceiverStream::new(queued))
                .await
        };
        let answers = timeout(BOUND, attending)
            .await
            .expect("an answer in time")?;
        Ok(Session {
            beats,
            answers: answers.into_inner(),
        })
    }

    /// Opens a session and takes the welcome.
    pub async fn welcomed(api: &str, hello: v1::Hello) -> (Session, v1::Welcome) {
        let first = message(member_message::Kind::Hello(hello));
        let mut session = Session::open(api, first).await.expect("welcome");
        match session.next().await {
            Ok(Some(Kind::Welcome(welcome))) => (session, welcome),
            other => panic!("{other:?} in place of a welcome"),
        }
    }

    /// The next answer; None when the session has ended.
    pub async fn next(&mut self) -> Result<Option<Kind>, Status> {
        let answer = timeout(BOUND, self.answers.message()).await;
        let answer = answer.expect("an answer in time")?;
        Ok(answer.and_then(|answer| answer.kind))
    }

    /// Sends a beat; false when the session has ended.
    pub async fn beat(&self, beat: v1::Heartbeat) -> bool {
        let beat = message(member_message::Kind::Beat(beat));
        self.beats.send(beat).await.is_ok()
    }

    /// The refusal that the session ends with, after whatever is granted until then.
    pub async fn refusal(&mut self) -> Status {
        loop {
            match self.next().await {
                Ok(Some(Kind::Grant(_))) => {}
                Err(status) => return status,
                other => panic!("{other:?} in place of a refusal"),
            }
        }
    }
}

/// A member that beats to several servers and keeps what it is granted.
pub struct Member {
    pub session: u64,
    pub node: u64,
    sequence: u64,
    sessions: BTreeMap<u64, Session>,
    /// What it says of its instances.
    pub signs: Vec<v1::Sign>,
    /// The latest grant that it heard.
    heard: (u64, u64),
}

/// Adds a node and begins its first life.
async fn joined(cluster: &Cluster, name: &str) -> u64 {
    cluster.write(name).await;
    eventually("a node has joined", || async {
        let consensus = cluster.consensus(cluster.leader().await);
        let node = consensus.reader().read(|state| {
            let mut nodes = state.nodes().values();
            nodes.find(|node| node.name.as_str() == name).cloned()
        })?;
        if node.incarnation == Incarnation(1) {
            return Some(node.id.0);
        }
        let join = Command::JoinNode {
            node: NodeRef::Id(node.id),
            last: node.incarnation,
        };
        // What came of it is looked at.
        let _looked_at = consensus.propose(payload(join)).await;
        None
    })
    .await
}

/// A grant, and the server whose session brought it.
pub type Granted = (u64, v1::Grant);

impl Member {
    /// A new node of the cluster that attends these servers.
    pub async fn join(cluster: &Cluster, name: &str, servers: &[u64]) -> Member {
        let node = joined(cluster, name).await;
        let session = 1_000 + node;
        let mut sessions = BTreeMap::new();
        for server in servers {
            let api = &cluster.running[server].api_addr().to_string();
            let (opened, welcome) = Session::welcomed(api, hello(node, session)).await;
            assert_eq!(welcome.server, *server);
            assert_eq!(welcome.cluster, "test");
            sessions.insert(*server, opened);
        }
        Member {
            session,
            node,
            sequence: 0,
            sessions,
            signs: Vec::new(),
            heard: (0, 0),
        }
    }

    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Ends the session with a server.
    pub fn cut(&mut self, server: u64) {
        self.sessions.remove(&server).expect("a session");
    }

    /// Beats to every server that it has a session with, once.
    pub async fn beat(&mut self) {
        self.sequence += 1;
        let (heard_term, heard_number) = self.heard;
        let beat = v1::Heartbeat {
            heard_term,
            heard_number,
            signs: self.signs.clone(),
            ..beat(self.session, self.sequence)
        };
        for session in self.sessions.values() {
            session.beat(beat.clone()).await;
        }
    }

    /// Beats every 20 ms until a grant comes that is wanted.
    pub async fn granted(&mut self, wanted: impl Fn(&Granted) -> bool) -> Granted {
        let looking = async {
            loop {
                self.beat().await;
                let heard = self.heard_within(Duration::from_millis(20)).await;
                if let Some(granted) = heard.into_iter().find(&wanted) {
                    return granted;
                }
            }
        };
        timeout(BOUND, looking).await.expect("a grant in time")
    }

    /// What is granted within a time.
    pub async fn heard_within(&mut self, time: Duration) -> Vec<Granted> {
        let mut heard = Vec::new();
        let listening = self
            .sessions
            .iter_mut()
            .map(|(server, session)| async move {
                let mut heard = Vec::new();
                let listen = async {
                    while let Ok(Some(answer)) = session.answers.message().await {
                        if let Some(Kind::Grant(grant)) = answer.kind {
                            heard.push((*server, grant));
                        }
                    }
                    // The session has ended; the others are listened to.
                    std::future::pending::<()>().await;
                };
                let _time_is_up = timeout(time, listen).await;
                heard
            });
        for granted in futures::future::join_all(listening).await {
            heard.extend(granted);
        }
        let latest = heard.iter().map(|(_, grant)| (grant.term, grant.number));
        self.heard = latest.fold(self.heard, Ord::max);
        heard
    }
}
