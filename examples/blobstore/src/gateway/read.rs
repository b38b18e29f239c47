//! Reading: from the nearest fresh copy, and from the next when that fails. What is given out has the version and the
//! checksum that the cluster knows.

use std::time::Duration;

use hyper::body::Bytes;
use tenure_client::copies::{Located, Locations};
use tenure_client::core::NodeId;
use tenure_client::core::copies::ItemName;

use super::{Attempt, Gateway, GatewayError, Patience, found};
use crate::custody;
use crate::files::{FileError, Sum};
use crate::reach;

/// How long one copy is waited for before the next is asked.
const COPY_WITHIN: Duration = Duration::from_secs(2);

/// An item that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadItem {
    /// Its version.
    pub version: u64,
    /// The checksum of its data.
    pub sum: Sum,
    /// Its data.
    pub data: Bytes,
}

impl Gateway {
    /// Reads an item, as it was when the cluster was asked or later.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn get(&self, item: &ItemName) -> Result<ReadItem, GatewayError> {
        let mut patience = Patience::new();
        loop {
            match self.get_once(item).await {
                Ok(read) => return Ok(read),
                Err(failed) => patience.after(failed).await?,
            }
        }
    }

    async fn get_once(&self, item: &ItemName) -> Result<ReadItem, Attempt> {
        let locations = self.locate(item).await?;
        let located = found(item, &locations)?;
        let Some(checksum) = located.checksum.filter(|_| located.version > 0) else {
            // It was placed, and its first write is not done.
            return Err(Attempt::Final(GatewayError::NotFound(item.clone())));
        };
        let sum = custody::sum(&checksum).map_err(Attempt::again)?;
        let mut last = "no fresh copy can be read now".to_owned();
        for node in &located.fresh {
            match self.read_from(*node, item, located, sum, &locations).await {
                Ok(data) => {
                    return Ok(ReadItem {
                        version: located.version,
                        sum,
                        data,
                    });
                }
                Err(why) => {
                    tracing::info!(%item, %node, why, "read from the next copy");
                    last = why;
                }
            }
        }
        Err(Attempt::Again(last))
    }

    async fn read_from(
        &self,
        node: NodeId,
        item: &ItemName,
        located: &Located,
        sum: Sum,
        locations: &Locations,
    ) -> Result<Bytes, String> {
        let version = located.version;
        if node != self.node().id {
            let at = locations.endpoint(node).ok_or("it has no instance")?;
            let data = reach::fetch(at, item.as_str(), version, Some(sum), COPY_WITHIN).await;
            return data.map_err(|why| why.to_string());
        }
        let name = item.clone();
        let read = self
            .node()
            .on_disk(move |files| files.read(name.as_str(), version));
        match read.await {
            Ok((held, data)) if held.sum == sum => Ok(data.into()),
            Ok((held, _)) => {
                self.doubt(item).await;
                Err(format!("what is here has checksum {}", held.sum))
            }
            Err(why @ FileError::Damaged { .. }) => {
                self.doubt(item).await;
                Err(why.to_string())
            }
            Err(
                why @ (FileError::Absent { .. }
                | FileError::Taken { .. }
                | FileError::TooMany { .. }
                | FileError::Disk { .. }),
            ) => Err(why.to_string()),
        }
    }

    /// Has the cluster compare the copies of an item of which one was found damaged, so that it is made anew.
    async fn doubt(&self, item: &ItemName) {
        let asked = self.node().copies.verify(std::slice::from_ref(item)).await;
        if let Err(why) = asked {
            tracing::warn!(%item, %why, "its copies are not compared now");
        }
    }
}
