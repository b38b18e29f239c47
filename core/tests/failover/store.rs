//! A store in the model: a log of writes under a history, followed by others, fenced and quiesced as
//! a real one would be.

use tenure_core::{
    Health, LogIndex, Millis, Moment, NodeId, Note, Position, Presence, Rejoin,
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
    pub writable: bool,
    pub fenced: bool,
    pub quiesced_until: Moment,
    pub follows: Option<NodeId>,
    pub linked: bool,
    pub strict_acks: u32,
    /// Writes get stuck: a full disk, a lock.
    pub jammed: bool,
    pub jammed_since: Moment,
    /// Whom it lets attach; None: anybody.
    pub permits: Option<Vec<NodeId>>,
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
            fenced: false,
            quiesced_until: Moment(0),
            follows: None,
            linked: false,
            strict_acks: 0,
            jammed: false,
            jammed_since: Moment(0),
            permits: None,
        }
    }

    pub fn position(&self) -> Option<Position> {
        Some(Position {
            history: Note::new(&format!("h{}", self.history)).unwrap(),
            offset: self.log.len() as u64,
        })
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
        seen.health = Health::Healthy;
        seen.position = self.position();
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

    /// Carries an action out; None when a frozen process answers nothing.
    pub fn act(
        &mut self,
        now: Moment,
        what: &Action,
        next_history: LogIndex,
        node_of: impl Fn(&str) -> NodeId,
    ) -> Option<Result<Feat, String>> {
        match self.process {
            Process::Frozen => return None,
            Process::Gone => return Some(Err("no process".to_owned())),
            Process::Running => {}
        }
        Some(Ok(match what {
            Action::Promote {
                write_acks, strict, ..
            } => {
                if !self.writable {
                    self.before.push((self.history, self.log.len()));
                    self.history = next_history.0;
                }
                (self.writable, self.fenced) = (true, false);
                self.permits = None;
                self.quiesced_until = Moment(0);
                (self.follows, self.linked) = (None, false);
                self.strict_acks = if *strict { *write_acks } else { 0 };
                Feat::Done
            }
            Action::Follow { primary, .. } => {
                let was_primary = self.writable;
                (self.writable, self.fenced) = (false, false);
                self.permits = None;
                self.follows = Some(node_of(primary.as_str()));
                self.linked = false;
                Feat::Follows(was_primary.then(|| (Rejoin::Behind, Note::default())))
            }
            Action::Fence { orderly } => {
                self.fenced = true;
                if !orderly {
                    self.permits = Some(Vec::new());
                }
                Feat::At(self.position())
            }
            Action::Detach => {
                (self.follows, self.linked) = (None, false);
                Feat::At(self.position())
            }
            Action::Quiesce { lasting } => {
                self.quiesced_until = now.after(*lasting);
                Feat::At(self.position())
            }
            Action::Resume => {
                self.quiesced_until = Moment(0);
                Feat::Done
            }
            Action::Permit { members } => {
                self.permits = Some(members.keys().copied().collect());
                Feat::Permits(self.position())
            }
            Action::Measure => Feat::At(self.position()),
            Action::Probe { .. } => unreachable!("the world answers probes"),
        }))
    }
}
