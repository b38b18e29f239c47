//! Watches the small cluster: what its state is, and what each server says of itself.

use super::view::{Said, Seen};
use crate::cluster::Cluster;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tenure_client::WatchEvent;
use tenure_core::{Endpoint, Epoch, Filter, ServiceName, State};

/// How often each server is asked how it is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long after a change of primary its receipt may still be completed.
const COMPLETED_WITHIN: Duration = Duration::from_secs(5);

/// How many receipts are asked for: more than there can be in that time.
const RECEIPTS: u32 = 16;

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

/// Fetches receipts while some are new or incomplete, until it is dropped.
pub async fn receipts(cluster: Cluster, seen: Arc<Mutex<Seen>>) {
    let mut known: Vec<(ServiceName, Epoch)> = Vec::new();
    let mut until = Instant::now();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let epochs = epochs(&seen.lock().unwrap_or_else(PoisonError::into_inner).state);
        if epochs != known {
            known = epochs;
            until = Instant::now() + COMPLETED_WITHIN;
        }
        if Instant::now() >= until {
            continue;
        }
        // What fails is asked again.
        if let Ok(receipts) = cluster.receipts(None, RECEIPTS).await {
            seen.lock().unwrap_or_else(PoisonError::into_inner).receipts = receipts;
        }
    }
}

fn epochs(state: &State) -> Vec<(ServiceName, Epoch)> {
    let services = state.services().keys();
    let assigned = services.filter_map(|name| state.assignment(name));
    assigned
        .map(|now| (now.service.clone(), now.epoch))
        .collect()
}
