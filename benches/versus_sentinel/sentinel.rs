//! The Sentinel side: three Sentinels at their most aggressive sensible setting.
//!
//! One failover is followed by another only after twice `failover-timeout`, so that waits for it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use redis::RedisResult;
use tempfile::TempDir;
use tenure_benches::ports::free_ports;
use tenure_benches::process::Process;

use crate::error::BenchError;
use crate::follower::Follower;
use crate::ground::{Ground, version_of, write};
use crate::link;
use crate::moment::Moment;
use crate::nodes::{NODES, Nodes};
use crate::options::Options;
use crate::sentinel_follow::{follow, primary_by};
use crate::stack::Stack;

const NAME: &str = "bench";
const SENTINELS: usize = 3;
const QUORUM: usize = 2;
const SETTLE_BOUND: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(20);
/// A Sentinel begins to count from up to a second after its vote (`SENTINEL_MAX_DESYNC`).
const DESYNC: Duration = Duration::from_millis(1_100);

/// The name of the system with a `down-after-milliseconds`, in tables and in JSON.
pub fn column(down_after: u64) -> String {
    format!("sentinel-{down_after}")
}

/// Version and settings, in one line.
pub fn describe(options: &Options, down_after: u64) -> Result<String, BenchError> {
    let server = version_of(&options.redis_server)?;
    let acks = match options.sentinel_min_replicas {
        0 => "min-replicas-to-write 0".to_owned(),
        some => format!("min-replicas-to-write {some}, min-replicas-max-lag 1"),
    };
    Ok(format!(
        "{server}; {SENTINELS} Sentinels, quorum {QUORUM}, down-after-milliseconds {down_after}, failover-timeout {}, \
         parallel-syncs 2; redis-server with {acks}",
        options.sentinel_failover_timeout
    ))
}

/// Redis under three Sentinels.
#[derive(Debug)]
pub struct Sentinel {
    sentinels: Vec<(Process, SocketAddr)>,
    // Before `_data`: fields are dropped in this order, and processes must be gone before their files.
    nodes: Nodes,
    _data: TempDir,
    spacing: Duration,
    primary: SocketAddr,
    switched: Option<Moment>,
    lost: usize,
}

impl Sentinel {
    /// Starts everything with empty data and waits until it has settled.
    pub async fn start(ground: &Ground, down_after: u64) -> Result<Self, BenchError> {
        let options = &ground.options;
        let data = ground.folder("sentinel-")?;
        let settings = match options.sentinel_min_replicas {
            0 => String::new(),
            some => format!("min-replicas-to-write {some}\nmin-replicas-max-lag 1\n"),
        };
        let nodes = Nodes::start(ground, data.path(), settings).await?;
        let mut stack = Self {
            sentinels: Vec::with_capacity(SENTINELS),
            primary: nodes.address(0),
            nodes,
            _data: data,
            spacing: Duration::from_millis(2 * options.sentinel_failover_timeout) + DESYNC,
            switched: None,
            lost: 0,
        };
        stack.replicate().await?;
        stack.run_sentinels(ground, down_after)?;
        stack.settled().await?;
        Ok(stack)
    }

    /// The replicas must be there before the Sentinels look for the first time: they look again after 10 s.
    async fn replicate(&self) -> Result<(), BenchError> {
        let (ip, port) = (
            self.primary.ip().to_string(),
            self.primary.port().to_string(),
        );
        for at in 1..NODES {
            let address = self.nodes.address(at);
            let words = ["REPLICAOF", ip.as_str(), port.as_str()];
            let _ok: String =
                link::ask(address, &words)
                    .await
                    .map_err(|source| BenchError::Redis {
                        what: "REPLICAOF",
                        address,
                        source,
                    })?;
        }
        let deadline = Moment::now().plus(SETTLE_BOUND);
        while let Err(last) = self.nodes.replicate_from(0).await {
            not_later(deadline, "the first replication", last)?;
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn run_sentinels(&mut self, ground: &Ground, down_after: u64) -> Result<(), BenchError> {
        let site = &ground.network.hub;
        for (at, port) in free_ports(SENTINELS)?.into_iter().enumerate() {
            let name = format!("sentinel-{at}");
            let config = self._data.path().join(format!("{name}.conf"));
            let address = SocketAddr::new(IpAddr::V4(site.ip), port);
            write(
                &config,
                &configuration(address, self.primary, down_after, ground),
            )?;
            let args = vec![config.display().to_string()];
            let program = &ground.options.redis_sentinel;
            let mut process = ground.process(site, &name, program, args, self._data.path());
            process.start()?;
            self.sentinels.push((process, address));
        }
        Ok(())
    }

    /// Notes when a failover happened: the next one is refused for a while.
    async fn note_switch(&mut self) {
        let (_process, sentinel) = &self.sentinels[0];
        if let Ok(Some(primary)) = primary_by(*sentinel, NAME).await
            && primary != self.primary
        {
            self.primary = primary;
            self.switched = Some(Moment::now());
        }
    }

    /// The primary that all Sentinels and all nodes agree on, when nothing is missing.
    async fn agreed(&self) -> Result<usize, String> {
        let mut primary = None;
        for (_process, sentinel) in &self.sentinels {
            let told = view_of(*sentinel).await;
            let told = told.map_err(|error| format!("{sentinel}: {error}"))??;
            if primary.is_some_and(|before| before != told) {
                return Err(format!(
                    "{sentinel} takes {told} for the primary, another does not"
                ));
            }
            primary = Some(told);
        }
        let primary = primary.ok_or("there are no Sentinels")?;
        let at = self.nodes.at(primary);
        let at = at.ok_or_else(|| format!("{primary} is none of the nodes"))?;
        self.nodes.replicate_from(at).await?;
        Ok(at)
    }
}

/// The primary by one Sentinel, if it misses nobody and nothing goes on.
async fn view_of(sentinel: SocketAddr) -> RedisResult<Result<SocketAddr, String>> {
    let Some(primary) = primary_by(sentinel, NAME).await? else {
        return Ok(Err(format!("{sentinel} knows no {NAME}")));
    };
    let words = ["SENTINEL", "MASTER", NAME];
    let fields: std::collections::BTreeMap<String, String> = link::ask(sentinel, &words).await?;
    let get = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let replicas: Vec<std::collections::BTreeMap<String, String>> =
        link::ask(sentinel, &["SENTINEL", "REPLICAS", NAME]).await?;
    let sound = |one: &std::collections::BTreeMap<String, String>| {
        one.get("flags").is_some_and(|flags| flags == "slave")
    };
    let right = get("flags") == "master"
        && get("port") == primary.port().to_string()
        && get("num-other-sentinels") == (SENTINELS - 1).to_string()
        && replicas.len() == NODES - 1
        && replicas.iter().all(sound);
    if right {
        return Ok(Ok(primary));
    }
    Ok(Err(format!(
        "{sentinel} says {fields:?}, and of the replicas {replicas:?}"
    )))
}

fn not_later(deadline: Moment, what: &str, last: String) -> Result<(), BenchError> {
    if Moment::now() < deadline {
        return Ok(());
    }
    Err(BenchError::TooLate {
        what: what.to_owned(),
        bound: SETTLE_BOUND,
        last,
    })
}

impl Stack for Sentinel {
    fn nodes(&mut self) -> &mut Nodes {
        &mut self.nodes
    }

    async fn follow(&self) -> Result<Follower, BenchError> {
        let addresses: Vec<SocketAddr> = self.sentinels.iter().map(|(_, at)| *at).collect();
        Ok(follow(&addresses, NAME, self.primary).await)
    }

    async fn settled(&mut self) -> Result<usize, BenchError> {
        let deadline = Moment::now().plus(SETTLE_BOUND);
        let primary = loop {
            self.nodes.check()?;
            for (process, _address) in &mut self.sentinels {
                process.check()?;
            }
            self.note_switch().await;
            match self.agreed().await {
                Ok(primary) => break primary,
                Err(last) => not_later(deadline, "agreement of Sentinels and nodes", last)?,
            }
            tokio::time::sleep(POLL).await;
        };
        while let Some(switched) = self.switched
            && Moment::now() < switched.plus(self.spacing)
        {
            tokio::time::sleep(POLL).await;
        }
        Ok(primary)
    }

    fn readmit(&mut self, node: usize, primary: SocketAddr) -> Result<(), BenchError> {
        self.nodes.run_redis(node, Some(primary))
    }

    async fn lose_server(&mut self) -> Result<(), BenchError> {
        self.lost = (self.lost + 1) % SENTINELS;
        Ok(self.sentinels[self.lost].0.kill()?)
    }

    fn return_server(&mut self) -> Result<(), BenchError> {
        Ok(self.sentinels[self.lost].0.start()?)
    }

    async fn switchover(&self) -> Result<(), BenchError> {
        let words = ["SENTINEL", "FAILOVER", NAME];
        let (_process, address) = &self.sentinels[0];
        let told: RedisResult<String> = link::ask(*address, &words).await;
        told.map(drop).map_err(|source| BenchError::Redis {
            what: "SENTINEL FAILOVER",
            address: *address,
            source,
        })
    }

    async fn stop(mut self) -> Result<(), BenchError> {
        for (process, _address) in &mut self.sentinels {
            process.terminate()?;
        }
        for (process, _address) in &mut self.sentinels {
            process.finish().await?;
        }
        self.nodes.stop().await
    }
}

fn configuration(own: SocketAddr, primary: SocketAddr, down_after: u64, ground: &Ground) -> String {
    let (ip, port) = (own.ip(), own.port());
    let timeout = ground.options.sentinel_failover_timeout;
    format!(
        "bind {ip}\nport {port}\nprotected-mode no\n\
         sentinel announce-ip {ip}\nsentinel announce-port {port}\n\
         sentinel monitor {NAME} {} {} {QUORUM}\n\
         sentinel down-after-milliseconds {NAME} {down_after}\n\
         sentinel failover-timeout {NAME} {timeout}\n\
         sentinel parallel-syncs {NAME} 2\n",
        primary.ip(),
        primary.port()
    )
}
