//! Watches the small cluster: what its state is, and what each server says of itself.

use super::view::{Said, Seen};
use crate::cluster::Cluster;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tenure_client::WatchEvent;
use tenure_core::{Endpoint, Filter, State};

/// How often each server is asked how it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Keeps the picture of the state current, until it is dropped.
pub async fn watch(cluster: Cluster, seen: Arc<Mutex<Seen>>) {
    let mut watch = cluster.client().watch(&Filter::default());
    while let Ok(event) = watch.next().await {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            WatchEvent::Snapshot { records, .. } => {
                let mut state = State::default();
                records.into_iter().for_each(|record| state.put(record));
                seen.state = state;
            }
            WatchEvent::Changes { events, .. } => {
                for event in events {
                    match event.after {
                        Some(record) => seen.state.put(record),
                        None => seen.state.delete(&event.key),
                    }
                }
            }
            WatchEvent::Progress { .. }
            | WatchEvent::Compacted { .. }
            | WatchEvent::Interrupted { .. } => {}
        }
    }
}

/// Asks one server again and again how it is, until it is dropped.
pub async fn look(cluster: Cluster, server: u64, api: Endpoint, seen: Arc<Mutex<Seen>>) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let look = cluster.look(std::slice::from_ref(&api)).await.pop();
        let said = look.and_then(|look| look.said.ok()).map(|said| Said {
            role: said.role.to_string(),
            leads: said.role == tenure_client::RaftRole::Leader,
            term: said.term,
            applied: said.applied.0,
        });
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.said.insert(server, said);
    }
}
