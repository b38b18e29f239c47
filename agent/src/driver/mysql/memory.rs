//! What must be known of an instance after the agent was restarted: which run of the server was given which
//! role, by which number its data is known, and what these were found to be before they were copied anew.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tenure_core::{Rejoin, ServiceName};

use super::follow::Verdict;

const HEAD: &str = "tenure mysql 1";
/// With one line more: a verdict.
const HEAD_WITH_VERDICT: &str = "tenure mysql 2";

/// The role that the instance was last given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    /// With so many replicas that must have a write before it is acknowledged.
    Primary { acks: u32 },
    /// Its data comes from a primary.
    Replica,
}

impl Given {
    pub(super) fn is_primary(self) -> bool {
        matches!(self, Self::Primary { .. })
    }
}

/// Which run was given which role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Memory {
    /// None while it was given none.
    pub(super) given: Option<Given>,
    /// Which run of the server that was.
    pub(super) run: String,
    /// By which number the core knows what it stores; never 0.
    pub(super) number: u64,
    /// What its data was found to be, to be told when it follows; its text is one line.
    pub(super) verdict: Option<Verdict>,
}

pub(super) fn path(folder: &Path, service: &ServiceName) -> PathBuf {
    folder.join(format!("{service}.mysql"))
}

impl Memory {
    /// What the file says; None when there is none, or it says nothing that can be understood.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let mut lines = text.lines();
        let judged = match lines.next()? {
            HEAD => false,
            HEAD_WITH_VERDICT => true,
            _ => return None,
        };
        let given = match lines.next()?.split_once(' ') {
            None => return None,
            Some(("none", _)) => None,
            Some(("replica", _)) => Some(Given::Replica),
            Some(("primary", acks)) => Some(Given::Primary {
                acks: acks.parse().ok()?,
            }),
            Some(_) => return None,
        };
        let number = lines.next()?.parse().ok().filter(|number| *number > 0)?;
        let run = lines.next()?.to_owned();
        let verdict = match judged {
            true => Some(verdict(lines.next()?)?),
            false => None,
        };
        let memory = Self {
            given,
            run,
            number,
            verdict,
        };
        lines.next().is_none().then_some(memory)
    }

    /// Replaces the file, durably: a machine that fails must not bring back that the instance was only
    /// a replica.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let given = match self.given {
            None => "none 0".to_owned(),
            Some(Given::Replica) => "replica 0".to_owned(),
            Some(Given::Primary { acks }) => format!("primary {acks}"),
        };
        let fresh = path.with_extension("mysql.new");
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut file = File::create(&fresh)?;
        let head = match self.verdict {
            Some(_) => HEAD_WITH_VERDICT,
            None => HEAD,
        };
        write!(file, "{head}\n{given}\n{}\n{}\n", self.number, self.run)?;
        if let Some((rejoin, tail)) = &self.verdict {
            writeln!(file, "{rejoin} {}", tail.replace(['\n', '\r'], " "))?;
        }
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        File::open(folder)?.sync_all()
    }
}

fn verdict(line: &str) -> Option<Verdict> {
    let (word, tail) = line.split_once(' ')?;
    let all = [
        Rejoin::Identical,
        Rejoin::Behind,
        Rejoin::Ahead,
        Rejoin::Diverged,
    ];
    let rejoin = all.into_iter().find(|rejoin| rejoin.to_string() == word)?;
    Some((rejoin, tail.to_owned()))
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
        let path = path(folder.path(), &ServiceName::new("m").unwrap());
        assert_eq!(Memory::read(&path), None);
        let primary = Some(Given::Primary { acks: 2 });
        for given in [None, Some(Given::Replica), primary] {
            for verdict in [None, Some((Rejoin::Diverged, "2 saved to /a b".to_owned()))] {
                let run = "boot 7 42".to_owned();
                let memory = Memory {
                    given,
                    run,
                    number: 9,
                    verdict,
                };
                memory.write(&path).unwrap();
                assert_eq!(Memory::read(&path), Some(memory));
            }
        }
        for rubbish in [
            "",
            "tenure mysql 2\nnone 0\n9\na\n",
            "tenure mysql 2\nnone 0\n9\na\nodd x\n",
            "tenure mysql 1\nnone 0\n9\na\nahead x\n",
            "tenure mysql 3\nnone 0\n9\na\n",
            "tenure mysql 1\nprimary x\n9\na\n",
            "tenure mysql 1\nnone 0\n0\na\n",
        ] {
            std::fs::write(&path, rubbish).unwrap();
            assert_eq!(Memory::read(&path), None, "{rubbish:?}");
        }
    }
}
