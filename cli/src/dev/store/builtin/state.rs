//! What an instance is and holds, and what its agent makes of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Keys that there may be: a replica is sent all of them whenever one changes.
const KEYS_MAX: usize = 64;

/// What it is told to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Role {
    /// Takes no writes, and has no replicas.
    #[default]
    Fenced,
    /// Takes no writes; its replicas stay attached.
    HandsOver,
    /// Takes writes.
    Primary,
    /// Follows the instance at this endpoint.
    Follows(String),
    /// Follows nobody, and keeps what it has.
    Detached,
}

/// How far an instance has got: a history (empty before there is any) and the number of changes in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Track {
    pub history: String,
    pub offset: u64,
}

/// An instance.
#[derive(Debug, Default)]
pub struct State {
    pub role: Role,
    pub values: BTreeMap<String, String>,
    pub at: Track,
    /// Up to where the history before is a part of this one.
    before: Track,
    /// How far each attached replica has got, and over which connection it says so.
    pub attached: BTreeMap<String, (u64, u64)>,
    /// Who may be attached; anybody while nobody has said.
    permits: Option<BTreeSet<String>>,
    /// With fewer replicas no write is taken.
    least: usize,
    /// Until when writes are held back.
    pub held_until: Option<Instant>,
    epoch: u64,
    /// Whether it was primary, and has followed nobody since.
    pub was_primary: bool,
    /// How its history compared when it followed another after that.
    pub rejoin: Option<String>,
    /// Whether it has got something from the one that it follows.
    pub linked: bool,
    /// One more with each change of role: whoever acts by an earlier one stops.
    pub turn: u64,
}

impl State {
    /// A client's write; the error is what it is told.
    pub fn set(&mut self, key: &str, value: &str) -> Result<u64, &'static str> {
        if self.role != Role::Primary {
            return Err("READONLY it takes no writes");
        }
        if self.attached.len() < self.least {
            return Err("NOREPLICAS there are too few");
        }
        if self.values.len() >= KEYS_MAX && !self.values.contains_key(key) {
            return Err("FULL there is no room for another key");
        }
        self.values.insert(key.to_owned(), value.to_owned());
        self.at.offset += 1;
        Ok(self.at.offset)
    }

    pub fn may_attach(&self, replica: &str) -> bool {
        let permitted = self.permits.as_ref().is_none_or(|it| it.contains(replica));
        permitted && matches!(self.role, Role::Primary | Role::HandsOver)
    }

    /// How many replicas have got as far.
    pub fn have(&self, offset: u64) -> usize {
        let offsets = self.attached.values();
        offsets.filter(|(has, _)| *has >= offset).count()
    }

    /// How a replica's history compares with this one.
    pub fn compare(&self, replica: &Track) -> &'static str {
        let shared = [&self.at, &self.before].into_iter();
        let mut shared = shared.filter(|it| it.history == replica.history);
        let fork = shared.next().map_or(0, |it| it.offset.min(replica.offset));
        match (replica.offset > fork, self.at.offset > fork) {
            (false, false) => "identical",
            (false, true) => "behind",
            (true, false) => "ahead",
            (true, true) => "diverged",
        }
    }

    /// Carries out a command of the agent; the error is a sentence.
    pub fn obey(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["STATE"] => {}
            ["PROMOTE", epoch, least] => {
                let (epoch, least) = (number(epoch)?, number(least)?);
                if self.role != Role::Primary || self.epoch != epoch {
                    self.turn_to(Role::Primary);
                    let history = format!("{epoch}.{}", std::process::id());
                    let offset = self.at.offset;
                    self.before = std::mem::replace(&mut self.at, Track { history, offset });
                }
                self.epoch = epoch;
                self.least = usize::try_from(least).unwrap_or(usize::MAX);
                self.held_until = None;
                self.was_primary = true;
            }
            ["FOLLOW", primary] => {
                let role = Role::Follows((*primary).to_owned());
                if self.role != role {
                    self.rejoin = None;
                    self.turn_to(role);
                }
            }
            ["FENCE", "orderly"] if matches!(self.role, Role::Primary | Role::HandsOver) => {
                self.role = Role::HandsOver;
                self.held_until = None;
            }
            ["FENCE", _] => self.turn_to(Role::Fenced),
            ["DETACH"] => self.turn_to(Role::Detached),
            ["HOLD", ms] => {
                let lasting = Duration::from_millis(number(ms)?);
                self.held_until = Some(Instant::now() + lasting);
            }
            ["RESUME"] => self.held_until = None,
            ["PERMIT", replicas @ ..] => {
                let permits = replicas.iter().map(|it| (*it).to_owned()).collect();
                let permits: &BTreeSet<String> = self.permits.insert(permits);
                self.attached.retain(|replica, _| permits.contains(replica));
            }
            _ => return Err(format!("ERR no such command: {}", words.join(" "))),
        }
        Ok(())
    }

    fn turn_to(&mut self, role: Role) {
        self.role = role;
        self.turn += 1;
        self.linked = false;
        self.held_until = None;
        self.attached.clear();
    }

    /// As the agent is told: role, process, history (or `-`), offset, how it came back (or `-`).
    pub fn told(&self) -> String {
        let role = match self.role {
            Role::Fenced | Role::HandsOver => "fenced",
            Role::Primary => "primary",
            Role::Follows(_) if self.linked => "linked",
            Role::Follows(_) | Role::Detached => "replica",
        };
        let rejoin = self.rejoin.as_deref().unwrap_or("-");
        let (process, at) = (std::process::id(), &self.at);
        format!("{role} {process} {} {} {rejoin}", at.word(), at.offset)
    }
}

impl Track {
    /// The history as a word.
    pub fn word(&self) -> &str {
        match self.history.as_str() {
            "" => "-",
            history => history,
        }
    }

    /// A history as a word, and a number of changes.
    pub fn read(word: &str, offset: &str) -> Result<Self, String> {
        let history = word.trim_start_matches('-').to_owned();
        let offset = number(offset)?;
        Ok(Self { history, offset })
    }
}

pub fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("ERR no number: {word}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_are_compared_with_what_they_came_from() {
        let mut primary = State::default();
        primary.obey(&["PROMOTE", "1", "0"]).unwrap();
        let first = primary.at.history.clone();
        for _ in 0..5 {
            primary.set("k", "v").unwrap();
        }
        primary.obey(&["PROMOTE", "2", "0"]).unwrap();
        let at = |history: &str, offset| Track {
            history: history.to_owned(),
            offset,
        };
        let before = [(4, "behind"), (5, "identical"), (6, "ahead")];
        for (offset, verdict) in before {
            assert_eq!(primary.compare(&at(&first, offset)), verdict);
        }
        assert_eq!(primary.set("k", "v"), Ok(6));
        assert_eq!(primary.compare(&at(&first, 6)), "diverged");
        assert_eq!(primary.compare(&at(&primary.at.history, 6)), "identical");
        assert_eq!(primary.compare(&at("x", 1)), "diverged");
        assert_eq!(primary.compare(&at("", 0)), "behind");
    }

    #[test]
    fn only_a_primary_with_enough_replicas_takes_writes() {
        let mut state = State::default();
        assert!(state.set("k", "v").unwrap_err().starts_with("READONLY"));
        state.obey(&["PROMOTE", "1", "1"]).unwrap();
        assert!(state.set("k", "v").unwrap_err().starts_with("NOREPLICAS"));
        state.attached.insert("h:1".to_owned(), (0, 7));
        assert_eq!(state.set("k", "v"), Ok(1));
        state.obey(&["PERMIT", "h:2"]).unwrap();
        assert!(!state.may_attach("h:1") && state.attached.is_empty());
        state.obey(&["FENCE", "at-once"]).unwrap();
        assert!(state.set("k", "v").is_err() && !state.may_attach("h:2"));
    }
}
