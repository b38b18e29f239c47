//! Sees to it that an instance which is started again by somebody else comes up fenced: its
//! configuration file says so.
//!
//! A line of that file overrides those before it, so what is missing is appended. Redis takes it away
//! when somebody has it rewrite the file; it is looked at again and again.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::pid::LocalProcess;
use super::{FENCED, NOWHERE};

const LOOK_EVERY: Duration = Duration::from_secs(10);
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How the instance comes up when it is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    Fenced,
    Unfenced,
    /// It has no file, or none that can be read from here.
    Unknown,
}

impl Restart {
    /// As an attribute of the instance.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fenced => "fenced",
            Self::Unfenced => "unfenced",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known of the file, and the look at it that is under way. The disk is never waited for.
#[derive(Debug)]
pub(super) struct Disk {
    writes: bool,
    known: Restart,
    looking: Option<JoinHandle<Restart>>,
    due: Instant,
}

impl Disk {
    /// `writes` says whether what is missing is appended.
    pub(super) fn new(writes: bool) -> Self {
        Self {
            writes,
            known: Restart::Unknown,
            looking: None,
            due: Instant::now(),
        }
    }

    /// What is known now. Begins another look at the file that the process was started with, when one
    /// is due. Must be called within a tokio runtime.
    pub(super) async fn look(&mut self, process: Option<&LocalProcess>, file: &str) -> Restart {
        if let Some(looking) = self.looking.take_if(|looking| looking.is_finished()) {
            self.known = looking.await.unwrap_or(Restart::Unknown);
        }
        if self.looking.is_none() && Instant::now() >= self.due {
            self.due = Instant::now() + LOOK_EVERY;
            let path = process.and_then(|process| path(process, file));
            let writes = self.writes;
            self.looking = Some(tokio::task::spawn_blocking(move || match path {
                Some(path) => check(&path, writes).unwrap_or(Restart::Unknown),
                None => Restart::Unknown,
            }));
        }
        self.known
    }

    /// The instance was started anew: nothing is known.
    pub(super) fn forget(&mut self) {
        self.known = Restart::Unknown;
        self.looking = None;
        self.due = Instant::now();
    }
}

/// The file as the process itself sees it, which may live in a container.
fn path(process: &LocalProcess, file: &str) -> Option<PathBuf> {
    let inner = Path::new(file).strip_prefix("/").ok()?;
    Some(PathBuf::from(format!("/proc/{}/root", process.id)).join(inner))
}

fn check(path: &Path, writes: bool) -> io::Result<Restart> {
    let mut text = String::new();
    File::open(path)?
        .take(FILE_BYTES_MAX)
        .read_to_string(&mut text)?;
    let missing: Vec<String> = wanted().filter(|line| !says(&text, line)).collect();
    if missing.is_empty() {
        return Ok(Restart::Fenced);
    }
    if !writes {
        return Ok(Restart::Unfenced);
    }
    let block = format!(
        "\n# By the agent of Tenure: started again, it serves nobody before it is told to.\n{}\n",
        missing.join("\n")
    );
    let mut file = OpenOptions::new().append(true).open(path)?;
    file.write_all(block.as_bytes())?;
    file.sync_all()?;
    Ok(Restart::Fenced)
}

/// What the file is to say.
fn wanted() -> impl Iterator<Item = String> {
    [
        format!("replicaof {} {}", NOWHERE.0, NOWHERE.1),
        "replica-read-only yes".to_owned(),
        "min-replicas-max-lag 10".to_owned(),
        format!("min-replicas-to-write {FENCED}"),
    ]
    .into_iter()
}

/// Whether the last word of the file on a parameter is this one. What an included file says is not
/// looked for: what is appended comes after it.
fn says(text: &str, wanted: &str) -> bool {
    let words = |line: &str| -> Vec<String> {
        line.split_whitespace()
            .map(str::to_ascii_lowercase)
            .collect()
    };
    let wanted = words(wanted);
    let last = text.lines().rev().map(words).find(|line| {
        let key = line.first().map(|key| key.replace("slave", "replica"));
        key.is_some_and(|key| wanted.first() == Some(&key)) || is_include(line)
    });
    last == Some(wanted)
}

fn is_include(line: &[String]) -> bool {
    line.first().is_some_and(|key| key == "include")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_appended_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("redis.conf");
        let own = "port 6379\nreplicaof 10.0.0.1 6379\nMin-Slaves-To-Write 1";
        std::fs::write(&path, own).unwrap();
        assert_eq!(check(&path, false).unwrap(), Restart::Unfenced);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), own);
        assert_eq!(check(&path, true).unwrap(), Restart::Fenced);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with(own) && text.contains("\nreplicaof 127.0.0.1 1\n"),
            "{text}"
        );
        assert_eq!(check(&path, true).unwrap(), Restart::Fenced);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        std::fs::write(&path, format!("{text}include other.conf\n")).unwrap();
        assert_eq!(check(&path, false).unwrap(), Restart::Unfenced);
        assert!(check(&folder.path().join("none"), true).is_err());
    }
}
