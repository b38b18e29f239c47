//! The first formation of a cluster, by servers that were given the same list and are started in any
//! order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use openraft::errors::{InitializeError, RaftError};
use tenure_storage::types::ServerAddr;
use tokio::time::sleep;

use crate::error::Peer;
use crate::raft::{Hello, Links, Raft};

/// Pause between rounds of questions.
const PAUSE: Duration = Duration::from_millis(100);

/// Forms the cluster, unless this server or any other already belongs to one.
///
/// Nobody forms a cluster on its own word: a majority of the list, this server included, must have
/// said that it has neither log nor vote. A server that lost its data folder therefore cannot begin
/// a second history while one server of the first one answers. Every server of the list may do this
/// at once, for all begin with the same first entry.
///
/// # Errors
/// A sentence that says why this server must not take part, and what to do.
pub(crate) async fn form(
    own: u64,
    store: u128,
    servers: &[Peer],
    raft: &Raft,
    links: &Arc<Links>,
) -> Result<(), String> {
    if servers.is_empty() {
        tracing::info!(server = own, "waits until the leader of a cluster adds it");
        return Ok(());
    }
    let mut waiting = false;
    loop {
        match raft.is_initialized().await {
            Ok(false) => {}
            Ok(true) | Err(_) => return Ok(()),
        }
        let answers = ask(own, servers, links).await;
        check_welcome(own, store, &answers)?;
        let formed = answers.iter().any(|(_, hello)| hello.formed);
        let unformed = answers.iter().filter(|(_, hello)| !hello.formed).count() + 1;
        if formed && !waiting {
            waiting = true;
            tracing::info!(
                server = own,
                "the cluster is formed; waits for its leader's call"
            );
        } else if !formed && unformed * 2 > servers.len() {
            return initialize(servers, raft).await;
        }
        sleep(PAUSE).await;
    }
}

async fn ask(own: u64, servers: &[Peer], links: &Arc<Links>) -> Vec<(u64, Hello)> {
    let others = servers.iter().filter(|peer| peer.id.0 != own);
    let asked = others.map(|peer| async move {
        match links.hello(peer.id.0, &peer.raft).await {
            Ok(hello) => Some((peer.id.0, hello)),
            Err(error) => {
                links.log_trouble(peer.id.0, &error.to_string());
                None
            }
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// A server of the list that the others know by another data folder has lost its own.
fn check_welcome(own: u64, store: u128, answers: &[(u64, Hello)]) -> Result<(), String> {
    for (peer, hello) in answers {
        if hello.retired {
            return Err(format!(
                "server {own} was removed from the cluster, says server {peer}, and its id is never \
                 used again: give this server an id that was never used, take the list of \
                 [[servers]] out of its configuration, set `join = true`, and add it with `tenure \
                 raft add`"
            ));
        }
        if hello.known_store.is_some_and(|known| known != store) {
            return Err(format!(
                "server {peer} knows server {own} by another data folder: this one is new, so it has \
                 forgotten which votes it gave. Put the right folder back; or, if it is lost, remove \
                 server {own} with `tenure raft remove {own}`, and add this one under an id that was \
                 never used, with `join = true` in place of the list of [[servers]]"
            ));
        }
    }
    Ok(())
}

async fn initialize(servers: &[Peer], raft: &Raft) -> Result<(), String> {
    let members: BTreeMap<u64, ServerAddr> = servers
        .iter()
        .map(|peer| {
            let address = ServerAddr {
                raft: peer.raft.clone(),
                api: peer.api.clone(),
            };
            (peer.id.0, address)
        })
        .collect();
    let ids: BTreeSet<u64> = members.keys().copied().collect();
    match raft.initialize(members).await {
        Ok(()) => {
            tracing::info!(?ids, "the cluster is formed");
            Ok(())
        }
        // A peer was faster: its vote or its first entry is here already.
        Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(error) => Err(format!("the cluster could not be formed: {error}")),
    }
}
