//! The whole of what a server keeps: opened together, so that log and image meet.

use std::sync::Arc;

use tenure_core::State;
use thiserror::Error;

use crate::error::OpenError;
use crate::folder::DataFolder;
use crate::image::{self, Image, ImageError, Probe};
use crate::log_store::LogStore;
use crate::snapshot::SnapshotInbox;
use crate::state_machine::{self, Shared, StateMachine};
use crate::state_reader::StateReader;
use crate::types::LogId;
use crate::wal;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// How to try whether the image can be opened, in a process that may die of it.
    pub probe: Probe,
    /// How many events are kept for watchers. An event is one record that changed.
    pub events_max: usize,
    /// Sizes and times of the log.
    pub log: wal::Options,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            probe: Probe::None,
            events_max: 100_000,
            log: wal::Options::default(),
        }
    }
}

/// Why a store was not opened. See the inner errors for what to do; none goes away by itself, save
/// [`OpenError::InUse`].
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// The log was not opened.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The image was not opened, or does not meet the log.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    /// The log and the vote, for openraft.
    pub log: LogStore,
    /// The state machine, for openraft.
    pub machine: StateMachine,
    /// Reads the state.
    pub reader: StateReader,
    /// Takes snapshots from other servers.
    pub inbox: SnapshotInbox,
    /// Makes checkpoints.
    pub checkpoints: Checkpoints,
    /// Where a damaged image was put, when it had to be rebuilt from the log; worth a warning.
    pub set_aside: Option<std::path::PathBuf>,
}

impl Store {
    /// Opens the log and the image of `folder`, and loads the state. Blocks the thread: a second or
    /// more for each million of records.
    ///
    /// A damaged image is renamed to `image.damaged-N` and made anew when the log still has every
    /// entry; the state then follows as entries are applied.
    ///
    /// # Errors
    /// [`StoreError`] says what is wrong and what to do about it.
    pub fn open(folder: &DataFolder, options: StoreOptions) -> Result<Self, StoreError> {
        let log = LogStore::open_with(folder, options.log)?;
        let purged = log.purged();
        let opened = open_image(folder, &options.probe, purged)?;
        check_meets_log(folder, &opened.image, purged)?;
        let image = Arc::new(opened.image);
        let shared = Arc::new(Shared::new(image.clone(), opened.state, options.events_max));
        Ok(Self {
            log,
            machine: StateMachine::new(shared.clone()),
            reader: StateReader::new(shared.clone()),
            inbox: SnapshotInbox::new(&image),
            checkpoints: Checkpoints { shared },
            set_aside: opened.set_aside,
        })
    }
}

/// Makes checkpoints outside of consensus: before a server is stopped, so that it starts faster.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    shared: Arc<Shared>,
}

impl Checkpoints {
    /// Makes the image durable as of what is applied now, and returns that entry. Waits while a
    /// snapshot is being sent. Costs only what changed since the last one.
    ///
    /// # Errors
    /// After any error the image is closed, and the server should be stopped: nothing is lost, for
    /// the log still has every entry since the last good checkpoint.
    pub async fn make(&self) -> Result<Option<LogId>, ImageError> {
        let meta = state_machine::checkpoint(self.shared.clone()).await?;
        Ok(meta.applied)
    }
}

struct Opened {
    image: Image,
    state: State,
    set_aside: Option<std::path::PathBuf>,
}

fn open_image(
    folder: &DataFolder,
    probe: &Probe,
    purged: Option<LogId>,
) -> Result<Opened, ImageError> {
    let dir = folder.image_dir();
    if !dir.is_dir() {
        return rebuild(folder, purged, missing(folder));
    }
    match open_and_load(folder, probe) {
        Ok((image, state)) => Ok(Opened {
            image,
            state,
            set_aside: None,
        }),
        Err(damage) if damage.is_damage() => rebuild(folder, purged, damage),
        Err(error) => Err(error),
    }
}

fn open_and_load(folder: &DataFolder, probe: &Probe) -> Result<(Image, State), ImageError> {
    let image = Image::open(&folder.image_dir(), folder.store_id(), probe)?;
    let state = image.load()?;
    Ok((image, state))
}

fn missing(folder: &DataFolder) -> ImageError {
    ImageError::Damaged {
        path: folder.image_dir(),
        subject: "the folder".to_owned(),
        what: "it is missing".to_owned(),
    }
}

/// Begins with an empty image, when the log can fill it.
fn rebuild(
    folder: &DataFolder,
    purged: Option<LogId>,
    damage: ImageError,
) -> Result<Opened, ImageError> {
    if let Some(purged) = purged {
        return Err(ImageError::CannotRebuild {
            damage: Box::new(damage),
            purged,
        });
    }
    let aside = image::set_aside(&folder.image_dir())?;
    tracing::warn!(%damage, aside = ?aside, "the image is rebuilt from the log");
    let (image, state) = open_and_load(folder, &Probe::None)?;
    Ok(Opened {
        image,
        state,
        set_aside: aside,
    })
}

/// The first entry of the log must follow the last one in the image, or come before it.
fn check_meets_log(
    folder: &DataFolder,
    image: &Image,
    purged: Option<LogId>,
) -> Result<(), ImageError> {
    let applied = image.meta().and_then(|meta| meta.applied);
    match purged {
        Some(purged) if applied.is_none_or(|applied| applied.index < purged.index) => {
            Err(ImageError::BehindLog {
                path: folder.image_dir(),
                applied,
                purged,
            })
        }
        Some(_) | None => Ok(()),
    }
}
