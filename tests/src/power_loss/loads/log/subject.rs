//! What must be in a log after a power cut.

use std::{io, path::Path};

use openraft::entry::RaftEntry;
use tenure_storage::types::{Entry, EntryPayload, LogId, log_id};

use super::{
    contents::{Contents, Held},
    plan::Call,
    store::{self, Store},
};
use crate::power_loss::{marks::Progress, sweep::Subject};

/// A log whose user made the calls of a plan.
#[derive(Debug)]
pub struct Log {
    calls: Vec<Call>,
    /// What is in the log after each step, as a fingerprint; the first is that of an empty log.
    steps: Vec<u64>,
    /// The positions that were saved as committed, with the step of each.
    committed: Vec<(u64, LogId)>,
}

/// What was found in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it promises to keep.
    pub contents: Contents,
    /// How far it knows the cluster to have committed: it may have forgotten the latest of it.
    pub committed: Option<LogId>,
}

impl Log {
    /// The log of a user who makes `calls`.
    #[must_use]
    pub fn new(calls: Vec<Call>) -> Self {
        let mut contents = Contents::default();
        let mut steps = vec![contents.fingerprint()];
        let mut committed = Vec::new();
        for call in &calls {
            contents.make(call, |contents| steps.push(contents.fingerprint()));
            if let Call::Committed(id) = call {
                committed.push((steps.len() as u64 - 1, *id));
            }
        }
        Self {
            calls,
            steps,
            committed,
        }
    }

    /// What is in the log after `step`, for people.
    fn after(&self, step: u64) -> Contents {
        let (mut contents, mut left, mut wanted) = (Contents::default(), step, Contents::default());
        for call in &self.calls {
            contents.make(call, |contents| {
                if left == 1 {
                    wanted = contents.clone();
                }
                left = left.saturating_sub(1);
            });
        }
        wanted
    }

    fn opened<T>(
        &self,
        folder: &Path,
        work: impl AsyncFnOnce(&mut Store) -> io::Result<T>,
    ) -> Result<T, String> {
        store::runtime().block_on(async {
            let mut store = Store::open(folder).map_err(|error| error.to_string())?;
            work(&mut store)
                .await
                .map_err(|error| format!("after opening: {error}"))
        })
    }
}

impl Subject for Log {
    type State = Found;

    fn open(&self, folder: &Path) -> Result<Found, String> {
        self.opened(folder, async |store| {
            Ok(store::read(&mut store.log).await?.0)
        })
    }

    fn judge(&self, found: &Found, progress: Progress) -> Result<(), String> {
        let fingerprint = found.contents.fingerprint();
        let possible = progress.acknowledged..=progress.begun;
        let expected =
            |step: &u64| usize::try_from(*step).is_ok_and(|step| self.steps[step] == fingerprint);
        if !possible.clone().any(|step| expected(&step)) {
            let (last_promised, last_asked) = (
                self.after(progress.acknowledged),
                self.after(progress.begun),
            );
            let Found {
                contents,
                committed: _,
            } = found;
            return Err(format!(
                "found {contents}; acknowledged was {last_promised}; asked for was {last_asked}"
            ));
        }
        let saved = self
            .committed
            .iter()
            .filter(|(step, _)| *step <= progress.begun)
            .map(|(_, id)| *id);
        match found.committed {
            Some(committed) if !saved.clone().any(|id| id == committed) => Err(format!(
                "found {committed} as committed, which nobody had saved"
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn go_on(&self, folder: &Path, found: &Found) -> Result<(), String> {
        let entries = following(&found.contents, None);
        self.opened(folder, async |store| {
            store::append(&mut store.log, entries.clone()).await
        })?;
        let mut expected = found.clone();
        expected
            .contents
            .entries
            .extend(entries.iter().map(Held::new));
        let again = self.open(folder)?;
        match again == expected {
            true => Ok(()),
            false => {
                let (again, expected) = (again.contents, expected.contents);
                Err(format!(
                    "opened once more after two appends it has {again} instead of {expected}"
                ))
            }
        }
    }
}

/// Two entries that a leader would add to a log with these contents whose server has applied `applied`.
#[must_use]
pub fn following(contents: &Contents, applied: Option<u64>) -> Vec<Entry> {
    let last = contents.entries.back().map(|entry| entry.index);
    let last = last.max(contents.purged.map(|id| id.index)).max(applied);
    let next = last.map_or(0, |last| last + 1);
    let term = contents.vote.map_or(1, |vote| vote.leader_id.term);
    (next..next + 2)
        .map(|index| Entry::new(log_id(term, index), EntryPayload::Blank))
        .collect()
}
