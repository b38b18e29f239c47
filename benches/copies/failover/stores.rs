//! The nodes that hold the copies, as the servers hear them: each holds its sessions, beats, and says of whatever it is ordered
//! that it is done, after as long as was set. No data are moved. One can be silenced.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure_client::core::{
    CopyOrder, Grant, Heartbeat, Held, Incarnation, Member, NodeId, OrderKind, OrderProgress,
    OrderReport, ServiceName, Sign, StoreSign,
};
use tenure_client::{Client, Options, Sessions};
use tenure_tests::failover::moment::Moment;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::error::BenchError;
use crate::machine::holder;

const SESSION: u64 = 1;
/// What a node beats in until it is told how often to.
const FIRST_TEMPO: Duration = Duration::from_secs(1);

/// What a node is to do.
enum Told {
    /// Beat once more, answer when, and be silent from then on.
    Silence(oneshot::Sender<Moment>),
    Speak,
}

/// All of them. They run on a thread of their own, so that a writer beside them is not kept waiting.
pub struct Stores {
    runtime: Option<Runtime>,
    all: BTreeMap<u64, mpsc::Sender<Told>>,
    fetches: Fetches,
}

/// When each order to fetch an item came, and how many milliseconds a node takes for what it is ordered.
#[derive(Clone, Default)]
struct Fetches {
    at: Arc<Mutex<Vec<Moment>>>,
    taking_ms: Arc<AtomicU64>,
}

impl Fetches {
    fn note(&self, number: usize) {
        let now = Moment::now();
        let mut all = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(std::iter::repeat_n(now, number));
    }

    fn taking(&self) -> Duration {
        Duration::from_millis(self.taking_ms.load(Ordering::Relaxed))
    }
}

impl Drop for Stores {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Stores {
    /// The nodes 1 to `nodes` of a service, in their first lives.
    pub async fn attend(
        servers: &[SocketAddr],
        service: &str,
        nodes: u64,
    ) -> Result<Self, BenchError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|source| BenchError::io("start the runtime of", "the nodes", source))?;
        let service = ServiceName::new(service).map_err(|why| BenchError::Name {
            what: "the name of the service",
            why: why.to_string(),
        })?;
        let endpoints: Vec<String> = servers.iter().map(ToString::to_string).collect();
        let connecting = runtime.spawn(Client::connect(endpoints, Options::default()));
        let mut stores = Self {
            runtime: Some(runtime),
            all: BTreeMap::new(),
            fetches: Fetches::default(),
        };
        let client = connecting.await?;
        let client = client.map_err(BenchError::tenure("connecting the nodes"))?;
        for node in 1..=nodes {
            let (teller, told) = mpsc::channel(1);
            let (client, service) = (client.clone(), service.clone());
            let fetches = stores.fetches.clone();
            let Some(runtime) = &stores.runtime else {
                continue;
            };
            runtime.spawn(async move {
                let store = Store::new(&client, service, node, fetches);
                // In the course of a second, as nodes do that were started at any time.
                tokio::time::sleep(FIRST_TEMPO.mul_f64(spread(node))).await;
                store.run(told).await;
            });
            stores.all.insert(node, teller);
        }
        Ok(stores)
    }

    /// Lets a node beat a last time; says when.
    pub async fn silence(&self, node: u64) -> Result<Moment, BenchError> {
        let (answer, answered) = oneshot::channel();
        self.tell(node, Told::Silence(answer)).await?;
        answered.await.map_err(|_| BenchError::Gone(node))
    }

    /// Lets it go on, with all that it has.
    pub async fn speak(&self, node: u64) -> Result<(), BenchError> {
        self.tell(node, Told::Speak).await
    }

    async fn tell(&self, node: u64, what: Told) -> Result<(), BenchError> {
        let store = self.all.get(&node).ok_or_else(|| BenchError::Gone(node))?;
        store.send(what).await.map_err(|_| BenchError::Gone(node))
    }

    /// How many orders to fetch came since they were asked for last.
    pub fn fetched(&self) -> usize {
        let all = self.fetches.at.lock();
        all.unwrap_or_else(PoisonError::into_inner).len()
    }

    /// When orders to fetch came since this was asked last.
    pub fn fetches(&self) -> Vec<Moment> {
        let all = self.fetches.at.lock();
        std::mem::take(&mut all.unwrap_or_else(PoisonError::into_inner))
    }

    /// How long nodes take from now on for what they are ordered.
    pub fn take(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.fetches.taking_ms.store(millis, Ordering::Relaxed);
    }
}

/// A share of a whole.
fn spread(node: u64) -> f64 {
    let hundredth = u32::try_from(node % 100).unwrap_or_default();
    f64::from(hundredth) / 100.0
}

struct Store {
    sessions: Sessions,
    member: Member,
    service: ServiceName,
    sequence: u64,
    /// Term and number of the latest grant.
    heard: (u64, u64),
    /// What is ordered, and when that will be done.
    orders: Vec<(CopyOrder, Instant)>,
    tempo: Duration,
    /// When it last beat.
    told: Instant,
    speaks: bool,
    fetches: Fetches,
}

impl Store {
    fn new(client: &Client, service: ServiceName, node: u64, fetches: Fetches) -> Self {
        let member = Member {
            node: NodeId(node),
            incarnation: Incarnation(1),
        };
        Self {
            sessions: Sessions::start(client, member, SESSION, ""),
            member,
            service,
            sequence: 0,
            heard: (0, 0),
            orders: Vec::new(),
            tempo: FIRST_TEMPO,
            told: Instant::now(),
            speaks: true,
            fetches,
        }
    }

    async fn run(mut self, mut told: mpsc::Receiver<Told>) {
        let mut due = Instant::now();
        loop {
            let done = self.next_done().unwrap_or(due);
            tokio::select! {
                biased;
                what = told.recv() => match what {
                    Some(Told::Silence(answer)) => {
                        self.beat();
                        self.speaks = false;
                        // Nobody waits for it any more when the bench is over.
                        let _unheard = answer.send(Moment::now());
                    }
                    Some(Told::Speak) => {
                        self.speaks = true;
                        self.beat();
                    }
                    None => return,
                },
                grant = self.sessions.next() => match grant {
                    Some(grant) => if self.take(grant) {
                        self.beat();
                    },
                    None => return,
                },
                () = tokio::time::sleep_until(due.min(done)) => {
                    self.beat();
                    due = Instant::now() + self.tempo;
                }
            }
        }
    }

    /// Takes a grant in; true when it orders something else than the one before. A node that is cut off hears none.
    fn take(&mut self, grant: Grant) -> bool {
        let of = (grant.term, grant.number);
        if !self.speaks || grant.member != self.member || of <= self.heard {
            return false;
        }
        self.heard = of;
        self.tempo = Duration::from_millis(grant.heartbeat.0);
        let mut directives = grant.directives.into_iter();
        let orders = directives.find(|directive| directive.service == self.service);
        let orders = orders.map(|directive| directive.orders).unwrap_or_default();
        let now = Instant::now();
        let done = now + self.fetches.taking();
        let known = std::mem::take(&mut self.orders);
        let mut fetches = 0;
        let mut others = orders.len() != known.len();
        for order in orders {
            let known = known.iter().find(|(known, _)| *known == order);
            others |= known.is_none();
            fetches += usize::from(known.is_none() && order.kind == OrderKind::Fetch);
            let done = known.map_or(done, |(_, done)| *done);
            self.orders.push((order, done));
        }
        self.fetches.note(fetches);
        others
    }

    /// When the next of the orders is done of which that was not told.
    fn next_done(&self) -> Option<Instant> {
        let all = self.orders.iter().map(|(_, done)| *done);
        all.filter(|done| *done > self.told).min()
    }

    fn beat(&mut self) {
        if !self.speaks {
            return;
        }
        self.sequence += 1;
        self.told = Instant::now();
        self.sessions.beat(Heartbeat {
            session: SESSION,
            sequence: self.sequence,
            heard: self.heard,
            agent: None,
            leaving: false,
            signs: vec![self.sign()],
        });
    }

    fn sign(&self) -> Sign {
        let store = StoreSign {
            folder: self.member.node.0,
            free: Some(1 << 50),
            total: Some(1 << 51),
            load: 0,
            orders: self.orders.iter().map(|it| report(it, self.told)).collect(),
        };
        holder(self.service.clone(), store)
    }
}

/// Says how it stands with an order.
fn report((order, done): &(CopyOrder, Instant), now: Instant) -> OrderReport {
    let held = Held {
        version: order.version,
        checksum: order.checksum,
        size: order.size,
    };
    let progress = match order.kind {
        _under_way if *done > now => OrderProgress::Moved(0),
        OrderKind::Fetch | OrderKind::Verify => OrderProgress::Held(held),
        OrderKind::Drop => OrderProgress::Missing,
    };
    OrderReport {
        kind: order.kind,
        item: order.item.clone(),
        version: order.version,
        progress,
    }
}
