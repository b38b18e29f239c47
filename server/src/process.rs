//! One server as a process: started, served, and stopped in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Config as RaftConfig, SnapshotPolicy};
use tenure_storage::error::OpenError;
use tenure_storage::folder::{DataFolder, Identity};
use tenure_storage::image::Probe;
use tenure_storage::store::{Checkpoints, Store, StoreError, StoreOptions};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_stream::wrappers::TcpListenerStream;

use crate::config::Config;
use crate::consensus::{Consensus, duties};
use crate::error::Peer;
use crate::raft::{Links, Network, Raft, Service};
use crate::{api, formation};

/// Threads of consensus. They do nothing else.
const RAFT_THREADS: usize = 2;
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
        let runtime = runtime(config.server.0)?;
        let handle = runtime.handle().clone();
        let store_id = folder.store_id();
        let assembled = handle.spawn(assemble(
            config.clone(),
            own,
            store_id,
            store,
            raft_listener,
        ));
        let parts = match assembled.await {
            Ok(Ok(parts)) => parts,
            Ok(Err(error)) => {
                runtime.shutdown_background();
                return Err(error);
            }
            Err(error) => {
                runtime.shutdown_background();
                return Err(StartError::Consensus(error.to_string()));
            }
        };
        let stop_api = watch::Sender::new(false);
        let routes = api::routes(parts.consensus.clone())
            .await
            .map_err(|error| StartError::Consensus(error.to_string()))?;
        let api = tokio::spawn(serve_api(routes, api_listener, stop_api.subscribe()));
        tracing::info!(
            server = %config.server,
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
            runtime: Some(runtime),
            _folder: folder,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Addresses {
    raft: SocketAddr,
    api: SocketAddr,
}

async fn open(config: &Config) -> Result<(DataFolder, Store), StartError> {
    let config = config.clone();
    let opened = tokio::task::spawn_blocking(move || {
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
            ..StoreOptions::default()
        };
        let store = Store::open(&folder, options)?;
        Ok((folder, store))
    });
    opened
        .await
        .unwrap_or_else(|error| Err(StartError::Consensus(error.to_string())))
}

async fn listen(what: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Listen {
            what,
            address,
            why: error.to_string(),
        })
}

fn bound(
    what: &'static str,
    listener: &TcpListener,
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

fn runtime(server: u64) -> Result<Runtime, StartError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RAFT_THREADS)
        .thread_name(format!("raft-{server}"))
        .enable_all()
        .build()
        .map_err(|error| StartError::Consensus(error.to_string()))
}

/// What runs on the runtime of consensus.
struct Parts {
    consensus: Consensus,
    checkpoints: Checkpoints,
    ended: watch::Receiver<Option<Result<(), String>>>,
}

async fn assemble(
    config: Config,
    own: Peer,
    store_id: u128,
    store: Store,
    listener: TcpListener,
) -> Result<Parts, StartError> {
    let id = config.server.0;
    let listener = adopt(listener)?;
    let links = Links::new(config.cluster.clone(), id, store_id, store.reader.clone());
    let raft = Raft::new(
        id,
        Arc::new(raft_config(&config)?),
        Network::new(links.clone()),
        store.log,
        store.machine,
    )
    .await
    .map_err(|error| StartError::Consensus(error.to_string()))?;
    links.attach(raft.clone());
    let service = Service::new(
        links.clone(),
        raft.clone(),
        store.inbox,
        config.timing.election_max,
    );
    tokio::spawn(serve_raft(service, listener));
    let (end, ended) = watch::channel(None);
    tokio::spawn(watch_end(raft.clone(), end.clone()));
    let consensus = Consensus::new(
        config.cluster.clone(),
        raft.clone(),
        store.reader,
        links.clone(),
        tokio::runtime::Handle::current(),
    );
    tokio::spawn(duties::run(consensus.clone()));
    tokio::spawn(async move {
        let servers = with_own(config.servers, &own);
        if let Err(why) = formation::form(id, store_id, &servers, &raft, &links).await {
            tracing::error!(server = id, "{why}");
            end.send_replace(Some(Err(why)));
        }
    });
    Ok(Parts {
        consensus,
        checkpoints: store.checkpoints,
        ended,
    })
}

/// The list with this server's own entry as it is advertised.
fn with_own(mut servers: Vec<Peer>, own: &Peer) -> Vec<Peer> {
    for peer in &mut servers {
        if peer.id == own.id {
            *peer = own.clone();
        }
    }
    servers
}

/// Moves a listener to the runtime that this runs on.
fn adopt(listener: TcpListener) -> Result<TcpListener, StartError> {
    listener
        .into_std()
        .and_then(TcpListener::from_std)
        .map_err(|error| StartError::Consensus(error.to_string()))
}

fn raft_config(config: &Config) -> Result<RaftConfig, StartError> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let keeping = config.keeping;
    let heartbeat = millis(config.timing.heartbeat);
    RaftConfig {
        cluster_name: config.cluster.clone(),
        heartbeat_interval: heartbeat,
        // Acknowledged appends stand in for heartbeats while there is load.
        heartbeat_min_interval: Some(heartbeat),
        election_timeout_min: millis(config.timing.election_min),
        election_timeout_max: millis(config.timing.election_max),
        install_snapshot_timeout: 10_000,
        max_payload_entries: 1_024,
        replication_lag_threshold: keeping.checkpoint_entries + keeping.log_keep_entries,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(keeping.checkpoint_entries),
        max_in_snapshot_log_to_keep: keeping.log_keep_entries,
        purge_batch_size: (keeping.checkpoint_entries / 8).clamp(1, 1_024),
        broadcast_submitted_on_append: Some(true),
        enable_pre_vote: Some(true),
        // A leader that was restarted does not know what was promised meanwhile: it must be elected.
        enable_leader_restore: Some(false),
        allow_log_reversion: Some(false),
        backoff: "10ms 20ms ...500ms".to_owned(),
        ..RaftConfig::default()
    }
    .validate()
    .map_err(|error| StartError::Consensus(error.to_string()))
}

async fn serve_raft(service: Service, listener: TcpListener) {
    let served = tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .initial_stream_window_size(8 << 20)
        .initial_connection_window_size(32 << 20)
        .http2_keepalive_interval(Some(Duration::from_secs(1)))
        .http2_keepalive_timeout(Some(Duration::from_secs(2)))
        .add_service(service.into_server())
        .serve_with_incoming(incoming(listener))
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the port of consensus is closed");
    }
}

fn incoming(
    listener: TcpListener,
) -> impl futures::Stream<Item = std::io::Result<tokio::net::TcpStream>> {
    use futures::StreamExt;
    TcpListenerStream::new(listener).inspect(|accepted| {
        if let Ok(stream) = accepted {
            // Without it small messages wait for more; a connection that is gone does not care.
            let _gone = stream.set_nodelay(true);
        }
    })
}

async fn serve_api(
    routes: tonic::service::Routes,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) {
    let stopped = async move {
        // When the sender is gone the server is too.
        let _gone = stop.wait_for(|stop| *stop).await;
    };
    let served = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming(listener), stopped)
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the port of the API is closed");
    }
}

/// Reports the end of the Raft core.
async fn watch_end(raft: Raft, end: watch::Sender<Option<Result<(), String>>>) {
    let mut metrics = raft.metrics();
    loop {
        let state = metrics.borrow_and_update().running_state.clone();
        if let Err(error) = state {
            let result = match &error {
                openraft::errors::Fatal::Stopped => Ok(()),
                openraft::errors::Fatal::StorageError(_) | openraft::errors::Fatal::Panicked => {
                    Err(format!("consensus has stopped: {error}"))
                }
            };
            end.send_if_modified(|ended| {
                let first = ended.is_none();
                ended.get_or_insert(result);
                first
            });
            return;
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

/// A running server. Call [`Running::shutdown`] to stop it in order; dropping it stops it at once,
/// as a crash would.
pub struct Running {
    addresses: Addresses,
    consensus: Consensus,
    checkpoints: Checkpoints,
    ended: watch::Receiver<Option<Result<(), String>>>,
    stop_api: watch::Sender<bool>,
    api: tokio::task::JoinHandle<()>,
    runtime: Option<Runtime>,
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
    pub async fn shutdown(mut self) {
        let id = self.consensus.id();
        if self.consensus.leads() {
            match timeout(HAND_OVER_TIMEOUT, self.consensus.transfer_leader(None)).await {
                Ok(Ok(to)) => tracing::info!(server = %id, %to, "handed leadership over"),
                Ok(Err(error)) => {
                    tracing::info!(server = %id, %error, "leadership was not handed over")
                }
                Err(_) => tracing::warn!(server = %id, "leadership was not handed over in time"),
            }
        }
        self.consensus.close();
        self.stop_api.send_replace(true);
        if timeout(DRAIN_TIMEOUT, &mut self.api).await.is_err() {
            self.api.abort();
        }
        self.consensus.links().close();
        let stopped = self.consensus.stop_core().await;
        if let Err(error) = stopped {
            tracing::warn!(server = %id, error, "consensus did not stop in order");
        }
        match timeout(CHECKPOINT_TIMEOUT, self.checkpoints.make()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(server = %id, %error, "no last checkpoint"),
            Err(_) => tracing::warn!(server = %id, "the last checkpoint took too long"),
        }
        if let Some(runtime) = self.runtime.take() {
            // Waits for threads, which an asynchronous task must not.
            let ended =
                tokio::task::spawn_blocking(move || runtime.shutdown_timeout(DRAIN_TIMEOUT));
            if ended.await.is_err() {
                tracing::warn!(server = %id, "the threads of consensus did not end in order");
            }
        }
        tracing::info!(server = %id, "stopped");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.consensus.close();
        self.api.abort();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
