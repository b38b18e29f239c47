//! The calls that the store load makes, and the state that each entry leads to.

use std::collections::BTreeMap;

use openraft::entry::RaftEntry;
use tenure_core::{
    Attributes, Command, Digest, Envelope, LogIndex, NodeName, NodeRef, Note, Outcome, State,
    Timestamp,
};
use tenure_storage::{
    format::{encode_command, encode_key, encode_record},
    types::{Entry, EntryPayload, LogId, Membership, Payload, ServerAddr, Vote, log_id},
};

use crate::power_loss::{chance::Chance, loads::log::plan};

/// One call of the store, or what its user does in between.
#[derive(Clone, Debug)]
pub enum Call {
    /// A call of the log.
    Log(plan::Call),
    /// Applies everything that was appended.
    Apply,
    /// Makes a checkpoint of what is applied.
    Checkpoint,
    /// Installs the snapshot of a server that has these entries too; the log has none of them.
    Install(Vec<Entry>),
    /// Closes the store and opens it again.
    Reopen,
}

/// Calls, and what they lead to.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The calls in order.
    pub calls: Vec<Call>,
    /// For each entry, a digest of the state that it leads to.
    pub digests: Vec<u64>,
}

/// How large the records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Mostly small.
    Light,
    /// As large as they may be: a few hundred calls fill several segments of the image.
    Heavy,
}

impl Weight {
    /// Every weight with the word for it on the command line.
    pub const ALL: [(&str, Self); 2] = [("light", Self::Light), ("heavy", Self::Heavy)];
}

/// The plan of `length` calls that belongs to `seed`.
#[must_use]
pub fn plan(seed: u64, length: usize, weight: Weight) -> Plan {
    let mut author = Author::new(seed, weight);
    author.vote();
    author.append();
    // Whatever the seed, a short plan has one of each.
    author.calls.push(Call::Apply);
    author.applied = author.ids.len();
    author.checkpoint();
    author.append();
    author.purge();
    author.append();
    author.install();
    author.reopen();
    author.append();
    author.purge();
    while author.calls.len() < length {
        author.next();
    }
    Plan {
        calls: author.calls,
        digests: author.digests,
    }
}

/// A digest of all records in `state`, equal to that of a store.
#[must_use]
pub fn digest(state: &State) -> u64 {
    let mut digest = Digest::new();
    for record in state.records() {
        digest.update(&encode_key(&record.key()));
        digest.update(&encode_record(&record));
    }
    digest.value()
}

/// Knows what a correct user of the store may ask for next.
struct Author {
    chance: Chance,
    weight: Weight,
    calls: Vec<Call>,
    digests: Vec<u64>,
    state: State,
    ids: Vec<LogId>,
    term: u64,
    /// The last entry applied, in a checkpoint, and purged, each plus one.
    applied: usize,
    checkpoint: usize,
    purged: usize,
}

impl Author {
    fn new(seed: u64, weight: Weight) -> Self {
        Self {
            chance: Chance::new(seed),
            weight,
            calls: Vec::new(),
            digests: Vec::new(),
            state: State::default(),
            ids: Vec::new(),
            term: 0,
            applied: 0,
            checkpoint: 0,
            purged: 0,
        }
    }

    fn next(&mut self) {
        match self.chance.below(20) {
            0..=8 => self.append(),
            9..=12 => self.checkpoint(),
            13..=15 => self.purge(),
            16 => self.install(),
            17 => self.vote(),
            _ => self.reopen(),
        }
    }

    fn log(&mut self, call: plan::Call) {
        self.calls.push(Call::Log(call));
    }

    fn vote(&mut self) {
        self.term += 1;
        self.log(plan::Call::Vote(Vote::new_committed(self.term, 1)));
    }

    /// Appends entries, and applies them or leaves that to the next.
    fn append(&mut self) {
        let count = match self.weight {
            Weight::Light => 1 + self.chance.below(4),
            Weight::Heavy => 20,
        };
        let entries = (0..count).map(|_| self.entry()).collect();
        self.log(plan::Call::Append(entries));
        self.log(plan::Call::Wait);
        if !self.chance.one_in(3) {
            self.applied = self.ids.len();
            self.calls.push(Call::Apply);
        }
    }

    fn checkpoint(&mut self) {
        self.checkpoint = self.applied;
        self.calls.push(Call::Checkpoint);
    }

    fn purge(&mut self) {
        self.checkpoint();
        if self.checkpoint > self.purged {
            let more = 1 + self.chance.up_to(self.checkpoint - self.purged - 1);
            self.purge_to(self.purged + more);
        }
    }

    /// The vote after it makes it durable, so that "acknowledged" has one meaning for the log and the image.
    fn purge_to(&mut self, end: usize) {
        self.purged = end;
        self.log(plan::Call::Purge(self.ids[end - 1]));
        self.vote();
    }

    fn install(&mut self) {
        let count = 1 + self.chance.below(6);
        let entries = (0..count).map(|_| self.entry()).collect();
        self.calls.push(Call::Install(entries));
        self.applied = self.ids.len();
        self.checkpoint = self.applied;
        self.purge_to(self.applied);
    }

    fn reopen(&mut self) {
        self.calls.push(Call::Reopen);
        self.applied = self.checkpoint;
    }

    fn entry(&mut self) -> Entry {
        let index = self.ids.len() as u64;
        let id = log_id(self.term, index);
        self.ids.push(id);
        let payload = match index {
            0 => EntryPayload::Membership(membership()),
            _ if self.chance.one_in(10) => EntryPayload::Blank,
            _ => EntryPayload::Normal(self.command(index)),
        };
        if index > 0 && !matches!(payload, EntryPayload::Normal(_)) {
            self.state.skip(LogIndex(index));
        }
        self.digests.push(digest(&self.state));
        Entry::new(id, payload)
    }

    fn command(&mut self, index: u64) -> Payload {
        let name = NodeName::new(&format!("node-{}", self.chance.below(30))).expect("a good name");
        let labels = self.labels();
        let weight = 100;
        let known = self.state.find_node(&NodeRef::Name(name.clone()));
        let command = match known {
            None => Command::AddNode {
                name,
                zone: None,
                labels,
                weight,
            },
            Some(node) => {
                let expected = node.modified;
                Command::UpdateNode {
                    node: NodeRef::Name(name),
                    expected,
                    zone: None,
                    labels,
                    weight,
                }
            }
        };
        let actor = Note::new("power loss").expect("a good note");
        let envelope = Envelope {
            request: None,
            actor,
            stamp: Timestamp(index),
            command,
        };
        let applied = self.state.apply(LogIndex(index), &envelope);
        assert!(
            matches!(applied.outcome, Outcome::Done(_)),
            "nothing is asked for that would be rejected"
        );
        Payload(encode_command(&envelope))
    }

    fn labels(&mut self) -> Attributes {
        let (count, bound) = match self.weight {
            Weight::Heavy => (8, 900),
            Weight::Light if self.chance.one_in(4) => (self.chance.below(9), 900),
            Weight::Light => (self.chance.below(9), 60),
        };
        let shortest = if self.weight == Weight::Heavy {
            bound
        } else {
            0
        };
        let pairs = (0..count).map(|number| {
            let length = shortest + self.chance.up_to(bound - shortest);
            let value =
                (0..length).map(|_| char::from(b'a' + self.chance.number().to_le_bytes()[0] % 26));
            (format!("label-{number}"), value.collect())
        });
        Attributes::new(pairs.collect::<BTreeMap<String, String>>()).expect("few and short")
    }
}

fn membership() -> Membership {
    let address = ServerAddr {
        raft: "raft-1:1".to_owned(),
        api: "api-1:2".to_owned(),
    };
    let servers = BTreeMap::from([(1, address)]);
    Membership::new(vec![[1].into()], servers).expect("every voter has an address")
}
