//! Reads what an instance has beyond a fork, as a replica of it would, and writes it to a file.
//!
//! The stream is what Redis would have sent to a replica that has everything up to the fork: commands
//! as they can be fed to `redis-cli --pipe`. Where the backlog does not reach back that far, or where
//! the fork is not known, Redis offers all its data, which is saved whole.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::time::timeout;

use super::super::error::DriverError;
use super::line::{Dial, Trouble, Wire};
use super::probe::KEY_PREFIX;
use super::stream::{Counted, Counter, database_at_end};

/// For how long the instance may say nothing. While it prepares its data it sends a sign of life each
/// second.
const SILENT_MOST: Duration = Duration::from_secs(30);
/// How far before the fork is looked for the database that the tail begins in.
const LOOK_BACK: u64 = 1024 * 1024;
const LINE_BYTES_MAX: u64 = 1024;
const CHUNK: usize = 64 * 1024;

/// What is to be read, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The history as the instance names it now.
    pub(super) history: String,
    /// The last offset that is not wanted; None when everything is.
    pub(super) fork: Option<u64>,
    /// The last offset that is.
    pub(super) to: u64,
    /// The oldest offset that the instance's backlog reaches back to.
    pub(super) backlog_from: Option<u64>,
    /// The file's name without its end and offsets; None when it is only to be counted.
    pub(super) stem: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tail {
    /// Where it is; None when nothing in it is worth keeping, or when it was only to be counted.
    pub(super) path: Option<PathBuf>,
    pub(super) bytes: u64,
    /// What the commands are; None when all data was saved.
    pub(super) counted: Option<Counted>,
}

impl Tail {
    /// There is nothing that anybody could miss.
    pub(super) fn nothing() -> Self {
        Self {
            path: None,
            bytes: 0,
            counted: Some(Counted::default()),
        }
    }
}

/// Reads what is wanted. `done` says how many bytes there are already.
///
/// # Errors
/// [`DriverError`]; what was written so far is thrown away, and a retry begins anew.
pub(super) async fn read(
    dial: Dial,
    wanted: Wanted,
    done: Arc<AtomicU64>,
) -> Result<Tail, DriverError> {
    let mut source = Source::open(&dial).await?;
    let from = match (wanted.fork, wanted.backlog_from) {
        (Some(fork), Some(oldest)) if oldest <= fork.saturating_add(1) => {
            let begin = oldest.max(fork.saturating_add(1).saturating_sub(LOOK_BACK));
            Some((fork, begin))
        }
        (Some(_) | None, _) => None,
    };
    let history = if from.is_some() {
        wanted.history.as_str()
    } else {
        "?"
    };
    let begin = from.map_or("-1".to_owned(), |(_, begin)| begin.to_string());
    let offered = source.psync(history, &begin).await?;
    match (from, offered.as_str()) {
        (Some((fork, begin)), "+CONTINUE") => {
            let before = fork.saturating_add(1).saturating_sub(begin);
            let earlier = source.exactly(before).await?;
            let database = database_at_end(&earlier);
            let mut sink = Sink::new(wanted.stem.as_deref()).await?;
            if let Some(database) = database {
                sink.select(database).await?;
            }
            let length = wanted.to.saturating_sub(fork);
            source.pour(length, &mut sink, &done).await?;
            let end = format!("{}-{}.resp", fork.saturating_add(1), wanted.to);
            sink.close(length, &end, true).await
        }
        (_, "+FULLRESYNC") => {
            let Some(stem) = wanted.stem.as_deref() else {
                return Ok(Tail {
                    path: None,
                    bytes: 0,
                    counted: None,
                });
            };
            let length = source.length().await?;
            let mut sink = Sink::new(Some(stem)).await?;
            source.pour(length, &mut sink, &done).await?;
            sink.close(length, &format!("0-{}.rdb", wanted.to), false)
                .await
        }
        (_, other) => Err(DriverError::Refused {
            what: format!("PSYNC at {}", dial.endpoint),
            answer: other.to_owned(),
        }),
    }
}

/// The instance, read as by a replica.
struct Source {
    wire: BufReader<Box<dyn Wire>>,
    name: String,
}

impl Source {
    async fn open(dial: &Dial) -> Result<Self, DriverError> {
        let name = format!("the tail of {}", dial.endpoint);
        let about = |trouble: Trouble| trouble.about(&dial.endpoint, "to read the tail");
        let mut source = Self {
            wire: BufReader::new(dial.wire().await.map_err(about)?),
            name,
        };
        if let Some(words) = dial.login_words() {
            source.say(&words).await?;
            let said = source.line().await?;
            if said != "+OK" {
                return Err(about(Trouble::Denied(said)));
            }
        }
        Ok(source)
    }

    async fn say(&mut self, words: &[&str]) -> Result<(), DriverError> {
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        let name = self.name.clone();
        let saying = self.wire.get_mut().write_all(text.as_bytes());
        bounded(&name, saying).await
    }

    /// The first word of the answer when it is one of those that go on, or all of it.
    async fn psync(&mut self, history: &str, begin: &str) -> Result<String, DriverError> {
        self.say(&["PSYNC", history, begin]).await?;
        let said = self.line().await?;
        let word = said.split(' ').next().unwrap_or_default();
        Ok(match word {
            "+CONTINUE" | "+FULLRESYNC" => word.to_owned(),
            _ => said,
        })
    }

    /// A line; empty ones are signs of life.
    async fn line(&mut self) -> Result<String, DriverError> {
        loop {
            let mut line = Vec::new();
            let name = self.name.clone();
            let mut limited = (&mut self.wire).take(LINE_BYTES_MAX);
            bounded(&name, limited.read_until(b'\n', &mut line)).await?;
            if line.last() != Some(&b'\n') {
                return Err(ended(&name));
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if !text.is_empty() {
                return Ok(text);
            }
        }
    }

    /// How long the data is that follows.
    async fn length(&mut self) -> Result<u64, DriverError> {
        let line = self.line().await?;
        let length = line
            .strip_prefix('$')
            .and_then(|digits| digits.parse().ok());
        length.ok_or_else(|| DriverError::Unreadable {
            what: self.name.clone(),
            why: format!("expected the length of the data, found {line:?}"),
        })
    }

    async fn exactly(&mut self, length: u64) -> Result<Vec<u8>, DriverError> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        let name = self.name.clone();
        bounded(&name, self.wire.read_exact(&mut bytes)).await?;
        Ok(bytes)
    }

    async fn pour(
        &mut self,
        length: u64,
        sink: &mut Sink,
        done: &AtomicU64,
    ) -> Result<(), DriverError> {
        let mut left = length;
        let mut chunk = vec![0; CHUNK];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let name = self.name.clone();
            let count = bounded(&name, self.wire.read(&mut chunk[..most])).await?;
            if count == 0 {
                return Err(ended(&name));
            }
            sink.put(&chunk[..count]).await?;
            left = left.saturating_sub(u64::try_from(count).unwrap_or(left));
            done.store(length.saturating_sub(left), Ordering::Relaxed);
        }
        Ok(())
    }
}

fn ended(name: &str) -> DriverError {
    DriverError::Unreachable {
        endpoint: name.to_owned(),
        why: "the connection ended before it was complete".to_owned(),
    }
}

async fn bounded<T>(
    name: &str,
    doing: impl Future<Output = io::Result<T>>,
) -> Result<T, DriverError> {
    match timeout(SILENT_MOST, doing).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(DriverError::Unreachable {
            endpoint: name.to_owned(),
            why: error.to_string(),
        }),
        Err(_) => Err(DriverError::timed_out(name, SILENT_MOST)),
    }
}

/// Where the tail goes: counted always, and into a file when there is to be one.
struct Sink {
    counter: Counter<'static>,
    file: Option<(File, PathBuf, PathBuf)>,
}

impl Sink {
    async fn new(stem: Option<&Path>) -> Result<Self, DriverError> {
        let counter = Counter::new(KEY_PREFIX);
        let Some(stem) = stem else {
            return Ok(Self {
                counter,
                file: None,
            });
        };
        if let Some(folder) = stem.parent() {
            tokio::fs::create_dir_all(folder)
                .await
                .map_err(|error| DriverError::file("cannot make the folder", folder, error))?;
        }
        let part = ending(stem, "part");
        let mut options = File::options();
        // What was written to the store is for nobody else to read.
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options
            .open(&part)
            .await
            .map_err(|error| DriverError::file("cannot create", &part, error))?;
        Ok(Self {
            counter,
            file: Some((file, part, stem.to_path_buf())),
        })
    }

    /// So that the file can be replayed as it is.
    async fn select(&mut self, database: u32) -> Result<(), DriverError> {
        let database = database.to_string();
        let text = format!(
            "*2\r\n$6\r\nSELECT\r\n${}\r\n{database}\r\n",
            database.len()
        );
        self.write(text.as_bytes()).await
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<(), DriverError> {
        self.counter.feed(bytes);
        self.write(bytes).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), DriverError> {
        if let Some((file, part, _)) = &mut self.file {
            file.write_all(bytes)
                .await
                .map_err(|error| DriverError::file("cannot write to", part, error))?;
        }
        Ok(())
    }

    /// Makes the file durable under its name, unless it holds `commands` of which none is a change.
    async fn close(self, bytes: u64, end: &str, commands: bool) -> Result<Tail, DriverError> {
        let counted = commands.then(|| self.counter.counted());
        let worthless = counted.is_some_and(|counted| counted.changes == 0);
        let Some((mut file, part, stem)) = self.file else {
            return Ok(Tail {
                path: None,
                bytes,
                counted,
            });
        };
        if worthless {
            // What is left behind is overwritten by the next one.
            let _ = tokio::fs::remove_file(&part).await;
            return Ok(Tail {
                path: None,
                bytes,
                counted,
            });
        }
        let path = ending(&stem, end);
        let durable = async {
            file.flush().await?;
            file.sync_all().await?;
            tokio::fs::rename(&part, &path).await?;
            match path.parent() {
                Some(folder) => File::open(folder).await?.sync_all().await,
                None => Ok(()),
            }
        };
        durable
            .await
            .map_err(|error: io::Error| DriverError::file("cannot save", &path, error))?;
        Ok(Tail {
            path: Some(path),
            bytes,
            counted,
        })
    }
}

/// `STEM.END`.
fn ending(stem: &Path, end: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(end);
    PathBuf::from(name)
}
