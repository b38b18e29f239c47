//! The servers that a client knows: one channel each, who of them leads, who did not answer of late.

use crate::Options;
use std::{
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tenure_core::{Endpoint, ServerId};
use tenure_proto::net;
use tenure_proto::v1::{
    admin_client::AdminClient, copies_client::CopiesClient, discovery_client::DiscoveryClient,
};
use tokio::sync::watch;
use tonic::transport::{self, Channel};

/// Largest answer that is read, in bytes: a plan or history of the largest clusters.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How often a connection is asked whether it still lives, and how long it may take to say so: longer
/// than an attempt, so that a server that is merely busy keeps its connections.
const KEEPALIVE: Duration = Duration::from_secs(1);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(2);

/// How long a server is passed over after a connection to it failed, or after it kept silent.
const AVOID_REFUSING: Duration = Duration::from_millis(100);
const AVOID_SILENT: Duration = Duration::from_secs(1);

/// One server as the client sees it.
pub(crate) struct Server {
    api: Endpoint,
    /// 0 while it is not known.
    id: AtomicU64,
    /// Whether the caller named it: such a one is never forgotten.
    given: bool,
    channel: Channel,
    target: transport::Endpoint,
    origin: Instant,
    /// Milliseconds after `origin` until which it is passed over.
    avoided_until: AtomicU64,
}

impl Server {
    pub(crate) fn api(&self) -> &str {
        self.api.as_str()
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.api
    }

    /// How a connection to it is made.
    pub(crate) fn target(&self) -> &transport::Endpoint {
        &self.target
    }

    pub(crate) fn id(&self) -> Option<ServerId> {
        match self.id.load(Ordering::Relaxed) {
            0 => None,
            id => Some(ServerId(id)),
        }
    }

    pub(crate) fn admin(&self) -> AdminClient<Channel> {
        AdminClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn discovery(&self) -> DiscoveryClient<Channel> {
        DiscoveryClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn copies(&self) -> CopiesClient<Channel> {
        CopiesClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// A connection of its own: what a slow reader leaves lying in it delays nobody else.
    pub(crate) fn own_discovery(&self) -> DiscoveryClient<Channel> {
        DiscoveryClient::new(net::connect_lazy(&self.target))
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Passes it over for a while. `silent` when it took the request and kept it.
    pub(crate) fn avoid(&self, silent: bool) {
        let pause = if silent { AVOID_SILENT } else { AVOID_REFUSING };
        let until = self.now() + u64::try_from(pause.as_millis()).unwrap_or(0);
        self.avoided_until.store(until, Ordering::Relaxed);
    }

    pub(crate) fn trust(&self) {
        if self.avoided_until.load(Ordering::Relaxed) != 0 {
            self.avoided_until.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_avoided(&self) -> bool {
        match self.avoided_until.load(Ordering::Relaxed) {
            0 => false,
            until => self.now() < until,
        }
    }
}

/// How a connection to an endpoint is made, within so long.
pub(crate) fn connection(endpoint: &Endpoint, within: Duration) -> transport::Endpoint {
    transport::Endpoint::from_shared(format!("http://{endpoint}"))
        .expect("HOST:PORT makes a URI")
        .connect_timeout(within)
        .tcp_nodelay(true)
}

/// All servers that are known.
pub(crate) struct Servers {
    known: RwLock<Arc<[Arc<Server>]>>,
    leader: watch::Sender<Option<Arc<Server>>>,
    next: AtomicUsize,
    connect: Duration,
    origin: Instant,
}

impl Servers {
    /// Knows the servers at these endpoints. Must be called within a runtime, which the channels use.
    pub(crate) fn new(given: &[Endpoint], options: &Options, start: usize) -> Self {
        let servers = Self {
            known: RwLock::new(Arc::new([])),
            leader: watch::Sender::new(None),
            next: AtomicUsize::new(start),
            connect: options.connect,
            origin: Instant::now(),
        };
        let mut first: Vec<Arc<Server>> = Vec::new();
        for api in given {
            if !first.iter().any(|server| server.api == *api) {
                first.push(servers.open(api, 0, true));
            }
        }
        servers.set_all(first);
        servers
    }

    fn open(&self, api: &Endpoint, id: u64, given: bool) -> Arc<Server> {
        let target = connection(api, self.connect)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_ANSWER)
            .keep_alive_while_idle(true);
        Arc::new(Server {
            api: api.clone(),
            id: AtomicU64::new(id),
            given,
            channel: net::connect_lazy(&target),
            target,
            origin: self.origin,
            avoided_until: AtomicU64::new(0),
        })
    }

    pub(crate) fn all(&self) -> Arc<[Arc<Server>]> {
        let known = self.known.read();
        known
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn set_all(&self, servers: Vec<Arc<Server>>) {
        let known = self.known.write();
        *known.unwrap_or_else(std::sync::PoisonError::into_inner) = servers.into();
    }

    /// The server with this id, if it is known.
    pub(crate) fn by_id(&self, id: ServerId) -> Option<Arc<Server>> {
        let is_it = |server: &&Arc<Server>| server.id() == Some(id);
        self.all().iter().find(is_it).cloned()
    }

    /// The server at this endpoint, which is taken in when it is new.
    pub(crate) fn learn(&self, api: &Endpoint, id: ServerId) -> Arc<Server> {
        let all = self.all();
        let server = match all.iter().find(|server| server.api == *api) {
            Some(server) => server.clone(),
            None => {
                let server = self.open(api, id.0, false);
                let more = all.iter().cloned().chain([server.clone()]);
                self.set_all(more.collect());
                server
            }
        };
        server.id.store(id.0, Ordering::Relaxed);
        server
    }

    /// The server at this endpoint, which stays unknown to other calls when it is new.
    pub(crate) fn visit(&self, api: &Endpoint) -> Arc<Server> {
        let all = self.all();
        let known = all.iter().find(|server| server.api == *api);
        known.cloned().unwrap_or_else(|| self.open(api, 0, false))
    }

    /// Keeps the servers that the cluster named and those that the caller gave.
    pub(crate) fn replace(&self, named: &[(ServerId, Endpoint)]) {
        let all = self.all();
        let mut kept: Vec<Arc<Server>> = Vec::new();
        for (id, api) in named {
            let server = all.iter().find(|server| server.api == *api);
            let server = server
                .cloned()
                .unwrap_or_else(|| self.open(api, id.0, false));
            server.id.store(id.0, Ordering::Relaxed);
            kept.push(server);
        }
        let is_named = |server: &Arc<Server>| named.iter().any(|(_, api)| server.api == *api);
        let given = all
            .iter()
            .filter(|server| server.given && !is_named(server));
        kept.extend(given.cloned());
        self.set_all(kept);
    }

    /// Who leads, as far as is known.
    pub(crate) fn leader(&self) -> Option<Arc<Server>> {
        self.leader.borrow().clone()
    }

    /// Tells of every change of who leads.
    pub(crate) fn leader_changes(&self) -> watch::Receiver<Option<Arc<Server>>> {
        self.leader.subscribe()
    }

    /// Whether that is news.
    pub(crate) fn set_leader(&self, server: &Arc<Server>) -> bool {
        if is_same(self.leader.borrow().as_ref(), server) {
            return false;
        }
        self.leader.send_if_modified(|leader| {
            let news = !is_same(leader.as_ref(), server);
            *leader = Some(server.clone());
            news
        })
    }

    /// The server is not the leader, or cannot be asked.
    pub(crate) fn not_leader(&self, server: &Arc<Server>) {
        if is_same(self.leader.borrow().as_ref(), server) {
            self.leader.send_if_modified(|leader| {
                let was = is_same(leader.as_ref(), server);
                if was {
                    *leader = None;
                }
                was
            });
        }
    }

    /// The leader, if it is known and not to be avoided.
    pub(crate) fn usable_leader(&self) -> Option<Arc<Server>> {
        self.leader
            .borrow()
            .as_ref()
            .filter(|server| !server.is_avoided())
            .cloned()
    }

    /// Any server in turn, preferably neither one that is avoided nor the last one that was asked.
    pub(crate) fn next(&self, last: Option<&Arc<Server>>) -> Arc<Server> {
        let all = self.all();
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = |step: usize| &all[start.wrapping_add(step) % all.len()];
        let fresh = |server: &&Arc<Server>| !is_same(last, server);
        let mut order = (0..all.len()).map(turn);
        let good = order.find(|server| fresh(server) && !server.is_avoided());
        let other = || (0..all.len()).map(turn).find(fresh);
        good.or_else(other).unwrap_or_else(|| turn(0)).clone()
    }

    /// As [`Servers::next`], and preferably not the one that `beside` names.
    pub(crate) fn next_beside(
        &self,
        last: Option<&Arc<Server>>,
        beside: Option<&Arc<Server>>,
    ) -> Arc<Server> {
        let all = self.all();
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let order = (0..all.len()).map(|step| &all[start.wrapping_add(step) % all.len()]);
        let good = |server: &&Arc<Server>| !is_same(beside, server) && !server.is_avoided();
        let fresh = |server: &&Arc<Server>| !is_same(last, server);
        let other = order.clone().filter(good).find(fresh);
        let found = other.or_else(|| order.clone().find(good)).cloned();
        found.unwrap_or_else(|| self.next(last))
    }

    /// Whether there is another server than this one that is not passed over.
    pub(crate) fn has_another(&self, than: Option<&Arc<Server>>) -> bool {
        let all = self.all();
        let other = |server: &Arc<Server>| !is_same(than, server) && !server.is_avoided();
        all.iter().any(other)
    }

    pub(crate) fn count(&self) -> usize {
        self.all().len()
    }
}

pub(crate) fn is_same(one: Option<&Arc<Server>>, other: &Arc<Server>) -> bool {
    one.is_some_and(|one| Arc::ptr_eq(one, other))
}
