//! Messages between servers, to and from openraft's types. Conversion from the wire parses: a
//! message that lacks a part is refused with the part's name.

use std::collections::{BTreeMap, BTreeSet};

use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use tenure_proto::raft as pb;
use tenure_storage::types::{
    Entry, EntryPayload, LogId, Membership, Payload, ServerAddr, SnapshotMeta, StoredMembership,
    TypeConfig, Vote, log_id,
};
use thiserror::Error;

/// A message of another server that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a message of another server lacks {0}: it runs an incompatible version")]
pub(crate) struct Malformed(&'static str);

type Parsed<T> = Result<T, Malformed>;

pub(crate) fn vote_to_wire(vote: &Vote) -> pb::Vote {
    pb::Vote {
        term: vote.leader_id().term,
        server: vote.leader_id().voted_for,
        committed: vote.is_committed(),
    }
}

pub(crate) fn vote(vote: Option<pb::Vote>) -> Parsed<Vote> {
    let vote = vote.ok_or(Malformed("a vote"))?;
    Ok(if vote.committed {
        Vote::new_committed(vote.term, vote.server)
    } else {
        Vote::new(vote.term, vote.server)
    })
}

pub(crate) fn log_id_to_wire(id: &LogId) -> pb::LogId {
    pb::LogId {
        term: id.leader_id.term,
        index: id.index,
    }
}

pub(crate) fn opt_log_id(id: Option<pb::LogId>) -> Option<LogId> {
    id.map(|id| log_id(id.term, id.index))
}

fn opt_to_wire(id: Option<&LogId>) -> Option<pb::LogId> {
    id.map(log_id_to_wire)
}

pub(crate) fn membership_to_wire(membership: &Membership) -> pb::Membership {
    pb::Membership {
        configs: membership
            .get_joint_config()
            .iter()
            .map(|set| pb::membership::Set {
                ids: set.iter().copied().collect(),
            })
            .collect(),
        servers: membership
            .nodes()
            .map(|(id, addr)| pb::Server {
                id: *id,
                raft: addr.raft.clone(),
                api: addr.api.clone(),
            })
            .collect(),
    }
}

pub(crate) fn membership(wire: pb::Membership) -> Parsed<Membership> {
    let configs: Vec<BTreeSet<u64>> = wire
        .configs
        .into_iter()
        .map(|set| set.ids.into_iter().collect())
        .collect();
    let servers: BTreeMap<u64, ServerAddr> = wire
        .servers
        .into_iter()
        .map(|server| {
            let addr = ServerAddr {
                raft: server.raft,
                api: server.api,
            };
            (server.id, addr)
        })
        .collect();
    if configs.is_empty() && servers.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, servers).map_err(|_| Malformed("a server of its membership"))
}

fn entry_to_wire(entry: Entry) -> pb::Entry {
    let payload = match entry.payload {
        EntryPayload::Blank => pb::entry::Payload::Blank(true),
        EntryPayload::Normal(payload) => pb::entry::Payload::Command(payload.0),
        EntryPayload::Membership(m) => pb::entry::Payload::Membership(membership_to_wire(&m)),
    };
    pb::Entry {
        log_id: Some(log_id_to_wire(&entry.log_id)),
        payload: Some(payload),
    }
}

fn entry(wire: pb::Entry) -> Parsed<Entry> {
    let id = opt_log_id(wire.log_id).ok_or(Malformed("the log id of an entry"))?;
    let payload = match wire.payload.ok_or(Malformed("the payload of an entry"))? {
        pb::entry::Payload::Blank(_) => EntryPayload::Blank,
        pb::entry::Payload::Command(bytes) => EntryPayload::Normal(Payload(bytes)),
        pb::entry::Payload::Membership(m) => EntryPayload::Membership(membership(m)?),
    };
    Ok(Entry {
        log_id: id,
        payload,
    })
}

pub(crate) fn append_to_wire(request: AppendEntriesRequest<TypeConfig>) -> pb::AppendRequest {
    pb::AppendRequest {
        vote: Some(vote_to_wire(&request.vote)),
        previous: opt_to_wire(request.prev_log_id.as_ref()),
        entries: request.entries.into_iter().map(entry_to_wire).collect(),
        committed: opt_to_wire(request.leader_commit.as_ref()),
    }
}

pub(crate) fn append(wire: pb::AppendRequest) -> Parsed<AppendEntriesRequest<TypeConfig>> {
    Ok(AppendEntriesRequest {
        vote: vote(wire.vote)?,
        prev_log_id: opt_log_id(wire.previous),
        entries: wire.entries.into_iter().map(entry).collect::<Parsed<_>>()?,
        leader_commit: opt_log_id(wire.committed),
    })
}

pub(crate) fn append_result_to_wire(result: &StreamAppendResult<TypeConfig>) -> pb::AppendResponse {
    use pb::append_response::Result as Wire;
    let result = match result {
        Ok(Some(stored)) => Wire::Stored(log_id_to_wire(stored)),
        Ok(None) => Wire::StoredNothing(true),
        Err(StreamAppendError::Conflict(at)) => Wire::Conflict(log_id_to_wire(at)),
        Err(StreamAppendError::HigherVote(vote)) => Wire::HigherVote(vote_to_wire(vote)),
    };
    pb::AppendResponse {
        result: Some(result),
    }
}

pub(crate) fn append_result(wire: pb::AppendResponse) -> Parsed<StreamAppendResult<TypeConfig>> {
    use pb::append_response::Result as Wire;
    Ok(
        match wire.result.ok_or(Malformed("the result of an append"))? {
            Wire::Stored(id) => Ok(opt_log_id(Some(id))),
            Wire::StoredNothing(_) => Ok(None),
            Wire::Conflict(id) => Err(StreamAppendError::Conflict(log_id(id.term, id.index))),
            Wire::HigherVote(higher) => Err(StreamAppendError::HigherVote(vote(Some(higher))?)),
        },
    )
}

pub(crate) fn vote_request_to_wire(request: &VoteRequest<TypeConfig>) -> pb::VoteRequest {
    pb::VoteRequest {
        vote: Some(vote_to_wire(&request.vote)),
        last_log: opt_to_wire(request.last_log_id.as_ref()),
        leadership_transfer: request.leadership_transfer,
    }
}

pub(crate) fn vote_request(wire: pb::VoteRequest) -> Parsed<VoteRequest<TypeConfig>> {
    let mut request = VoteRequest::new(vote(wire.vote)?, opt_log_id(wire.last_log));
    request.leadership_transfer = wire.leadership_transfer;
    Ok(request)
}

pub(crate) fn vote_response_to_wire(response: &VoteResponse<TypeConfig>) -> pb::VoteResponse {
    pb::VoteResponse {
        vote: Some(vote_to_wire(&response.vote)),
        last_log: opt_to_wire(response.last_log_id.as_ref()),
        granted: response.vote_granted,
    }
}

pub(crate) fn vote_response(wire: pb::VoteResponse) -> Parsed<VoteResponse<TypeConfig>> {
    Ok(VoteResponse::new(
        vote(wire.vote)?,
        opt_log_id(wire.last_log),
        wire.granted,
    ))
}

pub(crate) fn transfer_to_wire(request: &TransferLeaderRequest<TypeConfig>) -> pb::TransferRequest {
    pb::TransferRequest {
        from_leader: Some(vote_to_wire(request.from_leader())),
        to: *request.to_node_id(),
        last_log: opt_to_wire(request.last_log_id()),
    }
}

pub(crate) fn transfer(wire: pb::TransferRequest) -> Parsed<TransferLeaderRequest<TypeConfig>> {
    Ok(TransferLeaderRequest::new(
        vote(wire.from_leader)?,
        wire.to,
        opt_log_id(wire.last_log),
    ))
}

pub(crate) fn transfer_result_to_wire(
    result: &TransferLeaderResponse<TypeConfig>,
) -> pb::TransferResponse {
    use pb::transfer_response::{NotFlushed, Result as Wire};
    let result = match result {
        Ok(()) => Wire::Accepted(true),
        Err(TransferLeaderError::VoteChanged { actual, .. }) => {
            Wire::VoteChanged(vote_to_wire(actual))
        }
        Err(TransferLeaderError::LogNotFlushed { actual, .. }) => Wire::NotFlushed(NotFlushed {
            stored: opt_to_wire(actual.as_ref()),
        }),
    };
    pb::TransferResponse {
        result: Some(result),
    }
}

/// What became of `request`, in openraft's terms.
pub(crate) fn transfer_result(
    wire: pb::TransferResponse,
    request: &TransferLeaderRequest<TypeConfig>,
) -> Parsed<TransferLeaderResponse<TypeConfig>> {
    use pb::transfer_response::Result as Wire;
    Ok(
        match wire.result.ok_or(Malformed("the result of a transfer"))? {
            Wire::Accepted(_) => Ok(()),
            Wire::VoteChanged(actual) => Err(TransferLeaderError::VoteChanged {
                expected: *request.from_leader(),
                actual: vote(Some(actual))?,
            }),
            Wire::NotFlushed(at) => Err(TransferLeaderError::LogNotFlushed {
                expected: request.last_log_id().copied(),
                actual: opt_log_id(at.stored),
            }),
        },
    )
}

/// The parts of a snapshot's description that travel with it.
pub(crate) fn snapshot_meta_to_wire(
    meta: &SnapshotMeta,
) -> (Option<pb::LogId>, Option<pb::LogId>, pb::Membership) {
    (
        opt_to_wire(meta.last_log_id.as_ref()),
        opt_to_wire(meta.last_membership.log_id().as_ref()),
        membership_to_wire(meta.last_membership.membership()),
    )
}

pub(crate) fn snapshot_meta(start: &pb::snapshot_chunk::Start) -> Parsed<SnapshotMeta> {
    let members = start
        .membership
        .clone()
        .ok_or(Malformed("the membership of a snapshot"))?;
    Ok(SnapshotMeta {
        last_log_id: opt_log_id(start.last_log),
        last_membership: StoredMembership::new(
            opt_log_id(start.membership_log),
            membership(members)?,
        ),
    })
}

/// Cuts an append into parts of about `bytes` bytes each; every part follows the one before it.
pub(crate) fn split(
    request: AppendEntriesRequest<TypeConfig>,
    bytes: usize,
) -> Vec<AppendEntriesRequest<TypeConfig>> {
    let size = |entry: &Entry| match &entry.payload {
        EntryPayload::Normal(payload) => payload.0.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    };
    if request.entries.iter().map(size).sum::<usize>() <= bytes {
        return vec![request];
    }
    let mut parts = Vec::new();
    let mut part = AppendEntriesRequest {
        entries: Vec::new(),
        ..request.clone()
    };
    let mut used = 0;
    for entry in request.entries {
        if !part.entries.is_empty() && used + size(&entry) > bytes {
            let previous = part.entries.last().map(|last: &Entry| last.log_id);
            let next = AppendEntriesRequest {
                prev_log_id: previous,
                entries: Vec::new(),
                ..part.clone()
            };
            parts.push(std::mem::replace(&mut part, next));
            used = 0;
        }
        used += size(&entry);
        part.entries.push(entry);
    }
    parts.push(part);
    parts
}
