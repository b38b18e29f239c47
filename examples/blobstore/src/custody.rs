//! What the cluster orders: copies fetched from other nodes, dropped, and verified.

use std::sync::Arc;
use std::time::Duration;

use tenure_client::core::copies::Checksum;
use tenure_client::core::{CopyOrder, Held, OrderKind};
use tenure_client::{Holder, HolderError, Order};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::files::{FileError, Sum};
use crate::node::Node;
use crate::{reach, serve};

/// Orders that are carried out at a time; the others wait.
const AT_A_TIME: usize = 16;

/// How often the room on the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long a fetch may take.
const FETCH_WITHIN: Duration = Duration::from_secs(30);

/// Carries out orders until the node is no member any more; says why.
pub async fn run(node: Arc<Node>, mut holder: Holder) -> HolderError {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let order = tokio::select! {
            order = holder.next() => order,
            _ = looks.tick() => {
                look(&node, &holder);
                continue;
            }
        };
        let order = match order {
            Ok(order) => order,
            Err(why) => return why,
        };
        let (node, places) = (node.clone(), places.clone());
        tasks.spawn(async move {
            let _place = places.acquire().await;
            carry_out(&node, order).await;
        });
    }
}

/// Says how much room there is, and how busy the node is.
fn look(node: &Node, holder: &Holder) {
    match rustix::fs::statvfs(node.files().folder()) {
        Ok(disk) => {
            let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
            holder.set_space(bytes(disk.f_bavail), bytes(disk.f_blocks));
        }
        Err(why) => tracing::warn!(%why, "the room on the disk is not known"),
    }
    let load = node.busy().saturating_mul(1_000) / serve::CONNECTIONS_MAX;
    holder.set_load(u32::try_from(load).unwrap_or(u32::MAX));
}

async fn carry_out(node: &Node, order: Order) {
    let what = order.what().clone();
    let _turn = node.in_turn(&what.item).await;
    // What came after it may be of the same item: only what is still wanted may be done.
    if !order.is_wanted() {
        return;
    }
    tracing::debug!(kind = ?what.kind, item = %what.item, version = what.version, "ordered");
    match what.kind {
        OrderKind::Fetch => match fetch(node, &order, &what).await {
            Ok(held) => order.held(held),
            Err(why) => order.failed(why),
        },
        OrderKind::Drop => drop_copy(node, order, &what).await,
        OrderKind::Verify => verify(node, order, &what).await,
    }
}

async fn fetch(node: &Node, order: &Order, what: &CopyOrder) -> Result<Held, String> {
    let expected = match &what.checksum {
        Some(checksum) => Some(sum(checksum)?),
        None => None,
    };
    let there = read(node, what, what.version).await;
    if let Ok(held) = there
        && expected.is_none_or(|expected| checksum(expected) == held.checksum)
    {
        return keep_again(node, what, held).await;
    }
    let from = what
        .from
        .as_ref()
        .ok_or("nobody is named to fetch it from")?;
    let fetching = reach::fetch(
        &from.endpoint,
        what.item.as_str(),
        what.version,
        expected,
        FETCH_WITHIN,
    );
    let data = tokio::select! {
        data = fetching => data.map_err(|why| why.to_string())?,
        () = order.given_up() => return Err("it was given up".to_owned()),
    };
    let size = u64::try_from(data.len()).unwrap_or(u64::MAX);
    order.moved(size);
    let (item, version) = (what.item.clone(), what.version);
    let kept = node.on_disk(move |files| {
        let sum = files.keep(item.as_str(), version, &data, true)?;
        files.settle(item.as_str(), version)?;
        Ok(sum)
    });
    let sum = kept.await.map_err(|why| why.to_string())?;
    Ok(Held {
        version,
        checksum: checksum(sum),
        size,
    })
}

/// What is there already counts as kept from now on.
async fn keep_again(node: &Node, what: &CopyOrder, held: Held) -> Result<Held, String> {
    let (item, version) = (what.item.clone(), what.version);
    let marked = node.on_disk(move |files| files.mark(item.as_str(), version));
    marked.await.map_err(|why| why.to_string())?;
    Ok(held)
}

async fn drop_copy(node: &Node, order: Order, what: &CopyOrder) {
    let (item, version) = (what.item.clone(), what.version);
    let removed = node.on_disk(move |files| {
        files.remove(item.as_str(), version)?;
        Ok(files.latest(item.as_str()))
    });
    match removed.await {
        Ok(None) => order.missing(),
        Ok(Some(later)) => match read(node, what, later).await {
            Ok(held) => order.held(held),
            Err(why) => order.failed(why),
        },
        Err(why) => order.failed(why),
    }
}

async fn verify(node: &Node, order: Order, what: &CopyOrder) {
    let mut found = read(node, what, what.version).await;
    if let Err(FileError::Absent { .. }) = found
        && let Some(other) = node.files().latest(what.item.as_str())
    {
        found = read(node, what, other).await;
    }
    match found {
        Ok(held) => order.held(held),
        // What is damaged was set aside: there is no copy any more.
        Err(FileError::Absent { .. } | FileError::Damaged { .. }) => order.missing(),
        Err(
            why @ (FileError::Taken { .. } | FileError::TooMany { .. } | FileError::Disk { .. }),
        ) => {
            order.failed(why);
        }
    }
}

/// What lies on the disk, by its bytes and not by the inventory.
async fn read(node: &Node, what: &CopyOrder, version: u64) -> Result<Held, FileError> {
    let item = what.item.clone();
    let read = node.on_disk(move |files| files.read(item.as_str(), version));
    let (held, _) = read.await?;
    Ok(Held {
        version,
        checksum: checksum(held.sum),
        size: held.size,
    })
}

/// As the cluster has it.
#[must_use]
pub fn checksum(sum: Sum) -> Option<Checksum> {
    Checksum::new(sum.as_bytes()).ok()
}

/// As this store has it.
///
/// # Errors
/// A sentence, when it is none of this store's.
pub fn sum(checksum: &Checksum) -> Result<Sum, String> {
    let bytes = <[u8; 32]>::try_from(checksum.as_bytes());
    let bytes = bytes.map_err(|_| format!("checksum {checksum} is not of 32 bytes"))?;
    Ok(Sum::from_bytes(bytes))
}
