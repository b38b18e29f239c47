//! Which links of the network are cut, held up or slow, when several faults concern the same one.

use std::collections::BTreeMap;
use std::time::Duration;

use turmoil::Sim;

/// What is wrong with a link, the worst last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing.
    #[default]
    Whole,
    /// What is sent is late.
    Slow(Duration),
    /// What is sent arrives when this is over, as where packets are sent again.
    Held,
    /// What the first sends to the second is lost, and with it the connections.
    LostForth,
    /// What the second sends to the first is lost, and with it the connections.
    LostBack,
    /// All that is sent is lost, and with it the connections.
    Lost,
}

/// All links between hosts.
pub struct Links {
    hosts: Vec<String>,
    usual: Duration,
    now: BTreeMap<(usize, usize), State>,
}

impl Links {
    /// Links that are whole, over which a message takes at most so long.
    pub fn new(hosts: Vec<String>, usual: Duration) -> Self {
        Self {
            hosts,
            usual,
            now: BTreeMap::new(),
        }
    }

    /// What a host is called.
    pub fn name(&self, host: usize) -> &str {
        &self.hosts[host]
    }

    /// How many hosts there are.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Makes the links what the faults that go on say: each a first host, a second and a state.
    pub fn set(&mut self, sim: &Sim<'_>, faults: &[(usize, usize, State)]) {
        let mut wanted: BTreeMap<(usize, usize), State> = BTreeMap::new();
        for &(one, other, state) in faults {
            let (pair, state) = if one < other {
                ((one, other), state)
            } else {
                ((other, one), turned(state))
            };
            let worst = wanted.entry(pair).or_default();
            *worst = (*worst).max(state);
        }
        let pairs: Vec<(usize, usize)> = wanted.keys().chain(self.now.keys()).copied().collect();
        for pair in pairs {
            let before = self.now.get(&pair).copied().unwrap_or_default();
            let after = wanted.get(&pair).copied().unwrap_or_default();
            if before != after {
                self.change(sim, pair, after);
            }
            self.now.insert(pair, after);
        }
        self.now.retain(|_, state| *state != State::Whole);
    }

    fn change(&self, sim: &Sim<'_>, (one, other): (usize, usize), state: State) {
        let (one, other) = (self.hosts[one].as_str(), self.hosts[other].as_str());
        sim.release(one, other);
        sim.set_link_max_message_latency(one, other, self.usual);
        match state {
            State::Whole => {}
            State::Slow(most) => sim.set_link_max_message_latency(one, other, most),
            State::Held => sim.hold(one, other),
            State::LostForth => sim.partition_oneway(one, other),
            State::LostBack => sim.partition_oneway(other, one),
            State::Lost => sim.partition(one, other),
        }
    }
}

/// The same for the pair the other way round.
fn turned(state: State) -> State {
    match state {
        State::LostForth => State::LostBack,
        State::LostBack => State::LostForth,
        State::Whole | State::Slow(_) | State::Held | State::Lost => state,
    }
}
