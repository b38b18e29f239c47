//! The real store, with segments so small that a short plan fills several.

use std::{io, path::Path, sync::Arc};

use openraft::{
    RaftLogReader,
    storage::{IOFlushed, RaftLogStorage},
    type_config::TypeConfigExt,
};
use tenure_storage::{
    error::OpenError,
    folder::{DataFolder, Identity},
    log_store::LogStore,
    types::{Entry, TypeConfig},
    wal::{
        Options,
        disk::{Disk, RealDisk},
    },
};
use tokio::runtime::{Builder, Runtime};

use super::{
    contents::{Contents, Held},
    subject::Found,
};

/// An open log.
#[derive(Debug)]
pub struct Store {
    /// The log itself.
    pub log: LogStore,
    /// Keeps the folder locked.
    _folder: DataFolder,
}

impl Store {
    /// Opens the log in the data folder `folder`, which is made if it is empty.
    ///
    /// # Errors
    /// Those of the store.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(RealDisk), folder)
    }

    /// [`Store::open`] on a disk that may lie.
    ///
    /// # Errors
    /// Those of the store.
    pub fn open_on(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, OpenError> {
        let folder = DataFolder::open(folder, identity())?;
        let log = LogStore::open_on(disk, &folder.log_dir(), folder.store_id(), options())?;
        Ok(Self {
            log,
            _folder: folder,
        })
    }
}

/// The identity of the data folder.
#[must_use]
pub fn identity() -> Identity {
    Identity {
        cluster: "power-loss".to_owned(),
        server: 1,
    }
}

/// Segments so small that a short plan fills several.
#[must_use]
pub fn options() -> Options {
    Options {
        segment_bytes: 40 << 10,
        ahead_bytes: 12 << 10,
        ..Options::default()
    }
}

/// Reads everything in a log.
///
/// # Errors
/// Those of the store, and one for a log that contradicts itself.
pub async fn read(log: &mut LogStore) -> io::Result<(Found, Vec<Entry>)> {
    let state = log.get_log_state().await?;
    let mut reader = log.get_log_reader().await;
    let entries = reader.try_get_log_entries(..).await?;
    let last = entries
        .last()
        .map(|entry| entry.log_id)
        .or(state.last_purged_log_id);
    let committed = log.read_committed().await?;
    if last != state.last_log_id || committed > last {
        let text = format!(
            "the log says {state:?} and committed {committed:?}, but its last entry is {last:?}"
        );
        return Err(io::Error::other(text));
    }
    let contents = Contents {
        vote: reader.read_vote().await?,
        purged: state.last_purged_log_id,
        entries: entries.iter().map(Held::new).collect(),
    };
    Ok((
        Found {
            contents,
            committed,
        },
        entries,
    ))
}

/// Appends `entries` and waits until they are durable.
///
/// # Errors
/// Those of the store.
pub async fn append(log: &mut LogStore, entries: Vec<Entry>) -> io::Result<()> {
    let (tell, told) = TypeConfig::oneshot();
    log.append(entries, IOFlushed::signal(tell)).await?;
    told.await.map_err(io::Error::other)?
}

/// What the calls of the store run on.
///
/// # Panics
/// When the machine gives no runtime.
#[must_use]
pub fn runtime() -> Runtime {
    Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers needs nothing")
}
