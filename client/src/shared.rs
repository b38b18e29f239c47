//! What all handles of a client share.

use crate::{
    Error, Options,
    backoff::Backoff,
    requests::Requests,
    servers::{Server, Servers},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tenure_core::{Endpoint, ServerId, ServerRecord, ServerStatus};
use tenure_proto::v1;
use tonic::Status;

/// How soon the servers are asked for again.
const REFRESH_EVERY_MS: u64 = 1_000;

/// Longer than anybody waits, and short enough to be added to any time.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// What all handles of a client share.
pub(crate) struct Shared {
    pub(crate) servers: Servers,
    pub(crate) options: Options,
    pub(crate) backoff: Backoff,
    pub(crate) requests: Requests,
    outdated: AtomicBool,
    origin: Instant,
    /// Milliseconds after `origin` before which the servers are not asked for again.
    refresh_after_ms: AtomicU64,
}

impl Shared {
    pub(crate) fn new(endpoints: &[Endpoint], options: Options) -> Result<Self, Error> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed)
            .map_err(|why| Error::Invalid(format!("the system gives no random numbers: {why}")))?;
        let seed = u64::from_le_bytes(seed);
        let start = usize::try_from(seed >> 33).unwrap_or(0);
        Ok(Self {
            servers: Servers::new(endpoints, &options, start),
            options,
            backoff: Backoff::new(seed),
            requests: Requests::default(),
            outdated: AtomicBool::new(false),
            origin: Instant::now(),
            refresh_after_ms: AtomicU64::new(0),
        })
    }

    /// When a call that begins now has to end.
    pub(crate) fn until(&self, within: Duration) -> tokio::time::Instant {
        let now = tokio::time::Instant::now();
        now.checked_add(within.min(LONGEST)).unwrap_or(now)
    }

    /// A server answered. Only the leader answers calls that go to the leader.
    pub(crate) fn answered(self: &Arc<Self>, server: &Arc<Server>, is_leader: bool) {
        server.trust();
        if is_leader {
            self.leads(server);
        }
        if self.outdated.load(Ordering::Relaxed) {
            self.refresh_soon();
        }
    }

    pub(crate) fn leads(&self, server: &Arc<Server>) {
        if self.servers.set_leader(server) {
            tracing::debug!(api = server.api(), "another server leads");
            self.servers_may_have_changed();
        }
    }

    pub(crate) fn servers_may_have_changed(&self) {
        self.outdated.store(true, Ordering::Relaxed);
    }

    fn refresh_soon(self: &Arc<Self>) {
        let now = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let after = self.refresh_after_ms.load(Ordering::Relaxed);
        let next = now.saturating_add(REFRESH_EVERY_MS);
        let turn = || {
            let swap = self.refresh_after_ms.compare_exchange(
                after,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            swap.is_ok()
        };
        if now < after || !turn() {
            return;
        }
        self.outdated.store(false, Ordering::Relaxed);
        let shared = self.clone();
        tokio::spawn(async move {
            let server = shared.servers.next(None);
            if let Err(status) = shared.refresh(&server, shared.options.attempt).await {
                tracing::debug!(
                    api = server.api(),
                    why = status.message(),
                    "servers not learned"
                );
            }
        });
    }

    /// Asks one server for all servers and for who leads.
    pub(crate) async fn refresh(
        &self,
        server: &Arc<Server>,
        within: Duration,
    ) -> Result<(), Status> {
        let asked = async {
            let named = named_servers(server).await?;
            if !named.is_empty() {
                self.servers.replace(&named);
            }
            let raft = server.admin().raft_status(v1::RaftStatusRequest {}).await?;
            Ok::<u64, Status>(raft.into_inner().leader)
        };
        let leader = match tokio::time::timeout(within, asked).await {
            Ok(leader) => leader?,
            Err(_) => return Err(Status::deadline_exceeded("it does not answer in time")),
        };
        server.trust();
        if self.servers.leader().is_none()
            && let Some(leader) = self.servers.by_id(ServerId(leader))
            && !leader.is_avoided()
        {
            self.servers.set_leader(&leader);
        }
        Ok(())
    }
}

/// The servers that may take part, as this one remembers them.
async fn named_servers(server: &Server) -> Result<Vec<(ServerId, Endpoint)>, Status> {
    let request = v1::ListRequest {
        kinds: vec![v1::RecordKind::Server.into()],
        services: vec![],
        consistency: Some(v1::Consistency {
            local_max_age_ms: Some(u64::MAX),
        }),
    };
    let mut answers = server.discovery().list(request).await?.into_inner();
    let mut named = Vec::new();
    while let Some(part) = answers.message().await? {
        for record in part.records {
            let Some(v1::record::Kind::Server(wire)) = record.kind else {
                continue;
            };
            if let Ok(record) = ServerRecord::try_from(wire)
                && record.status == ServerStatus::Admitted
            {
                named.push((record.id, record.api));
            }
        }
    }
    Ok(named)
}
