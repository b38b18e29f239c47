//! What is measured: three servers of Tenure, three nodes, all with the default settings.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tenure_benches::ports::free_ports;
use tenure_benches::process::Process;
use tenure_client::core::{
    Millis, NodeName, NodeRef, Note, Policy, PrimaryPolicy, Receipt, Role, ServiceName,
};
use tenure_client::{Client, Consistency, Error, FailoverOptions, Options as ClientOptions};
use tenure_tests::failover::config::{Listens, node_name, server};
use tenure_tests::failover::follower::Follower;
use tenure_tests::failover::moment::Moment;
use tenure_tests::mariadb::config::{OPERATOR, SERVICE, agent};
use tenure_tests::mariadb::server::program;
use tenure_tests::mariadb::writer::prepare;

use crate::error::BenchError;
use crate::ground::{Ground, version_of, write};
use crate::nodes::{NODES, Nodes};
use crate::options::Options;

const SERVERS: usize = 3;
const SETTLE_BOUND: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);

/// Versions and settings, in one line.
pub fn describe(options: &Options) -> Result<String, BenchError> {
    let (own, mariadb) = (version_of(&options.tenure)?, version_of(&program())?);
    Ok(format!(
        "{own}; {SERVERS} servers and {NODES} agents with default settings (heartbeat 100 ms, lease 1 s, control_loss \
         pledge); loss never, write_acks 1, no anti-flap window; {mariadb}, sync-binlog 1, \
         innodb-flush-log-at-trx-commit 1, semi-synchronous"
    ))
}

/// MariaDB under Tenure. Dropping it kills all its processes.
#[derive(Debug)]
pub struct Stack {
    servers: Vec<(Process, SocketAddr)>,
    // Before `_data`: fields are dropped in this order, and processes must be gone before their files.
    pub nodes: Nodes,
    _data: TempDir,
    client: Client,
    service: ServiceName,
}

impl Stack {
    /// Starts everything with empty data and waits until it has settled.
    pub async fn start(ground: &Ground) -> Result<Self, BenchError> {
        let data = ground.folder("tenure-")?;
        let nodes = Nodes::start(ground, data.path()).await?;
        let servers = run_servers(ground, data.path())?;
        let addresses: Vec<SocketAddr> = servers.iter().map(|(_, address)| *address).collect();
        let client = connect(&addresses).await?;
        let service = ServiceName::new(SERVICE).map_err(|error| BenchError::Refused {
            what: "the name of the service",
            told: error.to_string(),
        })?;
        let mut stack = Self {
            servers,
            nodes,
            _data: data,
            client,
            service,
        };
        stack.add_service().await?;
        stack.run_agents(ground, &addresses)?;
        stack.choose_first().await?;
        let first = stack.settled().await?;
        let address = stack.nodes.address(first);
        let prepared = prepare(address, OPERATOR).await;
        prepared.map_err(|source| BenchError::Mariadb {
            what: "making the writers' table",
            address,
            source,
        })?;
        Ok(stack)
    }

    async fn add_service(&self) -> Result<(), BenchError> {
        let policy = Policy::Primary(PrimaryPolicy {
            replicas: u32::try_from(NODES - 1).unwrap_or(u32::MAX),
            anti_flap_ms: Millis(0),
            ..PrimaryPolicy::default()
        });
        let admin = self.client.admin();
        let added = admin.add_service(self.service.clone(), policy).await;
        added.map(drop).map_err(failed("adding the service"))
    }

    fn run_agents(&mut self, ground: &Ground, servers: &[SocketAddr]) -> Result<(), BenchError> {
        let dir = self._data.path().to_path_buf();
        let ports = free_ports(2 * NODES)?;
        for (at, site) in ground.network.sites.iter().enumerate() {
            let listen = |port| SocketAddr::new(IpAddr::V4(site.ip), port);
            let listens = Listens {
                checks: listen(ports[2 * at]),
                pledges: listen(ports[2 * at + 1]),
            };
            let name = format!("agent-{at}");
            let config = dir.join(format!("{name}.toml"));
            let own = (at, self.nodes.address(at));
            let files = self.nodes.files(at);
            let text = agent(own, servers, &dir.join(&name), listens, files, "");
            write(&config, &text)?;
            let args = tenure_args("agent", &config);
            let process = ground.process(site, &name, &ground.options.tenure, args, &dir);
            self.nodes.run_agent(at, process)?;
        }
        Ok(())
    }

    /// Names the first primary as soon as its instance can be it: nobody but an operator decides that.
    async fn choose_first(&self) -> Result<(), BenchError> {
        let first = NodeName::new(&node_name(0)).map_err(|error| BenchError::Refused {
            what: "the name of the first primary",
            told: error.to_string(),
        })?;
        let deadline = Moment::now().plus(SETTLE_BOUND);
        loop {
            let admin = self.client.admin();
            let options = FailoverOptions {
                to: Some(NodeRef::Name(first.clone())),
                ..FailoverOptions::default()
            };
            match admin.failover(&self.service, options).await {
                Ok(_moved) => return Ok(()),
                Err(error) if Moment::now() >= deadline => {
                    return Err(failed("choosing the first primary")(error));
                }
                Err(_not_yet) => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// The node whose instance has confirmed that it is primary, when every instance is in sync with it.
    async fn agreed(&self) -> Result<usize, String> {
        let resolved = self
            .client
            .discovery()
            .resolve(&self.service, Consistency::Linearizable)
            .await
            .map_err(|error| error.to_string())?;
        let assignment = resolved.assignment.as_ref();
        let assignment = assignment.ok_or("there is no assignment")?;
        let primary = resolved.primary().ok_or("there is no primary")?;
        let confirmed = primary.report.role == Some((Role::Primary, assignment.epoch));
        if !confirmed || assignment.in_sync.len() != NODES {
            let reports = resolved.instances.iter().map(|one| &one.report);
            let reports: Vec<_> = reports.collect();
            return Err(format!("{assignment:?}; {reports:?}"));
        }
        let address = primary.endpoint.as_str().parse();
        let address: SocketAddr =
            address.map_err(|_| format!("{} is no address", primary.endpoint))?;
        let at = self.nodes.at(address);
        let at = at.ok_or_else(|| format!("{address} is none of the nodes"))?;
        self.nodes.replicate_from(at).await?;
        Ok(at)
    }

    /// A client's way to know the primary.
    pub async fn follow(&self) -> Result<Follower, BenchError> {
        let follower = Follower::of(&self.client, &self.service).await;
        follower.map_err(failed("following the primary"))
    }

    /// Waits until one is primary, both others follow it and everybody knows, so that another fault may come;
    /// returns the primary's place among the nodes.
    pub async fn settled(&mut self) -> Result<usize, BenchError> {
        let deadline = Moment::now().plus(SETTLE_BOUND);
        loop {
            self.nodes.check()?;
            for (process, _address) in &mut self.servers {
                process.check()?;
            }
            let last = match self.agreed().await {
                Ok(primary) => return Ok(primary),
                Err(last) => last,
            };
            if Moment::now() >= deadline {
                return Err(BenchError::TooLate {
                    what: "agreement of servers and nodes".to_owned(),
                    bound: SETTLE_BOUND,
                    last,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Moves the primary as an operator would; returns when this was done.
    pub async fn switchover(&self) -> Result<(), BenchError> {
        let reason = Note::new("the bench asks for it").unwrap_or_default();
        let admin = self.client.admin();
        let moved = admin.switchover(&self.service, None, reason).await;
        moved.map(drop).map_err(|error| match error.held() {
            Some(hold) => BenchError::Refused {
                what: "the switchover",
                told: hold.why.to_string(),
            },
            None => failed("the switchover")(error),
        })
    }

    /// What the latest change of primary rested on.
    pub async fn receipt(&self) -> Result<Receipt, BenchError> {
        let receipts = self.client.admin().receipts(Some(&self.service), 1).await;
        let (_revision, receipts) = receipts.map_err(failed("asking for the receipt"))?;
        let latest = receipts.into_iter().next();
        latest.ok_or_else(|| BenchError::Refused {
            what: "asking for the receipt",
            told: "there is none".to_owned(),
        })
    }

    /// Stops all processes.
    pub async fn stop(mut self) -> Result<(), BenchError> {
        self.nodes.stop().await?;
        for (process, _address) in &mut self.servers {
            process.terminate()?;
        }
        for (process, _address) in &mut self.servers {
            process.finish().await?;
        }
        Ok(())
    }
}

/// A client, once one of the servers answers.
async fn connect(servers: &[SocketAddr]) -> Result<Client, BenchError> {
    let options = ClientOptions {
        actor: "bench".to_owned(),
        ..ClientOptions::default()
    };
    let deadline = Moment::now().plus(SETTLE_BOUND);
    loop {
        let endpoints = servers.iter().map(ToString::to_string);
        match Client::connect(endpoints, options.clone()).await {
            Ok(client) => return Ok(client),
            Err(error) if Moment::now() >= deadline => {
                return Err(failed("connecting to the servers")(error));
            }
            Err(_not_yet) => tokio::time::sleep(POLL).await,
        }
    }
}

fn failed(what: &'static str) -> impl FnOnce(Error) -> BenchError {
    move |source| BenchError::Tenure { what, source }
}

fn tenure_args(role: &str, config: &Path) -> Vec<String> {
    let config = config.display().to_string();
    [role, "--log", "warn", "--config", &config]
        .map(str::to_owned)
        .to_vec()
}

fn run_servers(ground: &Ground, dir: &Path) -> Result<Vec<(Process, SocketAddr)>, BenchError> {
    let site = &ground.network.hub;
    let ports = free_ports(2 * SERVERS)?;
    let (api, raft) = ports.split_at(SERVERS);
    let at_hub = |ports: &[u16]| -> Vec<SocketAddr> {
        let with = |port: &u16| SocketAddr::new(IpAddr::V4(site.ip), *port);
        ports.iter().map(with).collect()
    };
    let (api, raft) = (at_hub(api), at_hub(raft));
    let mut servers = Vec::with_capacity(SERVERS);
    for (at, address) in api.iter().enumerate() {
        let name = format!("server-{at}");
        let config = dir.join(format!("{name}.toml"));
        write(&config, &server(at, &api, &raft, &dir.join(&name)))?;
        let args = tenure_args("server", &config);
        let mut process = ground.process(site, &name, &ground.options.tenure, args, dir);
        process.start()?;
        servers.push((process, *address));
    }
    Ok(servers)
}
