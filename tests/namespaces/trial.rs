//! Three servers, and three nodes with an agent and a redis-server for each service: real processes, each machine in a
//! network namespace of its own.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tenure_client::{Client, Consistency, FailoverOptions, Options};
use tenure_core::{
    Automation, Epoch, Millis, NodeName, NodeRef, Policy, PrimaryPolicy, Receipt, Role, ServiceName,
};
use tenure_tests::cluster::binary::tenure;
use tenure_tests::cluster::until;
use tenure_tests::failover::config::{self, Listens, SERVICE, node_name};
use tenure_tests::failover::network::{Network, Place, enter_new, permitted};
use tenure_tests::ports::free_ports;
use tenure_tests::process::Process;

pub const SERVERS: usize = 3;
pub const NODES: usize = 3;
/// How long anything may take that has no bound of its own, on a machine with two busy cores.
pub const BOUND: Duration = Duration::from_secs(60);

/// What a trial begins with.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// How many services, each with an instance on each node; the first node has all primaries.
    pub services: usize,
    /// How the cluster decides by itself.
    pub automation: Automation,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            services: 1,
            automation: Automation::default(),
        }
    }
}

/// One node's processes.
#[derive(Debug)]
pub struct Node {
    /// In the order of the services.
    pub stores: Vec<Process>,
    pub agent: Process,
    addresses: Vec<SocketAddr>,
}

/// All processes of one test. What is dropped first ends first: files and namespaces outlive the processes.
#[derive(Debug)]
pub struct Trial {
    pub client: Client,
    pub nodes: Vec<Node>,
    pub servers: Vec<Process>,
    pub services: Vec<ServiceName>,
    pub network: Network,
    _dir: TempDir,
}

/// Runs `body` with everything started and settled, on a thread in a network namespace of its own. Where there are no
/// namespaces it says so and runs nothing; the gate leaves these tests out there, so that they count as skipped.
pub fn run(wanted: Wanted, body: impl AsyncFnOnce(Trial) + Send + 'static) {
    let why = match permitted() {
        Ok(["--net"]) => String::new(),
        Ok(_as_somebody) => "only root may enter one".to_owned(),
        Err(why) => why,
    };
    if !why.is_empty() {
        println!("skipped: no network namespaces on this machine: {why}");
        return;
    }
    let thread = std::thread::spawn(move || {
        let dir = tempfile::tempdir().expect("a folder");
        enter_new(dir.path()).expect("a namespace for the test");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let trial = Trial::start(dir, wanted).await;
            body(trial).await;
        });
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// The places of these servers.
pub fn servers(at: impl IntoIterator<Item = usize>) -> Vec<Place> {
    at.into_iter().map(Place::Site).collect()
}

/// The places of these nodes.
pub fn nodes(at: impl IntoIterator<Item = usize>) -> Vec<Place> {
    at.into_iter().map(|at| Place::Site(SERVERS + at)).collect()
}

impl Trial {
    async fn start(dir: TempDir, wanted: Wanted) -> Self {
        let program = tenure().expect("the program under test");
        let network = Network::namespaces(SERVERS + NODES, None, dir.path()).expect("a network");
        let (servers, api) = start_servers(&network, &program, dir.path());
        let services: Vec<ServiceName> = (0..wanted.services).map(service_name).collect();
        let nodes = start_nodes(&network, &program, dir.path(), &api, &services);
        let client = connect(&api).await;
        let trial = Self {
            client,
            nodes,
            servers,
            services,
            network,
            _dir: dir,
        };
        for service in &trial.services {
            trial.add(service).await;
        }
        for service in &trial.services {
            trial.choose_first(service).await;
        }
        for service in &trial.services {
            trial.settled(service).await;
        }
        if wanted.automation != Automation::default() {
            let unset = Automation::default().modified;
            let admin = trial.client.admin();
            let set = admin.set_automation(unset, wanted.automation).await;
            set.expect("automation is set");
        }
        trial
    }

    /// Adds a service. On a machine that is busy nobody may lead for longer than a call takes.
    async fn add(&self, service: &ServiceName) {
        let policy = Policy::Primary(PrimaryPolicy {
            replicas: 2,
            anti_flap_ms: Millis(0),
            ..PrimaryPolicy::default()
        });
        let added = until("a service", BOUND, async || {
            let admin = self.client.admin();
            let Err(error) = admin.add_service(service.clone(), policy).await else {
                return Ok(());
            };
            // An attempt that told of no outcome may have done it.
            let discovery = self.client.discovery();
            let found = discovery.resolve(service, Consistency::Linearizable).await;
            found.map(drop).map_err(|_unknown| error.to_string())
        });
        added.await.expect("a service is added");
    }

    /// Names the first primary as soon as its instance can be it: nobody but an operator decides that.
    async fn choose_first(&self, service: &ServiceName) {
        let first = NodeName::new(&node_name(0)).expect("a name");
        let chosen = until("the first primary", BOUND, async || {
            let options = FailoverOptions {
                to: Some(NodeRef::Name(first.clone())),
                ..FailoverOptions::default()
            };
            let moved = self.client.admin().failover(service, options).await;
            moved.map_err(|error| error.to_string())
        });
        chosen.await.expect("a first primary");
    }

    /// The first service.
    pub fn service(&self) -> ServiceName {
        self.services[0].clone()
    }

    /// The node whose instance has confirmed that it is primary, and its epoch, when all others are in sync with it.
    pub async fn settled(&self, service: &ServiceName) -> (usize, Epoch) {
        let agreed = until("agreement of all", BOUND, async || {
            let (primary, epoch, in_sync) = self.look(service).await?;
            if in_sync == NODES {
                return Ok((primary, epoch));
            }
            Err(format!("{in_sync} in sync at epoch {epoch}"))
        });
        match agreed.await {
            Ok(found) => found,
            Err(error) => panic!("{error}; {}", self.explained(service).await),
        }
    }

    /// The primary that has confirmed, its epoch, and how many instances are in sync.
    pub async fn look(&self, service: &ServiceName) -> Result<(usize, Epoch, usize), String> {
        let discovery = self.client.discovery();
        let resolved = discovery.resolve(service, Consistency::Linearizable).await;
        let resolved = resolved.map_err(|error| error.to_string())?;
        let assignment = resolved.assignment.as_ref();
        let assignment = assignment.ok_or("there is no assignment")?;
        let primary = resolved.primary().ok_or("there is no primary")?;
        if primary.report.role != Some((Role::Primary, assignment.epoch)) {
            return Err(format!("{assignment:?}, {:?}", primary.report));
        }
        let at = (0..NODES).find(|at| {
            let addresses = self.nodes[*at].addresses.iter();
            addresses
                .map(ToString::to_string)
                .any(|it| it == primary.endpoint.as_str())
        });
        let at = at.ok_or_else(|| format!("{} is none of the nodes", primary.endpoint))?;
        Ok((at, assignment.epoch, assignment.in_sync.len()))
    }

    /// Where a node's instance of a service is reached.
    pub fn address(&self, node: usize, service: &ServiceName) -> SocketAddr {
        let at = self.services.iter().position(|it| it == service);
        self.nodes[node].addresses[at.expect("one of the services")]
    }

    /// The place of the server that leads.
    pub async fn leader(&self) -> usize {
        let leader = until("a leader", BOUND, async || {
            let status = self.client.admin().status(Consistency::Linearizable).await;
            let status = status.map_err(|error| error.to_string())?;
            status.leader.ok_or_else(|| "nobody leads".to_owned())
        });
        // Ids are counted from 1 in the order of the servers.
        let id = leader.await.expect("a leader").0;
        usize::try_from(id).expect("a small number") - 1
    }

    /// What the change of primary rested on that began this epoch.
    pub async fn receipt(&self, service: &ServiceName, epoch: Epoch) -> Receipt {
        let found = until("a receipt", BOUND, async || {
            let receipts = self.client.admin().receipts(Some(service), 32).await;
            let (_, receipts) = receipts.map_err(|error| error.to_string())?;
            let found = receipts.into_iter().find(|it| it.epoch == epoch);
            found.ok_or_else(|| format!("none for epoch {epoch}"))
        });
        found
            .await
            .expect("every change of primary leaves a receipt")
    }

    /// What the leader says about a service.
    pub async fn explained(&self, service: &ServiceName) -> String {
        match self.client.admin().explain(service).await {
            Ok((_, explanation)) => format!("{explanation:?}"),
            Err(error) => format!("it is not explained: {error}"),
        }
    }

    /// Kills all servers.
    pub fn kill_servers(&mut self) {
        for server in &mut self.servers {
            server.kill().expect("killed");
        }
    }

    /// Starts the servers that do not run.
    pub fn start_servers(&mut self) {
        for server in &mut self.servers {
            server.start().expect("started");
        }
    }

    /// Sees that everything still runs, and ends it: agents first, so that nothing is moved any more.
    pub fn stop(mut self) {
        for server in &mut self.servers {
            server.check().expect("a server runs");
        }
        for node in &mut self.nodes {
            node.agent.check().expect("an agent runs");
            node.agent.kill().expect("killed");
            for store in &mut node.stores {
                store.check().expect("a redis-server runs");
            }
        }
    }
}

fn service_name(at: usize) -> ServiceName {
    let name = match at {
        0 => SERVICE.to_owned(),
        _ => format!("{SERVICE}-{at}"),
    };
    ServiceName::new(&name).expect("a name")
}

async fn connect(servers: &[SocketAddr]) -> Client {
    let connected = until("a client", BOUND, async || {
        let endpoints = servers.iter().map(ToString::to_string);
        let client = Client::connect(endpoints, Options::default()).await;
        client.map_err(|error| error.to_string())
    });
    connected.await.expect("the servers answer")
}

fn start_servers(network: &Network, program: &Path, dir: &Path) -> (Vec<Process>, Vec<SocketAddr>) {
    let ports = free_ports(2 * SERVERS).expect("ports");
    let listens = |offset: usize| -> Vec<SocketAddr> {
        let sites = network.sites.iter().take(SERVERS).enumerate();
        let at = |(at, site): (usize, &_)| listen(site, ports[2 * at + offset]);
        sites.map(at).collect()
    };
    let (api, raft) = (listens(0), listens(1));
    let mut started = Vec::new();
    for at in 0..SERVERS {
        let name = format!("server-{at}");
        let file = dir.join(format!("{name}.toml"));
        let text = config::server(at, &api, &raft, &dir.join(&name));
        std::fs::write(&file, text).expect("written");
        started.push(start(
            network,
            at,
            &name,
            program,
            arguments("server", &file),
            dir,
        ));
    }
    (started, api)
}

fn start_nodes(
    network: &Network,
    program: &Path,
    dir: &Path,
    api: &[SocketAddr],
    services: &[ServiceName],
) -> Vec<Node> {
    let mut nodes = Vec::new();
    for at in 0..NODES {
        let site = &network.sites[SERVERS + at];
        let ports = free_ports(services.len() + 2).expect("ports");
        let mut instances = Vec::new();
        let mut stores = Vec::new();
        for (service, port) in services.iter().zip(&ports[2..]) {
            let address = listen(site, *port);
            let file = dir.join(format!("redis-{at}-{service}.conf"));
            std::fs::write(&file, config::redis(address, dir, None, "")).expect("written");
            let args = vec![file.display().to_string()];
            let name = format!("redis-{at}-{service}");
            let program = Path::new("redis-server");
            stores.push(start(network, SERVERS + at, &name, program, args, dir));
            instances.push((service.as_str().to_owned(), address));
        }
        let listens = Listens {
            checks: listen(site, ports[0]),
            pledges: listen(site, ports[1]),
        };
        let name = format!("agent-{at}");
        let file = dir.join(format!("{name}.toml"));
        let text = config::agent(at, api, &dir.join(&name), listens, &instances);
        std::fs::write(&file, text).expect("written");
        let args = arguments("agent", &file);
        nodes.push(Node {
            stores,
            agent: start(network, SERVERS + at, &name, program, args, dir),
            addresses: instances.into_iter().map(|(_, address)| address).collect(),
        });
    }
    nodes
}

fn start(
    network: &Network,
    site: usize,
    name: &str,
    program: &Path,
    args: Vec<String>,
    dir: &Path,
) -> Process {
    let log = dir.join(format!("{name}.log"));
    let site = &network.sites[site];
    let mut process = site
        .process(name.to_owned(), program, args, &log)
        .without_env("TENURE_");
    process.start().expect("started");
    process
}

fn listen(site: &tenure_tests::failover::network::Site, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(site.ip), port)
}

fn arguments(role: &str, file: &Path) -> Vec<String> {
    let file = file.display().to_string();
    [role, "--log", "info", "--config", &file]
        .map(str::to_owned)
        .to_vec()
}
