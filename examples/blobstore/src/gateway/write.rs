//! Writing: to every node that is to have the item, then the cluster is told which of them do. Only then is it done.
//!
//! A version is written beside the one before, so that a write that comes to nothing costs no reader anything. The report is
//! conditional on the version that was located: of two writers at a time one wins, and the other begins anew.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use hyper::body::Bytes;
use tenure_client::copies::{Locations, PlaceItem, RefusalCode};
use tenure_client::core::NodeId;
use tenure_client::core::copies::{ItemName, Located, Reported};
use tokio::time::{Instant, timeout_at};

use super::{Attempt, Gateway, GatewayError, Patience, found, only, refused};
use crate::custody;
use crate::files::{FileError, Sum};
use crate::reach::{self, ReachError};

/// How long the slower nodes are waited for once one has the item: what they miss they are brought later.
const STRAGGLERS: Duration = Duration::from_secs(1);

/// A write that was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The version of the item from now on.
    pub version: u64,
    /// The checksum of its data.
    pub sum: Sum,
    /// By how many its fresh copies fall short of those wanted; the cluster makes them.
    pub missing: u8,
}

/// What the earlier attempts of one write leave behind.
#[derive(Debug, Default)]
struct Before {
    /// A version that somebody else may have used.
    used: u64,
    /// The versions under which this write was reported: one of which no answer came may be the item's by now.
    reported: BTreeSet<u64>,
}

impl Gateway {
    /// Writes an item. When this succeeds, as many nodes as the policy asks of a write have it on their disks.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn put(&self, item: &ItemName, data: Bytes) -> Result<Written, GatewayError> {
        let sum = Sum::of(&data);
        let mut before = Before::default();
        let mut patience = Patience::new();
        loop {
            match self.put_once(item, &data, sum, &mut before).await {
                Ok(written) => return Ok(written),
                Err(failed) => patience.after(failed).await?,
            }
        }
    }

    async fn put_once(
        &self,
        item: &ItemName,
        data: &Bytes,
        sum: Sum,
        before: &mut Before,
    ) -> Result<Written, Attempt> {
        let locations = self.locate_or_place(item).await?;
        let located = found(item, &locations)?;
        let same = located.checksum == custody::checksum(sum);
        if same && before.reported.contains(&located.version) {
            let version = located.version;
            self.settle(item, version, &locations, located).await;
            return Ok(Written {
                version,
                sum,
                missing: 0,
            });
        }
        let version = located.version.max(before.used).saturating_add(1);
        let holders = self
            .spread(item, version, sum, data, &locations, located)
            .await;
        let holders = holders.inspect_err(|taken| before.used = before.used.max(*taken));
        let holders = holders
            .map_err(|taken| Attempt::again(format!("version {taken} was written by another")))?;
        let report = Reported {
            item: item.clone(),
            replaces: located.version,
            version,
            checksum: custody::checksum(sum),
            size: u64::try_from(data.len()).unwrap_or(u64::MAX),
            holders,
        };
        before.reported.insert(version);
        let answer = self.node().copies.report(&[report]).await?;
        match only(answer)? {
            Ok(accepted) => {
                self.settle(item, version, &locations, located).await;
                Ok(Written {
                    version,
                    sum,
                    missing: accepted.missing,
                })
            }
            Err(refusal) => Err(refused(&refusal)),
        }
    }

    /// Where the item is to be written, having made it known if it was not.
    async fn locate_or_place(&self, item: &ItemName) -> Result<Locations, Attempt> {
        let locations = self.locate(item).await?;
        match locations.items.first() {
            Some(Err(refusal)) if refusal.code == RefusalCode::NoSuchItem => {
                let wanted = [PlaceItem::new(item.clone())];
                Ok(self.node().copies.place(&wanted).await?)
            }
            Some(_) | None => Ok(locations),
        }
    }

    /// Writes to all nodes at once. Gives those that have it; or the latest version that one of them has, when this one
    /// is there with other data.
    async fn spread(
        &self,
        item: &ItemName,
        version: u64,
        sum: Sum,
        data: &Bytes,
        locations: &Locations,
        located: &Located,
    ) -> Result<Vec<NodeId>, u64> {
        let write = |node: NodeId| async move {
            let done = self
                .write_to(node, item, version, sum, data, locations)
                .await;
            (node, done)
        };
        let mut writes: FuturesUnordered<_> = located.writable.iter().copied().map(write).collect();
        let mut holders = Vec::new();
        let mut until = Instant::now() + reach::DONE_WITHIN;
        while let Ok(Some((node, done))) = timeout_at(until, writes.next()).await {
            match done {
                Ok(()) => {
                    holders.push(node);
                    until = until.min(Instant::now() + STRAGGLERS);
                }
                Err(Ok(latest)) => return Err(latest.max(version)),
                Err(Err(why)) => tracing::warn!(%item, version, %node, why, "not written"),
            }
        }
        Ok(holders)
    }

    async fn write_to(
        &self,
        node: NodeId,
        item: &ItemName,
        version: u64,
        sum: Sum,
        data: &Bytes,
        locations: &Locations,
    ) -> Result<(), Result<u64, String>> {
        if node == self.node().id {
            let (name, data) = (item.clone(), data.clone());
            let kept = self.node().on_disk(move |files| {
                let kept = files.keep(name.as_str(), version, &data, false);
                kept.map(drop)
            });
            return kept.await.map_err(|why| match why {
                FileError::Taken { .. } => {
                    Ok(self.node().files().latest(item.as_str()).unwrap_or(version))
                }
                FileError::Absent { .. }
                | FileError::Damaged { .. }
                | FileError::TooMany { .. }
                | FileError::Disk { .. } => Err(why.to_string()),
            });
        }
        let Some(at) = locations.endpoint(node) else {
            return Err(Err("it has no instance".to_owned()));
        };
        let stored = reach::store(at, item.as_str(), version, sum, data.clone()).await;
        stored.map_err(|why| match why {
            ReachError::Taken { latest, .. } => Ok(latest),
            ReachError::Silent { .. }
            | ReachError::Absent { .. }
            | ReachError::Differs { .. }
            | ReachError::Refused { .. } => Err(why.to_string()),
        })
    }
}
