//! Makes the calls of a plan on a real log.

use std::{collections::VecDeque, io, path::Path, sync::Arc};

use openraft::{
    storage::{IOFlushed, RaftLogStorage},
    type_config::{TypeConfigExt, alias::OneshotReceiverOf},
};
use tenure_storage::{
    log_store::LogStore,
    types::{Entry, TypeConfig},
};

use super::{
    lying::{Lie, LyingDisk},
    plan::Call,
    store::Store,
};
use crate::power_loss::marks::{Mark, Marks};

/// Makes `calls` on the log in `folder`, on a disk that tells `lie`, and says in `marks` how far it got.
///
/// # Errors
/// With the first error of the store.
pub async fn run(folder: &Path, marks: &Path, lie: Lie, calls: &[Call]) -> io::Result<()> {
    let open = || Store::open_on(Arc::new(LyingDisk(lie)), folder).map_err(io::Error::other);
    let mut user = User::new(marks)?;
    let mut store = open()?;
    for call in calls {
        user.make(&mut store.log, call).await?;
        if matches!(call, Call::Reopen) {
            // The old one holds the lock of the folder until it is closed.
            drop(store);
            store = open()?;
        }
    }
    user.wait().await
}

/// The user of a log, who remembers what was promised.
#[derive(Debug)]
pub struct User {
    marks: Marks,
    begun: u64,
    /// Appends that are not known to be durable, with the last step of each.
    waiting: VecDeque<(u64, OneshotReceiverOf<TypeConfig, io::Result<()>>)>,
}

impl User {
    /// A user who says in the file `marks` how far it got.
    ///
    /// # Errors
    /// When that file cannot be opened.
    pub fn new(marks: &Path) -> io::Result<Self> {
        Ok(Self {
            marks: Marks::open(marks)?,
            begun: 0,
            waiting: VecDeque::new(),
        })
    }

    /// Makes one call, all but the closing and opening of a [`Call::Reopen`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn make(&mut self, log: &mut LogStore, call: &Call) -> io::Result<()> {
        self.begin(call.steps())?;
        match call {
            Call::Append(entries) => self.append(log, entries).await,
            Call::Vote(vote) => {
                log.save_vote(vote).await?;
                // Appends were asked for before the vote: they are known to be durable first.
                self.wait().await?;
                self.acknowledge()
            }
            // These promise nothing by themselves, and are durable before anything that comes after them.
            Call::TruncateAfter(last) => log.truncate_after(*last).await,
            Call::Purge(last) => log.purge(*last).await,
            Call::Committed(last) => log.save_committed(Some(*last)).await,
            Call::Wait | Call::Reopen => self.wait().await,
        }
    }

    /// Says that the next `steps` steps are about to be asked for.
    ///
    /// # Errors
    /// When it cannot be said.
    pub fn begin(&mut self, steps: u64) -> io::Result<()> {
        self.begun += steps;
        self.marks.say(Mark::Begun(self.begun))
    }

    /// Says that every step so far was acknowledged.
    ///
    /// # Errors
    /// When it cannot be said.
    pub fn acknowledge(&mut self) -> io::Result<()> {
        self.marks.say(Mark::Acknowledged(self.begun))
    }

    async fn append(&mut self, log: &mut LogStore, entries: &[Entry]) -> io::Result<()> {
        let (tell, told) = TypeConfig::oneshot();
        self.waiting.push_back((self.begun, told));
        log.append(entries.to_vec(), IOFlushed::signal(tell)).await
    }

    /// Waits for every append, and says so for each.
    async fn wait(&mut self) -> io::Result<()> {
        while let Some((step, told)) = self.waiting.pop_front() {
            told.await.map_err(|_| {
                io::Error::other(format!("the store forgot the append of step {step}"))
            })??;
            self.marks.say(Mark::Acknowledged(step))?;
        }
        Ok(())
    }
}
