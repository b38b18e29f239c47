//! A leader with a state of its own in which there are copies, and in which everything that it proposes is committed at once.

use crate::fixture::note;
use std::collections::BTreeSet;
use tenure_core::copies::{CopiesCommand, ItemName, Placing, Reported};
use tenure_core::{
    Attributes, Command, CopiesPolicy, CopyOrder, Endpoint, Envelope, Epoch, Health, Heartbeat,
    Held, Incarnation, LogIndex, LossPolicy, Member, Millis, Moment, NodeId, NodeName, NodeRef,
    OrderProgress, OrderReport, Outcome, Policy, Presence, PrimaryPolicy, Report, Role, Scope,
    ServerId, ServiceName, Sign, Standing, State, StoreSign, Timestamp,
    controller::{Controller, Input, Output, Site},
    invariants,
};

const NODES: u64 = 5;

pub fn service() -> ServiceName {
    ServiceName::new("git").expect("it is there")
}

/// Services that have a primary.
pub fn redis(which: u64) -> ServiceName {
    ServiceName::new(&format!("redis-{which}")).expect("it is there")
}

pub fn item(of: u64) -> ItemName {
    ItemName::new(&format!("repo/{of}")).expect("it is there")
}

pub fn sum(version: u64) -> Option<tenure_core::copies::Checksum> {
    tenure_core::copies::Checksum::new(&version.to_be_bytes()).ok()
}

fn member(node: u64) -> Member {
    Member {
        node: NodeId(node),
        incarnation: Incarnation(1),
    }
}

/// A leader with a state of its own, in which everything that it proposes is committed at once.
pub struct Bench {
    pub controller: Controller,
    pub state: State,
    pub now: Moment,
    sequence: u64,
    pub proposed: Vec<Command>,
    pub notes: Vec<String>,
    /// Whether the other servers are heard.
    pub hears: bool,
}

impl Bench {
    pub fn new(items: u64, grace: u64) -> Self {
        let mut bench = Self {
            controller: Controller::new(site()),
            state: State::default(),
            now: Moment(50_000_000),
            sequence: 0,
            proposed: Vec::new(),
            notes: Vec::new(),
            hears: true,
        };
        bench.commit(Command::RaiseFeatureLevel { from: 1, to: 3 });
        bench.commit(Command::AddService {
            name: service(),
            policy: Policy::Copies(CopiesPolicy {
                repair_grace_ms: Millis(grace),
                transfers_per_node: 4,
                ..CopiesPolicy::default()
            }),
        });
        for node in 1..=NODES {
            bench.node(node);
        }
        let names: Vec<(ItemName, u8)> = (0..items).map(|of| (item(of), 0)).collect();
        let ledger = bench.state.ledger(&service()).expect("it is there");
        let places = ledger.propose_many(&names, &BTreeSet::new());
        let both = || {
            names
                .iter()
                .map(|(item, _)| item.clone())
                .zip(places.clone())
        };
        let placing = |(item, nodes)| Placing {
            item,
            wanted: 0,
            nodes,
        };
        bench.on_copies(CopiesCommand::Place(both().map(placing).collect()));
        let wrote = |(item, holders)| Reported {
            item,
            replaces: 0,
            version: 1,
            checksum: sum(1),
            size: 10,
            holders,
        };
        bench.on_copies(CopiesCommand::Report(both().map(wrote).collect()));
        bench.lead(5);
        bench
    }

    pub fn node(&mut self, node: u64) {
        let named = NodeRef::Id(NodeId(node));
        self.commit(Command::AddNode {
            name: NodeName::new(&format!("n{node}")).expect("it is there"),
            zone: None,
            labels: Attributes::default(),
            weight: 100,
        });
        self.commit(Command::JoinNode {
            node: named.clone(),
            last: Incarnation(0),
        });
        self.commit(Command::AddInstance {
            service: service(),
            node: named,
            endpoint: Endpoint::new(&format!("n{node}:1")).expect("it is there"),
            preference: 100,
        });
    }

    /// Adds a service with a primary and a replica.
    pub fn primary_on(&mut self, name: &ServiceName, node: u64, replica: u64) {
        let policy = Policy::Primary(PrimaryPolicy {
            loss: LossPolicy::Available,
            ..PrimaryPolicy::default()
        });
        self.commit(Command::AddService {
            name: name.clone(),
            policy,
        });
        for of in [node, replica] {
            self.commit(Command::AddInstance {
                service: name.clone(),
                node: NodeRef::Id(NodeId(of)),
                endpoint: Endpoint::new(&format!("n{of}:2")).expect("it is there"),
                preference: 100,
            });
        }
        self.commit(Command::SetPrimary {
            service: name.clone(),
            to: NodeRef::Id(NodeId(node)),
            succeeds: Epoch(0),
            accept_loss: false,
            reason: note(""),
        });
    }

    /// Whether the primary of one of these services is being replaced.
    pub fn replaces(&self, names: &[ServiceName]) -> bool {
        names.iter().any(|name| {
            let (now, state) = (self.now, &self.state);
            let account = self.controller.explain(now, Timestamp(0), state, name);
            let decision = account.expect("it leads").decision;
            decision.is_ok_and(|what| what.starts_with("failover"))
        })
    }

    pub fn pause(&mut self, service: &ServiceName) {
        self.commit(Command::SetPause {
            scope: Scope::Service(service.clone()),
            expected: None,
            until: None,
            reason: note("moving racks"),
        });
    }

    pub fn resume(&mut self, service: &ServiceName) {
        let scope = Scope::Service(service.clone());
        let expected = self.state.pauses()[&scope].modified;
        self.commit(Command::RemovePause { scope, expected });
    }

    pub fn apply(&mut self, command: Command) -> Outcome {
        let envelope = Envelope {
            request: None,
            actor: note("bench"),
            stamp: Timestamp(0),
            command,
        };
        let before = self.state.clone();
        let index = LogIndex(self.state.applied().0 + 1);
        let applied = self.state.apply(index, &envelope);
        let lossy = envelope.command.may_lose_copies();
        let mut broken = invariants::check_step(&before, &self.state, &applied);
        broken.extend(invariants::check_copies_step(&before, &self.state, lossy));
        assert!(broken.is_empty(), "{envelope:?}: {broken:?}");
        applied.outcome
    }

    pub fn commit(&mut self, command: Command) {
        let outcome = self.apply(command).into_result();
        assert!(outcome.is_ok(), "{outcome:?}");
    }

    pub fn on_copies(&mut self, what: CopiesCommand) {
        let service = service();
        self.commit(Command::Copies { service, what });
    }

    pub fn lead(&mut self, term: u64) {
        self.controller = Controller::new(site());
        self.tell(Input::Lead { term });
        self.tell(Input::Voters([1, 2, 3].map(ServerId).into()));
    }

    pub fn tell(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.controller
            .handle(self.now, Timestamp(0), &self.state, input, &mut out);
        let mut all = Vec::new();
        for output in out {
            match output {
                Output::Propose { proposal, command } => {
                    self.proposed.push(command.clone());
                    let outcome = Some(self.apply(command));
                    all.extend(self.tell(Input::Outcome { proposal, outcome }));
                }
                Output::Note(note) => self.notes.push(note),
                other @ (Output::Grant { .. } | Output::Answer { .. }) => all.push(other),
            }
        }
        all
    }

    /// What a node says of its instances of services that have a primary.
    fn of_redis(&self, node: u64) -> Vec<Sign> {
        let has = |name: &ServiceName| {
            let mut instances = self.state.instances(name);
            instances.any(|it| it.node == NodeId(node))
        };
        let said = |name: ServiceName| {
            let assigned = self.state.assignment(&name).expect("it is there");
            as_instance(name, assigned.primary == Some(member(node)))
        };
        let names = (1..=2).map(redis).filter(has);
        names.map(said).collect()
    }

    /// A beat of a node with what it says of its orders; the orders of the last grant that comes of it.
    pub fn beat(
        &mut self,
        node: u64,
        presence: Presence,
        orders: Vec<OrderReport>,
    ) -> Vec<CopyOrder> {
        self.sequence += 1;
        let sign = Sign {
            service: service(),
            report: Report {
                health: Health::Healthy,
                role: Some((Role::Peer, Epoch(0))),
                ..Report::default()
            },
            presence,
            standing: Standing::Idle(Epoch(0)),
            permits: Vec::new(),
            linked: false,
            whole: true,
            stalled: Millis(0),
            sees_primary: None,
            surveyed: None,
            returned: None,
            store: Some(StoreSign {
                folder: 1,
                orders,
                ..StoreSign::default()
            }),
        };
        let signs = [sign].into_iter().chain(self.of_redis(node)).collect();
        let out = self.tell(Input::Beat {
            via: ServerId(1),
            member: member(node),
            beat: Heartbeat {
                session: 1,
                sequence: self.sequence,
                heard: (0, 0),
                agent: None,
                leaving: false,
                signs,
            },
        });
        let orders = out.into_iter().filter_map(|output| match output {
            Output::Grant { grant, .. } if grant.member == member(node) => {
                Some(grant.directives[0].orders.clone())
            }
            Output::Grant { .. }
            | Output::Answer { .. }
            | Output::Propose { .. }
            | Output::Note(_) => None,
        });
        orders.last().unwrap_or_default()
    }

    /// Lets time pass while these nodes beat each second.
    pub fn pass(&mut self, span: u64, alive: &[u64]) {
        for tick in 0..span / 20 {
            self.now = self.now.after(Millis(20));
            self.tell(Input::Quorum(self.now));
            let servers = if self.hears { 1..=3 } else { 1..=1 };
            for server in servers {
                self.tell(Input::Ear(ServerId(server)));
            }
            if tick % 50 == 0 {
                for node in alive {
                    self.beat(*node, Presence::Running, Vec::new());
                }
            }
            self.tell(Input::Tick);
        }
    }

    pub fn lost(&self) -> Vec<u64> {
        let stores = self.state.ledger(&service()).expect("it is there").stores();
        let lost = stores.filter(|store| store.is_lost());
        lost.map(|store| store.node().0).collect()
    }

    pub fn lacking(&self) -> u64 {
        let ledger = self.state.ledger(&service()).expect("it is there");
        ledger.summary().under_replicated
    }
}

/// What an instance of the service that has a primary says, that primary or its replica.
fn as_instance(service: ServiceName, primary: bool) -> Sign {
    let (role, standing) = if primary {
        (Role::Primary, Standing::Primary(Epoch(1)))
    } else {
        (Role::Replica, Standing::Idle(Epoch(1)))
    };
    Sign {
        service,
        report: Report {
            health: Health::Healthy,
            role: Some((role, Epoch(1))),
            ..Report::default()
        },
        presence: Presence::Running,
        standing,
        permits: Vec::new(),
        linked: !primary,
        whole: true,
        stalled: Millis(0),
        sees_primary: None,
        surveyed: None,
        returned: None,
        store: None,
    }
}

fn site() -> Site {
    Site {
        server: ServerId(1),
        raft_lease: Millis(140),
    }
}

pub fn report(order: &CopyOrder, progress: OrderProgress) -> OrderReport {
    OrderReport {
        kind: order.kind,
        item: order.item.clone(),
        version: order.version,
        progress,
    }
}

pub fn held(version: u64, checksum: u64) -> OrderProgress {
    OrderProgress::Held(Held {
        version,
        checksum: sum(checksum),
        size: 10,
    })
}
