//! A random walk over commands, fresh and stale, valid and not, with retries and batches. After every
//! entry all invariants are checked, and a second state, the rows that a disk would hold and a state
//! built from them are compared with it.

pub mod claims;
mod copies;
mod counts;
mod decisions;
pub mod dice;
mod generate;
mod wish;

use crate::fixture::*;
use counts::Counts;
use dice::Dice;
use generate::Generator;
use std::collections::BTreeMap;
use tenure_core::{
    Applied, ClientId, Command, Key, Outcome, Record, RejectCode, RequestId, State, invariants,
    limits::CLIENT_WINDOW_MAX, topology,
};

/// Entries per seed: removed nodes stay known, so a longer walk only grows slower.
const STEPS_PER_SEED: u64 = 1_500;
const STEPS: u64 = 8 * STEPS_PER_SEED;

struct Walk {
    dice: Dice,
    state: State,
    mirror: State,
    /// What the disk holds: kept up by events and hidden keys alone.
    rows: BTreeMap<Key, Record>,
    made: Vec<(RequestId, Command, Outcome)>,
    sequences: BTreeMap<ClientId, u64>,
    label: String,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let state = State::default();
        Self {
            dice: Dice::new(seed),
            mirror: state.clone(),
            rows: state
                .records()
                .map(|record| (record.key(), record))
                .collect(),
            state,
            made: Vec::new(),
            sequences: BTreeMap::new(),
            label: String::new(),
        }
    }

    fn apply(
        &mut self,
        request: Option<RequestId>,
        command: Command,
        counts: &mut Counts,
    ) -> Outcome {
        let before = self.state.clone();
        let envelope = envelope(request, command);
        let index = self.state.applied().next();
        let applied = self.state.apply(index, &envelope);
        let label = format!("{}: {envelope:?}", self.label);
        let lossy = envelope.command.may_lose_copies();
        let mut broken = invariants::check_step(&before, &self.state, &applied);
        broken.extend(invariants::check_copies_step(&before, &self.state, lossy));
        assert!(broken.is_empty(), "{label}: {broken:?}");
        claims::check(&before, &self.state, &envelope, &applied, &label);
        assert_eq!(self.mirror.apply(index, &envelope), applied, "{label}");
        self.write(&applied);
        let rows = self.state.records().map(|record| (record.key(), record));
        assert!(self.rows == rows.collect(), "{label}: the rows differ");
        if index.0.is_multiple_of(16) {
            self.compare(&label);
        }
        counts.see(&envelope.command, &before, &self.state, &applied);
        applied.outcome
    }

    fn write(&mut self, applied: &Applied) {
        for event in &applied.events {
            match &event.after {
                Some(record) => drop(self.rows.insert(event.key.clone(), record.clone())),
                None => drop(self.rows.remove(&event.key)),
            }
        }
        for key in &applied.hidden {
            match self.state.get(key) {
                Some(record) => drop(self.rows.insert(key.clone(), record)),
                None => drop(self.rows.remove(key)),
            }
        }
    }

    /// The state that the same entries gave, and the one that the rows give.
    fn compare(&mut self, label: &str) {
        assert_eq!(self.mirror, self.state, "{label}: not deterministic");
        let mut rebuilt = State::default();
        self.rows.values().for_each(|row| rebuilt.put(row.clone()));
        rebuilt.resume_at(self.state.applied(), self.state.revision());
        assert_eq!(rebuilt, self.state, "{label}: not what the rows say");
        // Go on with the rebuilt one: a server that was restarted must not differ later either.
        self.mirror = rebuilt;
    }

    fn command(&mut self) -> Command {
        let state = &self.state;
        let dice = &mut self.dice;
        Generator { dice, state }.command()
    }

    fn step(&mut self, counts: &mut Counts) {
        match self.dice.below(100) {
            0..65 => {
                let command = self.command();
                let _ = self.apply(None, command, counts);
            }
            65..80 => self.request(counts),
            80..88 => self.retry(counts),
            88..94 => {
                let _ = self.apply(None, Command::OpenClient, counts);
            }
            94..96 => self.odd_request(counts),
            96 => self.plan(counts),
            _ => {
                let index = self.state.applied().next();
                self.state.skip(index);
                self.mirror.skip(index);
            }
        }
    }

    fn request(&mut self, counts: &mut Counts) {
        let Some(client) = self.dice.pick(self.state.clients().keys().copied()) else {
            return;
        };
        let last = self.sequences.entry(client).or_default();
        *last += 1;
        let sequence = *last;
        let first_incomplete = sequence - self.dice.below(sequence.min(4));
        let id = RequestId {
            client,
            sequence,
            first_incomplete,
        };
        let command = self.command();
        let outcome = self.apply(Some(id), command.clone(), counts);
        self.made.push((id, command, outcome));
    }

    /// The same request again, sooner or later: the same answer, or the reason why there is none.
    fn retry(&mut self, counts: &mut Counts) {
        let latest = self.made.len().saturating_sub(30);
        let recent = self.made[latest..].iter().cloned();
        let Some((id, command, first)) = self.dice.pick(recent) else {
            return;
        };
        let known = self.state.clients().get(&id.client).cloned();
        let revision = self.state.revision();
        let again = self.apply(Some(id), command, counts);
        assert_eq!(self.state.revision(), revision, "{}", self.label);
        let code = match &again {
            Outcome::Rejected(reject) => Some(reject.code),
            Outcome::Done(_) | Outcome::Answered { .. } => None,
        };
        match known {
            None => assert_eq!(code, Some(RejectCode::UnknownClient), "{}", self.label),
            Some(known) if id.sequence < known.first_incomplete => {
                assert_eq!(code, Some(RejectCode::RequestSettled), "{}", self.label);
            }
            Some(_) => {
                assert_eq!(again, first, "{}", self.label);
                counts.add("a retry answered");
            }
        }
    }

    /// A client that settles nothing, until its window is full.
    fn hoard(&mut self, counts: &mut Counts) {
        let _ = self.apply(None, Command::OpenClient, counts);
        let client = ClientId(self.state.applied().0);
        let over = CLIENT_WINDOW_MAX as u64;
        for sequence in 1..=over {
            let id = RequestId {
                client,
                sequence,
                first_incomplete: 1,
            };
            let outcome = self.apply(Some(id), join(0, 0), counts);
            let code = outcome.into_result().map_err(|reject| reject.code);
            let full = sequence == over;
            let wanted = if full {
                RejectCode::RequestWindowFull
            } else {
                RejectCode::NotFound
            };
            assert_eq!(code, Err(wanted), "{}", self.label);
        }
    }

    fn odd_request(&mut self, counts: &mut Counts) {
        let known = self.dice.pick(self.state.clients().keys().copied());
        let odd = self.dice.percent(50);
        let client = known.filter(|_| odd).unwrap_or(ClientId(u64::MAX));
        let sequence = u64::MAX - 1;
        let id = RequestId {
            client,
            sequence,
            first_incomplete: u64::MAX,
        };
        let outcome = self.apply(Some(id), add_node("odd"), counts);
        assert!(outcome.into_result().is_err(), "{}", self.label);
    }

    /// Plans to a random topology on a copy: every step is accepted, and then nothing is left.
    fn plan(&mut self, counts: &mut Counts) {
        let wanted = wish::topology(&mut self.dice);
        let remove = self.dice.percent(50);
        let first = topology::plan(&self.state, &wanted, remove);
        let mut copy = World {
            state: self.state.clone(),
        };
        for step in first.steps {
            let outcome = copy.apply(step.command).outcome;
            let result = outcome.into_result();
            assert!(result.is_ok(), "{}: {}: {result:?}", self.label, step.what);
        }
        let second = topology::plan(&copy.state, &wanted, remove);
        assert_eq!(second.steps, [], "{}", self.label);
        assert_eq!(second.holds, first.holds, "{}", self.label);
        counts.add("a plan carried out");
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(error) => panic!("{name} ({text:?}) must be a number: {error}"),
    }
}

#[test]
fn random_commands_break_nothing() {
    let steps = number("TENURE_WALK_STEPS").unwrap_or(STEPS);
    let first = number("TENURE_WALK_SEED").unwrap_or(1);
    let mut counts = Counts::default();
    for seed in first..first + steps.div_ceil(STEPS_PER_SEED) {
        let mut walk = Walk::new(seed);
        for step in 0..STEPS_PER_SEED {
            walk.label = format!("TENURE_WALK_SEED={seed}, step {step}");
            if step == STEPS_PER_SEED / 8 {
                let rise = Command::RaiseFeatureLevel { from: 1, to: 2 };
                let _ = walk.apply(None, rise, &mut counts);
            }
            if step == STEPS_PER_SEED / 2 {
                walk.hoard(&mut counts);
            }
            walk.step(&mut counts);
        }
        walk.compare(&format!("TENURE_WALK_SEED={seed}, at its end"));
    }
    counts.print();
    if steps >= STEPS {
        counts.demand();
    }
}
