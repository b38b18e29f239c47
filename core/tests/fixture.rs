//! A small cluster, built through commands only, and tables of commands that are tried on it.

use std::collections::BTreeMap;
use tenure_core::{
    Applied, Attributes, Command, Created, Endpoint, Envelope, Epoch, Health, Incarnation, Key,
    Kind, Lifecycle, LossPolicy, Member, NodeId, NodeName, NodeRef, Note, Outcome, Policy,
    PrimaryPolicy, Record, Reject, RejectCode, Report, RequestId, Revision, ServerId, ServiceName,
    State, Timestamp, Zone, invariants,
};

/// A state with the log that it stands in.
#[derive(Clone)]
pub struct World {
    pub state: State,
}

impl World {
    pub fn empty() -> Self {
        Self {
            state: State::default(),
        }
    }

    /// Applies the next entry and checks the invariants.
    pub fn apply_as(&mut self, request: Option<RequestId>, command: Command) -> Applied {
        let before = self.state.clone();
        let envelope = envelope(request, command);
        let applied = self.state.apply(before.applied().next(), &envelope);
        let broken = invariants::check_step(&before, &self.state, &applied);
        assert_eq!(broken, [], "{envelope:?}");
        applied
    }

    pub fn apply(&mut self, command: Command) -> Applied {
        self.apply_as(None, command)
    }

    pub fn must(&mut self, command: Command) -> Option<Created> {
        let shown = format!("{command:?}");
        match self.apply(command).outcome {
            Outcome::Done(done) => done.created,
            Outcome::Answered { .. } => None,
            Outcome::Rejected(reject) => panic!("{shown}: {reject}"),
        }
    }

    pub fn must_reject(&mut self, command: Command) -> Reject {
        let shown = format!("{command:?}");
        match self.apply(command).outcome {
            other @ (Outcome::Done(_) | Outcome::Answered { .. }) => panic!("{shown}: {other:?}"),
            Outcome::Rejected(reject) => reject,
        }
    }

    /// When a record was last changed.
    pub fn at(&self, key: &Key) -> Revision {
        match self.state.get(key) {
            Some(Record::Settings(it)) => it.modified,
            Some(Record::Server(it)) => it.modified,
            Some(Record::Node(it)) => it.modified,
            Some(Record::Service(it)) => it.modified,
            Some(Record::Assignment(it)) => it.modified,
            Some(Record::Instance(it)) => it.modified,
            Some(Record::Pin(it)) => it.modified,
            Some(Record::Automation(it)) => it.modified,
            Some(Record::Pause(it)) => it.modified,
            Some(
                Record::History(_)
                | Record::Client(_)
                | Record::Receipt(_)
                | Record::Store(_)
                | Record::Rebalance(_)
                | Record::Item(_),
            )
            | None => {
                panic!("{key} has no revision")
            }
        }
    }

    pub fn at_node(&self, node: u64) -> Revision {
        self.at(&Key::Node(NodeId(node)))
    }

    pub fn at_service(&self, name: &str) -> Revision {
        self.at(&Key::Service(service(name)))
    }

    pub fn at_instance(&self, name: &str, node: u64) -> Revision {
        self.at(&Key::Instance(service(name), NodeId(node)))
    }

    pub fn at_assignment(&self, name: &str) -> Revision {
        self.at(&Key::Assignment(service(name)))
    }

    pub fn client(&mut self) -> tenure_core::ClientId {
        match self.must(Command::OpenClient) {
            Some(Created::Client(id)) => id,
            other => panic!("opening a client created {other:?}"),
        }
    }

    /// Nodes 1 `a`, 2 `b`, 3 `c` (active), 4 `d` (joining), 5 (removed). `sql`, which may lose 10:
    /// on a (primary by epoch 1), b (in sync), c and d (preference 0). `safe`, which may lose nothing:
    /// on a (primary) and b (not in sync). `web` (peers) on a; `git` (copies) nowhere; `idle` (primary)
    /// on b without a primary. Server 1 bound to folder 7, 2 retired, 3 not bound yet. c is pinned up.
    pub fn small() -> Self {
        let mut world = Self::empty();
        for name in ["a", "b", "c", "d", "e"] {
            world.must(add_node(name));
        }
        for node in [1, 2, 3] {
            world.must(join(node, 0));
        }
        world.must(remove_node(5, world.at_node(5)));
        for (name, policy) in [
            ("sql", bounded()),
            ("safe", Policy::default_for(Kind::Primary)),
            ("web", Policy::default_for(Kind::Peers)),
            ("git", Policy::default_for(Kind::Copies)),
            ("idle", Policy::default_for(Kind::Primary)),
        ] {
            world.must(add_service(name, policy));
        }
        for (name, node, preference) in [
            ("sql", 1, 100),
            ("sql", 2, 90),
            ("sql", 3, 80),
            ("sql", 4, 0),
            ("safe", 1, 100),
            ("safe", 2, 100),
            ("web", 1, 100),
            ("idle", 2, 100),
        ] {
            world.must(add_instance(name, node, preference));
        }
        world.must(set_primary("sql", 1, 0));
        world.must(set_primary("safe", 1, 0));
        world.must(set_in_sync("sql", 1, world.at_assignment("sql"), &[1, 2]));
        for id in [1, 2, 3] {
            world.must(admit(id, id));
        }
        world.must(Command::BindServer {
            id: ServerId(1),
            store: 7,
        });
        world.must(Command::RetireServer { id: ServerId(2) });
        world.must(Command::SetPin {
            node: id(3),
            expected: None,
            kind: tenure_core::PinKind::Up,
            until: None,
            reason: Note::default(),
        });
        world
    }
}

/// The small world, in which every server understands commands of level 2.
pub fn risen() -> World {
    let mut world = World::small();
    world.must(Command::RaiseFeatureLevel { from: 1, to: 2 });
    world
}

/// What a command is expected to do.
pub enum Expect {
    /// These records differ afterwards, in key order.
    Changes(&'static str),
    /// Accepted, and nothing differs.
    Nothing,
    /// Rejected: code, subject, and the two values that disagree.
    Rejects(RejectCode, &'static str, Option<(u64, u64)>),
}

/// What is tried, the command, and what it is expected to do.
pub type Row = (&'static str, Command, Expect);

/// Tries each command by itself on the small world.
pub fn table(rows: impl IntoIterator<Item = Row>) {
    table_on(&World::small(), rows);
}

/// Tries each command by itself.
pub fn table_on(world: &World, rows: impl IntoIterator<Item = Row>) {
    for (label, command, expect) in rows {
        let mut tried = world.clone();
        let applied = tried.apply(command);
        let keys: Vec<String> = applied.events.iter().map(|e| e.key.to_string()).collect();
        match (expect, applied.outcome) {
            (Expect::Changes(wanted), Outcome::Done(done)) => {
                assert_eq!(keys.join(", "), wanted, "{label}");
                assert_eq!(done.revision, tried.state.revision(), "{label}");
                assert_eq!(done.revision.0, tried.state.applied().0, "{label}");
            }
            (Expect::Nothing, Outcome::Done(done)) => {
                assert_eq!(keys.join(", "), "", "{label}");
                assert_eq!(done.revision, world.state.revision(), "{label}");
                unchanged(world, &tried, label);
            }
            (Expect::Rejects(code, subject, values), Outcome::Rejected(reject)) => {
                let seen = (reject.code, reject.subject.as_str());
                assert_eq!(seen, (code, subject), "{label}: {reject}");
                let seen = reject.expected.zip(reject.actual);
                assert_eq!(seen, values, "{label}: {reject}");
                unchanged(world, &tried, label);
            }
            (_, outcome) => panic!("{label}: {outcome:?}"),
        }
    }
}

fn unchanged(before: &World, after: &World, label: &str) {
    let mut after = after.state.clone();
    after.resume_at(before.state.applied(), before.state.revision());
    assert_eq!(after, before.state, "{label}");
}

pub fn envelope(request: Option<RequestId>, command: Command) -> Envelope {
    Envelope {
        request,
        actor: Note::new("tester").expect("a short note"),
        stamp: Timestamp(1_000),
        command,
    }
}

pub fn service(name: &str) -> ServiceName {
    ServiceName::new(name).expect("the tests' names are names")
}

pub fn node_name(name: &str) -> NodeName {
    NodeName::new(name).expect("the tests' names are names")
}

pub fn zone(name: &str) -> Option<Zone> {
    Some(Zone::new(name).expect("the tests' names are names"))
}

pub fn id(node: u64) -> NodeRef {
    NodeRef::Id(NodeId(node))
}

pub fn named(node: &str) -> NodeRef {
    NodeRef::Name(node_name(node))
}

pub fn endpoint(port: u64) -> Endpoint {
    Endpoint::new(&format!("10.0.0.1:{port}")).expect("the tests' ports are ports")
}

pub fn labels(pairs: &[(&str, &str)]) -> Attributes {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let pairs: BTreeMap<String, String> = pairs.iter().map(own).collect();
    Attributes::new(pairs).expect("the tests' labels are few and short")
}

pub fn note(text: &str) -> Note {
    Note::new(text).expect("the tests' notes are short")
}

pub fn bounded() -> Policy {
    Policy::Primary(PrimaryPolicy {
        loss: LossPolicy::Bounded(10),
        replicas: 2,
        ..PrimaryPolicy::default()
    })
}

pub fn member(node: u64, incarnation: u64) -> Member {
    Member {
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
    }
}

pub fn healthy() -> Report {
    Report {
        health: Health::Healthy,
        ..Report::default()
    }
}

pub fn add_node(name: &str) -> Command {
    Command::AddNode {
        name: node_name(name),
        zone: None,
        labels: Attributes::default(),
        weight: 100,
    }
}

pub fn join(node: u64, last: u64) -> Command {
    Command::JoinNode {
        node: id(node),
        last: Incarnation(last),
    }
}

pub fn set_lifecycle(node: u64, expected: Revision, to: Lifecycle) -> Command {
    Command::SetLifecycle {
        node: id(node),
        expected,
        to,
        reason: note("as asked"),
        accept_loss: false,
    }
}

pub fn remove_node(node: u64, expected: Revision) -> Command {
    Command::RemoveNode {
        node: id(node),
        expected,
        reason: note("worn out"),
    }
}

pub fn add_service(name: &str, policy: Policy) -> Command {
    Command::AddService {
        name: service(name),
        policy,
    }
}

pub fn add_instance(name: &str, node: u64, preference: u32) -> Command {
    Command::AddInstance {
        service: service(name),
        node: id(node),
        endpoint: endpoint(1_000 + node),
        preference,
    }
}

pub fn set_primary(name: &str, node: u64, succeeds: u64) -> Command {
    Command::SetPrimary {
        service: service(name),
        to: id(node),
        succeeds: Epoch(succeeds),
        accept_loss: false,
        reason: note("as asked"),
    }
}

pub fn set_in_sync(name: &str, epoch: u64, expected: Revision, nodes: &[u64]) -> Command {
    Command::SetInSync {
        service: service(name),
        epoch: Epoch(epoch),
        expected,
        in_sync: nodes.iter().copied().map(NodeId).collect(),
    }
}

pub fn report(name: &str, member: Member, expected: Option<Revision>, report: Report) -> Command {
    Command::ReportInstance {
        service: service(name),
        member,
        expected,
        report,
    }
}

pub fn admit(server: u64, port: u64) -> Command {
    Command::AdmitServer {
        id: ServerId(server),
        raft: endpoint(7_000 + port),
        api: endpoint(8_000 + port),
    }
}
