//! The network: hops with delays, losses, copies, and cuts.

use super::{Event, World};
use std::collections::{BTreeMap, BTreeSet};
use tenure_core::{Millis, Moment};

/// Where something stands on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Server(u64),
    Node(u64),
}

/// How bad the network, the disks and the drivers are. Chances in percent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Of a message to be late, by up to so many milliseconds: others overtake it.
    pub late: (u64, u64),
    pub lost: u64,
    pub doubled: u64,
    /// Of a driver to take long, up to so many milliseconds.
    pub slow_driver: (u64, u64),
    /// Of a proposal to take long, up to so many milliseconds.
    pub slow_log: (u64, u64),
    /// Of the outcome of a committed proposal never to be told.
    pub untold: u64,
    /// Of a replica to be given nothing for a while.
    pub lag: u64,
}

#[derive(Clone, Default)]
pub struct Network {
    /// What cannot reach what, one way.
    pub cuts: BTreeSet<(Place, Place)>,
    pub weather: Weather,
    /// When the latest message of a relay arrives: a stream keeps its order.
    streams: BTreeMap<(u64, u64), Moment>,
    /// How many messages were sent.
    pub sent: u64,
}

impl Network {
    pub fn cut(&mut self, from: Place, to: Place) {
        self.cuts.insert((from, to));
    }

    pub fn cut_both(&mut self, a: Place, b: Place) {
        self.cut(a, b);
        self.cut(b, a);
    }

    pub fn reaches(&self, from: Place, to: Place) -> bool {
        self.cuts.is_empty() || !self.cuts.contains(&(from, to))
    }

    pub fn talk(&self, a: Place, b: Place) -> bool {
        self.reaches(a, b) && self.reaches(b, a)
    }
}

impl World {
    /// A hop: within a millisecond, and in order of sending, on a good day.
    pub fn hop(&mut self, from: Place, to: Place, event: Event) {
        self.net.sent += 1;
        if !self.net.reaches(from, to) || self.chance(self.net.weather.lost) {
            return;
        }
        if self.chance(self.net.weather.doubled) {
            let wait = self.transit();
            self.at(wait, event.clone());
        }
        let arrives = self.transit();
        self.at(arrives, event);
    }

    /// A hop within a stream, which keeps its order; what is lost breaks it, and is not sent again.
    pub fn hop_in_order(&mut self, from: u64, to: u64, event: Event) {
        self.net.sent += 1;
        if !self.net.talk(Place::Server(from), Place::Server(to)) {
            return;
        }
        let arrives = self.transit();
        let last = self.net.streams.entry((from, to)).or_default();
        *last = arrives.max(*last);
        let arrives = *last;
        self.at(arrives, event);
    }

    fn transit(&mut self) -> Moment {
        let (late, most) = self.net.weather.late;
        let more = if self.chance(late) {
            1 + self.dice.below(most * 1_000)
        } else {
            0
        };
        Moment(self.now.0 + 200 + self.dice.below(600) + more)
    }

    /// How long something takes that usually takes `usual` microseconds.
    pub fn lasts(&mut self, usual: u64, (slow, most): (u64, u64)) -> Moment {
        let more = if self.chance(slow) {
            self.dice.below(most * 1_000 + 1)
        } else {
            0
        };
        Moment(self.now.0 + usual / 4 + self.dice.below(usual) + more)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        percent > 0 && self.dice.percent(percent)
    }

    /// Cuts a node from everything else.
    pub fn isolate(&mut self, node: u64) {
        self.cut_from_servers(node);
        for other in self.node_ids().filter(|other| *other != node) {
            self.net.cut_both(Place::Node(node), Place::Node(other));
        }
    }

    /// Cuts a node from all servers.
    pub fn cut_from_servers(&mut self, node: u64) {
        for server in 1..=3 {
            self.net.cut_both(Place::Node(node), Place::Server(server));
        }
    }

    /// Cuts a server from the other servers.
    pub fn cut_server(&mut self, server: u64) {
        for other in (1..=3).filter(|other| *other != server) {
            self.net
                .cut_both(Place::Server(server), Place::Server(other));
        }
    }

    /// Everything reaches everything again.
    pub fn mend(&mut self) {
        self.net.cuts.clear();
    }

    pub fn later(&mut self, wait: Millis, event: Event) {
        self.queue.put(self.now.after(wait), event);
    }

    pub fn at(&mut self, when: Moment, event: Event) {
        self.queue.put(when.max(self.now), event);
    }
}
