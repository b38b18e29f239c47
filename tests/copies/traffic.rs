//! Users of the store: writers that note what was acknowledged, and readers that are never told less.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tenure_blobstore::reach::{self, ReachError};
use tenure_core::Endpoint;
use tokio::task::JoinSet;

/// How long a user tries one node after the other before that counts as an error. Longer than a node tries by itself.
const TRIES_FOR: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);
/// Between two requests of one user: the machine has other things to do.
const THINKS: Duration = Duration::from_millis(10);

/// What is known of an item's writes.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    /// The last that was acknowledged; 0 when none was.
    acknowledged: u64,
    /// The last that was begun.
    begun: u64,
}

/// What all users share.
#[derive(Debug, Default)]
struct Ground {
    items: Mutex<BTreeMap<String, Written>>,
    nodes: Mutex<Vec<Endpoint>>,
    wrong: Mutex<Vec<String>>,
    ended: AtomicBool,
    reads: AtomicU64,
    writes: AtomicU64,
    turn: AtomicU64,
}

/// Users at work.
pub struct Traffic {
    ground: Arc<Ground>,
    users: JoinSet<()>,
}

/// The data of one write of an item: nobody else's, and of a length of its own.
fn data(item: &str, number: u64) -> Vec<u8> {
    let mut data = format!("{item} {number}\n").into_bytes();
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let length = 200 + usize::try_from(number * 37 % 3_000).expect("small");
    while data.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data.extend(state.to_le_bytes());
    }
    data
}

/// Which write these data are of, if of any.
fn number(item: &str, found: &[u8]) -> Option<u64> {
    let line = found.split(|byte| *byte == b'\n').next()?;
    let text = std::str::from_utf8(line).ok()?;
    let number = text.strip_prefix(item)?.trim().parse().ok()?;
    (data(item, number) == found).then_some(number)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no user dies with it")
}

impl Ground {
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn complain(&self, what: String) {
        lock(&self.wrong).push(what);
    }

    /// A node, another one each time.
    fn node(&self) -> Endpoint {
        let nodes = lock(&self.nodes);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let at = usize::try_from(turn).unwrap_or(0) % nodes.len();
        nodes[at].clone()
    }

    async fn write(&self, item: &str) {
        let number = {
            let mut items = lock(&self.items);
            let written = items.entry(item.to_owned()).or_default();
            written.begun += 1;
            written.begun
        };
        let began = Instant::now();
        loop {
            match reach::put_item(&self.node(), item, data(item, number).into()).await {
                Ok(_) => break,
                Err(why) if began.elapsed() > TRIES_FOR => {
                    return self.complain(format!("{item} cannot be written: {why}"));
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        if let Some(written) = lock(&self.items).get_mut(item) {
            written.acknowledged = number;
        }
    }

    async fn read(&self, item: &str) {
        let least = lock(&self.items).get(item).copied().unwrap_or_default();
        let began = Instant::now();
        let found = loop {
            match reach::get_item(&self.node(), item).await {
                Ok((_, found)) => break Ok(found),
                // A node that is there finds a copy by itself; only one that was killed is turned away from.
                Err(why @ (ReachError::Absent { .. } | ReachError::Refused { .. })) => {
                    break Err(why);
                }
                Err(why) if began.elapsed() > TRIES_FOR => break Err(why),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        self.reads.fetch_add(1, Ordering::Relaxed);
        let most = lock(&self.items).get(item).copied().unwrap_or_default();
        match found.map(|found| number(item, &found)) {
            Ok(Some(number)) if (least.acknowledged..=most.begun).contains(&number) => {}
            Ok(Some(number)) => self.complain(format!(
                "{item}: write {number} was read, {} was acknowledged before",
                least.acknowledged
            )),
            Ok(None) => self.complain(format!("{item}: these data were never written")),
            Err(ReachError::Absent { .. }) if least.acknowledged == 0 => {}
            Err(why) => self.complain(format!("{item} cannot be read: {why}")),
        }
    }
}

impl Traffic {
    /// Writes so many items once, by a few users at a time, and goes on with writers and readers of them.
    pub async fn start(nodes: Vec<Endpoint>, items: usize) -> Self {
        let ground = Arc::new(Ground::default());
        *lock(&ground.nodes) = nodes;
        let names: Vec<String> = (0..items).map(|at| format!("box-{at}/item")).collect();
        let mut first = JoinSet::new();
        for part in names.chunks(items.div_ceil(8).max(1)) {
            let (ground, part) = (ground.clone(), part.to_vec());
            first.spawn(async move {
                for item in part {
                    ground.write(&item).await;
                }
            });
        }
        while let Some(done) = first.join_next().await {
            done.expect("no user dies");
        }
        let mut users = JoinSet::new();
        // Each item has one writer, so that what it holds last is known.
        for part in names.chunks(items.div_ceil(2).max(1)) {
            let (ground, part) = (ground.clone(), part.to_vec());
            users.spawn(async move {
                for item in part.iter().cycle() {
                    if ground.has_ended() {
                        return;
                    }
                    ground.write(item).await;
                    tokio::time::sleep(THINKS).await;
                }
            });
        }
        for reader in 0..2 {
            let (ground, names) = (ground.clone(), names.clone());
            users.spawn(async move {
                for at in 0.. {
                    if ground.has_ended() {
                        return;
                    }
                    let at = (at * 7_919 + reader * 31) % names.len();
                    ground.read(&names[at]).await;
                    tokio::time::sleep(THINKS).await;
                }
            });
        }
        Self { ground, users }
    }

    /// From now on users speak with these nodes, which run.
    pub fn speak_with(&self, nodes: Vec<Endpoint>) {
        *lock(&self.ground.nodes) = nodes;
    }

    /// How many reads and writes there were so far.
    pub fn so_far(&self) -> (u64, u64) {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        (count(&self.ground.reads), count(&self.ground.writes))
    }

    /// Whether nothing went wrong so far.
    pub fn check(&self) {
        let wrong = lock(&self.ground.wrong);
        assert!(wrong.is_empty(), "\n  {}\n", wrong.join("\n  "));
    }

    /// Waits until there were so many more reads and writes.
    pub async fn goes_on(&self, more: u64) {
        let (reads, writes) = self.so_far();
        let deadline = Instant::now() + TRIES_FOR * 2;
        loop {
            self.check();
            let now = self.so_far();
            if now.0 >= reads + more && now.1 >= writes + more {
                return;
            }
            assert!(Instant::now() < deadline, "the users stand still: {now:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Ends the users. Gives what each item has to hold.
    pub async fn stop(mut self) -> Vec<(String, u64)> {
        self.ground.ended.store(true, Ordering::Relaxed);
        while let Some(done) = self.users.join_next().await {
            done.expect("no user dies");
        }
        self.check();
        let items = lock(&self.ground.items);
        let acknowledged = items
            .iter()
            .map(|(item, it)| (item.clone(), it.acknowledged));
        acknowledged.collect()
    }
}

/// Whether an item's data are those of a write.
pub fn is_write(item: &str, number: u64, found: &[u8]) -> bool {
    data(item, number) == found
}
