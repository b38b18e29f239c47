//! The bodies of records as they are stored, format version 1. Frozen: a change here is a new
//! version.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::types::{CommittedLeaderId, LeaderId, LogId, Membership, ServerAddr, Vote};

#[derive(Serialize, Deserialize)]
pub(super) struct IdV1 {
    pub(super) term: u64,
    pub(super) index: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct EntryV1 {
    pub(super) id: IdV1,
    /// 0 blank, 1 command, 2 membership.
    pub(super) shape: u8,
}

#[derive(Serialize, Deserialize)]
pub(super) struct VoteV1 {
    pub(super) term: u64,
    pub(super) server: u64,
    pub(super) committed: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct CheckpointV1 {
    pub(super) vote: Option<VoteV1>,
    pub(super) committed: Option<IdV1>,
    pub(super) purged: Option<IdV1>,
    pub(super) last: Option<IdV1>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ServerV1 {
    pub(super) id: u64,
    pub(super) raft: String,
    pub(super) api: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct MembershipV1 {
    pub(super) configs: Vec<BTreeSet<u64>>,
    pub(super) servers: Vec<ServerV1>,
}

impl From<LogId> for IdV1 {
    fn from(id: LogId) -> Self {
        IdV1 {
            term: id.leader_id.term,
            index: id.index,
        }
    }
}

impl From<IdV1> for LogId {
    fn from(id: IdV1) -> Self {
        LogId {
            leader_id: CommittedLeaderId::new(id.term),
            index: id.index,
        }
    }
}

impl From<Vote> for VoteV1 {
    fn from(vote: Vote) -> Self {
        VoteV1 {
            term: vote.leader_id.term,
            server: vote.leader_id.voted_for,
            committed: vote.committed,
        }
    }
}

impl From<VoteV1> for Vote {
    fn from(vote: VoteV1) -> Self {
        Vote {
            leader_id: LeaderId {
                term: vote.term,
                voted_for: vote.server,
            },
            committed: vote.committed,
        }
    }
}

pub(super) fn membership_to_v1(membership: &Membership) -> MembershipV1 {
    let server = |(id, addr): (&u64, &ServerAddr)| ServerV1 {
        id: *id,
        raft: addr.raft.clone(),
        api: addr.api.clone(),
    };
    MembershipV1 {
        configs: membership.get_joint_config().clone(),
        servers: membership.nodes().map(server).collect(),
    }
}

pub(super) fn membership_from_v1(stored: MembershipV1) -> Result<Membership, String> {
    let servers: BTreeMap<u64, ServerAddr> = stored
        .servers
        .into_iter()
        .map(|s| {
            (
                s.id,
                ServerAddr {
                    raft: s.raft,
                    api: s.api,
                },
            )
        })
        .collect();
    if stored.configs.is_empty() && servers.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(stored.configs, servers).map_err(|e| e.to_string())
}
