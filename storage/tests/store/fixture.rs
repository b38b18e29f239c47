//! A store in a folder that goes away, and commands for it.

use std::path::{Path, PathBuf};

use futures::stream;
use openraft::RaftSnapshotBuilder;
use openraft::storage::RaftStateMachine;
use tenure_core::{
    Attributes, ClientId, Command, Endpoint, Envelope, LogIndex, NodeId, NodeName, NodeRef, Note,
    PeersPolicy, Policy, RequestId, Revision, ServiceName, State, Timestamp,
};
use tenure_storage::folder::{DataFolder, Identity};
use tenure_storage::format::encode_command;
use tenure_storage::image::Probe;
use tenure_storage::snapshot::SnapshotData;
use tenure_storage::store::{Store, StoreError, StoreOptions};
use tenure_storage::types::{Entry, EntryPayload, Payload, SnapshotMeta, log_id};

pub struct Fixture {
    pub temp: tempfile::TempDir,
    pub store: Option<Store>,
    pub next: u64,
}

pub fn data(temp: &Path) -> PathBuf {
    temp.join("data")
}

pub fn open(path: &Path, probe: Probe) -> Result<Store, StoreError> {
    let identity = Identity {
        cluster: "test".into(),
        server: 1,
    };
    let folder = DataFolder::open(data(path), identity)?;
    let options = StoreOptions {
        probe,
        events_max: 1_000,
        ..StoreOptions::default()
    };
    Store::open(&folder, options)
}

impl Fixture {
    pub fn new() -> Self {
        let temp = tempfile::tempdir().expect("temp");
        let store = open(temp.path(), Probe::None).expect("store");
        Self {
            temp,
            store: Some(store),
            next: 0,
        }
    }

    pub fn store(&mut self) -> &mut Store {
        self.store.as_mut().expect("open")
    }

    pub fn reopen(&mut self) {
        self.store = None;
        self.store = Some(open(self.temp.path(), Probe::None).expect("reopen"));
    }

    pub fn state(&mut self) -> State {
        self.store().reader.read(State::clone)
    }

    /// Applies a blank entry first of all, as every log has one.
    pub async fn apply(&mut self, commands: impl IntoIterator<Item = Command>) {
        let mut entries = Vec::new();
        if self.next == 0 {
            entries.push(Entry {
                log_id: log_id(1, 0),
                payload: EntryPayload::Blank,
            });
            self.next = 1;
        }
        for command in commands {
            entries.push(entry(self.next, &envelope(command)));
            self.next += 1;
        }
        self.apply_entries(entries).await.expect("apply");
    }

    pub async fn apply_entries(&mut self, entries: Vec<Entry>) -> Result<(), std::io::Error> {
        let items = entries.into_iter().map(|entry| Ok((entry, None)));
        self.store().machine.apply(stream::iter(items)).await
    }

    pub async fn checkpoint(&mut self) {
        let made = self.store().checkpoints.make().await.expect("checkpoint");
        let applied = self.store().reader.progress().borrow().applied;
        assert_eq!(made.map(|id| LogIndex(id.index)), Some(applied));
    }

    pub async fn build(&mut self) -> (SnapshotMeta, SnapshotData) {
        let machine = &mut self.store().machine;
        let mut builder = machine
            .try_create_snapshot_builder(true)
            .await
            .expect("builder");
        let built = builder.build_snapshot().await.expect("snapshot");
        (built.meta, built.snapshot)
    }

    pub async fn current(&mut self) -> (SnapshotMeta, SnapshotData) {
        let current = self.store().machine.get_current_snapshot().await;
        let current = current.expect("readable").expect("there is one");
        (current.meta, current.snapshot)
    }
}

pub fn entry(index: u64, envelope: &Envelope) -> Entry {
    Entry {
        log_id: log_id(1, index),
        payload: EntryPayload::Normal(Payload(encode_command(envelope))),
    }
}

pub fn envelope(command: Command) -> Envelope {
    Envelope {
        request: None,
        actor: Note::new("test").expect("note"),
        stamp: Timestamp(1),
        command,
    }
}

pub fn request(client: u64, sequence: u64, command: Command) -> Envelope {
    Envelope {
        request: Some(RequestId {
            client: ClientId(client),
            sequence,
            first_incomplete: 1,
        }),
        ..envelope(command)
    }
}

pub fn service() -> ServiceName {
    ServiceName::new("web-server").expect("name")
}

pub fn add_service() -> Command {
    Command::AddService {
        name: service(),
        policy: Policy::Peers(PeersPolicy::default()),
    }
}

pub fn add_node(number: u64) -> Command {
    Command::AddNode {
        name: NodeName::new(&format!("node-{number}")).expect("name"),
        zone: None,
        labels: Attributes::default(),
        weight: 100,
    }
}

/// Adds the web server on the node that was added as this one, counted from 1.
pub fn add_instance(node: u64) -> Command {
    Command::AddInstance {
        service: service(),
        node: NodeRef::Id(NodeId(node)),
        endpoint: Endpoint::new("10.0.0.1:80").expect("endpoint"),
        preference: 100,
    }
}

pub fn remove_instance(node: u64, expected: Revision) -> Command {
    Command::RemoveInstance {
        service: service(),
        node: NodeRef::Id(NodeId(node)),
        expected,
    }
}

/// A service with an instance on each of `count` new nodes.
pub fn a_world(count: u64) -> Vec<Command> {
    let nodes = (1..=count).map(add_node);
    let instances = (1..=count).map(add_instance);
    std::iter::once(add_service())
        .chain(nodes)
        .chain(instances)
        .collect()
}

/// Every file below a folder, with its bytes.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("create");
    for found in std::fs::read_dir(from).expect("list") {
        let found = found.expect("entry");
        let target = to.join(found.file_name());
        if found.file_type().expect("type").is_dir() {
            copy_folder(&found.path(), &target);
        } else {
            std::fs::copy(found.path(), target).expect("copy");
        }
    }
}
