//! Changing the group. Every step is committed on its own and may be repeated, so that a change that
//! was cut off is completed by asking again, or by the next leader's duties.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use tenure_core::{Command, Endpoint, Outcome, ServerId, ServerStatus};
use tenure_storage::types::{ServerAddr, TypeConfig};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Consensus, SHORT, duties, fatal, group, refused, write_error};
use crate::error::{MembershipError, Peer};

/// How many entries behind a learner may be to become a voter.
const CAUGHT_UP: u64 = 64;
/// A learner that gets no entry and no snapshot for so long is given up on.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a snapshot may be under way, during which the leader sees no progress.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(600);

type Change = ChangeMembers<u64, ServerAddr>;

pub(super) async fn add(
    consensus: &Consensus,
    peer: Peer,
    learner: bool,
) -> Result<bool, MembershipError> {
    require_leader(consensus)?;
    let raft = endpoint("raft", &peer.raft)?;
    let api = endpoint("api", &peer.api)?;
    check_addresses(consensus, &peer)?;
    // First of all the id is taken, so that no other server can come to use it.
    let admit = Command::AdmitServer {
        id: peer.id,
        raft,
        api,
    };
    commit(consensus, admit).await?;
    let id = peer.id.0;
    let status = group::status(consensus.raft());
    let known = status.servers.iter().find(|known| known.peer.id == peer.id);
    if known.is_some_and(|known| known.voter) {
        return Ok(true);
    }
    if known.is_none() {
        let address = ServerAddr {
            raft: peer.raft.clone(),
            api: peer.api.clone(),
        };
        change(consensus, Change::AddNodes(BTreeMap::from([(id, address)]))).await?;
    }
    if learner {
        return Ok(false);
    }
    wait_caught_up(consensus, peer.id).await?;
    change(consensus, Change::AddVoterIds(BTreeSet::from([id]))).await?;
    Ok(true)
}

fn endpoint(what: &str, text: &str) -> Result<Endpoint, MembershipError> {
    Endpoint::new(text)
        .map_err(|error| MembershipError::Invalid(format!("the {what} address: {error}")))
}

/// Refuses addresses that another server of the group has, and other addresses for one that is there.
fn check_addresses(consensus: &Consensus, new: &Peer) -> Result<(), MembershipError> {
    for known in group::status(consensus.raft()).servers {
        let known = known.peer;
        if known.id == new.id {
            if (&known.raft, &known.api) != (&new.raft, &new.api) {
                return Err(MembershipError::Invalid(format!(
                    "server {} is already there, with raft at {} and API at {}: to move it, remove \
                     it and add it anew under an id that was never used",
                    new.id, known.raft, known.api
                )));
            }
        } else if known.raft == new.raft || known.api == new.api {
            return Err(MembershipError::Invalid(format!(
                "server {} is at raft {} and API {}: another server needs addresses of its own",
                known.id, known.raft, known.api
            )));
        }
    }
    Ok(())
}

/// Waits while the learner makes progress.
async fn wait_caught_up(consensus: &Consensus, id: ServerId) -> Result<(), MembershipError> {
    let mut metrics = consensus.raft().data_metrics();
    let mut snapshot_deadline = Instant::now() + CATCH_UP_TIMEOUT;
    let mut best = None;
    let mut deadline = Instant::now() + PROGRESS_TIMEOUT;
    loop {
        require_leader(consensus)?;
        let (matching, last) = {
            let now = metrics.borrow_and_update();
            let matching = now
                .replication
                .as_ref()
                .and_then(|replication| replication.get(&id.0).copied().flatten())
                .map(|matching| matching.index);
            (matching, now.last_log.map_or(0, |last| last.index))
        };
        if matching.is_some_and(|matching| matching + CAUGHT_UP >= last) {
            return Ok(());
        }
        if matching > best {
            best = matching;
            deadline = Instant::now() + PROGRESS_TIMEOUT;
            snapshot_deadline = Instant::now() + CATCH_UP_TIMEOUT;
        }
        // A server that answers but has not stored anything may be taking a snapshot in.
        let reachable = consensus.links().is_up(id.0);
        let until = if reachable {
            snapshot_deadline
        } else {
            deadline
        };
        let wake = until.min(Instant::now() + Duration::from_secs(1));
        match timeout_at(wake, metrics.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(MembershipError::Fatal("consensus was stopped".into())),
            Err(_) if Instant::now() < until => {}
            Err(_) => {
                return Err(MembershipError::TimedOut(format!(
                    "server {id} does not catch up: it has {} of {last} entries. It stays a learner. \
                     See that it runs and that its raft address is right, then ask again",
                    best.unwrap_or(0)
                )));
            }
        }
    }
}

pub(super) async fn remove(consensus: &Consensus, id: ServerId) -> Result<(), MembershipError> {
    require_leader(consensus)?;
    let status = group::status(consensus.raft());
    let known = status.servers.iter().find(|known| known.peer.id == id);
    let others_vote = status.servers.iter().any(|s| s.voter && s.peer.id != id);
    if known.is_some_and(|known| known.voter) && !others_vote {
        return Err(MembershipError::Invalid(format!(
            "server {id} is the only voter: add another one first"
        )));
    }
    if let Some(known) = known {
        remember(consensus, &known.peer).await?;
    }
    // Retired first: should this stop half-way, the id is used up all the same, and the next leader
    // completes the removal. Until it has left the membership its vote still counts.
    commit(consensus, Command::RetireServer { id }).await?;
    if known.is_none() {
        return Ok(());
    }
    if id == consensus.id() {
        let leader = transfer(consensus, None).await?;
        return Err(MembershipError::NotLeader {
            leader: consensus.leader().filter(|peer| peer.id == leader),
        });
    }
    leave(consensus, id).await
}

/// Makes sure that the state knows a server of the group: the leader does so shortly after the
/// formation, and this may come first.
async fn remember(consensus: &Consensus, peer: &Peer) -> Result<(), MembershipError> {
    let known = consensus
        .reader()
        .read(|state| state.servers().contains_key(&peer.id));
    if known {
        return Ok(());
    }
    let admit = Command::AdmitServer {
        id: peer.id,
        raft: endpoint("raft", &peer.raft)?,
        api: endpoint("api", &peer.api)?,
    };
    match commit(consensus, admit).await {
        // It was known and is retired: this server had not applied that yet.
        Ok(()) | Err(MembershipError::Rejected(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Takes a retired server out of the membership.
pub(super) async fn leave(consensus: &Consensus, id: ServerId) -> Result<(), MembershipError> {
    let set = BTreeSet::from([id.0]);
    let voter = group::status(consensus.raft())
        .servers
        .iter()
        .any(|known| known.peer.id == id && known.voter);
    if voter {
        change(consensus, Change::RemoveVoters(set)).await
    } else {
        change(consensus, Change::RemoveNodes(set)).await
    }
}

/// Completes a change of voters that a leader before this one had begun.
pub(super) async fn settle(consensus: &Consensus) -> Result<(), MembershipError> {
    change(consensus, Change::AddVoterIds(BTreeSet::new())).await
}

async fn change(consensus: &Consensus, what: Change) -> Result<(), MembershipError> {
    let write = consensus.raft().change_membership(what, false);
    match timeout(2 * SHORT, write).await {
        Err(_) => Err(MembershipError::Unknown(
            "no quorum stored the new membership in time".into(),
        )),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(RaftError::Fatal(error))) => Err(MembershipError::Fatal(fatal(&error))),
        Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error)))) => {
            Err(change_error(&error))
        }
        Ok(Err(RaftError::APIError(error))) => Err(write_error(error).into()),
    }
}

fn change_error(
    error: &ChangeMembershipError<tenure_storage::types::CommittedLeaderId, u64>,
) -> MembershipError {
    match error {
        ChangeMembershipError::InProgress(_) | ChangeMembershipError::UncommittedLeaderLog(_) => {
            MembershipError::Busy
        }
        ChangeMembershipError::EmptyMembership(_)
        | ChangeMembershipError::LearnerNotFound(_)
        | ChangeMembershipError::UnsupportedMembershipTransition(_)
        | ChangeMembershipError::NodeMetadataChanged(_) => {
            MembershipError::Invalid(error.to_string())
        }
    }
}

/// Commits a command of this server's own.
async fn commit(consensus: &Consensus, command: Command) -> Result<(), MembershipError> {
    let payload = duties::payload(duties::ACTOR, command).map_err(MembershipError::Invalid)?;
    match consensus.propose(payload).await? {
        Outcome::Done(_) | Outcome::Answered { .. } => Ok(()),
        Outcome::Rejected(reject) => Err(MembershipError::Rejected(reject)),
    }
}

fn require_leader(consensus: &Consensus) -> Result<(), MembershipError> {
    match consensus.raft().as_leader() {
        Ok(_) => Ok(()),
        Err(forward) => {
            let forward: openraft::errors::ForwardToLeader<TypeConfig> = forward;
            Err(refused(&forward).into())
        }
    }
}

pub(super) async fn transfer(
    consensus: &Consensus,
    to: Option<ServerId>,
) -> Result<ServerId, MembershipError> {
    require_leader(consensus)?;
    let own = consensus.id();
    let to = match to {
        Some(to) => to,
        None => most_complete(consensus)?,
    };
    if to == own {
        return Ok(own);
    }
    let servers = group::status(consensus.raft()).servers;
    if !servers.iter().any(|s| s.peer.id == to && s.voter) {
        return Err(MembershipError::Invalid(format!(
            "server {to} is no voter of this group"
        )));
    }
    if !consensus.links().is_up(to.0) {
        return Err(MembershipError::Invalid(format!(
            "server {to} cannot be reached, so it could not take over"
        )));
    }
    consensus.cede().await?;
    // A leader that has begun to hand over proposes nothing more until another leads. If the one
    // that was asked does not take over, any other may.
    let others = servers
        .iter()
        .filter(|s| s.voter && s.peer.id != own && s.peer.id != to)
        .map(|s| s.peer.id);
    let asked = std::iter::once(to).chain(others);
    for candidate in asked.cycle().take(TRANSFER_ATTEMPTS) {
        if let Some(leader) = offer(consensus, candidate).await? {
            return Ok(leader);
        }
    }
    Err(MembershipError::TimedOut(format!(
        "neither server {to} nor any other voter took over"
    )))
}

/// How often leadership is offered, to one voter after the other, before it is given up.
const TRANSFER_ATTEMPTS: usize = 12;
/// How long a voter has to take over: a vote that is stored by a majority.
const TRANSFER_TIMEOUT: Duration = Duration::from_millis(400);

/// Offers leadership to a voter. None when it was not taken.
async fn offer(consensus: &Consensus, to: ServerId) -> Result<Option<ServerId>, MembershipError> {
    let raft = consensus.raft();
    raft.trigger()
        .transfer_leader(to.0)
        .await
        .map_err(|error| MembershipError::Fatal(fatal(&error)))?;
    let mut metrics = raft.server_metrics();
    let taken = async {
        loop {
            let leader = metrics.borrow_and_update().current_leader;
            if let Some(leader) = leader.filter(|leader| *leader != consensus.id().0) {
                return Ok(ServerId(leader));
            }
            metrics
                .changed()
                .await
                .map_err(|_| MembershipError::Fatal("consensus was stopped".into()))?;
        }
    };
    timeout(TRANSFER_TIMEOUT, taken).await.ok().transpose()
}

/// The voter, other than this server, that has most of the log and is not being removed.
fn most_complete(consensus: &Consensus) -> Result<ServerId, MembershipError> {
    let retired: BTreeSet<ServerId> = consensus.reader().read(|state| {
        let servers = state.servers().values();
        servers
            .filter(|record| record.status == ServerStatus::Retired)
            .map(|record| record.id)
            .collect()
    });
    group::status(consensus.raft())
        .servers
        .iter()
        .filter(|s| s.voter && s.peer.id != consensus.id() && !retired.contains(&s.peer.id))
        .filter(|s| consensus.links().is_up(s.peer.id.0))
        .min_by_key(|s| s.lag.unwrap_or(u64::MAX))
        .map(|s| s.peer.id)
        .ok_or_else(|| {
            MembershipError::Invalid("there is no other voter in reach that could take over".into())
        })
}
