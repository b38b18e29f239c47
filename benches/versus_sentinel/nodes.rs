//! Three nodes with a redis-server each, and an agent where the system has agents.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_benches::ports::free_ports;
use tenure_benches::process::{Process, ProcessError};

use crate::config;
use crate::error::BenchError;
use crate::ground::{Ground, write};
use crate::link::{self, Info};
use crate::moment::Moment;

/// How many nodes there are.
pub const NODES: usize = 3;
const START_BOUND: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct Node {
    redis: Process,
    agent: Option<Process>,
    address: SocketAddr,
    config: PathBuf,
}

/// The nodes of one system. Dropping them kills their processes.
#[derive(Debug)]
pub struct Nodes {
    list: Vec<Node>,
    settings: String,
    dir: PathBuf,
}

impl Nodes {
    /// Starts a redis-server on every node, none of them a replica yet, with `settings` added to what all systems
    /// share, and waits until each answers.
    pub async fn start(ground: &Ground, dir: &Path, settings: String) -> Result<Self, BenchError> {
        let mut nodes = Self {
            list: Vec::with_capacity(NODES),
            settings,
            dir: dir.to_path_buf(),
        };
        for (at, (site, port)) in ground
            .network
            .sites
            .iter()
            .zip(free_ports(NODES)?)
            .enumerate()
        {
            let config = dir.join(format!("redis-{at}.conf"));
            let args = vec![config.display().to_string()];
            let name = format!("redis-{at}");
            let program = &ground.options.redis_server;
            nodes.list.push(Node {
                redis: ground.process(site, &name, program, args, dir),
                agent: None,
                address: SocketAddr::new(IpAddr::V4(site.ip), port),
                config,
            });
            nodes.run_redis(at, None)?;
        }
        for at in 0..NODES {
            nodes.answers(at).await?;
        }
        Ok(nodes)
    }

    /// Starts a node's redis-server, empty, as a primary or as a replica.
    pub fn run_redis(
        &mut self,
        at: usize,
        replica_of: Option<SocketAddr>,
    ) -> Result<(), BenchError> {
        let node = &mut self.list[at];
        let text = config::redis(node.address, &self.dir, replica_of, &self.settings);
        write(&node.config, &text)?;
        Ok(node.redis.start()?)
    }

    async fn answers(&mut self, at: usize) -> Result<(), BenchError> {
        let deadline = Moment::now().plus(START_BOUND);
        loop {
            self.list[at].redis.check()?;
            let last = match link::ask::<String>(self.list[at].address, &["PING"]).await {
                Ok(_pong) => return Ok(()),
                Err(error) => error.to_string(),
            };
            if Moment::now() >= deadline {
                return Err(BenchError::TooLate {
                    what: format!("an answer of redis-server at {}", self.list[at].address),
                    bound: START_BOUND,
                    last,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Gives a node its agent, and starts it.
    pub fn run_agent(&mut self, at: usize, mut agent: Process) -> Result<(), BenchError> {
        agent.start()?;
        self.list[at].agent = Some(agent);
        Ok(())
    }

    /// Where a node's redis-server is reached.
    pub fn address(&self, at: usize) -> SocketAddr {
        self.list[at].address
    }

    /// The node whose redis-server is reached there.
    pub fn at(&self, address: SocketAddr) -> Option<usize> {
        self.list.iter().position(|node| node.address == address)
    }

    /// Whether all processes run.
    pub fn check(&mut self) -> Result<(), ProcessError> {
        for node in &mut self.list {
            node.redis.check()?;
            if let Some(agent) = &mut node.agent {
                agent.check()?;
            }
        }
        Ok(())
    }

    /// Kills a redis-server with SIGKILL. Its agent goes on.
    pub fn kill(&mut self, at: usize) -> Result<(), BenchError> {
        Ok(self.list[at].redis.kill()?)
    }

    /// Stops a redis-server and its agent with SIGSTOP.
    pub fn freeze(&mut self, at: usize) -> Result<(), BenchError> {
        let node = &mut self.list[at];
        if let Some(agent) = &mut node.agent {
            agent.freeze()?;
        }
        Ok(node.redis.freeze()?)
    }

    /// Lets both go on, redis-server first: its agent can prevent nothing that it does before.
    pub fn thaw(&mut self, at: usize) -> Result<(), BenchError> {
        let node = &mut self.list[at];
        node.redis.thaw()?;
        if let Some(agent) = &mut node.agent {
            agent.thaw()?;
        }
        Ok(())
    }

    /// Whether `primary` is a primary that both others follow, with all there is; the reason when not.
    pub async fn replicate_from(&self, primary: usize) -> Result<(), String> {
        let from = self.list[primary].address;
        for (at, node) in self.list.iter().enumerate() {
            let info = Info::of(node.address, "replication")
                .await
                .map_err(|error| format!("{}: {error}", node.address))?;
            let told = (info.get("role"), info.get("master_link_status"));
            let right = if at == primary {
                told.0 == "master" && info.replicas_online() == NODES - 1
            } else {
                let port = from.port().to_string();
                told == ("slave", "up") && info.get("master_port") == port
            };
            if !right {
                return Err(format!(
                    "{} does not replicate from {from} yet: {info:?}",
                    node.address
                ));
            }
        }
        Ok(())
    }

    /// Ends all processes.
    pub async fn stop(mut self) -> Result<(), BenchError> {
        for node in &mut self.list {
            if let Some(agent) = &mut node.agent {
                agent.terminate()?;
            }
        }
        for node in &mut self.list {
            if let Some(agent) = &mut node.agent {
                agent.finish().await?;
            }
            // Nothing that is still needed is in it, and a primary waits for its replicas at SIGTERM.
            node.redis.kill()?;
        }
        Ok(())
    }
}
