//! openraft's own suite on the log, with the least state machine that it can do with.

mod common;

use std::io;
use std::sync::{Arc, Mutex};

use futures::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::alias::SnapshotOf;
use openraft::{EntryPayload, OptionalSend, StorageError};
use tempfile::TempDir;
use tenure_storage::folder::{DataFolder, Identity};
use tenure_storage::log_store::LogStore;
use tenure_storage::types::{LogId, SnapshotMeta, StoredMembership, TypeConfig};

#[derive(Debug, Clone, Default)]
struct Applied {
    last: Option<LogId>,
    membership: StoredMembership,
    snapshot: Option<SnapshotMeta>,
}

/// Remembers how far it has applied, and nothing else.
#[derive(Debug, Clone, Default)]
struct NoMachine(Arc<Mutex<Applied>>);

impl NoMachine {
    fn with<T>(&self, f: impl FnOnce(&mut Applied) -> T) -> T {
        f(&mut self.0.lock().expect("no panic while applying"))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for NoMachine {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, ()>, io::Error> {
        Ok(self.with(|applied| {
            let meta = SnapshotMeta {
                last_log_id: applied.last,
                last_membership: applied.membership.clone(),
            };
            applied.snapshot = Some(meta.clone());
            Snapshot { meta, snapshot: () }
        }))
    }
}

impl RaftStateMachine<TypeConfig> for NoMachine {
    type SnapshotData = ();
    type SnapshotBuilder = NoMachine;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok(self.with(|applied| (applied.last, applied.membership.clone())))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            self.with(|applied| {
                applied.last = Some(entry.log_id);
                if let EntryPayload::Membership(membership) = entry.payload {
                    applied.membership = StoredMembership::new(Some(entry.log_id), membership);
                }
            });
            assert!(responder.is_none(), "nobody waits for an outcome here");
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> NoMachine {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, _: ()) -> Result<(), io::Error> {
        self.with(|applied| {
            applied.last = meta.last_log_id;
            applied.membership = meta.last_membership.clone();
            applied.snapshot = Some(meta.clone());
        });
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<SnapshotOf<TypeConfig, ()>>, io::Error> {
        Ok(self.with(|applied| {
            let meta = applied.snapshot.clone()?;
            Some(Snapshot { meta, snapshot: () })
        }))
    }
}

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, NoMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, NoMachine), StorageError<TypeConfig>> {
        let temp = tempfile::tempdir().expect("temp");
        let identity = Identity {
            cluster: "suite".into(),
            server: 1,
        };
        let folder = DataFolder::open(temp.path(), identity).expect("folder");
        let log = LogStore::open_with(&folder, common::small()).expect("log");
        Ok((temp, log, NoMachine::default()))
    }
}

#[test]
fn the_log_passes_the_suite_of_openraft() {
    common::runtime().block_on(async {
        Suite::test_all(Builder).await.expect("the suite passes");
    });
}
