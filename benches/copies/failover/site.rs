//! A service of Redis beside the items: three redis-servers with an agent each, their first primary, and the wait until all
//! agree, so that another fault may come.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_benches::ports::free_ports;
use tenure_benches::process::Process;
use tenure_client::core::{
    Millis, NodeName, NodeRef, Phase, Policy, PrimaryPolicy, Role, ServiceName,
};
use tenure_client::{Client, Consistency, FailoverOptions, Options};
use tenure_tests::failover::config::{self, Listens, SERVICE};
use tenure_tests::failover::follower::Follower;
use tenure_tests::failover::link::{self, Info};
use tenure_tests::failover::moment::Moment;

use crate::error::BenchError;

const NODES: usize = 3;
const SETTLE_BOUND: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);

/// What runs where.
pub struct Ground<'a> {
    pub tenure: &'a Path,
    pub redis_server: &'a Path,
    pub servers: &'a [SocketAddr],
    pub data: &'a Path,
    /// Where agents keep their state: on the disk of the servers, or on another as on nodes of their own.
    pub agents: &'a Path,
    /// The process group that ends with the bench.
    pub group: i32,
}

struct Node {
    redis: Process,
    agent: Process,
    address: SocketAddr,
}

/// The three nodes, and a client of the servers.
pub struct Site {
    nodes: Vec<Node>,
    client: Client,
    service: ServiceName,
}

fn at_home(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn write(path: &Path, text: &str) -> Result<(), BenchError> {
    std::fs::write(path, text).map_err(|source| BenchError::io("write", path, source))
}

impl Ground<'_> {
    fn process(&self, name: &str, program: &Path, args: Vec<String>) -> Process {
        let log = self.data.join(format!("{name}.log"));
        Process::new(name, program, args, log).in_group(self.group)
    }

    /// A redis-server and its agent, neither of them started.
    fn node(&self, at: usize, ports: &[u16]) -> Result<Node, BenchError> {
        let address = at_home(ports[0]);
        let redis: PathBuf = self.data.join(format!("redis-{at}.conf"));
        write(&redis, &config::redis(address, self.data, None, ""))?;
        let listens = Listens {
            checks: at_home(ports[1]),
            pledges: at_home(ports[2]),
        };
        let agent = self.data.join(format!("agent-{at}.toml"));
        let state = self.agents.join(format!("agent-{at}"));
        let instances = [(SERVICE.to_owned(), address)];
        let text = config::agent(at, self.servers, &state, listens, &instances);
        write(&agent, &text)?;
        let args = ["agent", "--log", "warn", "--config"].map(str::to_owned);
        let args = args.into_iter().chain([agent.display().to_string()]);
        Ok(Node {
            redis: self.process(
                &format!("redis-{at}"),
                self.redis_server,
                vec![redis.display().to_string()],
            ),
            agent: self.process(&format!("agent-{at}"), self.tenure, args.collect()),
            address,
        })
    }
}

impl Site {
    /// Starts everything and waits until there is a primary that both others follow.
    pub async fn start(ground: &Ground<'_>) -> Result<Self, BenchError> {
        let options = Options {
            actor: "copies".to_owned(),
            ..Options::default()
        };
        let endpoints = ground.servers.iter().map(ToString::to_string);
        let client = Client::connect(endpoints, options).await;
        let client = client.map_err(BenchError::tenure("connecting to the servers"))?;
        let service = ServiceName::new(SERVICE).map_err(|why| BenchError::Name {
            what: "the name of the service",
            why: why.to_string(),
        })?;
        let policy = Policy::Primary(PrimaryPolicy {
            replicas: u32::try_from(NODES - 1).unwrap_or(u32::MAX),
            anti_flap_ms: Millis(0),
            ..PrimaryPolicy::default()
        });
        let added = client.admin().add_service(service.clone(), policy).await;
        added.map_err(BenchError::tenure("adding the service"))?;
        let ports = free_ports(3 * NODES)?;
        let mut site = Self {
            nodes: Vec::with_capacity(NODES),
            client,
            service,
        };
        for (at, ports) in ports.chunks(3).enumerate() {
            let mut node = ground.node(at, ports)?;
            node.redis.start()?;
            node.agent.start()?;
            site.nodes.push(node);
        }
        site.choose_first().await?;
        site.settled().await?;
        Ok(site)
    }

    /// Names the first primary as soon as its instance can be it: nobody but an operator decides that.
    async fn choose_first(&self) -> Result<(), BenchError> {
        let first = NodeName::new(&config::node_name(0)).map_err(|why| BenchError::Name {
            what: "the name of the first primary",
            why: why.to_string(),
        })?;
        let deadline = Moment::now().plus(SETTLE_BOUND);
        loop {
            let options = FailoverOptions {
                to: Some(NodeRef::Name(first.clone())),
                ..FailoverOptions::default()
            };
            match self.client.admin().failover(&self.service, options).await {
                Ok(_moved) => return Ok(()),
                Err(error) if Moment::now() >= deadline => {
                    return Err(BenchError::tenure("choosing the first primary")(error));
                }
                Err(_not_yet) => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// Waits until one is primary and all others follow it; says which.
    pub async fn settled(&mut self) -> Result<usize, BenchError> {
        let deadline = Moment::now().plus(SETTLE_BOUND);
        loop {
            for node in &mut self.nodes {
                node.redis.check()?;
                node.agent.check()?;
            }
            let last = match self.agreed().await {
                Ok(primary) => return Ok(primary),
                Err(last) => last,
            };
            if Moment::now() >= deadline {
                return Err(BenchError::TooLate {
                    what: format!("agreement of servers and nodes ({last})"),
                    bound: SETTLE_BOUND,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn agreed(&self) -> Result<usize, String> {
        let discovery = self.client.discovery();
        let resolved = discovery
            .resolve(&self.service, Consistency::Linearizable)
            .await
            .map_err(|error| error.to_string())?;
        let assignment = resolved.assignment.as_ref();
        let assignment = assignment.ok_or("there is no assignment")?;
        let primary = resolved.primary().ok_or("there is no primary")?;
        let confirmed = primary.report.role == Some((Role::Primary, assignment.epoch));
        if !confirmed || assignment.in_sync.len() != NODES {
            let report = &primary.report;
            return Err(format!("{assignment:?}, and of the primary {report:?}"));
        }
        let found = self
            .nodes
            .iter()
            .position(|node| node.address.to_string() == primary.endpoint.as_str());
        let at = found.ok_or_else(|| format!("{} is none of the nodes", primary.endpoint))?;
        self.replicate_from(at).await?;
        Ok(at)
    }

    async fn replicate_from(&self, primary: usize) -> Result<(), String> {
        let from = self.nodes[primary].address;
        for (at, node) in self.nodes.iter().enumerate() {
            let info = Info::of(node.address, "replication").await;
            let info = info.map_err(|error| format!("{}: {error}", node.address))?;
            let told = (info.get("role"), info.get("master_link_status"));
            let right = if at == primary {
                told.0 == "master" && info.replicas_online() == NODES - 1
            } else {
                let port = from.port().to_string();
                told == ("slave", "up") && info.get("master_port") == port
            };
            if !right {
                let address = node.address;
                return Err(format!(
                    "{address} does not replicate from {from}: {info:?}"
                ));
            }
        }
        Ok(())
    }

    /// A client's way to know the primary.
    pub async fn follow(&self) -> Result<Follower, BenchError> {
        let follower = Follower::of(&self.client, &self.service).await;
        follower.map_err(BenchError::tenure("following the primary"))
    }

    /// How the latest change of primary divides, in milliseconds since the old primary was last known to serve.
    pub async fn timeline(&self) -> Result<Vec<(Phase, u64)>, BenchError> {
        let told = self.client.admin().receipts(Some(&self.service), 1).await;
        let (_revision, receipts) = told.map_err(BenchError::tenure("asking for the receipt"))?;
        let latest = receipts.first().map(|receipt| &receipt.account.timeline);
        let phases = latest.into_iter().flatten();
        Ok(phases.map(|(phase, at)| (*phase, at.0)).collect())
    }

    pub fn address(&self, at: usize) -> SocketAddr {
        self.nodes[at].address
    }

    /// Kills a redis-server with SIGKILL. Its agent goes on.
    pub fn kill(&mut self, at: usize) -> Result<(), BenchError> {
        Ok(self.nodes[at].redis.kill()?)
    }

    /// Starts it again, empty, as an operator would.
    pub fn readmit(&mut self, at: usize) -> Result<(), BenchError> {
        Ok(self.nodes[at].redis.start()?)
    }

    /// How many of these keys the primary does not have as they were written.
    pub async fn missing(
        &self,
        primary: usize,
        keys: &[(String, u64)],
    ) -> Result<usize, BenchError> {
        let address = self.address(primary);
        let missing = link::missing(address, keys).await;
        let missing = missing.map_err(|source| BenchError::Redis {
            what: "reading back what was acknowledged",
            address,
            source,
        })?;
        Ok(missing.len())
    }

    /// Stops all processes, agents first: they hand over while there is somebody to hand over to.
    pub async fn stop(mut self) -> Result<(), BenchError> {
        for node in &mut self.nodes {
            node.agent.terminate()?;
        }
        for node in &mut self.nodes {
            node.agent.finish().await?;
            // Nothing that is still needed is in it.
            node.redis.kill()?;
        }
        Ok(())
    }
}
