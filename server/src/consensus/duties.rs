//! What the leader does on its own, apart from roles: remembers servers and their data folders, completes
//! changes of the group that were cut off, takes expired pins and pauses away, and allows new kinds of
//! command once every server understands them.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openraft::async_runtime::watch::WatchReceiver;
use tenure_core::{
    Command, Endpoint, Envelope, NodeRef, Note, Outcome, ServerId, ServerStatus, Settings, State,
    Timestamp,
};
use tenure_storage::format::encode_command;
use tenure_storage::types::Payload;
use tokio::time::timeout;

use super::{Consensus, SHORT, group, membership};
use crate::error::MembershipError;

/// How often the leader looks at pins and at what it could not do before.
const EVERY: Duration = Duration::from_secs(1);
/// Whom the history names for what the leader does on its own.
pub(super) const ACTOR: &str = "leader";
/// Largest entry of a server's own, in bytes: well below what the log takes.
const OWN_BYTES_MAX: usize = 16 << 20;

/// Runs until consensus stops.
pub(crate) async fn run(consensus: Consensus) {
    let mut changes = consensus.raft().server_metrics();
    let mut links_up = consensus.links().ups();
    let mut told_retired = false;
    loop {
        let leads = {
            let metrics = changes.borrow_and_update();
            metrics.state.is_leader()
        };
        links_up.borrow_and_update();
        if consensus.is_shutting_down() {
            return;
        }
        if leads {
            if let Err(error) = lead(&consensus).await {
                tracing::debug!(server = %consensus.id(), %error, "a duty of the leader waits");
            }
        } else if !told_retired && is_retired(&consensus) {
            told_retired = true;
            tracing::error!(
                server = %consensus.id(),
                "this server was removed from the cluster and its id is never used again: stop it, \
                 or add it anew with an empty data folder and another id"
            );
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            // What a server says when it is reached may be what a duty waits for.
            Ok(()) = links_up.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

fn is_retired(consensus: &Consensus) -> bool {
    consensus.reader().read(|state| {
        state
            .servers()
            .get(&consensus.id())
            .is_some_and(|record| record.status == ServerStatus::Retired)
    })
}

/// One look at everything, on a state that has what earlier leaders committed.
async fn lead(consensus: &Consensus) -> Result<(), MembershipError> {
    let index = match consensus.read_index().await {
        Ok(index) => index,
        // It does not lead any more, or not yet.
        Err(_) => return Ok(()),
    };
    if timeout(SHORT, consensus.reader().wait_applied(index))
        .await
        .is_err()
    {
        return Ok(());
    }
    let servers = group::status(consensus.raft()).servers;
    let now = wall_clock();
    let due = consensus
        .reader()
        .read(|state| commands(consensus, state, &servers, now));
    for command in due {
        // Each rests on the fact that it was decided on; a reject means that the fact has changed.
        let payload = payload(ACTOR, command).map_err(MembershipError::Invalid)?;
        if let Outcome::Rejected(reject) = consensus.propose(payload).await? {
            tracing::debug!(%reject, "a duty was overtaken");
        }
    }
    finish_changes(consensus, &servers).await
}

fn commands(
    consensus: &Consensus,
    state: &State,
    servers: &[group::PeerStatus],
    now: Timestamp,
) -> Vec<Command> {
    let mut due = Vec::new();
    for known in servers {
        let peer = &known.peer;
        match state.servers().get(&peer.id) {
            Some(record) if record.status == ServerStatus::Retired || record.store.is_some() => {}
            Some(_) => due.extend(bind(consensus, peer.id)),
            None => {
                // What is no endpoint was refused when it was configured.
                if let (Ok(raft), Ok(api)) = (Endpoint::new(&peer.raft), Endpoint::new(&peer.api)) {
                    due.push(Command::AdmitServer {
                        id: peer.id,
                        raft,
                        api,
                    });
                    due.extend(bind(consensus, peer.id));
                }
            }
        }
    }
    let expired = |until: &Option<Timestamp>| until.is_some_and(|until| until <= now);
    for pin in state.pins().values().filter(|pin| expired(&pin.until)) {
        due.push(Command::RemovePin {
            node: NodeRef::Id(pin.node),
            expected: pin.modified,
        });
    }
    let pauses = state.pauses().values();
    for pause in pauses.filter(|pause| expired(&pause.until)) {
        due.push(Command::RemovePause {
            scope: pause.scope.clone(),
            expected: pause.modified,
        });
    }
    due.extend(raise(state, servers, |id| consensus.links().level(id.0)));
    due
}

/// The feature level of the cluster, when it can be raised: to the lowest that any server understands, of
/// those that may take part and of those that do.
fn raise(
    state: &State,
    servers: &[group::PeerStatus],
    level: impl Fn(ServerId) -> Option<u32>,
) -> Option<Command> {
    let admitted = state.servers().values();
    let admitted = admitted.filter(|record| record.status == ServerStatus::Admitted);
    let all: BTreeSet<ServerId> = admitted
        .map(|record| record.id)
        .chain(servers.iter().map(|known| known.peer.id))
        .collect();
    let from = state.settings().feature_level;
    let mut to = Settings::FEATURE_LEVEL_SUPPORTED;
    for id in all {
        to = to.min(level(id)?);
    }
    (to > from).then_some(Command::RaiseFeatureLevel { from, to })
}

fn bind(consensus: &Consensus, id: ServerId) -> Option<Command> {
    let store = consensus.links().seen_store(id.0)?;
    Some(Command::BindServer { id, store })
}

/// Completes what another leader, or this one before it was cut off, had begun.
async fn finish_changes(
    consensus: &Consensus,
    servers: &[group::PeerStatus],
) -> Result<(), MembershipError> {
    let Ok(_only) = consensus.0.changes.try_lock() else {
        return Ok(());
    };
    let joint = {
        let metrics = consensus.raft().server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.get_joint_config().len() > 1
    };
    if joint {
        membership::settle(consensus).await?;
    }
    let retired: Vec<ServerId> = consensus.reader().read(|state| {
        let ids = servers.iter().map(|known| known.peer.id);
        ids.filter(|id| {
            let record = state.servers().get(id);
            record.is_some_and(|record| record.status == ServerStatus::Retired)
        })
        .collect()
    });
    for id in retired {
        if id == consensus.id() {
            membership::transfer(consensus, None).await?;
            return Ok(());
        }
        membership::leave(consensus, id).await?;
        tracing::info!(server = %id, "removed from the group");
    }
    Ok(())
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The log entry of a command of the leader's own. Each such command is harmless to repeat, so it
/// needs no request id.
pub(super) fn payload(actor: &str, command: Command) -> Result<Payload, String> {
    let actor = Note::new(actor).map_err(|error| error.to_string())?;
    let entry = encode_command(&Envelope {
        request: None,
        actor,
        stamp: wall_clock(),
        command,
    });
    if entry.len() > OWN_BYTES_MAX {
        let bytes = entry.len();
        return Err(format!(
            "a command of {bytes} bytes, at most {OWN_BYTES_MAX} go into one log entry"
        ));
    }
    Ok(Payload(entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Peer;

    const NEWEST: u32 = Settings::FEATURE_LEVEL_SUPPORTED;

    fn server(id: u64) -> group::PeerStatus {
        let peer = Peer {
            id: ServerId(id),
            raft: format!("127.0.0.1:{id}"),
            api: format!("127.0.0.1:{}", id + 100),
        };
        group::PeerStatus {
            peer,
            voter: true,
            leader: id == 1,
            lag: None,
        }
    }

    fn state(admitted: &[u64], retired: &[u64]) -> State {
        let mut state = State::default();
        let endpoint = |port: u64| Endpoint::new(&format!("127.0.0.1:{port}")).unwrap();
        let all = [
            (admitted, ServerStatus::Admitted),
            (retired, ServerStatus::Retired),
        ];
        for (ids, status) in all {
            for id in ids {
                state.put(tenure_core::Record::Server(
                    tenure_core::ServerRecord {
                        id: ServerId(*id),
                        raft: endpoint(*id),
                        api: endpoint(id + 100),
                        store: None,
                        status,
                        modified: tenure_core::Revision(1),
                    }
                    .into(),
                ));
            }
        }
        state
    }

    #[test]
    fn the_level_is_raised_to_what_every_server_has_said_it_understands() {
        let levels = |levels: &'static [Option<u32>]| {
            move |id: ServerId| levels[usize::try_from(id.0).unwrap() - 1]
        };
        let servers = [server(1), server(2)];
        let raised = Some(Command::RaiseFeatureLevel {
            from: 1,
            to: NEWEST,
        });
        let all = levels(&[Some(NEWEST), Some(NEWEST), None]);
        assert_eq!(raise(&state(&[1, 2], &[]), &servers, all), raised);
        // Not yet remembered, but it takes part; and a retired one is not asked.
        assert_eq!(raise(&state(&[1], &[3]), &servers, all), raised);
        assert_eq!(raise(&state(&[1, 2, 3], &[]), &servers, all), None);
        let silent = levels(&[Some(NEWEST), None]);
        assert_eq!(raise(&state(&[1, 2], &[]), &servers, silent), None);
        let old = levels(&[Some(NEWEST), Some(1)]);
        assert_eq!(raise(&state(&[1, 2], &[]), &servers, old), None);
        // A newer server than this one is taken for what this one understands.
        let newer = levels(&[Some(NEWEST), Some(NEWEST + 1)]);
        assert_eq!(raise(&state(&[1, 2], &[]), &servers, newer), raised);
    }
}
