//! Copies the transactions that an instance has beyond a fork out of its binary logs, into a log of their own
//! that the server's tools read: `mariadb-binlog FILE` (`mysqlbinlog FILE`) shows and replays it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::error::DriverError;
use super::dialect::Dialect;
use super::events::{Event, Kind, MAGIC};
use super::gtid::Gtids;

/// What is to be read, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) dialect: Dialect,
    /// The logs, in the order in which they were written.
    pub(super) logs: Vec<PathBuf>,
    /// What is not wanted.
    pub(super) fork: Gtids,
    /// The file; None when it is only to be counted.
    pub(super) to: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tail {
    /// Where it is; None when nothing in it is worth keeping, or when it was only to be counted.
    pub(super) path: Option<PathBuf>,
    pub(super) bytes: u64,
    pub(super) transactions: u64,
    /// How many of them change anything but the agent's own tables.
    pub(super) changes: u64,
}

/// Copies what is wanted. `done` says how many bytes were looked at.
///
/// # Errors
/// [`DriverError`]; what was written so far is overwritten by a retry, which begins anew.
pub(super) fn read(wanted: &Wanted, done: &AtomicU64) -> Result<Tail, DriverError> {
    let mut sink = Sink::new(wanted)?;
    for path in first_needed(wanted)? {
        copy(path, &mut sink, done)
            .map_err(|error| DriverError::file("cannot read the binary log", path, error))?;
    }
    sink.close()
}

/// From the latest log that begins with nothing beyond the fork.
fn first_needed(wanted: &Wanted) -> Result<&[PathBuf], DriverError> {
    for at in (0..wanted.logs.len()).rev() {
        let path = &wanted.logs[at];
        let first = first_transaction(path, wanted.dialect)
            .map_err(|error| DriverError::file("cannot read the binary log", path, error))?;
        if first.is_some_and(|first| wanted.fork.has_all_of(&first)) {
            return Ok(wanted.logs.get(at..).unwrap_or_default());
        }
    }
    Ok(&wanted.logs)
}

fn open(path: &Path) -> io::Result<BufReader<File>> {
    let mut log = BufReader::new(File::open(path)?);
    let mut magic = [0; MAGIC.len()];
    log.read_exact(&mut magic)?;
    if magic != MAGIC {
        let why = "it does not begin as a binary log does; an encrypted one has to be read by hand";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(log)
}

fn first_transaction(path: &Path, dialect: Dialect) -> io::Result<Option<Gtids>> {
    let mut log = open(path)?;
    while let Some(event) = Event::read(&mut log)? {
        match event.kind(dialect) {
            Kind::Begins(gtids) => return Ok(Some(gtids)),
            Kind::Encrypted => return Err(encrypted()),
            Kind::Format | Kind::Within { .. } | Kind::Frame => {}
        }
    }
    Ok(None)
}

fn encrypted() -> io::Error {
    let why = "it is encrypted: save the transactions by hand";
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn copy(path: &Path, sink: &mut Sink<'_>, done: &AtomicU64) -> io::Result<()> {
    let mut log = open(path)?;
    sink.wants = false;
    while let Some(event) = Event::read(&mut log)? {
        let length = u64::try_from(event.bytes.len()).unwrap_or(0);
        done.fetch_add(length, Ordering::Relaxed);
        sink.take(&event)?;
    }
    Ok(())
}

/// Where the tail goes: counted always, and into a file when there is to be one.
struct Sink<'a> {
    wanted: &'a Wanted,
    file: Option<BufWriter<File>>,
    part: PathBuf,
    tail: Tail,
    has_format: bool,
    /// Whether the transaction that is being read is beyond the fork, and was seen to change something.
    wants: bool,
    counted: bool,
}

impl<'a> Sink<'a> {
    fn new(wanted: &'a Wanted) -> Result<Self, DriverError> {
        let mut part = PathBuf::new();
        let mut file = None;
        if let Some(to) = &wanted.to {
            part = to.with_extension("part");
            if let Some(folder) = to.parent() {
                std::fs::create_dir_all(folder)
                    .map_err(|error| DriverError::file("cannot make the folder", folder, error))?;
            }
            let mut options = File::options();
            // What was written to the store is for nobody else to read.
            options.write(true).create(true).truncate(true).mode(0o600);
            let opened = options.open(&part);
            let opened =
                opened.map_err(|error| DriverError::file("cannot create", &part, error))?;
            file = Some(BufWriter::new(opened));
        }
        Ok(Self {
            wanted,
            file,
            part,
            tail: Tail::default(),
            has_format: false,
            wants: false,
            counted: false,
        })
    }

    fn take(&mut self, event: &Event) -> io::Result<()> {
        match event.kind(self.wanted.dialect) {
            Kind::Format if !self.has_format => {
                self.has_format = true;
                self.write(&MAGIC)?;
                self.write(&event.bytes)
            }
            Kind::Format | Kind::Frame => {
                self.wants = false;
                Ok(())
            }
            Kind::Encrypted => Err(encrypted()),
            Kind::Begins(gtids) => {
                self.wants = !self.wanted.fork.has_all_of(&gtids);
                self.counted = false;
                if !self.wants {
                    return Ok(());
                }
                self.tail.transactions = self.tail.transactions.saturating_add(1);
                self.keep(&event.bytes)
            }
            Kind::Within { .. } if !self.wants => Ok(()),
            Kind::Within { changes } => {
                if changes && !self.counted {
                    self.counted = true;
                    self.tail.changes = self.tail.changes.saturating_add(1);
                }
                self.keep(&event.bytes)
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u64::try_from(bytes.len()).unwrap_or(0);
        self.tail.bytes = self.tail.bytes.saturating_add(length);
        self.write(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => Ok(()),
        }
    }

    /// Makes the file durable under its name, unless none of it is a change of anybody's.
    fn close(mut self) -> Result<Tail, DriverError> {
        let (Some(file), Some(to)) = (self.file.take(), &self.wanted.to) else {
            return Ok(self.tail);
        };
        if self.tail.changes == 0 {
            // What is left behind is overwritten by the next one.
            let _ = std::fs::remove_file(&self.part);
            return Ok(self.tail);
        }
        let part = &self.part;
        let durable = || -> io::Result<()> {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            std::fs::rename(part, to)?;
            match to.parent() {
                Some(folder) => File::open(folder)?.sync_all(),
                None => Ok(()),
            }
        };
        durable().map_err(|error| DriverError::file("cannot save", to, error))?;
        self.tail.path = Some(to.clone());
        Ok(self.tail)
    }
}

#[cfg(test)]
mod tests {
    use super::super::events::tests::{event, format, gtid, query, table};
    use super::*;

    fn log(folder: &Path, name: &str, events: &[Vec<u8>]) -> PathBuf {
        let path = folder.join(name);
        let mut bytes = MAGIC.to_vec();
        bytes.extend(format());
        bytes.extend(events.concat());
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn wanted(logs: Vec<PathBuf>, fork: &str, to: Option<PathBuf>) -> Wanted {
        Wanted {
            dialect: Dialect::MariaDb,
            logs,
            fork: Gtids::read(Dialect::MariaDb, fork).unwrap(),
            to,
        }
    }

    #[test]
    fn what_is_beyond_the_fork_is_copied_as_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let own = [gtid(0, 1, 3), query("", "BEGIN"), table("tenure")];
        let change = [
            gtid(0, 1, 4),
            query("", "BEGIN"),
            table("app"),
            event(30, 1, b"r"),
        ];
        let before = [gtid(0, 1, 1), table("app"), gtid(0, 1, 2), table("app")];
        let logs = vec![
            log(folder.path(), "log.1", &before),
            log(folder.path(), "log.2", &[own.concat(), change.concat()]),
        ];
        let to = folder.path().join("tails").join("tail.binlog");
        let wanted = wanted(logs, "0-1-2", Some(to.clone()));
        let tail = read(&wanted, &AtomicU64::new(0)).unwrap();
        assert_eq!((tail.transactions, tail.changes), (2, 1));
        assert_eq!(tail.path, Some(to.clone()));
        let expected = [MAGIC.to_vec(), format(), own.concat(), change.concat()].concat();
        assert_eq!(std::fs::read(&to).unwrap(), expected);
    }

    #[test]
    fn signs_of_life_alone_are_not_worth_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let events = [gtid(0, 1, 1), table("app"), gtid(0, 2, 2), table("tenure")];
        let logs = vec![log(folder.path(), "log.1", &events)];
        let to = folder.path().join("tail.binlog");
        let tail = read(
            &wanted(logs.clone(), "0-1-1", Some(to.clone())),
            &AtomicU64::new(0),
        );
        let tail = tail.unwrap();
        assert_eq!((tail.transactions, tail.changes, tail.path), (1, 0, None));
        assert!(!to.exists());
        let counted = read(&wanted(logs, "", None), &AtomicU64::new(0)).unwrap();
        assert_eq!((counted.transactions, counted.changes), (2, 1));
    }

    #[test]
    fn what_is_no_log_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.1");
        std::fs::write(&path, b"rubbish").unwrap();
        let error = read(&wanted(vec![path], "", None), &AtomicU64::new(0)).unwrap_err();
        assert!(
            error.to_string().contains("log.1: it does not begin as"),
            "{error}"
        );
    }
}
