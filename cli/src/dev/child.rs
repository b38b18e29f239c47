//! A server or an agent as a child process.

use crate::exit::Failure;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::process::{Child, ChildStdin, Command};

/// How long one may take to stop in order.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// How much of the end of a log is shown when one did not start.
const TOLD_BYTES: u64 = 600;

/// How to start one.
#[derive(Debug, Clone)]
pub struct Start {
    /// This program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where it logs.
    pub log: PathBuf,
}

/// A process that was started. It is killed when this is dropped, and ends by itself when the
/// process that holds this does: its stdin is closed then.
pub struct Running {
    child: Child,
    /// Its process id, as long as it runs.
    pub pid: u32,
    /// What it holds on to: closed, it ends.
    _lifeline: Option<ChildStdin>,
}

impl Start {
    /// Starts it. It has a process group of its own: Ctrl-C reaches us alone, and we stop it.
    ///
    /// # Errors
    /// When the system does not start it.
    pub fn spawn(&self) -> Result<Running, Failure> {
        let failed =
            |what: &str, why: std::io::Error| Failure::local(format!("cannot {what}: {why}"));
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.map_err(|why| failed(&format!("write {}", self.log.display()), why))?;
        let errors = log
            .try_clone()
            .map_err(|why| failed("share the log", why))?;
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|why| failed(&format!("start {}", self.program.display()), why))?;
        let pid = child
            .id()
            .ok_or_else(|| Failure::local("a process ended before it had an id"))?;
        // Taken, as waiting for the child closes what is left in it.
        let lifeline = child.stdin.take();
        Ok(Running {
            child,
            pid,
            _lifeline: lifeline,
        })
    }
}

impl Running {
    /// Waits until it has ended, for whatever reason.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Stops it in order, or kills it when that takes too long or `in_order` is false.
    pub async fn stop(mut self, in_order: bool) {
        if in_order && self.terminate() {
            let ended = tokio::time::timeout(STOP_WITHIN, self.ended()).await;
            if matches!(ended, Ok(Ok(_))) {
                return;
            }
        }
        // An error means that it has ended already.
        let _ended = self.child.kill().await;
    }

    fn terminate(&self) -> bool {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok())
    }
}

/// The end of a log, for a person to read; empty when it cannot be read.
pub fn tail(log: &Path) -> String {
    read_tail(log).unwrap_or_default()
}

fn read_tail(log: &Path) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TOLD_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}
