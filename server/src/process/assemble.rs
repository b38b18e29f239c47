//! What runs on a server's threads.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Config as RaftConfig, SnapshotPolicy};
use tenure_proto::net::Listener;
use tenure_storage::store::{Checkpoints, Store};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::StartError;
use crate::config::Config;
use crate::consensus::{Consensus, duties};
use crate::control::Control;
use crate::error::Peer;
use crate::exchange::Exchange;
use crate::formation;
use crate::raft::{Links, Network, Raft, Service, relay};

/// How a server has ended; None while it runs.
pub(super) type Ended = Option<Result<(), String>>;

/// What runs on the runtime of consensus.
pub(super) struct Parts {
    pub(super) consensus: Consensus,
    pub(super) control: Control,
    pub(super) exchange: Arc<Exchange>,
    pub(super) checkpoints: Checkpoints,
    pub(super) ended: watch::Receiver<Ended>,
}

pub(super) async fn assemble(
    config: Config,
    own: Peer,
    store_id: u128,
    store: Store,
    listener: Listener,
) -> Result<Parts, StartError> {
    let id = config.server.0;
    let listener = adopt(listener)?;
    let links = Links::new(
        config.cluster.clone(),
        id,
        store_id,
        store.reader.clone(),
        config.timing.election_max,
    );
    let exchange = Exchange::new(config.server);
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
    let service = Service::new(links.clone(), raft.clone(), store.inbox, exchange.clone());
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
    let leadership = consensus.leadership();
    tokio::spawn(relay(links.clone(), exchange.clone(), leadership));
    // Followers refuse votes for so long after each append of a leader.
    let raft_lease = config.timing.election_max;
    let (control, task) = Control::start(consensus.clone(), exchange.clone(), raft_lease);
    tokio::spawn(watch_control(task, end.clone()));
    tokio::spawn(async move {
        let servers = with_own(config.servers, &own);
        if let Err(why) = formation::form(id, store_id, &servers, &raft, &links).await {
            tracing::error!(server = id, "{why}");
            end.send_replace(Some(Err(why)));
        }
    });
    Ok(Parts {
        consensus,
        control,
        exchange,
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
fn adopt(listener: Listener) -> Result<Listener, StartError> {
    listener
        .adopt()
        .map_err(|error| StartError::Consensus(error.to_string()))
}

fn raft_config(config: &Config) -> Result<RaftConfig, StartError> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let keeping = config.keeping;
    let heartbeat = millis(config.timing.heartbeat);
    RaftConfig {
        cluster_name: config.cluster.clone(),
        heartbeat_interval: heartbeat,
        // Acknowledged appends stand in for heartbeats while there is load; half of the interval keeps
        // what a quorum has acknowledged from ever being much older than one interval and a half.
        heartbeat_min_interval: Some(heartbeat.div_ceil(2)),
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

async fn serve_raft(service: Service, listener: Listener) {
    let served = tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .initial_stream_window_size(8 << 20)
        .initial_connection_window_size(32 << 20)
        .http2_keepalive_interval(Some(Duration::from_secs(1)))
        .http2_keepalive_timeout(Some(Duration::from_secs(2)))
        .add_service(service.into_server())
        .serve_with_incoming(listener.incoming())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the port of consensus is closed");
    }
}

pub(super) async fn serve_api(
    routes: tonic::service::Routes,
    listener: Listener,
    mut stop: watch::Receiver<bool>,
) {
    let listener = match adopt(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the port of the API is closed"),
    };
    let stopped = async move {
        // When the sender is gone the server is too.
        let _gone = stop.wait_for(|stop| *stop).await;
    };
    let served = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(10)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_routes(routes)
        .serve_with_incoming_shutdown(listener.incoming(), stopped)
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the port of the API is closed");
    }
}

/// Reports that the driver of the controller has failed; without it nobody would be granted anything.
async fn watch_control(task: JoinHandle<()>, end: watch::Sender<Ended>) {
    if let Err(error) = task.await
        && error.is_panic()
    {
        let failed = Err(format!("the controller has failed: {error}"));
        end.send_modify(|ended| {
            ended.get_or_insert(failed);
        });
    }
}

/// Reports the end of the Raft core.
async fn watch_end(raft: Raft, end: watch::Sender<Ended>) {
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
