//! From the wire.

use super::{CopyOf, HolderAt, ItemCopies, ItemRefusal, Located};
use crate::Error;
use std::collections::BTreeMap;
use tenure_core::{
    Endpoint, NodeId, NodeName, Zone,
    copies::{Checksum, CopyState, ItemName},
};
use tenure_proto::v1;

pub(super) fn located(wire: v1::Located) -> Result<Result<Located, ItemRefusal>, Error> {
    if let Some(refusal) = wire.refusal {
        return Ok(Err(refusal.into()));
    }
    Ok(Ok(Located {
        version: wire.version,
        checksum: checksum(&wire.checksum)?,
        size: wire.size,
        fresh: wire.fresh.into_iter().map(NodeId).collect(),
        writable: wire.writable.into_iter().map(NodeId).collect(),
    }))
}

pub(super) fn checksum(bytes: &[u8]) -> Result<Option<Checksum>, Error> {
    if bytes.is_empty() {
        return Ok(None);
    }
    Checksum::new(bytes).map(Some).map_err(Error::unreadable)
}

/// Names and addresses that this build cannot read are left out: the node is named all the same.
pub(super) fn holders(wire: Vec<v1::Holder>) -> BTreeMap<NodeId, HolderAt> {
    let holder = |wire: v1::Holder| {
        let at = HolderAt {
            name: NodeName::new(&wire.name).ok(),
            zone: Zone::new(&wire.zone).ok(),
            endpoint: Endpoint::new(&wire.endpoint).ok(),
        };
        (NodeId(wire.node), at)
    };
    wire.into_iter().map(holder).collect()
}

pub(super) fn item(wire: v1::Item) -> Result<ItemCopies, Error> {
    let copies: Result<Vec<CopyOf>, Error> = wire.copies.into_iter().map(copy).collect();
    Ok(ItemCopies {
        name: ItemName::new(&wire.name).map_err(Error::unreadable)?,
        version: wire.version,
        checksum: checksum(&wire.checksum)?,
        size: wire.size,
        wanted: wire.wanted,
        counted: wire.counted,
        copies: copies?,
    })
}

fn copy(wire: v1::item::Copy) -> Result<CopyOf, Error> {
    let state = match v1::CopyState::try_from(wire.state) {
        Ok(v1::CopyState::InSync) => CopyState::InSync,
        Ok(v1::CopyState::Syncing) => CopyState::Syncing,
        Ok(v1::CopyState::Stale) => CopyState::Stale,
        Ok(v1::CopyState::Leaving) => CopyState::Leaving,
        Ok(v1::CopyState::Dropping) => CopyState::Dropping,
        Ok(v1::CopyState::Unspecified) | Err(_) => {
            let number = wire.state;
            return Err(Error::unreadable(format!(
                "state {number} of a copy is not known"
            )));
        }
    };
    Ok(CopyOf {
        node: NodeId(wire.node),
        state,
        lost: wire.lost,
    })
}
