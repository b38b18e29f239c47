//! A store in the model: a log of writes under a history, followed by others, fenced and quiesced as
//! a real one would be.

use std::collections::{BTreeMap, VecDeque};
use tenure_core::{
    Epoch, Health, Millis, Moment, NodeId, Note, Position, Presence, Rejoin,
    agent::{Action, Feat, Observation, Observed},
};

/// What a store is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    Running,
    Frozen,
    Gone,
}

#[derive(Debug, Clone)]
pub struct Store {
    pub process: Process,
    /// Which of its processes this is.
    pub run: u64,
    /// The history in which the log goes on, and the earlier ones with their lengths at the end.
    pub history: u64,
    pub before: Vec<(u64, usize)>,
    pub log: Vec<u64>,
    /// Whether it is a primary by what it was told, and by which epoch.
    pub writable: bool,
    pub epoch: Epoch,
    pub fenced: bool,
    pub quiesced_until: Moment,
    pub follows: Option<NodeId>,
    pub linked: bool,
    /// Writes get stuck: a full disk, a lock.
    pub jammed: bool,
    pub jammed_since: Moment,
    /// Whom it lets attach; None: anybody.
    pub permits: Option<Vec<NodeId>>,
    /// How much each replica has acknowledged.
    pub acks: BTreeMap<u64, usize>,
    /// Writes whose clients wait, with their places in the log.
    pub pending: VecDeque<(u64, usize)>,
    /// Which of its processes its agent was shown last.
    pub shown: u64,
    /// Whether it is one of equals, without data.
    pub is_peer: bool,
    pub health: Health,
}

impl Store {
    pub fn replica(history: u64) -> Self {
        Self {
            process: Process::Running,
            run: 1,
            history,
            before: Vec::new(),
            log: Vec::new(),
            writable: false,
            epoch: Epoch(0),
            fenced: false,
            quiesced_until: Moment(0),
            follows: None,
            linked: false,
            jammed: false,
            jammed_since: Moment(0),
            permits: None,
            acks: BTreeMap::new(),
            pending: VecDeque::new(),
            shown: 0,
            is_peer: false,
            health: Health::Healthy,
        }
    }

    pub fn peer() -> Self {
        Self {
            is_peer: true,
            ..Self::replica(0)
        }
    }

    pub fn position(&self) -> Position {
        Position {
            history: Note::new(&format!("h{}", self.history)).expect("it is well-formed"),
            offset: self.log.len() as u64,
        }
    }

    /// Whether a client's write is taken now.
    pub fn takes_writes(&self, now: Moment) -> bool {
        self.process == Process::Running
            && self.writable
            && !self.fenced
            && !self.jammed
            && now >= self.quiesced_until
    }

    pub fn observe(&self, now: Moment) -> Observation {
        let mut seen = Observation::nothing();
        match self.process {
            Process::Gone => {
                seen.presence = Presence::Exited;
                seen.health = Health::Failing;
                return seen;
            }
            Process::Frozen => {
                seen.presence = Presence::Running;
                seen.health = Health::Failing;
                seen.stalled = now.since(self.jammed_since);
                return seen;
            }
            Process::Running => {}
        }
        seen.presence = Presence::Running;
        seen.run = self.run;
        seen.health = self.health;
        if self.is_peer {
            seen.role = Observed::Peer;
            return seen;
        }
        seen.position = Some(self.position());
        seen.role = if self.writable && self.fenced {
            Observed::Fenced
        } else if self.writable {
            Observed::Writable
        } else {
            let linked = self.linked;
            Observed::Following { linked }
        };
        if self.jammed {
            seen.stalled = now.since(self.jammed_since).max(Millis(1));
        }
        seen
    }

    /// Started anew, with the end of its log lost.
    pub fn restart(&mut self, lost: usize) {
        self.process = Process::Running;
        self.run += 1;
        self.log.truncate(self.log.len().saturating_sub(lost));
        let kept = self.log.len();
        // A history that began after what is left of the log is lost with the rest.
        while let Some((history, length)) = self.before.pop() {
            if length <= kept {
                self.before.push((history, length));
                break;
            }
            self.history = history;
        }
        (self.writable, self.fenced, self.permits) = (false, false, None);
        (self.follows, self.linked) = (None, false);
        self.cut_off();
    }

    /// Nothing of it is left but its place.
    pub fn wipe(&mut self) {
        self.log.clear();
        self.before.clear();
        self.history = 0;
    }

    /// Clients that wait are told nothing any more, and replicas have to say anew what they have.
    pub fn cut_off(&mut self) {
        self.pending.clear();
        self.acks.clear();
    }

    pub fn follow(&mut self, primary: NodeId) {
        (self.writable, self.fenced, self.permits) = (false, false, None);
        (self.follows, self.linked) = (Some(primary), false);
        self.cut_off();
    }

    /// The link to the primary comes up: what it has already it keeps, if that is all of one history.
    pub fn attach(&mut self, primary: &Self) {
        if common(self, primary) < self.log.len() {
            self.log.clone_from(&primary.log);
        }
        self.history = primary.history;
        self.before.clone_from(&primary.before);
        self.linked = true;
    }

    /// Carries an action out; None when a frozen process answers nothing.
    pub fn act(&mut self, now: Moment, what: &Action, next: u64) -> Option<Result<Feat, String>> {
        match self.process {
            Process::Frozen => return None,
            Process::Gone => return Some(Err("no process".to_owned())),
            Process::Running => {}
        }
        if matches!(what, Action::Promote { .. }) && self.shown != self.run {
            return Some(Err("another process than was shown".to_owned()));
        }
        let at = Some(self.position());
        Some(Ok(match what {
            Action::Promote { epoch, .. } => {
                self.promote(*epoch, next);
                Feat::Done
            }
            Action::Fence { orderly } => {
                self.fenced = true;
                if !orderly {
                    self.permits = Some(Vec::new());
                    self.cut_off();
                }
                Feat::At(at)
            }
            Action::Detach => {
                (self.follows, self.linked) = (None, false);
                Feat::At(at)
            }
            Action::Quiesce { lasting } => {
                self.quiesced_until = now.after(*lasting);
                Feat::At(at)
            }
            Action::Resume => {
                self.quiesced_until = Moment(0);
                Feat::Done
            }
            Action::Permit { members } => {
                self.permits = Some(members.keys().copied().collect());
                Feat::Permits(at)
            }
            Action::Measure => Feat::At(at),
            Action::Follow { .. } | Action::Probe { .. } => {
                unreachable!("the world sees to what concerns two stores")
            }
        }))
    }

    fn promote(&mut self, epoch: Epoch, next: u64) {
        if !self.writable {
            self.before.push((self.history, self.log.len()));
            self.history = next;
            self.cut_off();
        }
        self.epoch = epoch;
        (self.writable, self.fenced, self.permits) = (true, false, None);
        self.quiesced_until = Moment(0);
        (self.follows, self.linked) = (None, false);
    }
}

/// The histories of a store, each with the length at which it ended there.
fn lineage(store: &Store) -> Vec<(u64, usize)> {
    let mut all = store.before.clone();
    all.push((store.history, store.log.len()));
    all
}

/// How much two stores have in common by their histories: what each wrote under one is the same.
fn common(a: &Store, b: &Store) -> usize {
    let mut most = 0;
    for ((of_a, until_a), (of_b, until_b)) in lineage(a).into_iter().zip(lineage(b)) {
        if of_a != of_b {
            break;
        }
        most = until_a.min(until_b);
        if until_a != until_b {
            break;
        }
    }
    most
}

/// How the history of one store compares with that of another.
pub fn compare(own: &Store, theirs: &Store) -> Rejoin {
    let common = common(own, theirs);
    match (own.log.len() > common, theirs.log.len() > common) {
        (false, false) => Rejoin::Identical,
        (false, true) => Rejoin::Behind,
        (true, false) => Rejoin::Ahead,
        (true, true) => Rejoin::Diverged,
    }
}
