//! One server as a process: started, served, and stopped in order.

use std::net::SocketAddr;
use std::time::Duration;

use tenure_proto::net::{self, Listener};
use tenure_storage::error::OpenError;
use tenure_storage::folder::{DataFolder, Identity};
use tenure_storage::image::Probe;
use tenure_storage::store::{Checkpoints, Store, StoreError, StoreOptions};
use tenure_storage::{wal, work};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::api;
use crate::config::Config;
use crate::consensus::Consensus;
use crate::error::Peer;

mod assemble;
mod threads;

use assemble::{Ended, Parts, assemble, serve_api};
use threads::Threads;

/// Threads of consensus. They do nothing else.
const RAFT_THREADS: usize = 2;
/// Threads of the API. They are a server's own too, so that none of its tasks outlives it.
const API_THREADS: usize = 2;
/// How long handing over leadership may hold up a shutdown.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the last checkpoint may hold it up. Without it the next start reads more of the log.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long requests under way may hold it up.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a server was not started. Nothing but a corrected cause helps, save where an address is in use
/// for the moment.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data folder was not opened.
    #[error(transparent)]
    Folder(#[from] OpenError),
    /// What is in the data folder was not opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address cannot be listened on.
    #[error("cannot listen on {what}.listen = {address}: {why}")]
    Listen {
        /// `raft` or `api`.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// The operating system's answer.
        why: String,
    },
    /// Consensus did not start.
    #[error("consensus did not start: {0}")]
    Consensus(String),
}

/// How to start a server.
pub struct Server;

impl Server {
    /// Opens the data folder, joins the group and serves. Returns once the ports are open; a cluster
    /// that is yet to be formed forms afterwards.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong and what to do about it. Nothing runs afterwards.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let (folder, store) = open(&config).await?;
        let raft_listener = listen("raft", config.raft.listen).await?;
        let api_listener = listen("api", config.api.listen).await?;
        let addresses = Addresses {
            raft: bound("raft", &raft_listener, config.raft.listen)?,
            api: bound("api", &api_listener, config.api.listen)?,
        };
        let own = advertised(&config, addresses);
        let id = config.server.0;
        let raft_threads = Threads::new("raft", id, RAFT_THREADS)?;
        let api_threads = Threads::new("api", id, API_THREADS)?;
        let store_id = folder.store_id();
        let parts = assemble(config.clone(), own, store_id, store, raft_listener);
        let parts = raft_threads.handle().spawn(parts).await;
        let parts = parts.unwrap_or_else(|error| Err(StartError::Consensus(error.to_string())))?;
        let stop_api = watch::Sender::new(false);
        let api = start_api(&parts, api_listener, stop_api.subscribe(), &api_threads).await?;
        tracing::info!(
            server = id,
            cluster = config.cluster,
            raft = %addresses.raft,
            api = %addresses.api,
            "started"
        );
        Ok(Running {
            addresses,
            consensus: parts.consensus,
            checkpoints: parts.checkpoints,
            ended: parts.ended,
            stop_api,
            api,
            api_threads,
            raft_threads,
            _folder: folder,
        })
    }
}

/// Serves the API on its own threads; its handlers start tasks there too.
async fn start_api(
    parts: &Parts,
    listener: Listener,
    stop: watch::Receiver<bool>,
    threads: &Threads,
) -> Result<JoinHandle<()>, StartError> {
    let consensus = parts.consensus.clone();
    let (control, exchange) = (parts.control.clone(), parts.exchange.clone());
    let handle = threads.handle();
    let routes = handle.spawn(async move { api::routes(consensus, control, exchange).await });
    let routes = routes
        .await
        .map_err(|error| StartError::Consensus(error.to_string()))?
        .map_err(|error| StartError::Consensus(error.to_string()))?;
    Ok(handle.spawn(serve_api(routes, listener, stop)))
}

#[derive(Debug, Clone, Copy)]
struct Addresses {
    raft: SocketAddr,
    api: SocketAddr,
}

async fn open(config: &Config) -> Result<(DataFolder, Store), StartError> {
    let config = config.clone();
    let opened = work::beside(move || {
        let identity = Identity {
            cluster: config.cluster.clone(),
            server: config.server.0,
        };
        let folder = DataFolder::open(&config.data_dir, identity)?;
        let probe = config.probe.map_or(Probe::None, |program| Probe::Command {
            program,
            args: vec!["probe-image".into()],
        });
        let options = StoreOptions {
            probe,
            events_max: config.keeping.events_max,
            log: wal::Options {
                // A thread beside the simulated time would write at any moment of it.
                on_thread: !net::is_simulated(),
                ..wal::Options::default()
            },
        };
        let store = Store::open(&folder, options)?;
        Ok((folder, store))
    });
    opened
        .await
        .unwrap_or_else(|error| Err(StartError::Consensus(error.to_string())))
}

async fn listen(what: &'static str, address: SocketAddr) -> Result<Listener, StartError> {
    Listener::bind(address)
        .await
        .map_err(|error| StartError::Listen {
            what,
            address,
            why: error.to_string(),
        })
}

fn bound(
    what: &'static str,
    listener: &Listener,
    address: SocketAddr,
) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|error| StartError::Listen {
        what,
        address,
        why: error.to_string(),
    })
}

fn advertised(config: &Config, bound: Addresses) -> Peer {
    let or_bound = |configured: &Option<String>, bound: SocketAddr| {
        configured.clone().unwrap_or_else(|| bound.to_string())
    };
    Peer {
        id: config.server,
        raft: or_bound(&config.raft.advertise, bound.raft),
        api: or_bound(&config.api.advertise, bound.api),
    }
}

/// A running server. Call [`Running::shutdown`] to stop it in order; dropping it stops it at once,
/// as a crash would.
pub struct Running {
    addresses: Addresses,
    consensus: Consensus,
    checkpoints: Checkpoints,
    ended: watch::Receiver<Ended>,
    stop_api: watch::Sender<bool>,
    api: JoinHandle<()>,
    api_threads: Threads,
    raft_threads: Threads,
    /// Released last of all.
    _folder: DataFolder,
}

impl Running {
    /// Where the API listens.
    pub fn api_addr(&self) -> SocketAddr {
        self.addresses.api
    }

    /// Where other servers reach this one.
    pub fn raft_addr(&self) -> SocketAddr {
        self.addresses.raft
    }

    /// This server's part in consensus.
    pub fn consensus(&self) -> &Consensus {
        &self.consensus
    }

    /// Waits until the server has ended by itself.
    ///
    /// # Errors
    /// A sentence that says why it cannot go on, and what to do.
    pub async fn wait(&self) -> Result<(), String> {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or(Ok(())),
            Err(_) => Ok(()),
        }
    }

    /// Hands leadership over, lets requests under way end, writes a checkpoint and stops. Each step
    /// has its time; none of them can hold the shutdown up for good.
    pub async fn shutdown(self) {
        let Running {
            consensus,
            checkpoints,
            stop_api,
            mut api,
            api_threads,
            raft_threads,
            _folder,
            ..
        } = self;
        let id = consensus.id();
        if consensus.leads() {
            hand_over(&consensus).await;
        }
        consensus.close();
        stop_api.send_replace(true);
        if timeout(DRAIN_TIMEOUT, &mut api).await.is_err() {
            api.abort();
        }
        api_threads.end(DRAIN_TIMEOUT).await;
        consensus.links().close();
        if let Err(error) = consensus.stop_core().await {
            tracing::warn!(server = %id, error, "consensus did not stop in order");
        }
        match timeout(CHECKPOINT_TIMEOUT, checkpoints.make()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(server = %id, %error, "no last checkpoint"),
            Err(_) => tracing::warn!(server = %id, "the last checkpoint took too long"),
        }
        raft_threads.end(DRAIN_TIMEOUT).await;
        tracing::info!(server = %id, "stopped");
    }
}

async fn hand_over(consensus: &Consensus) {
    let id = consensus.id();
    match timeout(HAND_OVER_TIMEOUT, consensus.transfer_leader(None)).await {
        Ok(Ok(to)) => tracing::info!(server = %id, %to, "handed leadership over"),
        Ok(Err(error)) => tracing::info!(server = %id, %error, "leadership was not handed over"),
        Err(_) => tracing::warn!(server = %id, "leadership was not handed over in time"),
    }
}
