//! What goes wrong in a run, drawn from its seed.

use std::fmt;
use std::time::Duration;

use tenure_tests::power_loss::{Fate, Treatment, chance::Chance};

use crate::links::State;
use crate::nodes::NODES;
use crate::servers::SERVERS;

/// One thing that goes wrong, and for how long.
#[derive(Clone, Debug)]
pub struct Fault {
    /// When it begins, after the beginning of the run.
    pub at: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// What it is.
    pub what: What,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum What {
    /// The process of a host is killed; what it had written is still there.
    Killed(usize),
    /// The power of a host is cut, and what was not durable may be gone.
    PowerCut(usize, Treatment),
    /// The power of all servers is cut at once.
    AllPowerCut(Treatment),
    /// The server that leads is killed.
    LeaderKilled,
    /// The power of the server that leads is cut.
    LeaderPowerCut(Treatment),
    /// The server that leads is cut off from everybody.
    LeaderCutOff(State),
    /// The store that takes writes dies.
    PrimaryKilled,
    /// The agent of the node whose store takes writes is killed.
    PrimaryAgentKilled,
    /// Both at once.
    PrimaryLost,
    /// The node whose store takes writes is cut off from everybody.
    PrimaryCutOff(State),
    /// A node's store dies.
    StoreKilled(usize),
    /// A node's agent is killed.
    AgentKilled(usize),
    /// One host is cut off from everybody.
    CutOff(usize, State),
    /// A link between two hosts is cut.
    Cut(usize, usize, State),
    /// A host and everybody reach each other late.
    Late(usize, Duration),
    /// An operator has leadership handed over.
    HandOver,
    /// An operator has every server write a checkpoint.
    Checkpoint,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at.as_millis(), self.lasts.as_millis());
        write!(f, "at {at} ms for {lasts} ms: {:?}", self.what)
    }
}

/// The faults of a run with so many hosts, over so long.
pub fn draw(chance: &mut Chance, hosts: usize, over: Duration) -> Vec<Fault> {
    let mut faults = Vec::new();
    let (shortest, longest) = [(100, 1_500), (300, 4_000), (1_000, 8_000)][chance.up_to(2)];
    let mut at = millis(chance, 1, 3_000);
    while at < over {
        let what = what(chance, hosts);
        let lasts = if matches!(what, What::HandOver | What::Checkpoint) {
            Duration::ZERO
        } else if chance.one_in(8) {
            millis(chance, 4_000, 15_000)
        } else {
            millis(chance, 50, 3_000)
        };
        faults.push(Fault { at, lasts, what });
        at += millis(chance, shortest, longest);
    }
    faults
}

fn what(chance: &mut Chance, hosts: usize) -> What {
    let server = chance.up_to(SERVERS - 1);
    let node = chance.up_to(NODES - 1);
    let host = chance.up_to(hosts - 1);
    let other = (host + 1 + chance.up_to(hosts - 2)) % hosts;
    let peer = (server + 1 + chance.up_to(SERVERS - 2)) % SERVERS;
    match chance.below(23) {
        0 | 1 => What::Killed(server),
        2 | 3 => What::PowerCut(server, treatment(chance)),
        4 => What::AllPowerCut(treatment(chance)),
        5 => What::LeaderKilled,
        6 => What::LeaderPowerCut(treatment(chance)),
        7 | 8 => What::LeaderCutOff(both(chance)),
        9 => What::CutOff(host, both(chance)),
        10 => What::Cut(server, peer, any(chance)),
        11 => What::Cut(host, other, any(chance)),
        12 => What::Late(host, millis(chance, 20, 250)),
        13 => What::HandOver,
        14 => What::PrimaryKilled,
        15 => What::PrimaryAgentKilled,
        16 => What::PrimaryLost,
        17 | 18 => What::PrimaryCutOff(both(chance)),
        19 => What::StoreKilled(node),
        20 => What::AgentKilled(node),
        21 => What::Cut(SERVERS + node, server, any(chance)),
        _ => What::Checkpoint,
    }
}

fn treatment(chance: &mut Chance) -> Treatment {
    match chance.below(6) {
        0 => Treatment::DROPPED,
        1 => Treatment::EMPTY_FILES,
        2 => Treatment::LOST_NAMES,
        3 => Treatment {
            contents: Fate::Partial(chance.number()),
            names: Fate::Kept,
        },
        _ => Treatment::partial(chance.number()),
    }
}

fn both(chance: &mut Chance) -> State {
    if chance.one_in(2) {
        State::Held
    } else {
        State::Lost
    }
}

fn any(chance: &mut Chance) -> State {
    match chance.below(4) {
        0 => State::Held,
        1 => State::Lost,
        2 => State::LostForth,
        _ => State::LostBack,
    }
}

/// A time between two, in milliseconds.
pub fn millis(chance: &mut Chance, least: u64, most: u64) -> Duration {
    Duration::from_millis(least + chance.below(most - least + 1))
}
