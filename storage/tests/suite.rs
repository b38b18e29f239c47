//! Openraft's own suite, on the real log and the real state machine.

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tenure_storage::folder::{DataFolder, Identity};
use tenure_storage::log_store::LogStore;
use tenure_storage::state_machine::StateMachine;
use tenure_storage::store::{Store, StoreOptions};
use tenure_storage::types::TypeConfig;

struct Stores;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for Stores {
    async fn build(
        &self,
    ) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let temp = tempfile::tempdir().expect("temp");
        let identity = Identity {
            cluster: "suite".into(),
            server: 1,
        };
        let folder = DataFolder::open(temp.path().join("data"), identity).expect("folder");
        let store = Store::open(&folder, StoreOptions::default()).expect("store");
        Ok((temp, store.log, store.machine))
    }
}

#[test]
fn openraft_suite_passes_on_the_real_store() {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("runtime")
        .block_on(Suite::test_all(Stores))
        .expect("suite");
}
