//! Copies all data from the primary, by the store's own means: `mariadb-backup` where the primary's files can
//! be read or an operator has said how to get at them, MySQL's clone plug-in, or a program of the
//! operator's.
//!
//! The copy is made beside the data, and is complete before the instance is stopped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tenure_core::Endpoint;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::super::run::{Errand, run};
use super::DriverError;
use super::dialect::Dialect;
use super::line::{Dial, Trouble, host_and_port};
use super::reclone::Progress;
use super::settings::Settings;
use super::swap::{Options, beside, remove, replace};

const CHUNK: usize = 256 * 1024;
const OUTPUT_MAX: usize = 1024 * 1024;
/// How much of what a program complains is repeated.
const COMPLAINT_BYTES_MAX: usize = 300;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a copy needs to know.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) settings: Arc<Settings>,
    pub(super) dialect: Dialect,
    pub(super) dial: Dial,
    pub(super) primary: Endpoint,
    /// Whether the primary's process is one of this machine's.
    pub(super) beside: bool,
    pub(super) datadir: PathBuf,
    pub(super) service: String,
    pub(super) progress: Arc<Progress>,
}

impl Job {
    /// Why it cannot be done, and what would help.
    pub(super) fn impossible(&self) -> Option<String> {
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

    pub(super) async fn run(self) -> Result<(), DriverError> {
        if let Some(reclone) = &self.settings.reclone {
            return self.by_program(reclone).await;
        }
        match self.dialect {
            Dialect::MySql => self.by_plugin().await,
            Dialect::MariaDb => self.by_backup().await,
        }
    }

    async fn by_program(&self, argv: &[String]) -> Result<(), DriverError> {
        // The server says it with a slash at its end, which a program would take for a folder in it.
        let datadir = self.datadir.components().as_path();
        let environment = [
            ("TENURE_SERVICE", self.service.clone()),
            ("TENURE_PRIMARY", self.primary.to_string()),
            ("TENURE_DATADIR", datadir.display().to_string()),
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
                let begin = all.len().saturating_sub(COMPLAINT_BYTES_MAX);
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

fn failed(argv: &[String], why: &str) -> DriverError {
    DriverError::Local {
        what: format!("{} failed", argv.first().map_or("", String::as_str)),
        why: why.to_owned(),
    }
}
