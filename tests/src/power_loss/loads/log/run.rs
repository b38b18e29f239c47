//! Makes the calls of a plan on a real store.

use std::{collections::VecDeque, io, path::Path, sync::Arc};

use openraft::{
    storage::{IOFlushed, RaftLogStorage},
    type_config::{TypeConfigExt, alias::OneshotReceiverOf},
};
use tenure_storage::types::{Entry, TypeConfig};

use super::{
    lying::{Lie, LyingDisk},
    plan::Call,
    store::Store,
};
use crate::power_loss::marks::{Mark, Marks};

/// Makes `calls` on the store in `folder`, on a disk that tells `lie`, and says in `marks` how far it got.
///
/// # Errors
/// With the first error of the store.
pub async fn run(folder: &Path, marks: &Path, lie: Lie, calls: &[Call]) -> io::Result<()> {
    let mut user = User {
        marks: Marks::open(marks)?,
        begun: 0,
        waiting: VecDeque::new(),
    };
    let open = || Store::open_on(Arc::new(LyingDisk(lie)), folder).map_err(io::Error::other);
    let mut store = open()?;
    for call in calls {
        user.say_begun(call)?;
        match call {
            Call::Append(entries) => user.append(&mut store, entries).await?,
            Call::Vote(vote) => {
                store.log.save_vote(vote).await?;
                // Appends were asked for before the vote: they are known to be durable first.
                user.wait().await?;
                user.say_acknowledged()?;
            }
            // These promise nothing by themselves, and are durable before anything that comes after them.
            Call::TruncateAfter(last) => store.log.truncate_after(*last).await?,
            Call::Purge(last) => store.log.purge(*last).await?,
            Call::Committed(last) => store.log.save_committed(Some(*last)).await?,
            Call::Wait => user.wait().await?,
            Call::Reopen => {
                user.wait().await?;
                // The old one holds the lock of the folder until it is closed.
                drop(store);
                store = open()?;
            }
        }
    }
    user.wait().await
}

/// The user of a store, who remembers what was promised.
struct User {
    marks: Marks,
    begun: u64,
    /// Appends that are not known to be durable, with the last step of each.
    waiting: VecDeque<(u64, OneshotReceiverOf<TypeConfig, io::Result<()>>)>,
}

impl User {
    fn say_begun(&mut self, call: &Call) -> io::Result<()> {
        self.begun += call.steps();
        self.marks.say(Mark::Begun(self.begun))
    }

    fn say_acknowledged(&mut self) -> io::Result<()> {
        self.marks.say(Mark::Acknowledged(self.begun))
    }

    async fn append(&mut self, store: &mut Store, entries: &[Entry]) -> io::Result<()> {
        let (tell, told) = TypeConfig::oneshot();
        self.waiting.push_back((self.begun, told));
        let entries = entries.to_vec();
        RaftLogStorage::<TypeConfig>::append(&mut store.log, entries, IOFlushed::signal(tell)).await
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
