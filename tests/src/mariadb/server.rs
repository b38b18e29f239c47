//! One `mariadbd` as a child process, and somebody who starts it when that is wanted, as a service manager does.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::config::{Files, OPERATOR, mariadbd};
use super::link;
use super::template::{Template, TemplateError};
use crate::process::{Process, ProcessError};

/// How often it is looked whether somebody wants it started.
const LOOK: Duration = Duration::from_millis(20);

/// One `mariadbd`. Dropping it kills the process.
#[derive(Debug)]
pub struct Mariadb {
    /// Where it is reached.
    pub address: SocketAddr,
    /// Its files.
    pub files: Files,
    shared: Arc<Shared>,
    starter: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    process: Mutex<Process>,
    /// It was killed, and is to stay so until the test has it started.
    is_down: AtomicBool,
    is_over: AtomicBool,
}

/// The program.
const PROGRAM: &str = "mariadbd";

/// The program, as the system finds it: in the path, or where the distribution puts servers.
#[must_use]
pub fn program() -> PathBuf {
    let folder = Path::new("/usr/sbin");
    let usual = folder.join(PROGRAM);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join(PROGRAM).is_file());
    if is_there || !usual.is_file() {
        return PROGRAM.into();
    }
    usual
}

/// The arguments of a `mariadbd` with these files.
#[must_use]
pub fn arguments(files: &Files) -> Vec<String> {
    vec![format!("--defaults-file={}", files.config().display())]
}

impl Mariadb {
    /// Gives `process`, which must have [`arguments`], its data and its configuration, and does not start it.
    ///
    /// # Errors
    /// [`TemplateError`]. A retry is safe in an empty folder.
    pub fn new(
        template: &Template,
        files: Files,
        address: SocketAddr,
        number: u64,
        process: Process,
        more: &str,
    ) -> Result<Self, TemplateError> {
        template.copy_to(&files)?;
        let text = mariadbd(&files, address, number, more);
        let path = files.config();
        std::fs::write(&path, text).map_err(|source| TemplateError::Write { path, source })?;
        let shared = Arc::new(Shared {
            process: Mutex::new(process),
            is_down: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let starter = starter(files.wanted(), shared.clone());
        Ok(Self {
            address,
            files,
            shared,
            starter: Some(starter),
        })
    }

    /// A description of its process here, with its output in its log.
    #[must_use]
    pub fn process(files: &Files, number: u64) -> Process {
        let name = format!("{PROGRAM}-{number}");
        Process::new(name, &program(), arguments(files), files.log())
    }

    fn lock(&self) -> MutexGuard<'_, Process> {
        self.shared.lock()
    }

    /// Starts it; a no-op while it runs.
    ///
    /// # Errors
    /// It cannot be started. A retry is safe.
    pub fn start(&self) -> Result<(), ProcessError> {
        self.shared.is_down.store(false, Ordering::Relaxed);
        self.shared.start()
    }

    /// Kills it with SIGKILL, and waits until it is gone. It stays away until it is [started](Self::start).
    ///
    /// # Errors
    /// The system refused, or it had ended by itself.
    pub fn kill(&self) -> Result<(), ProcessError> {
        self.shared.is_down.store(true, Ordering::Relaxed);
        self.lock().kill()
    }

    /// Once it ends it stays away until it is [started](Self::start).
    pub fn stay_away(&self) {
        self.shared.is_down.store(true, Ordering::Relaxed);
    }

    /// Stops it where it stands.
    ///
    /// # Errors
    /// The system refused.
    pub fn freeze(&self) -> Result<(), ProcessError> {
        self.lock().freeze()
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// The system refused.
    pub fn thaw(&self) -> Result<(), ProcessError> {
        self.lock().thaw()
    }

    /// Whether it runs.
    ///
    /// # Errors
    /// It ended by itself; with the end of its log.
    pub fn check(&self) -> Result<(), ProcessError> {
        self.lock().check()
    }

    /// Its process while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.lock().pid()
    }

    /// Whether it answers.
    pub async fn is_up(&self) -> bool {
        link::ask::<u64>(self.address, OPERATOR, "SELECT 1")
            .await
            .is_ok()
    }
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(starter) = self.starter.take() {
            // It cannot panic, and whoever drops this may be in a panic already.
            let _over = starter.join();
        }
        // An error means that it is gone, which is what is wanted.
        let _gone_already = self.kill();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Also one that has ended by itself: it says so, and is forgotten then.
    #[expect(clippy::print_stdout, reason = "why it has ended has to be seen")]
    fn start(&self) -> Result<(), ProcessError> {
        let mut process = self.lock();
        if let Err(ended) = process.check() {
            println!("{ended}");
        }
        process.start()
    }
}

fn starter(wanted: PathBuf, shared: Arc<Shared>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        while !shared.is_over.load(Ordering::Relaxed) {
            let is_wanted = std::fs::remove_file(&wanted).is_ok();
            if is_wanted && !shared.is_down.load(Ordering::Relaxed) {
                // Whoever wants it asks again.
                let _failed = shared.start();
            }
            std::thread::sleep(LOOK);
        }
    })
}
