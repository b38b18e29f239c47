//! What programs do through the client library: changes that are sent until they are answered and made once, and a watch
//! that misses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenure_client::core::{Filter, NodeName, NodeRef, Record, RecordKind, RejectCode, Revision};
use tenure_client::{Client, Consistency, Error, FailoverOptions, Options};
use tenure_tests::watches::picture::{Picture, Records, by_key, difference};

use crate::nodes;
use crate::servers::{SERVERS, api};

/// How a change ended for the program that asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Made,
    Unknown,
    Nothing,
}

#[derive(Default)]
struct Inner {
    fates: BTreeMap<String, Fate>,
    picture: Option<Picture>,
    broken: Option<String>,
}

/// What programs were told.
pub struct Told {
    inner: Mutex<Inner>,
    /// Programs end when this is set.
    pub stop: AtomicBool,
    /// The watcher ends when it has got so far.
    pub last: AtomicU64,
}

/// A client of all servers.
///
/// # Errors
/// Never: the options and the addresses are right.
pub fn client() -> Result<Client, Error> {
    Client::new((0..SERVERS).map(api), Options::default())
}

impl Default for Told {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            stop: AtomicBool::new(false),
            last: AtomicU64::new(u64::MAX),
        }
    }
}

impl Told {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// How many changes were made, are not known to have been, and were not.
    pub fn counts(&self) -> [u64; 3] {
        let mut counts = [0; 3];
        for fate in self.lock().fates.values() {
            counts[*fate as usize] += 1;
        }
        counts
    }

    /// What a watch broke, or a change that was made twice.
    pub fn broken(&self) -> Option<String> {
        self.lock().broken.clone()
    }

    /// Whether the watcher has got as far as it has to.
    fn is_watched(&self) -> bool {
        let inner = self.lock();
        let revision = inner
            .picture
            .as_ref()
            .map_or(0, |picture| picture.revision.0);
        revision >= self.last.load(Ordering::Relaxed)
    }

    /// Whether the nodes that are there are those that programs were told of, and the watcher's picture is that too.
    ///
    /// # Errors
    /// What is missing, or should not be there.
    pub fn judge(&self, nodes: &Records) -> Result<(), String> {
        let inner = self.lock();
        let mut names = BTreeSet::new();
        for record in nodes.values() {
            if let Record::Node(node) = record
                && !names.insert(node.name.as_str().to_owned())
            {
                return Err(format!("node {} is there twice", node.name));
            }
        }
        for (name, fate) in &inner.fates {
            match fate {
                Fate::Made if !names.contains(name) => {
                    return Err(format!(
                        "node {name} was added by word of the cluster, and is missing"
                    ));
                }
                Fate::Nothing if names.contains(name) => {
                    return Err(format!(
                        "node {name} was not added by word of the cluster, and is there"
                    ));
                }
                Fate::Made | Fate::Unknown | Fate::Nothing => {}
            }
        }
        let picture = inner.picture.as_ref().ok_or("the watcher never began")?;
        match difference(&picture.records, nodes) {
            Some(what) => Err(format!("the watcher's picture is wrong: {what}")),
            None => Ok(()),
        }
    }
}

/// Adds nodes, one after the other, until it is told to stop.
async fn change(told: Arc<Told>, pause: Duration) -> turmoil::Result {
    let client = client()?;
    let mut at = 0;
    while !told.stopped() {
        at += 1;
        let name = format!("node-{at}");
        let added = client.admin().add_node(NodeName::new(&name)?, None).await;
        let fate = match added {
            Ok(_) => Fate::Made,
            Err(Error::Rejected(reject)) if reject.code == RejectCode::AlreadyExists => {
                told.lock().broken = Some(format!("the addition of node {name} was made twice"));
                Fate::Made
            }
            Err(error) if error.may_have_happened() => Fate::Unknown,
            Err(_) => Fate::Nothing,
        };
        told.lock().fates.insert(name, fate);
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// Changes and watches until it is told to stop. Gives the nodes that are there at the end.
pub async fn use_it(told: Arc<Told>, pause: Duration) -> turmoil::Result<Records> {
    choose().await?;
    let watching = tokio::task::spawn_local(watch(told.clone()));
    change(told.clone(), pause).await?;
    let (revision, records) = all_nodes().await?;
    told.last.store(revision.0, Ordering::Relaxed);
    watching.await??;
    Ok(records)
}

/// An operator names the first primary of the nodes' service.
async fn choose() -> turmoil::Result {
    let client = client()?;
    let first = FailoverOptions {
        to: Some(NodeRef::Name(NodeName::new(&nodes::host(0))?)),
        ..FailoverOptions::default()
    };
    while let Err(why) = client
        .admin()
        .failover(&nodes::service(), first.clone())
        .await
    {
        tracing::info!(%why, "no first primary yet");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

fn all() -> Filter {
    Filter {
        kinds: [RecordKind::Node].into(),
        services: BTreeSet::new(),
    }
}

/// Watches the nodes until it has got as far as it has to.
async fn watch(told: Arc<Told>) -> turmoil::Result {
    let client = client()?;
    let mut watch = client.watch(&all());
    told.lock().picture = Some(Picture::blank());
    while !told.is_watched() {
        let Ok(event) = tokio::time::timeout(Duration::from_millis(500), watch.next()).await else {
            continue;
        };
        let mut inner = told.lock();
        let taken = match (event, inner.picture.as_mut()) {
            (Ok(event), Some(picture)) => picture.take(event),
            (Ok(_), None) => Ok(()),
            (Err(error), _) => Err(format!("the watch ended: {error}")),
        };
        if let Err(why) = taken {
            inner.broken = Some(why);
            break;
        }
    }
    Ok(())
}

/// All nodes, and the revision that shows them.
///
/// # Errors
/// When the cluster does not answer within the client's time.
async fn all_nodes() -> Result<(Revision, Records), Error> {
    let listed = client()?
        .discovery()
        .list(&all(), Consistency::Linearizable)
        .await?;
    Ok((listed.header.revision, by_key(listed.records)))
}
