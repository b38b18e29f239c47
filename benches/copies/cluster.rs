//! Three `tenure server` processes with default settings, and a service that stores copies. While nobody attends for its nodes
//! nothing is lost, and nothing is repaired.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use tenure_benches::ports::free_ports;
use tenure_benches::process::Process;
use tenure_proto::v1::{self, admin_client::AdminClient, copies_client::CopiesClient};
use tenure_tests::failover::config;
use tonic::transport::{Channel, Endpoint};

use crate::error::BenchError;
use crate::{load::SERVICE, say};

const SERVERS: usize = 3;
const BOUND: Duration = Duration::from_secs(120);
/// How long a checkpoint may take.
const CHECKPOINT: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(10);
/// The feature level at which there are items.
const LEVEL: u32 = 3;

pub struct Cluster {
    servers: Vec<(Process, SocketAddr)>,
}

fn channel(address: &str) -> Result<Channel, BenchError> {
    let endpoint = Endpoint::from_shared(address.to_owned());
    let endpoint = endpoint.map_err(|source| BenchError::Connect {
        address: address.to_owned(),
        source,
    })?;
    Ok(endpoint.tcp_nodelay(true).connect_lazy())
}

fn command(kind: v1::command::Kind) -> v1::Command {
    v1::Command { kind: Some(kind) }
}

/// Nodes in ten zones that have joined, and the service on all of them, which waits so long for a lost node.
fn site(nodes: u64, grace: Option<Duration>) -> Vec<v1::Command> {
    let millis = |grace: Duration| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    let copies = v1::CopiesPolicy {
        copies: 3,
        write_min: 2,
        spread_zones: true,
        repair_grace_ms: grace.map(millis),
        ..v1::CopiesPolicy::default()
    };
    let service = v1::AddService {
        name: SERVICE.to_owned(),
        policy: Some(v1::Policy {
            kind: Some(v1::policy::Kind::Copies(copies)),
        }),
    };
    let mut all = vec![command(v1::command::Kind::AddService(service))];
    for node in 1..=nodes {
        let named = Some(v1::NodeRef {
            id: node,
            name: String::new(),
        });
        let add = v1::AddNode {
            name: format!("n{node}"),
            zone: format!("z{}", node % 10),
            weight: 100,
            ..v1::AddNode::default()
        };
        let join = v1::JoinNode {
            node: named.clone(),
            last: 0,
        };
        let instance = v1::AddInstance {
            service: SERVICE.to_owned(),
            node: named,
            endpoint: format!("127.0.0.1:{node}"),
            preference: 100,
        };
        all.push(command(v1::command::Kind::AddNode(add)));
        all.push(command(v1::command::Kind::JoinNode(join)));
        all.push(command(v1::command::Kind::AddInstance(instance)));
    }
    all
}

impl Cluster {
    /// The servers, as members of a process group, once one of them leads.
    pub async fn start(program: &Path, data: &Path, group: i32) -> Result<Self, BenchError> {
        let at_home = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let ports: Vec<SocketAddr> = free_ports(2 * SERVERS)?.into_iter().map(at_home).collect();
        let (api, raft) = ports.split_at(SERVERS);
        let mut servers = Vec::new();
        for (at, address) in api.iter().enumerate() {
            let file = data.join(format!("s{at}.toml"));
            let text = config::server(at, api, raft, &data.join(format!("s{at}")));
            std::fs::write(&file, text).map_err(|source| BenchError::io("write", &file, source))?;
            let config = file.display().to_string();
            let args = ["server", "--log", "warn", "--config", &config];
            let args = args.map(str::to_owned).to_vec();
            let log = data.join(format!("s{at}.log"));
            let process = Process::new(format!("tenure s{at}"), program, args, log);
            let mut process = process.in_group(group);
            process.start()?;
            servers.push((process, *address));
        }
        let cluster = Self { servers };
        cluster.leader().await?;
        Ok(cluster)
    }

    pub fn address(&self, server: usize) -> String {
        format!("http://{}", self.servers[server].1)
    }

    /// Where all of them answer.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|(_, address)| *address).collect()
    }

    /// Whether all of them run.
    pub fn check(&mut self) -> Result<(), BenchError> {
        for (process, _) in &mut self.servers {
            process.check()?;
        }
        Ok(())
    }

    fn admin(&self, server: usize) -> Result<AdminClient<Channel>, BenchError> {
        Ok(AdminClient::new(channel(&self.address(server))?))
    }

    pub async fn leader(&self) -> Result<usize, BenchError> {
        let deadline = Instant::now() + BOUND;
        while Instant::now() < deadline {
            for server in 0..self.servers.len() {
                let asked = self
                    .admin(server)?
                    .raft_status(v1::RaftStatusRequest {})
                    .await;
                let leads = asked.is_ok_and(|status| {
                    let status = status.into_inner();
                    status.leader == status.server
                });
                if leads {
                    return Ok(server);
                }
            }
            tokio::time::sleep(POLL).await;
        }
        Err(late("the election of a leader"))
    }

    /// Makes nodes and service, when items are understood. The grace is that of the service; the default where none is given.
    pub async fn prepare(&self, nodes: u64, grace: Option<Duration>) -> Result<(), BenchError> {
        let mut admin = self.admin(self.leader().await?)?;
        let deadline = Instant::now() + BOUND;
        let raised = v1::RaiseFeatureLevel {
            from: LEVEL,
            to: LEVEL,
        };
        let execute = v1::ExecuteRequest {
            request: None,
            actor: "copies".to_owned(),
            command: Some(command(v1::command::Kind::RaiseFeatureLevel(raised))),
        };
        // Asks whether the level is the one named; the leader raises it by itself.
        while admin.execute(execute.clone()).await.is_err() {
            if Instant::now() > deadline {
                return Err(late("the raise of the feature level"));
            }
            tokio::time::sleep(POLL).await;
        }
        let batch = v1::Batch {
            commands: site(nodes, grace),
        };
        let execute = v1::ExecuteRequest {
            request: None,
            actor: "copies".to_owned(),
            command: Some(command(v1::command::Kind::Batch(batch))),
        };
        admin
            .execute(execute)
            .await
            .map_err(BenchError::refused("making the nodes"))?;
        Ok(())
    }

    /// A checkpoint of a follower with all items, and its restart from it.
    pub async fn checkpoint_and_restart(&mut self, items: u64) -> Result<(), BenchError> {
        let leader = self.leader().await?;
        let server = (leader + 1) % self.servers.len();
        self.wait_for(server, items).await?;
        let mut admin = self.admin(server)?;
        for what in ["with what changed since the last one", "with nothing new"] {
            let begun = Instant::now();
            checkpointed(&mut admin).await?;
            let taken = begun.elapsed().as_secs_f64();
            say(&format!("checkpoint of a follower, {what}: {taken:.2} s"));
        }
        self.servers[server].0.terminate()?;
        self.servers[server].0.finish().await?;
        let begun = Instant::now();
        self.servers[server].0.start()?;
        self.wait_for(server, items).await?;
        let taken = begun.elapsed().as_secs_f64();
        say(&format!(
            "restart of a follower until it answers with {items} items: {taken:.2} s"
        ));
        Ok(())
    }

    async fn wait_for(&self, server: usize, items: u64) -> Result<(), BenchError> {
        let mut copies = self.copies(server)?;
        let deadline = Instant::now() + BOUND;
        while Instant::now() < deadline {
            let told = status(&mut copies).await;
            if told.is_ok_and(|told| told.items == items) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        Err(late("all items at a follower"))
    }

    /// Asks one server about items.
    pub fn copies(&self, server: usize) -> Result<CopiesClient<Channel>, BenchError> {
        Ok(CopiesClient::new(channel(&self.address(server))?))
    }

    pub async fn stop(mut self) -> Result<(), BenchError> {
        for (process, _) in &mut self.servers {
            process.terminate()?;
        }
        for (process, _) in &mut self.servers {
            process.finish().await?;
        }
        Ok(())
    }
}

/// How a server sees the items, by what it has applied.
pub async fn status(
    copies: &mut CopiesClient<Channel>,
) -> Result<v1::CopiesStatusResponse, BenchError> {
    let status = v1::CopiesStatusRequest {
        service: SERVICE.to_owned(),
        consistency: Some(v1::Consistency {
            local_max_age_ms: Some(10_000),
        }),
    };
    let told = copies.status(status).await;
    let told = told.map_err(BenchError::refused("asking for the state of the items"))?;
    Ok(told.into_inner())
}

/// A call waits no longer than a server lets it; the checkpoint goes on, and the next call waits for the rest of it.
async fn checkpointed(admin: &mut AdminClient<Channel>) -> Result<(), BenchError> {
    let deadline = Instant::now() + CHECKPOINT;
    loop {
        match admin.checkpoint(v1::CheckpointRequest {}).await {
            Ok(_) => return Ok(()),
            Err(status) if status.message().contains("it goes on") && Instant::now() < deadline => {
            }
            Err(status) => return Err(BenchError::refused("a checkpoint")(status)),
        }
    }
}

fn late(what: &str) -> BenchError {
    BenchError::TooLate {
        what: what.to_owned(),
        bound: BOUND,
    }
}
