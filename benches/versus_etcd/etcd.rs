//! The etcd side: three `etcd` processes with default settings, and plain unary calls to its v3 API.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use prost::bytes::Bytes;
use tempfile::TempDir;
use tenure_benches::ports::free_ports;
use tenure_benches::process::Process;
use tokio_stream::StreamExt as _;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::error::{BenchError, CallError};
use crate::options::Options;
use crate::system::{VALUE_BYTES, connect_lazily, number_of};

mod wire {
    tonic::include_proto!("etcdserverpb");
}

use wire::kv_client::KvClient;
use wire::maintenance_client::MaintenanceClient;
use wire::watch_client::WatchClient;
use wire::watch_request::RequestUnion;

const MEMBERS: usize = 3;
/// A port that was free may be taken before its member binds it.
const START_ATTEMPTS: u32 = 3;
const SETTLE_BOUND: Duration = Duration::from_secs(60);
const STATUS_BOUND: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(10);

/// Version and settings of the members, in one line.
pub fn describe(options: &Options) -> Result<String, BenchError> {
    let output = Command::new(&options.etcd)
        .arg("--version")
        .output()
        .map_err(|source| BenchError::Io {
            what: "run",
            path: options.etcd.clone(),
            source,
        })?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let version = printed.lines().next().unwrap_or("version unknown").trim();
    let mut line = format!(
        "{version}; 3 members, defaults (heartbeat 100 ms, election 1,000 ms) and log level error"
    );
    if !options.etcd_args.is_empty() {
        line.push_str(", changed by ");
        line.push_str(&options.etcd_args.join(" "));
    }
    Ok(line)
}

#[derive(Debug)]
struct Member {
    process: Process,
    address: String,
    status: MaintenanceClient<Channel>,
}

/// Three etcd members.
#[derive(Debug)]
pub struct Cluster {
    // Before `data`: fields are dropped in this order, and processes must be gone before their files.
    members: Vec<Member>,
    data: TempDir,
}

impl Cluster {
    pub async fn start(options: &Options, dir: &Path) -> Result<Self, BenchError> {
        let mut attempt = 1;
        loop {
            let mut cluster = Self::spawn(options, dir)?;
            match cluster.settled().await {
                Ok(_leader) => return Ok(cluster),
                Err(BenchError::Process(_ended)) if attempt < START_ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn spawn(options: &Options, dir: &Path) -> Result<Self, BenchError> {
        let data = TempDir::with_prefix_in("etcd-", dir).map_err(|source| BenchError::Io {
            what: "create a folder below",
            path: dir.to_path_buf(),
            source,
        })?;
        let ports = free_ports(2 * MEMBERS)?;
        let (client_ports, peer_ports) = ports.split_at(MEMBERS);
        let peers: Vec<String> = peer_ports
            .iter()
            .enumerate()
            .map(|(at, port)| format!("m{at}=http://127.0.0.1:{port}"))
            .collect();
        let mut members = Vec::with_capacity(MEMBERS);
        for (at, (client, peer)) in client_ports.iter().zip(peer_ports).enumerate() {
            let args = arguments(at, *client, *peer, &peers.join(","), data.path());
            let args = args
                .into_iter()
                .chain(options.etcd_args.iter().cloned())
                .collect();
            let log = data.path().join(format!("m{at}.log"));
            let mut process =
                Process::new(format!("etcd m{at}"), &options.etcd, args, log).without_env("ETCD_");
            process.start()?;
            let address = format!("http://127.0.0.1:{client}");
            members.push(Member {
                status: MaintenanceClient::new(connect_lazily(&address)?),
                process,
                address,
            });
        }
        Ok(Self { members, data })
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
                        "agreement of the etcd members below {}",
                        self.data.path().display()
                    ),
                    bound: SETTLE_BOUND,
                    last,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The leader that all members name, if each of them has applied the greatest index that any of them knew.
    async fn agreed_leader(&mut self) -> Result<usize, String> {
        let mut seen = Vec::with_capacity(self.members.len());
        for member in &mut self.members {
            let asked = member.status.status(wire::StatusRequest {});
            let answer = tokio::time::timeout(STATUS_BOUND, asked)
                .await
                .map_err(|_elapsed| format!("{} does not answer", member.address))?
                .map_err(|status| format!("{}: {}", member.address, status.message()))?;
            seen.push(answer.into_inner());
        }
        let known = seen.iter().map(|status| status.raft_index).max();
        let applied = seen.iter().map(|status| status.raft_applied_index).min();
        let behind = applied < known;
        let leader = seen.first().map_or(0, |status| status.leader);
        if leader == 0 || behind || seen.iter().any(|status| status.leader != leader) {
            return Err(format!("{seen:?}"));
        }
        seen.iter()
            .position(|status| {
                status
                    .header
                    .as_ref()
                    .is_some_and(|header| header.member_id == leader)
            })
            .ok_or_else(|| format!("the leader {leader:x} is none of the members: {seen:?}"))
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

fn arguments(at: usize, client: u16, peer: u16, peers: &str, data: &Path) -> Vec<String> {
    vec![
        format!("--name=m{at}"),
        format!("--data-dir={}", data.join(format!("m{at}")).display()),
        format!("--listen-client-urls=http://127.0.0.1:{client}"),
        format!("--advertise-client-urls=http://127.0.0.1:{client}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-cluster={peers}"),
        "--initial-cluster-state=new".to_owned(),
        "--log-level=error".to_owned(),
    ]
}

/// One connection to one member.
#[derive(Clone, Debug)]
pub struct Connection {
    kv: KvClient<Channel>,
    watch: WatchClient<Channel>,
}

impl Connection {
    pub fn new(channel: Channel) -> Self {
        Self {
            kv: KvClient::new(channel.clone()),
            watch: WatchClient::new(channel),
        }
    }

    pub async fn write(&mut self, key: &str, value: String) -> Result<(), CallError> {
        let request = wire::PutRequest {
            key: key_bytes(key),
            value: Bytes::from(value),
        };
        self.kv.put(request).await?;
        Ok(())
    }

    pub async fn read(&mut self, key: &str) -> Result<(), CallError> {
        let request = wire::RangeRequest {
            key: key_bytes(key),
        };
        let answer = self.kv.range(request).await?.into_inner();
        match answer.kvs.first().map_or(0, |kv| kv.value.len()) {
            VALUE_BYTES => Ok(()),
            got => Err(CallError::WrongValue {
                got,
                wanted: VALUE_BYTES,
            }),
        }
    }

    pub async fn watch(&mut self, key: &str) -> Result<Changes, CallError> {
        let create = wire::WatchRequest {
            request_union: Some(RequestUnion::CreateRequest(wire::WatchCreateRequest {
                key: key_bytes(key),
            })),
        };
        // The request stream stays open behind the one message: etcd ends a watch whose stream has ended.
        let requests = tokio_stream::once(create).chain(tokio_stream::pending());
        let mut changes = Changes {
            stream: self.watch.watch(requests).await?.into_inner(),
        };
        let confirmation = changes.message().await?;
        if confirmation.created {
            return Ok(changes);
        }
        Err(CallError::StreamEnded(format!(
            "the first message confirms no watch: {confirmation:?}"
        )))
    }
}

fn key_bytes(key: &str) -> Bytes {
    Bytes::copy_from_slice(key.as_bytes())
}

/// The changes of one key.
#[derive(Debug)]
pub struct Changes {
    stream: Streaming<wire::WatchResponse>,
}

impl Changes {
    pub async fn next(&mut self) -> Result<u64, CallError> {
        loop {
            let message = self.message().await?;
            if let Some(kv) = message.events.last().and_then(|event| event.kv.as_ref()) {
                return number_of(&kv.value);
            }
        }
    }

    async fn message(&mut self) -> Result<wire::WatchResponse, CallError> {
        match self.stream.message().await? {
            Some(message) if message.canceled => Err(CallError::StreamEnded(message.cancel_reason)),
            Some(message) => Ok(message),
            None => Err(CallError::StreamEnded("by the member".to_owned())),
        }
    }
}
