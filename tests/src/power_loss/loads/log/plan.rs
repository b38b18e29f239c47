//! The calls that the log load makes: like those of a server that votes, leads, follows and installs snapshots.

use std::collections::BTreeMap;

use bytes::Bytes;
use openraft::entry::RaftEntry;
use tenure_storage::types::{
    Entry, EntryPayload, LogId, Membership, Payload, ServerAddr, Vote, log_id,
};

use crate::power_loss::chance::Chance;

/// One call of the store, or what its user does in between.
#[derive(Clone, Debug)]
pub enum Call {
    /// Saves a vote.
    Vote(Vote),
    /// Appends entries, and does not wait until they are durable.
    Append(Vec<Entry>),
    /// Waits until everything appended is durable.
    Wait,
    /// Removes what follows this entry, or everything.
    TruncateAfter(Option<LogId>),
    /// Removes everything up to this entry, which the log need not have.
    Purge(LogId),
    /// Saves how far the cluster has committed.
    Committed(LogId),
    /// Closes the store and opens it again.
    Reopen,
}

impl Call {
    /// How many steps this call takes the store by: after a power cut it may be between any two of them.
    #[must_use]
    pub fn steps(&self) -> u64 {
        match self {
            Self::Append(entries) => entries.len() as u64,
            Self::Wait | Self::Reopen => 0,
            Self::Vote(_) | Self::TruncateAfter(_) | Self::Purge(_) | Self::Committed(_) => 1,
        }
    }
}

/// The `length` calls that belong to `seed`.
#[must_use]
pub fn plan(seed: u64, length: usize) -> Vec<Call> {
    let mut author = Author::new(seed);
    let mut calls = vec![Call::Vote(Vote::new_committed(author.term, 1))];
    while calls.len() < length {
        author.next(&mut calls);
    }
    calls.push(Call::Wait);
    calls
}

/// Knows what a correct user of the log may ask for next.
struct Author {
    chance: Chance,
    term: u64,
    next_index: u64,
    terms: BTreeMap<u64, u64>,
    committed: Option<u64>,
    purged: Option<u64>,
}

impl Author {
    fn new(seed: u64) -> Self {
        let chance = Chance::new(seed);
        Self {
            chance,
            term: 1,
            next_index: 0,
            terms: BTreeMap::new(),
            committed: None,
            purged: None,
        }
    }

    fn next(&mut self, calls: &mut Vec<Call>) {
        match self.chance.below(24) {
            0..=9 => calls.push(self.append()),
            10..=13 => calls.push(Call::Wait),
            14..=15 => self.vote(calls),
            16..=18 => self.commit(calls),
            19..=20 => self.replace_tail(calls),
            21 => self.purge(calls),
            22 => self.install_snapshot(calls),
            _ => calls.extend([Call::Wait, Call::Reopen]),
        }
    }

    fn append(&mut self) -> Call {
        let count = 1 + self.chance.below(4);
        Call::Append((0..count).map(|_| self.entry()).collect())
    }

    fn entry(&mut self) -> Entry {
        let id = log_id(self.term, self.next_index);
        self.terms.insert(self.next_index, self.term);
        self.next_index += 1;
        let payload = match self.chance.below(12) {
            0 => EntryPayload::Blank,
            1 => EntryPayload::Membership(self.membership()),
            2 => EntryPayload::Normal(self.payload(9000)),
            3..=5 => EntryPayload::Normal(self.payload(3000)),
            _ => EntryPayload::Normal(self.payload(200)),
        };
        Entry::new(id, payload)
    }

    fn payload(&mut self, bound: u64) -> Payload {
        let length = self.chance.below(bound);
        // Runs of zeros are in it, for they look like a part of the file that was never written.
        let zeros = self.chance.one_in(4);
        let bytes = (0..length).map(|_| {
            if zeros {
                0
            } else {
                self.chance.number().to_le_bytes()[0]
            }
        });
        Payload(Bytes::from_iter(bytes))
    }

    fn membership(&mut self) -> Membership {
        let servers = 1..=1 + self.chance.below(5);
        let nodes: BTreeMap<u64, ServerAddr> = servers
            .map(|server| {
                (
                    server,
                    ServerAddr {
                        raft: format!("raft-{server}:1"),
                        api: format!("api-{server}:2"),
                    },
                )
            })
            .collect();
        let voters = nodes.keys().copied().collect();
        Membership::new(vec![voters], nodes).expect("every voter has an address")
    }

    fn vote(&mut self, calls: &mut Vec<Call>) {
        self.term += 1;
        let server = 1 + self.chance.below(3);
        calls.push(Call::Vote(Vote::new(self.term, server)));
        if self.chance.one_in(2) {
            calls.push(Call::Vote(Vote::new_committed(self.term, server)));
        }
    }

    fn commit(&mut self, calls: &mut Vec<Call>) {
        let first = self.committed.map_or(0, |index| index + 1);
        if first < self.next_index {
            let index = first + self.chance.below(self.next_index - first);
            self.committed = Some(index);
            calls.push(Call::Committed(self.id(index)));
        }
    }

    /// What a follower does whose tail another leader does not have.
    fn replace_tail(&mut self, calls: &mut Vec<Call>) {
        let first = self.committed.max(self.purged).map_or(0, |index| index + 1);
        if first < self.next_index {
            self.next_index = first + self.chance.below(self.next_index - first);
            self.terms.split_off(&self.next_index);
            let last = self.next_index.checked_sub(1).map(|index| self.id(index));
            self.vote(calls);
            calls.push(Call::TruncateAfter(last));
            calls.push(self.append());
        }
    }

    fn purge(&mut self, calls: &mut Vec<Call>) {
        let first = self.purged.map_or(0, |index| index + 1);
        if let Some(committed) = self.committed.filter(|committed| *committed >= first) {
            let index = first + self.chance.below(committed + 1 - first);
            self.purged = Some(index);
            calls.push(Call::Purge(self.id(index)));
        }
    }

    /// The log ends before the snapshot does, and goes on after it.
    fn install_snapshot(&mut self, calls: &mut Vec<Call>) {
        let index = self.next_index + self.chance.below(5);
        self.terms.insert(index, self.term);
        self.next_index = index + 1;
        self.committed = Some(index);
        self.purged = Some(index);
        calls.push(Call::Purge(self.id(index)));
    }

    fn id(&self, index: u64) -> LogId {
        log_id(self.terms[&index], index)
    }
}
