//! What several test files need.
#![allow(dead_code)] // each test file is a crate of its own and uses a part

pub mod disk;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::type_config::alias::OneshotReceiverOf;
use tenure_storage::log_store::LogStore;
use tenure_storage::types::{Entry, EntryPayload, Payload, TypeConfig, log_id};
use tenure_storage::wal::Options;
use tenure_storage::wal::disk::Disk;

pub const STORE: u128 = 0x5EED;

/// A log whose segments, batches and memory are small enough for tests to go past their ends.
pub fn small() -> Options {
    Options {
        segment_bytes: 20_000,
        batch_bytes: 16_000,
        ahead_bytes: 3_000,
        cache_bytes: 4_000,
        seal_after: Duration::from_secs(3600),
        on_thread: true,
    }
}

pub fn entry(term: u64, index: u64, bytes: usize) -> Entry {
    let fill = (index as u8).wrapping_mul(31).wrapping_add(term as u8);
    Entry {
        log_id: log_id(term, index),
        payload: EntryPayload::Normal(Payload(Bytes::from(vec![fill; bytes]))),
    }
}

pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> LogStore {
    LogStore::open_on(disk, dir, STORE, small()).expect("open the log")
}

/// Appends, and returns what is told once the entries are durable.
pub async fn start_append(
    log: &mut LogStore,
    entries: Vec<Entry>,
) -> OneshotReceiverOf<TypeConfig, Result<(), std::io::Error>> {
    let (told, durable) = TypeConfig::oneshot();
    log.append(entries, IOFlushed::<TypeConfig>::signal(told))
        .await
        .expect("append");
    durable
}

pub async fn append(log: &mut LogStore, entries: Vec<Entry>) {
    start_append(log, entries)
        .await
        .await
        .expect("told")
        .expect("durable");
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime")
}
