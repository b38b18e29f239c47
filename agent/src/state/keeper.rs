//! Writes what is to be kept on a thread of its own: a disk that hangs must not keep the agent from
//! fencing.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tenure_core::agent::Kept;
use tokio::sync::watch;

use super::StateError;

/// How long to wait before a write that failed is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Writes a record, such that a later process finds it.
pub(crate) trait Write: FnMut(&Kept) -> Result<(), StateError> + Send + 'static {}

impl<F: FnMut(&Kept) -> Result<(), StateError> + Send + 'static> Write for F {}

/// Where records are handed over.
#[derive(Debug)]
pub(crate) struct Keeper {
    desk: Arc<Desk>,
    progress: watch::Receiver<u64>,
    handed: u64,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Desk {
    tray: Mutex<Tray>,
    /// Something was put into the tray.
    put: Condvar,
    /// Something in it was done.
    done: Condvar,
}

#[derive(Debug, Default)]
struct Tray {
    /// The latest record, when it is not written yet. It says all that an earlier one did.
    wanted: Option<(u64, Kept)>,
    written: u64,
    trouble: Option<String>,
    closed: bool,
}

impl Desk {
    fn tray(&self) -> MutexGuard<'_, Tray> {
        self.tray.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper {
    /// Starts the thread, which writes by this function.
    ///
    /// # Errors
    /// What the system says when it gives no thread.
    pub(crate) fn start(write: impl Write) -> io::Result<Self> {
        let desk = Arc::new(Desk {
            tray: Mutex::default(),
            put: Condvar::new(),
            done: Condvar::new(),
        });
        let (tell, progress) = watch::channel(0);
        let its_desk = desk.clone();
        let thread = std::thread::Builder::new()
            .name("tenure-keeper".to_owned())
            .spawn(move || work(write, &its_desk, &tell))?;
        Ok(Self {
            desk,
            progress,
            handed: 0,
            thread: Some(thread),
        })
    }

    /// Hands a record over, which takes the place of one that is not written yet. Gives its number.
    pub(crate) fn keep(&mut self, kept: Kept) -> u64 {
        self.handed += 1;
        self.desk.tray().wanted = Some((self.handed, kept));
        self.desk.put.notify_one();
        self.handed
    }

    /// Whether the record of that number, or a later one, is written; waits for it for at most so long.
    pub(crate) fn is_kept(&self, number: u64, within: Duration) -> bool {
        let tray = self.desk.tray();
        let open = |tray: &mut Tray| tray.written < number && tray.trouble.is_none();
        let waited = self.desk.done.wait_timeout_while(tray, within, open);
        let (tray, _) = waited.unwrap_or_else(PoisonError::into_inner);
        tray.written >= number
    }

    /// Waits until something more is written. May be cancelled and called again.
    pub(crate) async fn progress(&mut self) {
        if self.progress.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Why the latest write failed; None when it did not.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.desk.tray().trouble.clone()
    }
}

impl Drop for Keeper {
    /// What was handed over is still written, unless the disk hangs: then it is nobody's to wait for.
    fn drop(&mut self) {
        self.desk.tray().closed = true;
        self.desk.put.notify_one();
        let settled = self.is_kept(self.handed, AGAIN_AFTER);
        if settled && let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn work(mut write: impl Write, desk: &Desk, tell: &watch::Sender<u64>) {
    while let Some((number, kept)) = next(desk) {
        let written = write(&kept);
        let mut tray = desk.tray();
        match written {
            Ok(()) => {
                if tray.trouble.take().is_some() {
                    tracing::info!("what the agent has promised can be kept again");
                }
                tray.written = number;
                drop(tray);
                tell.send_replace(number);
                desk.done.notify_all();
            }
            Err(why) => {
                let why = why.to_string();
                if tray.trouble.as_ref() != Some(&why) {
                    tracing::error!(%why, "what the agent has promised cannot be kept: it promises nothing more");
                }
                tray.trouble = Some(why);
                tray.wanted.get_or_insert((number, kept));
                desk.done.notify_all();
                if tray.closed {
                    return;
                }
                drop(tray);
                std::thread::sleep(AGAIN_AFTER);
            }
        }
    }
}

/// The next record to write; None when there will be none.
fn next(desk: &Desk) -> Option<(u64, Kept)> {
    let tray = desk.tray();
    let idle = |tray: &mut Tray| tray.wanted.is_none() && !tray.closed;
    let tray = desk.put.wait_while(tray, idle);
    tray.unwrap_or_else(PoisonError::into_inner).wanted.take()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Folder, KeptFile};
    use tenure_core::agent::KeptService;
    use tenure_core::{Epoch, NodeId, ServiceName};

    fn kept(epoch: u64) -> Kept {
        let service = KeptService {
            epoch: Epoch(epoch),
            ..KeptService::default()
        };
        Kept {
            services: [(ServiceName::new("a").unwrap(), service)].into(),
            ..Kept::default()
        }
    }

    fn keeper(mut file: KeptFile) -> Keeper {
        Keeper::start(move |kept: &Kept| file.write(kept)).unwrap()
    }

    #[tokio::test]
    async fn what_was_handed_over_last_is_written() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let open = || KeptFile::open(&folder, "boot", NodeId(1), 1).unwrap();
        let mut keeper = keeper(open().0);
        let bound = Duration::from_secs(30);
        for epoch in 1..=100 {
            let number = keeper.keep(kept(epoch));
            if epoch % 10 == 0 {
                assert!(keeper.is_kept(number, bound));
                assert_eq!(open().1, Some(kept(epoch)));
            }
        }
        tokio::time::timeout(bound, keeper.progress())
            .await
            .unwrap();
        let last = keeper.keep(kept(101));
        drop(keeper);
        assert!(last > 100);
        assert_eq!(open().1, Some(kept(101)), "also when it was the last");
    }

    #[test]
    fn a_write_that_fails_is_told_and_tried_again() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let (file, _) = KeptFile::open(&folder, "boot", NodeId(1), 1).unwrap();
        let mut keeper = keeper(file);
        let huge = (0..400).map(|at| {
            let name = format!("{}-{at:03}", "n".repeat(59));
            (ServiceName::new(&name).unwrap(), KeptService::default())
        });
        let huge = Kept {
            services: huge.collect(),
            ..Kept::default()
        };
        let number = keeper.keep(huge);
        assert!(!keeper.is_kept(number, Duration::from_secs(30)));
        assert!(keeper.trouble().unwrap().contains("its place"));
        let number = keeper.keep(kept(2));
        let bound = std::time::Instant::now() + Duration::from_secs(30);
        while !keeper.is_kept(number, Duration::from_millis(1)) {
            assert!(std::time::Instant::now() < bound, "never written");
        }
        assert_eq!(keeper.trouble(), None);
    }
}
