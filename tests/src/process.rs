//! A server as a child process: started, killed, stopped and started again by its pid, and never left behind.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to follow SIGTERM before it is killed.
const STOP_BOUND: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(1);
const LOG_TAIL_BYTES: usize = 2_000;

/// What can go wrong with a child process. None of it changes data, so starting again is safe.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program could not be run.
    #[error("cannot start {program}: {source}; is it installed, and is its path right?", program = program.display())]
    Start {
        /// The program asked for.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file that takes the program's output could not be opened.
    #[error("cannot open the log file {path}: {source}", path = path.display())]
    Log {
        /// The log file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused a signal or a wait.
    #[error("cannot {what} {name} (pid {pid}): {source}")]
    Signal {
        /// What was tried.
        what: &'static str,
        /// The process's name.
        name: String,
        /// Its process id.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The process ended although nobody asked it to.
    #[error("{name} ended by itself ({status}); the end of its output:\n{tail}")]
    Ended {
        /// The process's name.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its output.
        tail: String,
    },
}

/// One server process and all that is needed to start it again. Dropping it kills the process and waits for its end.
#[derive(Debug)]
pub struct Process {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    drop_env_prefix: Option<&'static str>,
    group: Option<i32>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Describes a process without starting it. Its standard output and error go to the file `log`, appended.
    #[must_use]
    pub fn new(name: impl Into<String>, program: &Path, args: Vec<String>, log: PathBuf) -> Self {
        Self {
            name: name.into(),
            program: program.to_path_buf(),
            args,
            drop_env_prefix: None,
            group: None,
            log,
            child: None,
        }
    }

    /// Hides the caller's environment variables that start with `prefix` from the process, so that its settings
    /// are those the bench states.
    #[must_use]
    pub fn without_env(mut self, prefix: &'static str) -> Self {
        self.drop_env_prefix = Some(prefix);
        self
    }

    /// Makes the process a member of the process group with this id, which must exist when it is started.
    #[must_use]
    pub fn in_group(mut self, group: i32) -> Self {
        self.group = Some(group);
        self
    }

    /// Starts the process; a no-op while it runs.
    ///
    /// # Errors
    /// The program or the log file cannot be opened. Retrying is safe.
    pub fn start(&mut self) -> Result<(), ProcessError> {
        if self.child.is_some() {
            return Ok(());
        }
        let log = self.open_log()?;
        let errors = log.try_clone().map_err(|source| self.log_error(source))?;
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::null());
        command.stdout(log).stderr(errors);
        if let Some(prefix) = self.drop_env_prefix {
            for (key, _value) in std::env::vars_os() {
                if key.to_string_lossy().starts_with(prefix) {
                    command.env_remove(key);
                }
            }
        }
        if let Some(group) = self.group {
            command.process_group(group);
        }
        let child = command.spawn().map_err(|source| ProcessError::Start {
            program: self.program.clone(),
            source,
        })?;
        self.child = Some(child);
        Ok(())
    }

    /// Whether the process is still there, as an error with the end of its output when it is not.
    ///
    /// # Errors
    /// [`ProcessError::Ended`] when a started process ended by itself.
    pub fn check(&mut self) -> Result<(), ProcessError> {
        let Some(child) = self.child.as_mut() else {
            return Ok(());
        };
        match child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                self.child = None;
                Err(ProcessError::Ended {
                    name: self.name.clone(),
                    status,
                    tail: self.log_tail(),
                })
            }
            Err(source) => Err(self.signal_error("wait for", source)),
        }
    }

    /// Sends SIGKILL and returns once the process is gone; a no-op when it was not running.
    ///
    /// # Errors
    /// The system refused the signal, or the process had ended by itself before.
    pub fn kill(&mut self) -> Result<(), ProcessError> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        let ended = child.kill().and_then(|()| child.wait());
        match ended {
            Ok(status) if status.signal() == Some(Signal::KILL.as_raw()) => Ok(()),
            Ok(status) => Err(ProcessError::Ended {
                name: self.name.clone(),
                status,
                tail: self.log_tail(),
            }),
            Err(source) => Err(ProcessError::Signal {
                what: "kill",
                name: self.name.clone(),
                pid: child.id(),
                source,
            }),
        }
    }

    /// Asks the process to end (SIGTERM) without waiting; `finish` waits.
    ///
    /// # Errors
    /// The system refused the signal.
    pub fn terminate(&mut self) -> Result<(), ProcessError> {
        self.signal("stop", Signal::TERM)
    }

    /// Freezes the process (SIGSTOP): it keeps its sockets and says nothing.
    ///
    /// # Errors
    /// The system refused the signal.
    pub fn freeze(&mut self) -> Result<(), ProcessError> {
        self.signal("freeze", Signal::STOP)
    }

    /// Lets a frozen process go on (SIGCONT).
    ///
    /// # Errors
    /// The system refused the signal.
    pub fn thaw(&mut self) -> Result<(), ProcessError> {
        self.signal("thaw", Signal::CONT)
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn signal(&mut self, what: &'static str, signal: Signal) -> Result<(), ProcessError> {
        let Some(child) = self.child.as_ref() else {
            return Ok(());
        };
        kill_process(Pid::from_child(child), signal)
            .map_err(|source| self.signal_error(what, source.into()))
    }

    /// Waits for the end of a process that was asked to end, and kills it after five seconds.
    ///
    /// # Errors
    /// The system refused to say how the process fares, or to kill it.
    pub async fn finish(&mut self) -> Result<(), ProcessError> {
        let deadline = Instant::now() + STOP_BOUND;
        while let Some(child) = self.child.as_mut() {
            match child.try_wait() {
                Ok(Some(_status)) => self.child = None,
                Ok(None) if Instant::now() < deadline => tokio::time::sleep(POLL).await,
                Ok(None) => self.kill()?,
                Err(source) => return Err(self.signal_error("wait for", source)),
            }
        }
        Ok(())
    }

    /// The last lines that the process printed, for error messages.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let from = bytes.len().saturating_sub(LOG_TAIL_BYTES);
        String::from_utf8_lossy(&bytes[from..]).into_owned()
    }

    fn open_log(&self) -> Result<File, ProcessError> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(|source| self.log_error(source))
    }

    fn log_error(&self, source: io::Error) -> ProcessError {
        ProcessError::Log {
            path: self.log.clone(),
            source,
        }
    }

    fn signal_error(&self, what: &'static str, source: io::Error) -> ProcessError {
        ProcessError::Signal {
            what,
            name: self.name.clone(),
            pid: self.child.as_ref().map_or(0, Child::id),
            source,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // An error here means that the process is already gone, which is what is wanted.
            let _already_gone = child.kill();
            let _already_reaped = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(dir: &Path) -> Process {
        Process::new(
            "sleeper",
            Path::new("sleep"),
            vec!["60".into()],
            dir.join("log"),
        )
    }

    fn alive(pid: Pid) -> bool {
        rustix::process::test_kill_process(pid).is_ok()
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let mut process = sleeper(dir.path());
        process.start().expect("sleep starts");
        let pid = Pid::from_child(process.child.as_ref().expect("started"));
        assert!(alive(pid));
        drop(process);
        assert!(!alive(pid));
    }

    #[test]
    fn a_killed_process_starts_again() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let mut process = sleeper(dir.path());
        process.start().expect("sleep starts");
        process.kill().expect("killed");
        process.start().expect("sleep starts again");
        process.check().expect("it runs");
    }

    #[tokio::test]
    async fn an_end_of_its_own_is_told_with_the_output() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let args = vec!["-c".into(), "echo disk on fire; exit 3".into()];
        let mut process = Process::new("member", Path::new("sh"), args, dir.path().join("log"));
        process.start().expect("sh starts");
        let deadline = Instant::now() + Duration::from_secs(10);
        let told = loop {
            if let Err(error) = process.check() {
                break error.to_string();
            }
            assert!(
                Instant::now() < deadline,
                "the shell should end within 10 s"
            );
            tokio::time::sleep(POLL).await;
        };
        assert!(
            told.contains("disk on fire") && told.contains("exit status: 3"),
            "{told}"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let mut process = Process::new(
            "member",
            Path::new("/nonexistent/etcd"),
            vec![],
            dir.path().join("log"),
        );
        let told = process.start().expect_err("there is no such program");
        assert!(told.to_string().contains("/nonexistent/etcd"), "{told}");
    }
}
