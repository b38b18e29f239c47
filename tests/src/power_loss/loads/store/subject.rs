//! What must be in a store after a power cut.

use std::{io, path::Path};

use openraft::storage::{RaftLogStorage, RaftSnapshotBuilder, RaftStateMachine};
use tenure_core::State;
use tenure_storage::{image::Probe, store::Store as RealStore};

use super::{
    plan::{self, Call, Plan},
    run,
};
use crate::power_loss::{
    image::Image,
    loads::log::{
        contents::Contents,
        store::{self, runtime},
        subject::{self, following},
    },
    marks::Progress,
    sweep::Subject,
};

/// A store whose user made the calls of a plan.
#[derive(Debug)]
pub struct Store {
    /// The state that each entry leads to.
    digests: Vec<u64>,
    /// After each step: what is in the log, as a fingerprint, and the entry that the image stands at.
    steps: Vec<(u64, Option<u64>)>,
    probe: Probe,
}

/// What was found in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is in the log.
    pub log: subject::Found,
    /// The entry that the image stands at.
    pub image: Option<u64>,
    /// The state that the image holds, as a digest.
    pub loaded: u64,
    /// The state after the entries in the log, as a digest.
    pub replayed: u64,
    /// The image was damaged and began anew.
    pub rebuilt: bool,
}

impl Found {
    fn last(&self) -> Option<u64> {
        let contents = &self.log.contents;
        let last = contents.entries.back().map(|entry| entry.index);
        last.or(contents.purged.map(|id| id.index)).max(self.image)
    }
}

impl Store {
    /// The store of a user who makes the calls of `plan`, opened with `probe`.
    #[must_use]
    pub fn new(plan: &Plan, probe: Probe) -> Self {
        let mut log = Contents::default();
        let (mut applied, mut last, mut image) = (None, None, None);
        let mut steps = vec![(log.fingerprint(), None)];
        for call in &plan.calls {
            match call {
                Call::Log(call) => {
                    log.make(call, |log| steps.push((log.fingerprint(), image)));
                    last = log.entries.back().map(|entry| entry.index).or(last);
                }
                Call::Apply => applied = last,
                Call::Reopen => applied = image,
                Call::Checkpoint => image = applied,
                Call::Install(entries) => {
                    last = entries.last().map(|entry| entry.log_id.index);
                    (applied, image) = (last, last);
                }
            }
            if matches!(call, Call::Checkpoint | Call::Install(_)) {
                steps.push((log.fingerprint(), image));
            }
        }
        Self {
            digests: plan.digests.clone(),
            steps,
            probe,
        }
    }

    fn opened<T>(
        &self,
        folder: &Path,
        work: impl AsyncFnOnce(&mut RealStore) -> io::Result<T>,
    ) -> Result<T, String> {
        runtime().block_on(async {
            let mut store =
                run::open(folder, self.probe.clone()).map_err(|error| error.to_string())?;
            work(&mut store)
                .await
                .map_err(|error| format!("after opening: {error}"))
        })
    }

    /// The digest of the state that the entry `index` leads to.
    fn digest(&self, index: Option<u64>) -> Option<u64> {
        match index {
            None => Some(plan::digest(&State::default())),
            Some(index) => self.digests.get(usize::try_from(index).ok()?).copied(),
        }
    }
}

async fn read(store: &mut RealStore) -> io::Result<Found> {
    let (log, entries) = store::read(&mut store.log).await?;
    let (applied, _) = store.machine.applied_state().await?;
    let loaded = store.reader.digest().digest.value();
    let rest = entries
        .into_iter()
        .filter(|entry| Some(entry.log_id) > applied)
        .collect();
    run::apply(&mut store.machine, rest).await?;
    let replayed = store.reader.digest().digest.value();
    let rebuilt = store.set_aside.is_some();
    Ok(Found {
        log,
        image: applied.map(|id| id.index),
        loaded,
        replayed,
        rebuilt,
    })
}

impl Subject for Store {
    type State = Found;

    fn open(&self, folder: &Path) -> Result<Found, String> {
        self.opened(folder, read)
    }

    fn judge(&self, found: &Found, progress: Progress) -> Result<(), String> {
        let place = |step: u64| usize::try_from(step).expect("a plan is short");
        let possible = &self.steps[place(progress.acknowledged)..=place(progress.begun)];
        let log = found.log.contents.fingerprint();
        if !possible.iter().any(|(possible, _)| *possible == log) {
            return Err(format!(
                "the log has {}, which it never had since then",
                found.log.contents
            ));
        }
        if !possible
            .iter()
            .any(|(_, possible)| *possible == found.image)
        {
            let possible: Vec<_> = possible.iter().map(|(_, image)| image).collect();
            return Err(format!(
                "the image stands at {:?}, possible were {possible:?}",
                found.image
            ));
        }
        // While no checkpoint was made there is nothing in the image, and making it anew loses nothing.
        if found.rebuilt && !possible.iter().any(|(_, image)| image.is_none()) {
            return Err("the image was found damaged and rebuilt".to_owned());
        }
        self.is_right(found)
    }

    fn go_on(&self, folder: &Path, found: &Found) -> Result<(), String> {
        let entries = following(&found.log.contents, found.image);
        let last = entries.last().map(|entry| entry.log_id.index);
        self.opened(folder, async |store| {
            read(store).await?;
            let (applied, _) = store.machine.applied_state().await?;
            let last = store.log.get_log_state().await?.last_log_id;
            if let Some(applied) = applied.filter(|applied| last < Some(*applied)) {
                // The cut came between a snapshot and the purge of what it replaces: consensus makes up for it.
                store.log.purge(applied).await?;
            }
            store::append(&mut store.log, entries.clone()).await?;
            run::apply(&mut store.machine, entries.clone()).await?;
            store
                .machine
                .get_snapshot_builder()
                .await
                .build_snapshot()
                .await
                .map(drop)
        })?;
        let again = self.open(folder)?;
        if again.image != last || again.loaded != found.replayed || again.rebuilt {
            let (found, again) = (found.image, again.image);
            return Err(format!(
                "from {found:?} it went on to a checkpoint at {last:?}, and then stood at {again:?}"
            ));
        }
        Ok(())
    }

    /// Not counted is what the database changes in its files while it is tried, and the seal that the log, which was
    /// opened first and was whole, got when it was closed.
    fn altered(&self, before: &Image, after: &Image) -> Option<String> {
        let counted = |path: &Path| {
            let of_database = ["image/db", "image/blobs"]
                .iter()
                .any(|own| path.starts_with(own));
            let table = path.to_string_lossy().starts_with("image/snap.");
            !of_database && !table && !path.starts_with("log")
        };
        let rest = |folder: &Image| {
            let paths = folder.0.iter().filter(|(path, _)| counted(path));
            Image(
                paths
                    .map(|(path, pages)| (path.clone(), pages.clone()))
                    .collect(),
            )
        };
        rest(before).difference(&rest(after))
    }

    /// A process that is being started holds the locks of all that is open here until it is another program.
    fn at_once(&self) -> usize {
        match self.probe {
            Probe::Command { .. } => 1,
            Probe::None => 2,
        }
    }

    fn mended(&self, intact: &Found, found: &Found) -> bool {
        found.log == intact.log && self.is_right(found).is_ok()
    }
}

impl Store {
    /// Whether the state that was found is the one that its entries lead to.
    ///
    /// # Errors
    /// With what is different.
    pub fn is_right(&self, found: &Found) -> Result<(), String> {
        let (image, last) = (found.image, found.last());
        if self.digest(image) != Some(found.loaded) {
            return Err(format!(
                "the image says that it stands at {image:?}, but holds another state"
            ));
        }
        match self.digest(last) == Some(found.replayed) {
            true => Ok(()),
            false => Err(format!(
                "the log up to {last:?} leads to another state than it should"
            )),
        }
    }
}
