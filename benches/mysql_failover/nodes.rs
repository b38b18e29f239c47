//! Three nodes with a mariadbd and an agent each.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use mysql_async::Row;
use tenure_benches::ports::free_ports;
use tenure_benches::process::{Process, ProcessError};
use tenure_tests::failover::moment::Moment;
use tenure_tests::mariadb::config::{Files, OPERATOR};
use tenure_tests::mariadb::link;
use tenure_tests::mariadb::server::{Mariadb, arguments, program};

use crate::error::BenchError;
use crate::ground::Ground;

/// How many nodes there are.
pub const NODES: usize = 3;
const START_BOUND: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct Node {
    store: Mariadb,
    agent: Option<Process>,
}

/// The nodes. Dropping them kills their processes.
#[derive(Debug)]
pub struct Nodes {
    list: Vec<Node>,
}

impl Nodes {
    /// Starts a mariadbd on every node, without a role, and waits until each answers.
    pub async fn start(ground: &Ground, dir: &Path) -> Result<Self, BenchError> {
        let mut list = Vec::with_capacity(NODES);
        let ports = free_ports(NODES)?;
        for (number, (site, port)) in (1..).zip(ground.network.sites.iter().zip(ports)) {
            let name = format!("mariadbd-{number}");
            let files = Files {
                folder: dir.join(&name),
            };
            let process = ground.process(site, &name, &program(), arguments(&files), dir);
            let address = SocketAddr::new(IpAddr::V4(site.ip), port);
            let store = Mariadb::new(&ground.template, files, address, number, process, "")?;
            store.start()?;
            list.push(Node { store, agent: None });
        }
        let nodes = Self { list };
        for node in &nodes.list {
            answers(&node.store).await?;
        }
        Ok(nodes)
    }

    /// Gives a node its agent, and starts it.
    pub fn run_agent(&mut self, at: usize, mut agent: Process) -> Result<(), BenchError> {
        agent.start()?;
        self.list[at].agent = Some(agent);
        Ok(())
    }

    /// Where a node's mariadbd is reached.
    pub fn address(&self, at: usize) -> SocketAddr {
        self.list[at].store.address
    }

    /// The files of a node's mariadbd.
    pub fn files(&self, at: usize) -> &Files {
        &self.list[at].store.files
    }

    /// The node whose mariadbd is reached there.
    pub fn at(&self, address: SocketAddr) -> Option<usize> {
        let mut stores = self.list.iter().map(|node| &node.store);
        stores.position(|store| store.address == address)
    }

    /// Whether all agents run. A mariadbd may be between two starts, when its agent replaces its data.
    pub fn check(&mut self) -> Result<(), ProcessError> {
        let mut agents = self.list.iter_mut().filter_map(|node| node.agent.as_mut());
        agents.try_for_each(Process::check)
    }

    /// Kills a mariadbd with SIGKILL. Its agent goes on.
    pub fn kill(&self, at: usize) -> Result<(), BenchError> {
        Ok(self.list[at].store.kill()?)
    }

    /// Starts it again, as a service manager would.
    pub fn readmit(&self, at: usize) -> Result<(), BenchError> {
        Ok(self.list[at].store.start()?)
    }

    /// Stops a mariadbd and its agent with SIGSTOP.
    pub fn freeze(&mut self, at: usize) -> Result<(), BenchError> {
        let node = &mut self.list[at];
        if let Some(agent) = &mut node.agent {
            agent.freeze()?;
        }
        Ok(node.store.freeze()?)
    }

    /// Lets both go on, mariadbd first: its agent can prevent nothing that it does before.
    pub fn thaw(&mut self, at: usize) -> Result<(), BenchError> {
        let node = &mut self.list[at];
        node.store.thaw()?;
        if let Some(agent) = &mut node.agent {
            agent.thaw()?;
        }
        Ok(())
    }

    /// Whether both others follow `primary`; the reason when not.
    pub async fn replicate_from(&self, primary: usize) -> Result<(), String> {
        let wanted = self.address(primary).port();
        let others = self
            .list
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != primary);
        for (_, node) in others {
            let address = node.store.address;
            let rows = link::ask::<Row>(address, OPERATOR, "SHOW ALL SLAVES STATUS").await;
            let rows = rows.map_err(|error| format!("{address}: {error}"))?;
            let is_right = rows.iter().any(|row| {
                let text = |name: &str| row.get::<String, _>(name).unwrap_or_default();
                let runs = ["Slave_IO_Running", "Slave_SQL_Running"].map(text);
                let port = row.get::<u16, _>("Master_Port");
                runs == ["Yes", "Yes"] && port == Some(wanted)
            });
            if !is_right {
                return Err(format!("{address} does not follow port {wanted}: {rows:?}"));
            }
        }
        Ok(())
    }

    /// Ends all processes.
    pub async fn stop(mut self) -> Result<(), BenchError> {
        for agent in self.list.iter_mut().filter_map(|node| node.agent.as_mut()) {
            agent.terminate()?;
        }
        for agent in self.list.iter_mut().filter_map(|node| node.agent.as_mut()) {
            agent.finish().await?;
        }
        Ok(())
    }
}

async fn answers(store: &Mariadb) -> Result<(), BenchError> {
    let deadline = Moment::now().plus(START_BOUND);
    while !store.is_up().await {
        store.check()?;
        if Moment::now() >= deadline {
            return Err(BenchError::TooLate {
                what: format!("an answer of mariadbd at {}", store.address),
                bound: START_BOUND,
                last: "it runs".to_owned(),
            });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
