//! The Tenure side: three `tenure server` processes with default settings, and plain unary calls to the wire API.
//!
//! A key is a service with one instance; a write replaces that instance's report, which holds the value as an
//! attribute. Like etcd's put it is unconditional and carries no request id.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tenure_benches::ports::free_ports;
use tenure_benches::process::Process;
use tenure_proto::v1::{
    self, admin_client::AdminClient, discovery_client::DiscoveryClient, watch_response::Kind,
};
use tonic::Streaming;
use tonic::transport::Channel;

use crate::clients::key_of;
use crate::error::{BenchError, CallError};
use crate::options::Options;
use crate::system::{VALUE_BYTES, connect_lazily, number_of};
use crate::watchers::WATCHED_KEY;

const MEMBERS: usize = 3;
const SETTLE_BOUND: Duration = Duration::from_secs(60);
const STATUS_BOUND: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(10);
const NODE: u64 = 1;
const ATTRIBUTE: &str = "value";

/// Version and settings of the servers, in one line.
pub fn describe(options: &Options) -> Result<String, BenchError> {
    let output = Command::new(&options.tenure)
        .arg("--version")
        .output()
        .map_err(|source| BenchError::Io {
            what: "run",
            path: options.tenure.clone(),
            source,
        })?;
    let printed = String::from_utf8_lossy(&output.stdout);
    Ok(format!(
        "{}; 3 servers, default settings and log level warn",
        printed.trim()
    ))
}

#[derive(Debug)]
struct Member {
    process: Process,
    address: String,
    admin: AdminClient<Channel>,
}

/// Three servers of Tenure.
#[derive(Debug)]
pub struct Cluster {
    // Before `data`: fields are dropped in this order, and processes must be gone before their files.
    members: Vec<Member>,
    data: TempDir,
}

impl Cluster {
    pub async fn start(options: &Options, dir: &Path) -> Result<Self, BenchError> {
        let mut cluster = Self::spawn(options, dir)?;
        let leader = cluster.settled().await?;
        cluster.prepare(leader, options).await?;
        cluster.settled().await?;
        Ok(cluster)
    }

    fn spawn(options: &Options, dir: &Path) -> Result<Self, BenchError> {
        let data = TempDir::with_prefix_in("tenure-", dir).map_err(|source| BenchError::Io {
            what: "create a folder below",
            path: dir.to_path_buf(),
            source,
        })?;
        let ports = free_ports(2 * MEMBERS)?;
        let (api, raft) = ports.split_at(MEMBERS);
        let mut members = Vec::with_capacity(MEMBERS);
        for at in 0..MEMBERS {
            let file = data.path().join(format!("s{at}.toml"));
            let text = configuration(at, api, raft, data.path());
            std::fs::write(&file, text).map_err(|source| BenchError::Io {
                what: "write",
                path: file.clone(),
                source,
            })?;
            let config = file.display().to_string();
            let args = ["server", "--log", "warn", "--config", &config];
            let args = args.map(str::to_owned).to_vec();
            let log = data.path().join(format!("s{at}.log"));
            let mut process = Process::new(format!("tenure s{at}"), &options.tenure, args, log);
            process.start()?;
            let address = format!("http://127.0.0.1:{}", api[at]);
            members.push(Member {
                admin: AdminClient::new(connect_lazily(&address)?),
                process,
                address,
            });
        }
        Ok(Self { members, data })
    }

    /// Makes the node, and a service with an instance for every key.
    async fn prepare(&mut self, leader: usize, options: &Options) -> Result<(), BenchError> {
        let most = options.clients.iter().max().copied().unwrap_or(0);
        let keys = (0..most.max(MEMBERS)).map(key_of);
        let mut commands = vec![add_node()];
        for key in keys.chain([WATCHED_KEY.to_owned()]) {
            commands.extend(add_key(key));
        }
        let batch = v1::command::Kind::Batch(v1::Batch { commands });
        let prepared = self.members[leader].admin.execute(request(batch)).await;
        prepared.map(drop).map_err(|status| BenchError::Call {
            what: "preparing the keys",
            source: status.into(),
        })
    }

    pub fn addresses(&self) -> Vec<String> {
        self.members.iter().map(|m| m.address.clone()).collect()
    }

    pub async fn settled(&mut self) -> Result<usize, BenchError> {
        let deadline = Instant::now() + SETTLE_BOUND;
        loop {
            for member in &mut self.members {
                member.process.check()?;
            }
            let last = match self.agreed_leader().await {
                Ok(leader) => return Ok(leader),
                Err(why) => why,
            };
            if Instant::now() >= deadline {
                return Err(BenchError::TooLate {
                    what: format!(
                        "agreement of the servers below {}",
                        self.data.path().display()
                    ),
                    bound: SETTLE_BOUND,
                    last,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The leader that all servers name, if each of them has applied the greatest index that any of them knew.
    async fn agreed_leader(&mut self) -> Result<usize, String> {
        let mut seen = Vec::with_capacity(self.members.len());
        for member in &mut self.members {
            let asked = member.admin.raft_status(v1::RaftStatusRequest {});
            let answer = tokio::time::timeout(STATUS_BOUND, asked)
                .await
                .map_err(|_elapsed| format!("{} does not answer", member.address))?
                .map_err(|status| format!("{}: {}", member.address, status.message()))?;
            seen.push(answer.into_inner());
        }
        let known = seen.iter().map(|status| status.last_log).max();
        let applied = seen.iter().map(|status| status.applied).min();
        let leader = seen.first().map_or(0, |status| status.leader);
        if leader == 0 || applied < known || seen.iter().any(|status| status.leader != leader) {
            return Err(format!("{seen:?}"));
        }
        let is_leader = |status: &v1::RaftStatusResponse| status.server == leader;
        seen.iter()
            .position(is_leader)
            .ok_or_else(|| format!("the leader {leader} is none of the servers: {seen:?}"))
    }

    pub fn kill(&mut self, member: usize) -> Result<(), BenchError> {
        Ok(self.members[member].process.kill()?)
    }

    pub fn restart(&mut self, member: usize) -> Result<(), BenchError> {
        Ok(self.members[member].process.start()?)
    }

    pub async fn stop(mut self) -> Result<(), BenchError> {
        for member in &mut self.members {
            member.process.terminate()?;
        }
        for member in &mut self.members {
            member.process.finish().await?;
        }
        Ok(())
    }
}

fn configuration(at: usize, api: &[u16], raft: &[u16], data: &Path) -> String {
    let folder: PathBuf = data.join(format!("s{at}"));
    let mut text = format!(
        "cluster = \"bench\"\nserver = {}\ndata_dir = {:?}\n\n[raft]\nlisten = \"127.0.0.1:{}\"\n\n\
         [api]\nlisten = \"127.0.0.1:{}\"\n",
        at + 1,
        folder.display().to_string(),
        raft[at],
        api[at]
    );
    for (peer, (api, raft)) in api.iter().zip(raft).enumerate() {
        let id = peer + 1;
        text.push_str(&format!(
            "\n[[servers]]\nid = {id}\nraft = \"127.0.0.1:{raft}\"\napi = \"127.0.0.1:{api}\"\n"
        ));
    }
    text
}

fn request(kind: v1::command::Kind) -> v1::ExecuteRequest {
    v1::ExecuteRequest {
        request: None,
        actor: "versus-etcd".to_owned(),
        command: Some(v1::Command { kind: Some(kind) }),
    }
}

fn add_node() -> v1::Command {
    let node = v1::AddNode {
        name: "bench".to_owned(),
        weight: 100,
        ..v1::AddNode::default()
    };
    v1::Command {
        kind: Some(v1::command::Kind::AddNode(node)),
    }
}

fn add_key(key: String) -> [v1::Command; 2] {
    let peers = v1::policy::Kind::Peers(v1::PeersPolicy { healthy_min: 0 });
    let service = v1::AddService {
        name: key.clone(),
        policy: Some(v1::Policy { kind: Some(peers) }),
    };
    let instance = v1::AddInstance {
        service: key,
        node: Some(node()),
        endpoint: "127.0.0.1:1".to_owned(),
        preference: 100,
    };
    [
        v1::command::Kind::AddService(service),
        v1::command::Kind::AddInstance(instance),
    ]
    .map(|kind| v1::Command { kind: Some(kind) })
}

fn node() -> v1::NodeRef {
    v1::NodeRef {
        id: NODE,
        name: String::new(),
    }
}

fn value_in(instance: Option<&v1::Instance>) -> Option<&[u8]> {
    let attributes = &instance?.report.as_ref()?.attributes;
    attributes.get(ATTRIBUTE).map(String::as_bytes)
}

/// One connection to one server.
#[derive(Clone, Debug)]
pub struct Connection {
    admin: AdminClient<Channel>,
    discovery: DiscoveryClient<Channel>,
}

impl Connection {
    pub fn new(channel: Channel) -> Self {
        Self {
            admin: AdminClient::new(channel.clone()),
            discovery: DiscoveryClient::new(channel),
        }
    }

    pub async fn write(&mut self, key: &str, value: String) -> Result<(), CallError> {
        let report = v1::Report {
            health: v1::Health::Healthy.into(),
            attributes: [(ATTRIBUTE.to_owned(), value)].into(),
            ..v1::Report::default()
        };
        let report = v1::ReportInstance {
            service: key.to_owned(),
            member: Some(v1::Member {
                node: NODE,
                incarnation: 0,
            }),
            expected: None,
            report: Some(report),
        };
        let kind = v1::command::Kind::ReportInstance(report);
        self.admin.execute(request(kind)).await?;
        Ok(())
    }

    pub async fn read(&mut self, key: &str) -> Result<(), CallError> {
        let request = v1::GetInstanceRequest {
            service: key.to_owned(),
            node: Some(node()),
            consistency: None,
        };
        let answer = self.discovery.get_instance(request).await?.into_inner();
        match value_in(answer.instance.as_ref()).map_or(0, <[u8]>::len) {
            VALUE_BYTES => Ok(()),
            got => Err(CallError::WrongValue {
                got,
                wanted: VALUE_BYTES,
            }),
        }
    }

    pub async fn watch(&mut self, key: &str) -> Result<Changes, CallError> {
        let request = v1::WatchRequest {
            services: vec![key.to_owned()],
            kinds: vec![v1::RecordKind::Instance.into()],
            after_revision: None,
        };
        let mut changes = Changes {
            stream: self.discovery.watch(request).await?.into_inner(),
        };
        loop {
            if let Kind::Snapshot(part) = changes.message().await?
                && part.last
            {
                return Ok(changes);
            }
        }
    }
}

/// The changes of one key.
#[derive(Debug)]
pub struct Changes {
    stream: Streaming<v1::WatchResponse>,
}

impl Changes {
    pub async fn next(&mut self) -> Result<u64, CallError> {
        loop {
            let Kind::Changes(changes) = self.message().await? else {
                continue;
            };
            let after = changes.events.last().and_then(|event| event.after.as_ref());
            let kind = after.and_then(|record| record.kind.as_ref());
            if let Some(v1::record::Kind::Instance(instance)) = kind
                && let Some(value) = value_in(Some(instance))
            {
                return number_of(value);
            }
        }
    }

    async fn message(&mut self) -> Result<Kind, CallError> {
        match self.stream.message().await? {
            Some(v1::WatchResponse {
                kind: Some(kind), ..
            }) => Ok(kind),
            Some(_) => Err(CallError::StreamEnded("an empty message".to_owned())),
            None => Err(CallError::StreamEnded("by the server".to_owned())),
        }
    }
}
