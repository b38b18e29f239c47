//! Makes the calls of a plan on a real store.

use std::{io, path::Path};

use futures::{StreamExt, stream};
use openraft::storage::{RaftSnapshotBuilder, RaftStateMachine};
use tempfile::TempDir;
use tenure_storage::{
    folder::DataFolder,
    image::Probe,
    snapshot::SnapshotData,
    state_machine::StateMachine,
    store::{Store, StoreError, StoreOptions},
    types::Entry,
};

use super::plan::Call;
use crate::power_loss::loads::log::{plan, run::User, store};

/// Opens the store in `folder`, which is made if it is empty.
///
/// # Errors
/// Those of the store.
pub fn open(folder: &Path, probe: Probe) -> Result<Store, StoreError> {
    let folder = DataFolder::open(folder, store::identity())?;
    Store::open(
        &folder,
        StoreOptions {
            probe,
            events_max: 1000,
            log: store::options(),
        },
    )
}

/// Applies `entries`.
///
/// # Errors
/// Those of the state machine.
pub async fn apply(machine: &mut StateMachine, entries: Vec<Entry>) -> io::Result<()> {
    let entries = entries.into_iter().map(|entry| Ok((entry, None)));
    machine.apply(stream::iter(entries)).await
}

/// Makes `calls` on the store in `folder`, and says in `marks` how far it got.
///
/// # Errors
/// With the first error of the store.
pub async fn run(folder: &Path, marks: &Path, calls: &[Call]) -> io::Result<()> {
    let mut user = User::new(marks)?;
    let mut other = Other::beside(marks)?;
    let mut store = open(folder, Probe::None).map_err(io::Error::other)?;
    let mut unapplied = Vec::new();
    for call in calls {
        match call {
            Call::Log(call) => {
                if let plan::Call::Append(entries) = call {
                    unapplied.extend_from_slice(entries);
                    other.entries.extend_from_slice(entries);
                }
                user.make(&mut store.log, call).await?;
            }
            Call::Apply => apply(&mut store.machine, std::mem::take(&mut unapplied)).await?,
            Call::Checkpoint => {
                user.begin(1)?;
                store
                    .machine
                    .get_snapshot_builder()
                    .await
                    .build_snapshot()
                    .await?;
                user.acknowledge()?;
            }
            Call::Install(entries) => {
                unapplied.clear();
                user.begin(1)?;
                other.send(entries, &mut store).await?;
                user.acknowledge()?;
            }
            Call::Reopen => {
                drop(store);
                store = open(folder, Probe::None).map_err(io::Error::other)?;
                unapplied = unapplied_in(&mut store).await?;
            }
        }
    }
    Ok(())
}

/// The entries in the log that the image does not have.
async fn unapplied_in(store: &mut Store) -> io::Result<Vec<Entry>> {
    let (applied, _) = store.machine.applied_state().await?;
    let (_, entries) = store::read(&mut store.log).await?;
    Ok(entries
        .into_iter()
        .filter(|entry| Some(entry.log_id) > applied)
        .collect())
}

/// Another server, which is ahead and sends snapshots. Its folder is not watched.
struct Other {
    store: Store,
    /// Entries it has and has not applied.
    entries: Vec<Entry>,
    _folder: TempDir,
}

impl Other {
    /// With its folder where `marks` is: this process may be killed, and whoever made that place removes it.
    fn beside(marks: &Path) -> io::Result<Self> {
        let place = marks
            .parent()
            .ok_or_else(|| io::Error::other(format!("{} lies nowhere", marks.display())))?;
        let folder = tempfile::tempdir_in(place)?;
        let store = open(folder.path(), Probe::None).map_err(io::Error::other)?;
        Ok(Self {
            store,
            entries: Vec::new(),
            _folder: folder,
        })
    }

    /// Takes `entries` in, and brings `to` up to the last of them by a snapshot.
    async fn send(&mut self, entries: &[Entry], to: &mut Store) -> io::Result<()> {
        self.entries.extend_from_slice(entries);
        apply(&mut self.store.machine, std::mem::take(&mut self.entries)).await?;
        let built = self
            .store
            .machine
            .get_snapshot_builder()
            .await
            .build_snapshot()
            .await?;
        let mut chunks = built.snapshot.chunks();
        let mut receiver = to.inbox.begin();
        while let Some(chunk) = chunks.next().await {
            receiver.write(chunk?).await?;
        }
        let received: SnapshotData = receiver.finish().await?;
        to.machine.install_snapshot(&built.meta, received).await
    }
}
