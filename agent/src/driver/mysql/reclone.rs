//! Copies all data from the primary anew, by the store's own means: `mariadb-backup` where the primary's
//! files can be read or an operator has said how to get at them, MySQL's clone plug-in, or a program of
//! the operator's.
//!
//! The copy is made beside the data, and is complete before the instance is stopped.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tenure_core::Endpoint;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::super::run::{Errand, run};
use super::dialect::Dialect;
use super::line::{Dial, Trouble, host_and_port};
use super::settings::Settings;
use super::{DriverError, Mysql};

const CHUNK: usize = 256 * 1024;
const OUTPUT_MAX: usize = 1024 * 1024;
/// How much of what a program complains is repeated.
const COMPLAINT_BYTES_MAX: u64 = 300;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long one call waits for the copy.
const PATIENCE: Duration = Duration::from_millis(500);
/// After a copy that failed, how long until the next is begun.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What is done, and how far it has got.
#[derive(Debug, Default)]
struct Progress {
    bytes: AtomicU64,
    /// How much there is about; 0 while nobody knows.
    about: AtomicU64,
}

/// A copy that is being made.
#[derive(Debug)]
pub(super) struct Copying {
    from: Endpoint,
    since: Instant,
    progress: Arc<Progress>,
    task: JoinHandle<Result<(), DriverError>>,
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Copying {
    /// How far it has got, for people.
    fn said(&self) -> String {
        let bytes = self.progress.bytes.load(Ordering::Relaxed);
        let about = self.progress.about.load(Ordering::Relaxed);
        let elapsed = self.since.elapsed();
        let estimate = estimate(bytes, about, elapsed);
        format!(
            "copying all data of {}: {bytes} bytes in {} s{estimate}",
            self.from,
            elapsed.as_secs()
        )
    }

    pub(super) fn is_under_way(&self) -> bool {
        !self.task.is_finished()
    }
}

/// How much is left, as far as it can be told.
fn estimate(bytes: u64, about: u64, elapsed: Duration) -> String {
    let left = about.saturating_sub(bytes);
    if about == 0 || bytes == 0 {
        return String::new();
    }
    let per_byte = elapsed.as_secs_f64() / bytes as f64;
    let seconds = (left as f64 * per_byte).ceil();
    format!(" of about {about}, about {seconds} s left")
}

/// What a copy needs to know.
#[derive(Debug, Clone)]
struct Job {
    settings: Arc<Settings>,
    dialect: Dialect,
    dial: Dial,
    primary: Endpoint,
    /// Whether the primary's process is one of this machine's.
    beside: bool,
    datadir: PathBuf,
    service: String,
    progress: Arc<Progress>,
}

impl Mysql {
    /// Has all data copied, which takes longer than a call: what it comes to is an error until the instance
    /// is another store. `saved` says what was saved before.
    ///
    /// # Errors
    /// [`DriverError::UnderWay`] while it is copied; held where nobody has said how.
    pub(super) async fn copied_anew(
        &mut self,
        dialect: Dialect,
        primary: &Endpoint,
        saved: &str,
    ) -> Result<(), DriverError> {
        if self.copying.is_none() {
            if self.copy_after.is_some_and(|at| Instant::now() < at) {
                return Err(DriverError::UnderWay {
                    what: format!("{saved}; the latest copy failed: {}", self.copy_failed),
                });
            }
            let beyond = self
                .beyond
                .as_ref()
                .filter(|(endpoint, _)| endpoint == primary);
            let job = Job {
                settings: Arc::clone(&self.settings),
                dialect,
                dial: self.dial.clone(),
                primary: primary.clone(),
                beside: beyond.is_some_and(|(_, line)| line.process.is_some()),
                datadir: PathBuf::from(&self.last.datadir),
                service: self.service.to_string(),
                progress: Arc::default(),
            };
            if let Some(why) = job.impossible() {
                return Err(DriverError::Held(format!("{saved}; {why}")));
            }
            self.copying = Some(Copying {
                from: primary.clone(),
                since: Instant::now(),
                progress: Arc::clone(&job.progress),
                task: tokio::spawn(job.run()),
            });
        }
        self.copy_goes_on(PATIENCE).await?;
        // The instance was stopped, and comes up as another one.
        Err(DriverError::UnderWay {
            what: format!("{saved}; all data is copied, and the instance starts"),
        })
    }

    /// Waits for a copy that is being made. Nothing, when there is none.
    ///
    /// # Errors
    /// [`DriverError::UnderWay`] while it goes on; why it failed.
    pub(super) async fn copy_goes_on(&mut self, patience: Duration) -> Result<(), DriverError> {
        let Some(copying) = self.copying.as_mut() else {
            return Ok(());
        };
        let Ok(ended) = timeout(patience, &mut copying.task).await else {
            return Err(DriverError::UnderWay {
                what: copying.said(),
            });
        };
        self.copying = None;
        let ended = ended.unwrap_or_else(|error| {
            Err(DriverError::Local {
                what: "cannot copy the data".to_owned(),
                why: error.to_string(),
            })
        });
        match ended {
            Ok(()) => {
                self.is_another_store();
                Ok(())
            }
            Err(error) => {
                self.copy_failed = error.to_string();
                self.copy_after = Some(Instant::now() + AGAIN_AFTER);
                Err(error)
            }
        }
    }

    pub(super) fn copy_told(&self) -> Option<String> {
        self.copying.as_ref().map(Copying::said)
    }
}

impl Job {
    /// Why it cannot be done, and what would help.
    fn impossible(&self) -> Option<String> {
        if self.settings.reclone.is_some() || self.dialect == Dialect::MySql {
            return None;
        }
        if !self.beside && self.settings.backup.is_none() {
            return Some(format!(
                "to have its data copied from {} set `backup` to a program that prints a stream of \
                 mariadb-backup of it (over ssh, say), or `reclone` to one that replaces the data itself",
                self.primary
            ));
        }
        let start = "set `start`: the instance has to be started again with the data copied";
        self.settings.start.is_none().then(|| start.to_owned())
    }

    async fn run(self) -> Result<(), DriverError> {
        if let Some(reclone) = &self.settings.reclone {
            return self.by_program(reclone).await;
        }
        match self.dialect {
            Dialect::MySql => self.by_plugin().await,
            Dialect::MariaDb => self.by_backup().await,
        }
    }

    async fn by_program(&self, argv: &[String]) -> Result<(), DriverError> {
        let environment = [
            ("TENURE_SERVICE", self.service.clone()),
            ("TENURE_PRIMARY", self.primary.to_string()),
            ("TENURE_DATADIR", self.datadir.display().to_string()),
        ];
        let ran = run(Errand {
            argv,
            verb: None,
            environment: &environment,
            within: self.settings.reclone_within,
            output_max: OUTPUT_MAX,
        });
        let ran = ran.await?;
        match ran.status.success() {
            true => Ok(()),
            false => Err(failed(argv, &format!("{}: {}", ran.status, ran.complaint))),
        }
    }

    /// The server replaces its own data, and starts again where somebody looks after it.
    async fn by_plugin(&self) -> Result<(), DriverError> {
        let (host, port) = host_and_port(&self.primary);
        let login = &self.settings.login;
        let secret = login
            .password
            .clone()
            .unwrap_or_default()
            .replace('\'', "''");
        let text = format!(
            "SET GLOBAL super_read_only = 0; \
             SET GLOBAL clone_valid_donor_list = '{host}:{port}'; \
             CLONE INSTANCE FROM '{}'@'{host}':{port} IDENTIFIED BY '{secret}'",
            login.username
        );
        let about = |trouble: Trouble| trouble.about(&self.dial.endpoint, "CLONE INSTANCE");
        let mut line = self.dial.line().await.map_err(about)?;
        // It is there already, as a rule.
        let _ = line
            .ask(
                "INSTALL PLUGIN clone SONAME 'mysql_clone.so'",
                self.dial.within,
            )
            .await;
        match line.ask(&text, self.settings.reclone_within).await {
            // It ends its connections when it has cloned; without anybody to start it again it says so.
            Ok(_) | Err(Trouble::Unreachable(_) | Trouble::Said { code: 3707, .. }) => Ok(()),
            Err(trouble) => Err(about(trouble)),
        }
    }

    async fn by_backup(&self) -> Result<(), DriverError> {
        let copy = beside(&self.datadir, "tenure-copy");
        remove(&copy)?;
        fs::create_dir_all(&copy)
            .map_err(|error| DriverError::file("cannot make the folder", &copy, error))?;
        self.estimate().await;
        let options = Options::write(&self.settings, &self.primary)?;
        let received = timeout(self.settings.reclone_within, self.receive(&copy, &options)).await;
        drop(options);
        received
            .map_err(|_| DriverError::timed_out("the backup", self.settings.reclone_within))??;
        let target = format!("--target-dir={}", copy.display());
        let argv = ["mariadb-backup", "--prepare", &target].map(str::to_owned);
        let prepared = run(Errand {
            argv: &argv,
            verb: None,
            environment: &[],
            within: self.settings.reclone_within,
            output_max: OUTPUT_MAX * 64,
        });
        let prepared = prepared.await?;
        if !prepared.status.success() {
            return Err(failed(&argv, &prepared.complaint));
        }
        self.stop().await?;
        replace(&self.datadir, &copy)
    }

    /// How much there is to copy, about.
    async fn estimate(&self) {
        let Ok(mut line) = self.dial.to(&self.primary).line().await else {
            return;
        };
        let text = "SELECT CAST(SUM(DATA_LENGTH + INDEX_LENGTH) AS UNSIGNED) AS bytes \
                    FROM information_schema.TABLES";
        let answers = line.ask(text, Duration::from_secs(10)).await;
        let bytes = answers.iter().flatten().flatten().next();
        let bytes = bytes.and_then(|row| row.number("bytes")).unwrap_or(0);
        self.progress.about.store(bytes, Ordering::Relaxed);
    }

    /// Lets a stream of the backup be unpacked, and counts it.
    async fn receive(&self, copy: &Path, options: &Options) -> Result<(), DriverError> {
        let own = [
            "mariadb-backup".to_owned(),
            format!("--defaults-file={}", options.path.display()),
            "--backup".to_owned(),
            "--stream=xbstream".to_owned(),
        ];
        let backup = self.settings.backup.clone().unwrap_or(own.to_vec());
        let unpack = ["mbstream", "-x", "-C", &copy.display().to_string()].map(str::to_owned);
        let mut source = self.spawn(&backup, Stdio::null())?;
        let mut sink = self.spawn(&unpack, Stdio::piped())?;
        let complaint = source.stderr.take().map(|mut stderr| {
            tokio::spawn(async move {
                let mut all = Vec::new();
                // What it says last says why it failed.
                let _ = stderr.read_to_end(&mut all).await;
                let begin = all
                    .len()
                    .saturating_sub(usize::try_from(COMPLAINT_BYTES_MAX).unwrap_or(0));
                String::from_utf8_lossy(&all[begin..]).replace('\n', " ")
            })
        });
        self.pour(&mut source, &mut sink)
            .await
            .map_err(|error| failed(&backup, &error.to_string()))?;
        let sent = source
            .wait()
            .await
            .map_err(|error| failed(&backup, &error.to_string()))?;
        let unpacked = sink
            .wait()
            .await
            .map_err(|error| failed(&unpack, &error.to_string()))?;
        if !sent.success() {
            let complaint = match complaint {
                Some(complaint) => complaint.await.unwrap_or_default(),
                None => String::new(),
            };
            return Err(failed(&backup, &complaint));
        }
        match unpacked.success() {
            true => Ok(()),
            false => Err(failed(&unpack, &unpacked.to_string())),
        }
    }

    fn spawn(&self, argv: &[String], stdin: Stdio) -> Result<Child, DriverError> {
        let (program, arguments) = argv
            .split_first()
            .ok_or_else(|| failed(argv, "it is empty"))?;
        Command::new(program)
            .args(arguments)
            .env("TENURE_SERVICE", &self.service)
            .env("TENURE_PRIMARY", self.primary.as_str())
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(argv, &error.to_string()))
    }

    async fn pour(&self, source: &mut Child, sink: &mut Child) -> io::Result<()> {
        let (Some(mut from), Some(mut to)) = (source.stdout.take(), sink.stdin.take()) else {
            return Err(io::Error::other("its output is not there"));
        };
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = from.read(&mut chunk).await?;
            if count == 0 {
                return to.shutdown().await;
            }
            to.write_all(&chunk[..count]).await?;
            let count = u64::try_from(count).unwrap_or(0);
            self.progress.bytes.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Stops the instance, as an operator has said or by its own word, and waits until it is gone.
    async fn stop(&self) -> Result<(), DriverError> {
        let within = self.settings.start_within;
        if let Some(argv) = &self.settings.stop {
            let stopped = run(Errand {
                argv,
                verb: None,
                environment: &[],
                within,
                output_max: OUTPUT_MAX,
            });
            let stopped = stopped.await?;
            if !stopped.status.success() {
                return Err(failed(argv, &stopped.complaint));
            }
        } else {
            let about = |trouble: Trouble| trouble.about(&self.dial.endpoint, "SHUTDOWN");
            let mut line = self.dial.line().await.map_err(about)?;
            let process = line.process.clone();
            // It may be gone before it answers.
            let _ = line.ask("SHUTDOWN", within).await;
            if let Some(process) = process {
                let gone = timeout(within, process.local.gone()).await;
                gone.map_err(|_| DriverError::timed_out("SHUTDOWN", within))?;
            }
        }
        let until = Instant::now() + within;
        while !matches!(self.dial.tcp().await, Err(Trouble::Refused)) {
            if Instant::now() >= until {
                return Err(DriverError::timed_out("the stop of the instance", within));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

/// A file of options with a password, which goes when this is dropped.
struct Options {
    path: PathBuf,
}

impl Drop for Options {
    fn drop(&mut self) {
        // Gone already is what is wanted.
        let _ = fs::remove_file(&self.path);
    }
}

impl Options {
    fn write(settings: &Settings, primary: &Endpoint) -> Result<Self, DriverError> {
        let (host, port) = host_and_port(primary);
        let secret = settings.login.password.clone().unwrap_or_default();
        let secret = secret.replace('\\', "\\\\").replace('"', "\\\"");
        let text = format!(
            "[mariadb-backup]\nhost={host}\nport={port}\nprotocol=tcp\nuser={}\npassword=\"{secret}\"\n",
            settings.login.username
        );
        let path = settings.save_dir.join("backup.cnf");
        let write = || -> io::Result<()> {
            fs::create_dir_all(&settings.save_dir)?;
            let mut options = fs::File::options();
            let mut file = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(text.as_bytes())
        };
        write().map_err(|error| DriverError::file("cannot write", &path, error))?;
        Ok(Self { path })
    }
}

fn failed(argv: &[String], why: &str) -> DriverError {
    DriverError::Local {
        what: format!("{} failed", argv.first().map_or("", String::as_str)),
        why: why.to_owned(),
    }
}

/// A folder beside the data, on the same file system.
fn beside(datadir: &Path, what: &str) -> PathBuf {
    let name = datadir.file_name().unwrap_or_default().to_string_lossy();
    datadir.with_file_name(format!("{name}.{what}"))
}

fn remove(folder: &Path) -> Result<(), DriverError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DriverError::file("cannot remove", folder, error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Puts the copy in the place of the data, which is removed: what was its own alone was saved.
fn replace(datadir: &Path, copy: &Path) -> Result<(), DriverError> {
    let old = beside(datadir, "tenure-old");
    remove(&old)?;
    let owner = fs::metadata(datadir)
        .map_err(|error| DriverError::file("cannot look at", datadir, error))?;
    own(copy, owner.uid(), owner.gid())
        .map_err(|error| DriverError::file("cannot give away", copy, error))?;
    let moved = fs::rename(datadir, &old).and_then(|()| fs::rename(copy, datadir));
    moved.map_err(|error| {
        // Better the old data than none.
        let _ = fs::rename(&old, datadir);
        DriverError::file("cannot replace (is it a mount point?)", datadir, error)
    })?;
    remove(&old)
}

/// Gives a folder with all that is in it to the owner of the data, when it is somebody else's.
fn own(path: &Path, user: u32, group: u32) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if (found.uid(), found.gid()) != (user, group) {
        chown(path, Some(user), Some(group))?;
    }
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            own(&entry?.path(), user, group)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_given_when_there_is_one() {
        let elapsed = Duration::from_secs(2);
        assert_eq!(estimate(10, 40, elapsed), " of about 40, about 6 s left");
        assert_eq!(estimate(0, 40, elapsed), "");
        assert_eq!(estimate(50, 40, elapsed), " of about 40, about 0 s left");
    }

    #[test]
    fn the_copy_takes_the_place_of_the_data() {
        let folder = tempfile::tempdir().unwrap();
        let datadir = folder.path().join("data");
        let copy = beside(&datadir, "tenure-copy");
        for (path, text) in [(&datadir, "old"), (&copy, "new")] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("f"), text).unwrap();
        }
        replace(&datadir, &copy).unwrap();
        assert_eq!(fs::read_to_string(datadir.join("f")).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
