//! Clients that use registers all the time, and what they were told.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure_core::{Command, Endpoint, NodeId, NodeRef, PeersPolicy, Policy, ServerId, ServiceName};
use tenure_proto::v1::{ExecuteResponse, execute_response::Created};
use tenure_tests::cluster::Calls;
use tenure_tests::cluster::registers::{Register, Written, add_node};
use tenure_tests::linearizability::{Op, Operation, check};
use tenure_tests::power_loss::chance::Chance;

use crate::nodes;
use crate::servers::{SERVERS, api};

/// How long a client waits for a server before it asks another.
const PATIENCE: Duration = Duration::from_millis(700);
/// Between two attempts to set the registers up.
const AGAIN: Duration = Duration::from_millis(50);

/// What all clients of a run share.
#[derive(Default)]
pub struct Shared {
    registers: Mutex<Option<Vec<Register>>>,
    history: Mutex<Vec<(usize, Operation)>>,
    /// Counts on with each question and each answer, in the one order in which the simulation goes.
    order: AtomicU64,
    /// Clients end when this is set.
    pub stop: AtomicBool,
}

/// The servers as a client calls them.
pub fn calls() -> Vec<Calls> {
    let of = |at: usize| Calls::new(ServerId(at as u64 + 1), &api(at)).within(PATIENCE);
    (0..SERVERS).map(of).collect()
}

impl Shared {
    fn now(&self) -> u64 {
        self.order.fetch_add(1, Ordering::Relaxed)
    }

    /// The registers, once they are there.
    pub fn registers(&self) -> Option<Vec<Register>> {
        self.registers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn record(&self, register: usize, invoked: u64, op: Op) {
        let returned = self.now();
        let operation = Operation {
            invoked,
            returned,
            op,
        };
        let history = self.history.lock();
        history
            .unwrap_or_else(PoisonError::into_inner)
            .push((register, operation));
    }

    /// Whether what the clients were told can have happened. Gives how often each was told: read, written, refused,
    /// and not told.
    ///
    /// # Errors
    /// The register whose history no order explains.
    pub fn judge(&self) -> Result<[u64; 4], String> {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let registers = self.registers().unwrap_or_default();
        let mut counts = [0; 4];
        for (_, operation) in history.iter() {
            counts[match operation.op {
                Op::Read(..) => 0,
                Op::Wrote { .. } => 1,
                Op::Refused { .. } => 2,
                Op::Unknown { .. } => 3,
            }] += 1;
        }
        for (at, register) in registers.iter().enumerate() {
            let own = history.iter().filter(|(of, _)| *of == at);
            let operations: Vec<Operation> = own.map(|(_, operation)| *operation).collect();
            check(register.initial, &operations).map_err(|why| format!("register {at}: {why}"))?;
        }
        Ok(counts)
    }
}

/// Sends a command to one server after the other until one answers; None when it was, or may have been, done by an
/// attempt of which nothing was heard.
async fn insist(servers: &[Calls], command: &Command) -> Option<ExecuteResponse> {
    let mut at = 0;
    loop {
        match servers[at].execute(command, None).await {
            Ok(done) => return Some(done),
            Err(error) if error.may_have_happened() || error.reject().is_some() => return None,
            Err(error) => {
                let leader = error.leader_hint().map(|id| id.0 as usize - 1);
                at = leader.filter(|to| *to != at).unwrap_or((at + 1) % SERVERS);
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Makes the registers. One of which it is not known how it was made is left alone, and another is made.
pub async fn set_up(shared: Arc<Shared>, count: usize) -> turmoil::Result {
    let servers = calls();
    let service = ServiceName::new("registers")?;
    let policy = Policy::Peers(PeersPolicy::default());
    let add = Command::AddService {
        name: service.clone(),
        policy,
    };
    let store = Command::AddService {
        name: nodes::service(),
        policy: nodes::policy(),
    };
    // Once it was refused it is there.
    while insist(&servers, &add).await.is_some() {}
    while insist(&servers, &store).await.is_some() {}
    let mut made = Vec::new();
    let mut attempt = 0;
    while made.len() < count {
        attempt += 1;
        made.extend(register(&servers, &service, attempt).await);
    }
    let registers = shared.registers.lock();
    *registers.unwrap_or_else(PoisonError::into_inner) = Some(made);
    Ok(())
}

async fn register(servers: &[Calls], service: &ServiceName, attempt: u64) -> Option<Register> {
    let added = insist(servers, &add_node(&format!("register-{attempt}"))).await?;
    let Some(Created::Node(node)) = added.created else {
        return None;
    };
    let instance = Command::AddInstance {
        service: service.clone(),
        node: NodeRef::Id(NodeId(node)),
        endpoint: Endpoint::new("10.0.0.1:80").ok()?,
        preference: 100,
    };
    let created = insist(servers, &instance).await?.revision;
    let mut register = Register {
        service: service.clone(),
        node: NodeId(node),
        initial: (0, 0),
    };
    let first = insist(servers, &register.command(Some(created), 0)).await?;
    register.initial.0 = first.revision;
    Some(register)
}

/// A client at work until it is told to stop.
pub async fn work(shared: Arc<Shared>, client: u64, seed: u64, pause: Duration) {
    let mut chance = Chance::new(seed ^ (client << 40));
    let servers = calls();
    let registers = loop {
        match shared.registers() {
            Some(registers) => break registers,
            None => tokio::time::sleep(AGAIN).await,
        }
    };
    let mut known: Vec<u64> = registers
        .iter()
        .map(|register| register.initial.0)
        .collect();
    let mut value = client << 32;
    while !shared.stop.load(Ordering::Relaxed) {
        let at = chance.up_to(registers.len() - 1);
        let server = chance.up_to(SERVERS - 1);
        value += 1;
        let invoked = shared.now();
        let op = if chance.one_in(2) {
            read(&registers[at], &servers[server], &mut known[at]).await
        } else {
            write(&registers[at], &servers, server, &mut known[at], value).await
        };
        if let Some(op) = op {
            shared.record(at, invoked, op);
        }
        tokio::time::sleep(pause).await;
    }
}

/// A linearizable read. One that was not answered says nothing.
async fn read(register: &Register, server: &Calls, known: &mut u64) -> Option<Op> {
    let (version, value, _) = register.read(server, None).await.ok()?;
    *known = version;
    Some(Op::Read(version, value))
}

async fn write(
    register: &Register,
    servers: &[Calls],
    first: usize,
    known: &mut u64,
    value: u64,
) -> Option<Op> {
    let expected = *known;
    match register.write(servers, first, expected, value).await {
        Written::Done(version) => {
            *known = version;
            Some(Op::Wrote {
                expected,
                value,
                version,
            })
        }
        Written::Changed(actual) => {
            *known = actual;
            Some(Op::Refused { expected, actual })
        }
        Written::Nothing(_) => None,
        Written::Unknown(_) => Some(Op::Unknown { expected, value }),
    }
}
