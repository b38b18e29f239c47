//! A checker of linearizability for one register with conditional writes.
//!
//! The algorithm is that of Wing and Gong (1993) with Lowe's memory of configurations (2017): search
//! for an order of the operations that respects real time and that the register could have shown.
//! Histories are checked register by register, which is sound because linearizability is local
//! (Herlihy and Wing, 1990).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

/// A version of the register, as the system under test numbers them.
pub type Version = u64;
/// A value; every write of a history writes another one.
pub type Value = u64;

/// What an operation asked, and what it was told.
#[allow(missing_docs, reason = "the fields are named for what they are")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Read this version and value.
    Read(Version, Value),
    /// Wrote a value on condition of a version, and was told the new version.
    Wrote {
        expected: Version,
        value: Value,
        version: Version,
    },
    /// Was told that the version was another one.
    Refused { expected: Version, actual: Version },
    /// Was not told whether the conditional write happened.
    Unknown { expected: Version, value: Value },
}

/// An operation in time. Times only need to be comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// When it was asked.
    pub invoked: u64,
    /// When it was answered. An unknown outcome may take effect at any later time.
    pub returned: u64,
    /// What it was.
    pub op: Op,
}

/// No order explains the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotLinearizable {
    /// The longest explainable prefix has so many operations.
    pub explained: usize,
    /// The operations that could have come next, none of which fits.
    pub stuck_at: Vec<Operation>,
}

impl fmt::Display for NotLinearizable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no order explains the history; after {} operations none of these fits: {:?}",
            self.explained, self.stuck_at
        )
    }
}

struct Search<'a> {
    operations: &'a [Operation],
    /// The version of each value that somebody was told.
    versions: BTreeMap<Value, Version>,
    /// Versions that were named without their value.
    untold: BTreeSet<Version>,
    seen: HashSet<(Vec<u64>, Value)>,
    best: NotLinearizable,
}

/// Checks the history of one register that starts with `initial`.
///
/// # Errors
/// [`NotLinearizable`] with the place where the search got stuck.
pub fn check(initial: (Version, Value), operations: &[Operation]) -> Result<(), NotLinearizable> {
    let mut sorted = operations.to_vec();
    sorted.sort_by_key(|operation| operation.invoked);
    let versions = versions(initial, &sorted);
    let mut search = Search {
        untold: untold(&versions, &sorted),
        versions,
        operations: &sorted,
        seen: HashSet::new(),
        best: NotLinearizable {
            explained: 0,
            stuck_at: vec![],
        },
    };
    if search.run(initial.1) {
        Ok(())
    } else {
        Err(search.best)
    }
}

/// Which version each value got, as far as anybody was told.
fn versions(initial: (Version, Value), operations: &[Operation]) -> BTreeMap<Value, Version> {
    let mut versions = BTreeMap::from([(initial.1, initial.0)]);
    for operation in operations {
        match operation.op {
            Op::Read(version, value) | Op::Wrote { value, version, .. } => {
                versions.insert(value, version);
            }
            Op::Refused { .. } | Op::Unknown { .. } => {}
        }
    }
    versions
}

/// The versions that a value can have which nobody was told: those that were only ever named.
fn untold(versions: &BTreeMap<Value, Version>, operations: &[Operation]) -> BTreeSet<Version> {
    let told: BTreeSet<Version> = versions.values().copied().collect();
    let named = operations.iter().flat_map(|operation| match operation.op {
        Op::Read(version, _) => [version, version],
        Op::Wrote {
            expected, version, ..
        } => [expected, version],
        Op::Refused { expected, actual } => [expected, actual],
        Op::Unknown { expected, .. } => [expected, expected],
    });
    named.filter(|version| !told.contains(version)).collect()
}

impl Search<'_> {
    /// Depth first, with an explicit stack: histories are long.
    fn run(&mut self, initial: Value) -> bool {
        let words = self.operations.len().div_ceil(64);
        let mut stack = vec![(vec![0_u64; words], initial)];
        while let Some((mut done, value)) = stack.pop() {
            let next = self.take_what_changes_nothing(&mut done, value);
            if self.all_answered_done(&done) {
                return true;
            }
            if !self.seen.insert((done.clone(), value)) {
                continue;
            }
            let before = stack.len();
            for at in next.iter().copied() {
                if let Some(after) = self.step(value, self.operations[at].op) {
                    let mut done = done.clone();
                    done[at / 64] |= 1 << (at % 64);
                    stack.push((done, after));
                }
            }
            if stack.len() == before {
                self.note_dead_end(&done, &next);
            }
        }
        false
    }

    /// Reads and refusals that fit come first: they change nothing, so taking them early closes no way.
    /// Answers with what may come next then.
    fn take_what_changes_nothing(&self, done: &mut [u64], value: Value) -> Vec<usize> {
        loop {
            let next = self.minimal(done);
            let fits = |at: &usize| {
                let op = self.operations[*at].op;
                matches!(op, Op::Read(..) | Op::Refused { .. }) && self.step(value, op).is_some()
            };
            let mut none = true;
            for at in next.iter().copied().filter(fits) {
                done[at / 64] |= 1 << (at % 64);
                none = false;
            }
            if none {
                return next;
            }
        }
    }

    fn note_dead_end(&mut self, done: &[u64], next: &[usize]) {
        let explained = done.iter().map(|word| word.count_ones() as usize).sum();
        if explained >= self.best.explained {
            let stuck_at = next.iter().map(|at| self.operations[*at]).collect();
            self.best = NotLinearizable {
                explained,
                stuck_at,
            };
        }
    }

    fn is_done(done: &[u64], at: usize) -> bool {
        done[at / 64] & (1 << (at % 64)) != 0
    }

    /// Unknown outcomes may never have happened; all others must be explained.
    fn all_answered_done(&self, done: &[u64]) -> bool {
        let mut all = self.operations.iter().enumerate();
        all.all(|(at, operation)| {
            Self::is_done(done, at) || matches!(operation.op, Op::Unknown { .. })
        })
    }

    /// Operations that may come next: asked before any open one was answered.
    fn minimal(&self, done: &[u64]) -> Vec<usize> {
        let mut first_return = u64::MAX;
        let mut next = Vec::new();
        for (at, operation) in self.operations.iter().enumerate() {
            if Self::is_done(done, at) {
                continue;
            }
            if operation.invoked > first_return {
                break;
            }
            next.push(at);
            if !matches!(operation.op, Op::Unknown { .. }) {
                first_return = first_return.min(operation.returned);
            }
        }
        next.retain(|at| self.operations[*at].invoked <= first_return);
        next
    }

    /// The value after an operation; none when the register could not have answered so.
    fn step(&self, value: Value, op: Op) -> Option<Value> {
        match op {
            Op::Read(_, read) => (read == value).then_some(value),
            Op::Wrote {
                expected,
                value: new,
                ..
            } => self.may_be(value, expected).then_some(new),
            Op::Refused { expected, actual } => {
                (expected != actual && self.may_be(value, actual)).then_some(value)
            }
            Op::Unknown {
                expected,
                value: new,
            } => self.may_be(value, expected).then_some(new),
        }
    }

    /// Whether the value stands under the version, as far as can be known.
    fn may_be(&self, value: Value, version: Version) -> bool {
        match self.versions.get(&value) {
            Some(known) => *known == version,
            None => self.untold.contains(&version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(invoked: u64, returned: u64, op: Op) -> Operation {
        Operation {
            invoked,
            returned,
            op,
        }
    }

    fn wrote(expected: Version, version: Version, value: Value) -> Op {
        Op::Wrote {
            expected,
            value,
            version,
        }
    }

    #[test]
    fn overlapping_operations_may_take_either_order() {
        let history = [
            at(0, 10, wrote(1, 2, 20)),
            at(1, 3, Op::Read(1, 10)),
            at(2, 4, Op::Read(2, 20)),
            at(5, 9, Op::Read(2, 20)),
        ];
        assert_eq!(check((1, 10), &history), Ok(()));
    }

    #[test]
    fn a_planted_stale_read_is_caught() {
        let history = [
            at(0, 1, wrote(1, 2, 20)),
            at(2, 3, wrote(2, 3, 30)),
            at(4, 5, Op::Read(2, 20)),
        ];
        let error = check((1, 10), &history).unwrap_err();
        assert_eq!(error.explained, 2);
        assert_eq!(error.stuck_at, [history[2]]);
    }

    #[test]
    fn reads_never_go_back() {
        let history = [
            at(0, 100, wrote(1, 2, 20)),
            at(1, 2, Op::Read(2, 20)),
            at(3, 4, Op::Read(1, 10)),
        ];
        assert!(check((1, 10), &history).is_err());
    }

    #[test]
    fn a_lost_or_doubled_write_is_caught() {
        let lost = [at(0, 1, wrote(1, 2, 20)), at(2, 3, wrote(1, 3, 30))];
        assert!(check((1, 10), &lost).is_err());
        let doubled = [
            at(0, 1, wrote(1, 2, 20)),
            at(2, 3, wrote(2, 3, 30)),
            at(4, 5, Op::Read(4, 20)),
        ];
        assert!(check((1, 10), &doubled).is_err());
    }

    #[test]
    fn an_unknown_write_may_happen_late_or_never() {
        let late = [
            at(
                0,
                1,
                Op::Unknown {
                    expected: 1,
                    value: 20,
                },
            ),
            at(2, 3, Op::Read(1, 10)),
            at(4, 5, Op::Read(2, 20)),
            at(
                6,
                7,
                Op::Refused {
                    expected: 1,
                    actual: 2,
                },
            ),
        ];
        assert_eq!(check((1, 10), &late), Ok(()));
        assert_eq!(check((1, 10), &late[..2]), Ok(()));
        let undone = [late[0], late[2], at(6, 7, Op::Read(1, 10))];
        assert!(check((1, 10), &undone).is_err());
    }

    /// Many clients at once, many of them never answered: the search must not try every subset of them.
    #[test]
    fn a_stale_read_after_many_unknown_writes_is_caught() {
        let mut history = vec![];
        for round in 0..300_u64 {
            let (begin, end) = (round * 100, round * 100 + 90);
            let (version, value) = (round + 1, 10 * (round + 1));
            history.push(at(begin, end, wrote(version, version + 1, value + 10)));
            for client in 0..6 {
                let op = match client % 3 {
                    0 => Op::Unknown {
                        expected: version,
                        value: 1_000_000 + round * 10 + client,
                    },
                    1 => Op::Read(version, value),
                    _ => Op::Read(version + 1, value + 10),
                };
                history.push(at(begin + client, end, op));
            }
        }
        assert_eq!(check((1, 10), &history), Ok(()));
        history.push(at(50_000, 50_001, Op::Read(1, 10)));
        assert!(check((1, 10), &history).is_err());
    }

    #[test]
    fn a_version_named_by_a_refusal_may_be_that_of_an_unknown_write() {
        let unknown = Op::Unknown {
            expected: 1,
            value: 20,
        };
        let refused = Op::Refused {
            expected: 1,
            actual: 2,
        };
        let history = [
            at(0, 1, unknown),
            at(2, 3, refused),
            at(4, 5, wrote(2, 3, 30)),
            at(6, 7, Op::Read(3, 30)),
        ];
        assert_eq!(check((1, 10), &history), Ok(()));
        assert!(check((1, 10), &history[1..]).is_err());
    }

    #[test]
    fn a_refusal_must_tell_the_version_of_the_moment() {
        let history = [
            at(0, 1, wrote(1, 2, 20)),
            at(
                2,
                3,
                Op::Refused {
                    expected: 5,
                    actual: 1,
                },
            ),
        ];
        assert!(check((1, 10), &history).is_err());
    }
}
