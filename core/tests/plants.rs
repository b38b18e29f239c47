//! Violations to plant: what `put` can make of a state that `apply` never would.

use crate::{
    fixture::*,
    promotions::{account, heard},
};
use std::sync::Arc;
use tenure_core::{
    Assignment, Automation, Cause, Client, ClientId, Completeness, Done, Epoch, FenceProof,
    Incarnation, Instance, Key, Kind, Lifecycle, LogIndex, Loss, Millis, Node, NodeId, Outcome,
    Pause, Pin, PinKind, Policy, PrimaryPolicy, Receipt, Record, Reject, RejectCode, Revision,
    Scope, ServerId, ServerStatus, Service, State, Timestamp,
    limits::{CLIENT_WINDOW_MAX, PAUSES_MAX, RECEIPTS_PER_SERVICE_MAX, WEIGHT_MAX},
};

pub fn edited<T>(record: &mut T, edit: impl FnOnce(&mut T)) {
    edit(record);
}

macro_rules! change {
    ($state:expr, $kind:ident, $key:expr, $edit:expr) => {{
        let Some(Record::$kind(record)) = $state.get(&$key) else {
            panic!("{} is there", $key);
        };
        let mut record = (*record).clone();
        edited(&mut record, $edit);
        $state.put(Record::$kind(Arc::new(record)));
    }};
}

pub(crate) use change;

pub fn sql(state: &mut State, edit: fn(&mut Assignment)) {
    change!(state, Assignment, Key::Assignment(service("sql")), edit);
}

pub fn node(state: &mut State, id: u64, edit: fn(&mut Node)) {
    change!(state, Node, Key::Node(NodeId(id)), edit);
}

pub fn instance_of(name: &str, on: u64) -> Record {
    Record::Instance(Arc::new(Instance {
        service: service(name),
        node: NodeId(on),
        endpoint: endpoint(1),
        preference: 1,
        report: healthy(),
        reported_in: Incarnation(0),
        created: Revision(1),
        modified: Revision(1),
    }))
}

pub fn client(state: &mut State, id: u64, last_active: u64, first_incomplete: u64, answers: u64) {
    let answer = Outcome::Done(Done {
        revision: Revision(1),
        created: None,
    });
    state.put(Record::Client(Arc::new(Client {
        id: ClientId(id),
        last_active: LogIndex(last_active),
        first_incomplete,
        answers: (1..=answers).map(|n| (n, answer.clone())).collect(),
    })));
}

/// The numbers under which it is found, what it is, and how it is planted into the small world with a
/// removed service `left`.
pub type Plant = (&'static [u32], &'static str, fn(&mut State));

pub const ASSIGNMENTS: &[Plant] = &[
    (&[1], "the epoch falls", |state| {
        sql(state, |it| it.epoch = Epoch(0));
    }),
    (&[1], "another primary by the same epoch", |state| {
        sql(state, |it| it.primary = Some(member(2, 1)));
    }),
    (&[1], "another life by the same epoch", |state| {
        sql(state, |it| it.primary = Some(member(1, 2)));
    }),
    (
        &[1],
        "the assignment of a service that was is forgotten",
        |state| {
            state.delete(&Key::Assignment(service("left")));
        },
    ),
    (&[2], "a loss without a new epoch", |state| {
        sql(state, |it| it.loss = Loss(2));
    }),
    (&[2], "a loss is forgotten", |state| {
        change!(state, Assignment, Key::Assignment(service("left")), |it| {
            it.loss = Loss(0)
        });
    }),
    (&[4], "the primary is not in sync", |state| {
        sql(state, |it| it.in_sync = [NodeId(2)].into());
    }),
    (&[4], "a stranger is in sync", |state| {
        sql(state, |it| it.in_sync = [NodeId(1), NodeId(5)].into());
    }),
    (&[4], "in sync without a primary", |state| {
        let key = Key::Assignment(service("idle"));
        change!(state, Assignment, key, |it| it.in_sync = [NodeId(2)].into());
    }),
];

pub const THINGS: &[Plant] = &[
    (&[3, 6], "the primary is on a removed node", |state| {
        node(state, 1, |it| it.lifecycle = Lifecycle::Removed);
    }),
    (&[3, 4], "the primary has no instance", |state| {
        state.delete(&Key::Instance(service("sql"), NodeId(1)));
    }),
    (&[5], "a service without assignment", |state| {
        let it = Service {
            name: service("new"),
            policy: Policy::default_for(Kind::Primary),
            created: Revision(1),
            modified: Revision(1),
        };
        state.put(Record::Service(Arc::new(it)));
    }),
    (&[5], "a primary of peers", |state| {
        let key = Key::Service(service("sql"));
        change!(state, Service, key, |it| it.policy =
            Policy::default_for(Kind::Peers));
    }),
    (&[7], "two of one name", |state| {
        let Some(Record::Node(old)) = state.get(&Key::Node(NodeId(4))) else {
            panic!("node 4 is there");
        };
        let twin = Node {
            id: NodeId(6),
            ..(*old).clone()
        };
        state.put(Record::Node(Arc::new(twin)));
    }),
    (&[6], "an instance of nothing", |state| {
        state.put(instance_of("none", 1));
    }),
    (&[6], "an instance on no node", |state| {
        state.put(instance_of("web", 9));
    }),
    (&[6], "an instance on a removed node", |state| {
        state.put(instance_of("web", 5));
    }),
    (&[6], "a pin on a removed node", |state| {
        state.put(Record::Pin(Arc::new(Pin {
            node: NodeId(5),
            kind: PinKind::Down,
            until: Some(Timestamp(1)),
            reason: note(""),
            modified: Revision(1),
        })));
    }),
    (&[8], "a removed node is forgotten", |state| {
        state.delete(&Key::Node(NodeId(5)));
    }),
    (&[8], "an id from before is given out", |state| {
        let Some(Record::Node(old)) = state.get(&Key::Node(NodeId(5))) else {
            panic!("node 5 is there");
        };
        let old = Node {
            id: NodeId(0),
            ..(*old).clone()
        };
        state.put(Record::Node(Arc::new(old)));
    }),
    (&[8], "a retired server is forgotten", |state| {
        state.delete(&Key::Server(ServerId(2)));
    }),
    (&[8], "a retired server comes back", |state| {
        let key = Key::Server(ServerId(2));
        change!(state, Server, key, |it| it.status = ServerStatus::Admitted);
    }),
    (&[9], "a record of the future", |state| {
        node(state, 1, |it| it.modified = Revision(9_999));
    }),
    (&[9], "activity of the future", |state| {
        client(state, 1, 9_999, 1, 0)
    }),
    (&[12], "no step of the lifecycle", |state| {
        node(state, 1, |it| it.lifecycle = Lifecycle::Joining);
    }),
    (&[12], "a removed node comes back", |state| {
        node(state, 5, |it| it.lifecycle = Lifecycle::Active);
    }),
    (&[12], "an earlier life", |state| {
        node(state, 1, |it| it.incarnation = Incarnation(0));
    }),
];

pub const BOUNDS: &[Plant] = &[
    (&[11], "too much history", |state| {
        change!(state, Settings, Key::Settings, |it| it.history_max = 1);
    }),
    (&[11], "too many registrations", |state| {
        change!(state, Settings, Key::Settings, |it| it.clients_max = 16);
        (1..=17).for_each(|id| client(state, id, 1, 1, 0));
    }),
    (&[11], "too many answers", |state| {
        client(state, 1, 1, 1, CLIENT_WINDOW_MAX as u64 + 1);
    }),
    (&[11], "an answer that was settled", |state| {
        client(state, 1, 1, 3, 3)
    }),
    (&[11], "answers that say too much", |state| {
        client(state, 1, 1, 1, 0);
        let reject = Reject {
            code: RejectCode::NotFound,
            subject: note(&"x".repeat(512)),
            expected: None,
            actual: None,
            detail: note(""),
        };
        change!(state, Client, Key::Client(ClientId(1)), |it| {
            it.answers = (1..=49)
                .map(|n| (n, Outcome::Rejected(reject.clone())))
                .collect();
        });
    }),
    (&[14], "the feature level falls", |state| {
        change!(state, Settings, Key::Settings, |it| it.feature_level = 0);
    }),
    (&[15], "settings out of range", |state| {
        change!(state, Settings, Key::Settings, |it| it.clients_max = 1);
    }),
    (&[15], "too heavy", |state| {
        node(state, 1, |it| it.weight = WEIGHT_MAX + 1);
    }),
    (&[15], "a contradictory policy", |state| {
        change!(state, Service, Key::Service(service("sql")), |it| {
            it.policy = Policy::Primary(PrimaryPolicy {
                replicas: 0,
                ..PrimaryPolicy::default()
            });
        });
    }),
    (&[16], "two of one name, of which one goes", |state| {
        let Some(Record::Node(old)) = state.get(&Key::Node(NodeId(4))) else {
            panic!("node 4 is there");
        };
        let twin = Node {
            id: NodeId(6),
            ..(*old).clone()
        };
        state.put(Record::Node(Arc::new(twin)));
        state.delete(&Key::Node(NodeId(6)));
    }),
];

fn receipt(epoch: u64, from: Option<u64>, fence: FenceProof, completeness: Completeness) -> Record {
    Record::Receipt(Arc::new(Receipt {
        service: service("sql"),
        epoch: Epoch(epoch),
        from: from.map(|node| member(node, 1)),
        to: member(1, 1),
        account: account(Cause::Exited, fence, completeness),
        stamp: Timestamp(1),
        acknowledged: false,
        returned: note(""),
    }))
}

fn pause(state: &mut State, scope: Scope) {
    state.put(Record::Pause(Arc::new(Pause {
        scope,
        until: None,
        reason: note(""),
        modified: Revision(1),
    })));
}

pub const DECISIONS: &[Plant] = &[
    (&[17], "both in sync and syncing", |state| {
        sql(state, |it| it.syncing = [NodeId(2), NodeId(3)].into());
    }),
    (&[17], "a stranger is syncing", |state| {
        sql(state, |it| it.syncing = [NodeId(5)].into());
    }),
    (&[20], "the longest lease is forgotten", |state| {
        state.put(Record::Automation(Arc::new(Automation {
            fast_lease: Millis(500),
            ..Automation::default()
        })));
    }),
    (&[18], "a receipt of an epoch to come", |state| {
        state.put(receipt(2, Some(2), FenceProof::Exited, heard(&[1])));
    }),
    (
        &[18],
        "nobody to be fenced, and there was a primary",
        |state| {
            state.put(receipt(1, Some(2), FenceProof::Nobody, heard(&[1])));
        },
    ),
    (
        &[18],
        "somebody was fenced, and there was no primary",
        |state| {
            state.put(receipt(1, None, FenceProof::Exited, heard(&[1])));
        },
    ),
    (&[18], "a loss that was not counted", |state| {
        state.put(receipt(
            1,
            Some(2),
            FenceProof::Exited,
            Completeness::Unknown,
        ));
    }),
    (&[18], "too many receipts", |state| {
        sql(state, |it| it.epoch = Epoch(40));
        for epoch in 1..=RECEIPTS_PER_SERVICE_MAX as u64 + 1 {
            state.put(receipt(epoch, Some(2), FenceProof::Confirmed, heard(&[1])));
        }
    }),
    (
        &[18, 19],
        "too many pauses, of what was never there",
        |state| {
            for node in 0..=PAUSES_MAX as u64 {
                pause(state, Scope::Node(NodeId(1_000 + node)));
            }
        },
    ),
    (&[19], "a pause of no service", |state| {
        pause(state, Scope::Service(service("none")));
    }),
    (&[19], "a pause of a removed node", |state| {
        pause(state, Scope::Node(NodeId(5)));
    }),
];

pub const HONEST: &[Plant] = &[
    (&[], "a receipt of the present epoch", |state| {
        state.put(receipt(1, Some(2), FenceProof::Exited, heard(&[1])));
    }),
    (&[], "of the first primary", |state| {
        state.put(receipt(1, None, FenceProof::Nobody, Completeness::First));
    }),
    (&[], "some are syncing", |state| {
        sql(state, |it| it.syncing = [NodeId(3), NodeId(4)].into());
    }),
    (&[], "pauses of what is there", |state| {
        for scope in [
            Scope::Cluster,
            Scope::Service(service("web")),
            Scope::Node(NodeId(4)),
        ] {
            pause(state, scope);
        }
    }),
];
