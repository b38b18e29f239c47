//! Where in the log rows stand, and how many there are.

use std::collections::{BTreeMap, BTreeSet};

use openraft::Membership;
use tenure_core::Revision;

use super::v1::meta as msg;
use super::{FormatError, open, seal};
use crate::types::{LogId, ServerAddr, SnapshotMeta, StoredMembership, log_id};

/// What an image or a snapshot says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// The last entry that the rows include.
    pub applied: Option<LogId>,
    /// The state's revision.
    pub revision: Revision,
    /// The last membership applied.
    pub membership: StoredMembership,
    /// Counts the checkpoints of an image.
    pub checkpoint: u64,
    /// Which tree of the image holds the rows.
    pub tree: u64,
    /// How many stored parts of rows there are.
    pub parts: u64,
    /// Wrapping sum of the parts' checksums.
    pub sum: u64,
}

impl Meta {
    /// What openraft is told of it.
    #[must_use]
    pub fn snapshot(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        seal(&msg::Meta::from(self))
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`FormatError`] when the bytes are not those of a meta.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        open::<msg::Meta, _>(bytes)
    }
}

/// A checkpoint whose changes lie whole in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// What the image says of itself after it.
    pub meta: Meta,
    /// How many pieces the journal has.
    pub pieces: u64,
}

impl Pending {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        seal(&msg::Pending {
            meta: Some(msg::Meta::from(&self.meta)),
            pieces: self.pieces,
        })
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`FormatError`] when the bytes are not those of a pending checkpoint.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        open::<msg::Pending, _>(bytes)
    }
}

impl TryFrom<msg::Pending> for Pending {
    type Error = FormatError;

    fn try_from(found: msg::Pending) -> Result<Self, FormatError> {
        Ok(Self {
            meta: found.meta.ok_or(FormatError::Missing("meta"))?.try_into()?,
            pieces: found.pieces,
        })
    }
}

impl From<&Meta> for msg::Meta {
    fn from(meta: &Meta) -> Self {
        Self {
            applied: meta.applied.as_ref().map(encode_log_id),
            revision: meta.revision.0,
            membership: Some(encode_membership(&meta.membership)),
            checkpoint: meta.checkpoint,
            tree: meta.tree,
            parts: meta.parts,
            sum: meta.sum,
        }
    }
}

impl TryFrom<msg::Meta> for Meta {
    type Error = FormatError;

    fn try_from(found: msg::Meta) -> Result<Self, FormatError> {
        let membership = found.membership.ok_or(FormatError::Missing("membership"))?;
        Ok(Self {
            applied: found.applied.map(decode_log_id),
            revision: Revision(found.revision),
            membership: decode_membership(membership)?,
            checkpoint: found.checkpoint,
            tree: found.tree,
            parts: found.parts,
            sum: found.sum,
        })
    }
}

fn encode_log_id(id: &LogId) -> msg::LogId {
    msg::LogId {
        term: id.leader_id.term,
        index: id.index,
    }
}

fn decode_log_id(found: msg::LogId) -> LogId {
    log_id(found.term, found.index)
}

fn encode_membership(stored: &StoredMembership) -> msg::Membership {
    let voters = |ids: &BTreeSet<u64>| msg::Voters {
        ids: ids.iter().copied().collect(),
    };
    let mut servers: Vec<msg::Server> = stored
        .nodes()
        .map(|(id, address)| msg::Server {
            id: *id,
            raft: address.raft.clone(),
            api: address.api.clone(),
        })
        .collect();
    servers.sort_by_key(|server| server.id);
    msg::Membership {
        log_id: stored.log_id().as_ref().map(encode_log_id),
        voters: stored
            .membership()
            .get_joint_config()
            .iter()
            .map(voters)
            .collect(),
        servers,
    }
}

fn decode_membership(found: msg::Membership) -> Result<StoredMembership, FormatError> {
    let voters: Vec<BTreeSet<u64>> = found
        .voters
        .into_iter()
        .map(|set| set.ids.into_iter().collect())
        .collect();
    let servers: BTreeMap<u64, ServerAddr> = found
        .servers
        .into_iter()
        .map(|server| {
            let address = ServerAddr {
                raft: server.raft,
                api: server.api,
            };
            (server.id, address)
        })
        .collect();
    let membership = if voters.is_empty() && servers.is_empty() {
        Membership::default()
    } else {
        Membership::new(voters, servers).map_err(|e| FormatError::invalid("membership", e))?
    };
    Ok(StoredMembership::new(
        found.log_id.map(decode_log_id),
        membership,
    ))
}
