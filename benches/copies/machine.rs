//! The core alone: what an item takes in memory, what the loss of a node costs, and how long the leader's machine is busy at a
//! time while it plans the repair, which is what a failover that comes then waits at the most.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tenure_core::controller::{Controller, Input, Output, Site};
use tenure_core::copies::repair::{Limits, plan};
use tenure_core::copies::{Attempts, Checksum, CopiesCommand, ItemName, Placing, Reported};
use tenure_core::{
    Attributes, Command, CopiesPolicy, Endpoint, Envelope, Epoch, Health, Heartbeat, Incarnation,
    LogIndex, Member, Millis, Moment, NodeId, NodeName, NodeRef, Note, Outcome, Policy, Presence,
    Report, ServerId, ServiceName, Sign, Standing, State, StoreSign, Timestamp, Zone,
};

use crate::say;

const PER_ENTRY: u64 = 1_000;
const LOST: NodeId = NodeId(1);
/// Ticks of 20 ms over which the machine is watched, before and after the loss.
const TICKS: u64 = 500;

struct World {
    state: State,
    longest_apply: Duration,
}

fn service() -> ServiceName {
    ServiceName::new("git-server").unwrap_or_else(|why| unreachable!("{why}"))
}

impl World {
    fn apply(&mut self, command: Command) -> Outcome {
        let envelope = Envelope {
            request: None,
            actor: Note::default(),
            stamp: Timestamp(0),
            command,
        };
        let index = LogIndex(self.state.applied().0 + 1);
        let begun = Instant::now();
        let applied = self.state.apply(index, &envelope);
        self.longest_apply = self.longest_apply.max(begun.elapsed());
        applied.outcome
    }

    fn must(&mut self, command: Command) {
        let outcome = self.apply(command).into_result();
        assert!(outcome.is_ok(), "{outcome:?}");
    }

    fn on_copies(&mut self, what: CopiesCommand) {
        let service = service();
        self.must(Command::Copies { service, what });
    }

    fn new(nodes: u64) -> Self {
        let mut world = Self {
            state: State::default(),
            longest_apply: Duration::ZERO,
        };
        world.must(Command::RaiseFeatureLevel { from: 1, to: 3 });
        world.must(Command::AddService {
            name: service(),
            policy: Policy::Copies(CopiesPolicy {
                repair_grace_ms: Millis(0),
                ..CopiesPolicy::default()
            }),
        });
        for node in 1..=nodes {
            world.add(node);
        }
        world
    }

    fn add(&mut self, node: u64) {
        let (name, zone) = (format!("n{node}"), format!("z{}", node % 10));
        let (Ok(name), Ok(zone)) = (NodeName::new(&name), Zone::new(&zone)) else {
            unreachable!("both are names");
        };
        self.must(Command::AddNode {
            name,
            zone: Some(zone),
            labels: Attributes::default(),
            weight: 100,
        });
        let node = NodeRef::Id(NodeId(node));
        self.must(Command::JoinNode {
            node: node.clone(),
            last: Incarnation(0),
        });
        self.must(Command::AddInstance {
            service: service(),
            node,
            endpoint: Endpoint::new("127.0.0.1:1").unwrap_or_else(|why| unreachable!("{why}")),
            preference: 100,
        });
    }

    fn fill(&mut self, items: u64) {
        let mut next = 0;
        while next < items {
            let end = items.min(next + PER_ENTRY);
            let names: Vec<(ItemName, u8)> = (next..end).map(|of| (item(of), 0)).collect();
            next = end;
            let ledger = self.state.ledger(&service());
            let places = ledger.map(|it| it.propose_many(&names, &BTreeSet::new()));
            let places = places.unwrap_or_default();
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
            self.on_copies(CopiesCommand::Place(both().map(placing).collect()));
            let reported = |(item, holders)| Reported {
                item,
                replaces: 0,
                version: 1,
                checksum: Checksum::new(&[7; 32]).ok(),
                size: 1 << 20,
                holders,
            };
            self.on_copies(CopiesCommand::Report(both().map(reported).collect()));
        }
    }
}

/// Names of 24 bytes in no order.
fn item(of: u64) -> ItemName {
    let mut digest = tenure_core::Digest::new();
    digest.update(&of.to_be_bytes());
    let text = format!("repo/{:09x}{of:010x}", digest.value() >> 28);
    ItemName::new(&text).unwrap_or_else(|why| unreachable!("{why}"))
}

/// Bytes of this process that lie in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap_or_default()
        * 1_024
}

/// Measures one size in this process.
pub fn measure(items: u64, nodes: u64) {
    // Code and allocator come into memory before it is looked at.
    World::new(nodes).fill(PER_ENTRY);
    let mut world = World::new(nodes);
    let (before, begun) = (resident(), Instant::now());
    world.fill(items);
    let taken = begun.elapsed();
    let bytes = resident().saturating_sub(before) / items.max(1);
    say(&format!(
        "{items} items, 3 copies on {nodes} nodes, names of 24 bytes, checksums of 32: {bytes} bytes an item in the whole state; \
         placed and written in {taken:.2?}"
    ));
    let mut bench = Bench::new(&world, nodes);
    let idle = bench.watch(&mut world, &[]);
    world.longest_apply = Duration::ZERO;
    let begun = Instant::now();
    world.on_copies(CopiesCommand::Lose {
        member: member(LOST),
    });
    say(&format!(
        "  the loss of a node is applied in {:.2?}",
        begun.elapsed()
    ));
    whole_plan(&world);
    let busy = bench.watch(&mut world, &[LOST]);
    say(&format!(
        "  the leader's machine: longest step {idle:.2?} before the loss, {busy:.2?} while it plans; longest entry applied then {:.2?}; \
         orders given {}",
        world.longest_apply, bench.orders
    ));
}

/// One plan that looks at everything, as no leader makes it.
fn whole_plan(world: &World) {
    let Some(ledger) = world.state.ledger(&service()) else {
        return;
    };
    let limits = Limits {
        per_node: u32::MAX,
        cluster: u32::MAX,
        look: u32::MAX,
        ..Limits::default()
    };
    let begun = Instant::now();
    let none = (std::collections::BTreeMap::new(), Attempts::default());
    let plan = plan(ledger, &none.0, &limits, &none.1, Moment(1 << 40));
    say(&format!(
        "  {} items lack copies; a plan for all of them at once is made in {:.2?} and gives {} copies",
        plan.items,
        begun.elapsed(),
        plan.assign.len()
    ));
}

fn member(node: NodeId) -> Member {
    Member {
        node,
        incarnation: Incarnation(1),
    }
}

/// The leader's machine, told by hand.
struct Bench {
    controller: Controller,
    now: Moment,
    nodes: u64,
    sequence: u64,
    orders: usize,
}

impl Bench {
    fn new(world: &World, nodes: u64) -> Self {
        let site = Site {
            server: ServerId(1),
            raft_lease: Millis(140),
        };
        let mut bench = Self {
            controller: Controller::new(site),
            now: Moment(50_000_000),
            nodes,
            sequence: 0,
            orders: 0,
        };
        let voters = [1, 2, 3].map(ServerId).into();
        bench.step(world, Input::Lead { term: 5 });
        bench.step(world, Input::Voters(voters));
        bench
    }

    /// What it wants done, and how long it took to say so.
    fn step(&mut self, world: &World, input: Input) -> (Vec<Output>, Duration) {
        let mut out = Vec::new();
        let begun = Instant::now();
        self.controller
            .handle(self.now, Timestamp(0), &world.state, input, &mut out);
        (out, begun.elapsed())
    }

    /// Lets ten seconds pass, in which everybody beats but those who are gone. The longest step counts.
    fn watch(&mut self, world: &mut World, gone: &[NodeId]) -> Duration {
        let mut longest = Duration::ZERO;
        for tick in 0..TICKS {
            self.now = self.now.after(Millis(20));
            let mut inputs = vec![Input::Quorum(self.now)];
            inputs.extend([1, 2, 3].map(|server| Input::Ear(ServerId(server))));
            if tick % 25 == 0 {
                self.sequence += 1;
                let nodes = (1..=self.nodes).map(NodeId);
                let alive = nodes.filter(|node| !gone.contains(node));
                let beats: Vec<Input> = alive.map(|node| self.beat(node)).collect();
                inputs.extend(beats);
            }
            inputs.push(Input::Tick);
            for input in inputs {
                longest = longest.max(self.feed(world, input));
            }
        }
        longest
    }

    /// Takes a step, and commits at once what is proposed.
    fn feed(&mut self, world: &mut World, input: Input) -> Duration {
        let (mut out, mut longest) = self.step(world, input);
        while let Some(output) = out.pop() {
            match output {
                Output::Propose { proposal, command } => {
                    let outcome = Some(world.apply(command));
                    let (more, taken) = self.step(world, Input::Outcome { proposal, outcome });
                    longest = longest.max(taken);
                    out.extend(more);
                }
                Output::Grant { grant, .. } => {
                    let orders = grant.directives.iter().map(|one| one.orders.len());
                    self.orders += orders.sum::<usize>();
                }
                Output::Answer { .. } | Output::Note(_) => {}
            }
        }
        longest
    }

    fn beat(&self, node: NodeId) -> Input {
        let store = StoreSign {
            folder: 1,
            free: Some(1 << 40),
            ..StoreSign::default()
        };
        let sign = holder(service(), store);
        let beat = Heartbeat {
            session: 1,
            sequence: self.sequence,
            heard: (0, 0),
            agent: None,
            leaving: false,
            signs: vec![sign],
        };
        Input::Beat {
            via: ServerId(1),
            member: member(node),
            beat,
        }
    }
}

/// What a node that is well says of itself as a holder of copies.
pub fn holder(service: ServiceName, store: StoreSign) -> Sign {
    Sign {
        service,
        report: Report {
            health: Health::Healthy,
            ..Report::default()
        },
        presence: Presence::Running,
        standing: Standing::Idle(Epoch(0)),
        permits: Vec::new(),
        linked: false,
        whole: true,
        stalled: Millis(0),
        sees_primary: None,
        surveyed: None,
        returned: None,
        store: Some(store),
    }
}
