//! Servers in one process, over loopback.
#![allow(dead_code, missing_docs)]

use std::collections::BTreeMap;
use std::future::Future;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenure_core::{Command, Envelope, NodeName, Note, Outcome, ServerId, Timestamp};
use tenure_server::{Config, Consensus, Peer, Running, Server};
use tenure_storage::format::encode_command;
use tenure_storage::types::Payload;

pub mod holder;
pub mod member;
pub mod obedient;
pub mod site;

/// How long a condition may take on a busy machine.
pub const BOUND: Duration = Duration::from_secs(30);

/// Waits until `condition` gives something.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + BOUND;
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {BOUND:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A port that nobody listens on and that no outgoing connection is given: below the range that the
/// system takes those from. Each is handed out once; processes begin at places of their own.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(97);
    for _ in 0..20_000 {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + begin.wrapping_add(step) % 20_000;
        let port = u16::try_from(port).expect("below 30000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port between 10000 and 30000 is free");
}

pub struct Cluster {
    dir: TempDir,
    pub peers: Vec<Peer>,
    pub running: BTreeMap<u64, Running>,
    pub extra: String,
}

impl Cluster {
    /// Addresses for `count` servers, none of which is started.
    pub fn new(count: u64) -> Cluster {
        let _traced = tracing_subscriber::fmt()
            .with_max_level(level())
            .with_test_writer()
            .try_init();
        Cluster {
            dir: tempfile::tempdir().expect("temp"),
            peers: (1..=count).map(peer).collect(),
            running: BTreeMap::new(),
            extra: String::new(),
        }
    }

    pub fn data_dir(&self, id: u64) -> PathBuf {
        self.dir.path().join(id.to_string())
    }

    pub fn config_text(&self, id: u64, me: &Peer, cluster: &str) -> String {
        let mut text = format!(
            "cluster = {cluster:?}\nserver = {id}\ndata_dir = {:?}\njoin = {}\n\
             [raft]\nlisten = {:?}\n[api]\nlisten = {:?}\n{}\n",
            self.data_dir(id),
            !self.peers.iter().any(|peer| peer.id.0 == id),
            me.raft,
            me.api,
            self.extra,
        );
        if self.peers.iter().any(|peer| peer.id.0 == id) {
            for peer in &self.peers {
                text += &format!(
                    "[[servers]]\nid = {}\nraft = {:?}\napi = {:?}\n",
                    peer.id, peer.raft, peer.api
                );
            }
        }
        text
    }

    pub fn config(&self, id: u64, me: &Peer) -> Config {
        let text = self.config_text(id, me, "test");
        Config::parse(Path::new("test.toml"), &text).expect("valid")
    }

    /// Starts a server of the list.
    pub async fn start(&mut self, id: u64) {
        let me = self.peers[usize::try_from(id - 1).expect("small")].clone();
        let running = Server::start(self.config(id, &me)).await.expect("starts");
        self.running.insert(id, running);
    }

    /// Starts a server that waits to be added.
    pub async fn start_joining(&mut self, id: u64) -> Peer {
        let me = peer(id);
        let running = Server::start(self.config(id, &me)).await.expect("starts");
        self.running.insert(id, running);
        me
    }

    pub async fn formed(count: u64) -> Cluster {
        let mut cluster = Cluster::new(count);
        for id in 1..=count {
            cluster.start(id).await;
        }
        cluster.leader().await;
        cluster
    }

    pub fn consensus(&self, id: u64) -> &Consensus {
        self.running[&id].consensus()
    }

    /// Waits until one of the running servers leads, and can commit.
    pub async fn leader(&self) -> u64 {
        eventually("a server leads", || async {
            let (id, running) = self
                .running
                .iter()
                .find(|(_, running)| running.consensus().leads())?;
            running.consensus().read_index().await.ok().map(|_| *id)
        })
        .await
    }

    /// Commits through whoever leads.
    pub async fn write(&self, name: &str) {
        eventually("a write is committed", || async {
            let leader = self.leader().await;
            let proposed = self.consensus(leader).propose(add_node(name)).await;
            match proposed {
                Ok(Outcome::Done(_) | Outcome::Answered { .. }) => Some(()),
                // An attempt before this one was committed.
                Ok(Outcome::Rejected(reject)) => {
                    assert!(reject.to_string().contains(name), "{reject}");
                    Some(())
                }
                Err(_) => None,
            }
        })
        .await;
    }

    /// Waits until a server has a node.
    pub async fn sees(&self, id: u64, name: &str) {
        let reader = self.consensus(id).reader();
        eventually(&format!("server {id} has {name}"), || async {
            reader.read(|state| {
                state
                    .nodes()
                    .values()
                    .any(|node| node.name.as_str() == name)
                    .then_some(())
            })
        })
        .await;
    }

    pub async fn stop(&mut self, id: u64) {
        self.running.remove(&id).expect("runs").shutdown().await;
    }

    pub async fn stop_all(mut self) {
        while let Some((_, running)) = self.running.pop_first() {
            running.shutdown().await;
        }
    }
}

fn level() -> tracing::Level {
    match std::env::var("TENURE_TEST_LOG").as_deref() {
        Ok("debug") => tracing::Level::DEBUG,
        Ok("info") => tracing::Level::INFO,
        _ => tracing::Level::ERROR,
    }
}

pub fn peer(id: u64) -> Peer {
    Peer {
        id: ServerId(id),
        raft: format!("127.0.0.1:{}", free_port()),
        api: format!("127.0.0.1:{}", free_port()),
    }
}

pub fn add_node(name: &str) -> Payload {
    payload(Command::AddNode {
        name: NodeName::new(name).expect("a name"),
        zone: None,
        labels: Default::default(),
        weight: 100,
    })
}

pub fn payload(command: Command) -> Payload {
    Payload(encode_command(&Envelope {
        request: None,
        actor: Note::default(),
        stamp: Timestamp(0),
        command,
    }))
}
