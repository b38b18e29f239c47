//! What must be known of an instance after the agent was restarted: which run of the program was given
//! which role. A run that nobody knows is a process that came up in the meantime.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tenure_core::ServiceName;

const HEAD: &str = "tenure redis 1";

/// The role that the instance was last given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    Primary,
    /// Its data comes from a primary.
    Replica,
}

/// Which run was given which role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) given: Given,
    pub(super) run: String,
}

pub(super) fn path(folder: &Path, service: &ServiceName) -> PathBuf {
    folder.join(format!("{service}.redis"))
}

impl Memory {
    /// What the file says; None when there is none, or it says nothing that can be understood.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return None;
        }
        let given = match lines.next()? {
            "primary" => Given::Primary,
            "replica" => Given::Replica,
            _ => return None,
        };
        let run = lines.next()?.to_owned();
        lines.next().is_none().then_some(Self { given, run })
    }

    /// Replaces the file, durably: a machine that fails must not bring back that the instance was only
    /// a replica.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let given = match self.given {
            Given::Primary => "primary",
            Given::Replica => "replica",
        };
        let fresh = path.with_extension("redis.new");
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut file = File::create(&fresh)?;
        write!(file, "{HEAD}\n{given}\n{}\n", self.run)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        File::open(folder)?.sync_all()
    }
}

/// Where it is kept. The disk is never waited for: what a promotion takes is not to depend on it.
#[derive(Debug)]
pub(super) struct Keeper {
    path: PathBuf,
    latest: Option<Memory>,
    unwritten: Arc<Mutex<Option<Memory>>>,
    /// Held while one writes.
    writing: Arc<Mutex<()>>,
}

impl Keeper {
    pub(super) fn new(path: PathBuf) -> Self {
        let latest = Memory::read(&path);
        Self {
            path,
            latest,
            unwritten: Arc::default(),
            writing: Arc::default(),
        }
    }

    pub(super) fn latest(&self) -> Option<&Memory> {
        self.latest.as_ref()
    }

    /// Keeps it, soon. Must be called within a tokio runtime.
    pub(super) fn keep(&mut self, memory: Memory) {
        if self.latest.as_ref() == Some(&memory) {
            return;
        }
        self.latest = Some(memory.clone());
        *lock(&self.unwritten) = Some(memory);
        let (path, unwritten) = (self.path.clone(), Arc::clone(&self.unwritten));
        let writing = Arc::clone(&self.writing);
        let _writes = tokio::task::spawn_blocking(move || {
            // In whatever order these run, the last one to write finds the latest.
            let _alone = lock(&writing);
            let memory = lock(&unwritten).take();
            // Where it cannot be kept, an agent that is started anew knows less, and saves more.
            let _ = memory.map(|memory| memory.write(&path));
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_rubbish_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), &ServiceName::new("r").unwrap());
        assert_eq!(Memory::read(&path), None);
        for given in [Given::Primary, Given::Replica] {
            let run = "abc".to_owned();
            let memory = Memory { given, run };
            memory.write(&path).unwrap();
            assert_eq!(Memory::read(&path), Some(memory));
        }
        for rubbish in [
            "",
            "tenure redis 2\nprimary\nabc\n",
            "tenure redis 1\nx\nabc\n",
        ] {
            std::fs::write(&path, rubbish).unwrap();
            assert_eq!(Memory::read(&path), None, "{rubbish:?}");
        }
    }
}
