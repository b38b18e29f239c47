//! How an agent starts an instance under `dev`: as a process of its own, which becomes a child of `dev`
//! and ends with it.
//!
//! An agent's start program has to end; the instance has to outlive it, and the agent. What a program
//! leaves behind goes to the nearest process above that takes orphans, which `dev` is. The kernel then
//! kills the instance when `dev` dies, however that is.

use super::processes::{DEV, PID, STARTED};
use crate::exit::{Exit, Failure};
use clap::Args;
use rustix::{
    fs::{FlockOperation, flock},
    io::{Errno, FdFlags, fcntl_setfd},
    process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal},
};
use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// How long it may take until whoever started this has ended.
const ORPHANED_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What becomes a child of `dev`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// The folder of the node
    #[arg(long)]
    folder: PathBuf,
    /// Whether it is to become it now
    #[arg(long)]
    orphan: bool,
    /// How long it stays away when it ran before, in milliseconds
    #[arg(long, default_value_t = 0)]
    again_after_ms: u64,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

/// Leaves a process behind that runs the program, or becomes it.
///
/// # Errors
/// When `dev` is gone, or the program cannot be run.
pub fn run(args: &ExecArgs) -> Result<Exit, Failure> {
    if args.orphan {
        become_it(args)
    } else {
        leave_behind(args)
    }
}

fn leave_behind(args: &ExecArgs) -> Result<Exit, Failure> {
    let log = args.folder.join("store.log");
    let opened = OpenOptions::new().create(true).append(true).open(&log);
    let log = opened.map_err(|why| failed("write", &log, &why))?;
    let errors = log.try_clone().map_err(Failure::local)?;
    let own = std::env::current_exe().map_err(Failure::local)?;
    let mut command = Command::new(own);
    command
        .args(["dev-part", "exec", "--orphan", "--folder"])
        .arg(&args.folder)
        .arg("--again-after-ms")
        .arg(args.again_after_ms.to_string())
        .arg("--")
        .args(&args.program)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(0);
    command.spawn().map_err(Failure::local)?;
    Ok(Exit::Ok)
}

fn become_it(args: &ExecArgs) -> Result<Exit, Failure> {
    let dev = dev(&args.folder)?;
    let until = Instant::now() + ORPHANED_WITHIN;
    while getppid() != Some(dev) {
        if Instant::now() >= until {
            return Err(Failure::local(format!(
                "this did not become a child of `tenure dev`, process {dev}"
            )));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(Failure::local)?;
    if !is_alone(&args.folder)? {
        // An agent that is impatient has started another one before this.
        return Ok(Exit::Ok);
    }
    let started = args.folder.join(STARTED);
    if started.exists() {
        std::thread::sleep(Duration::from_millis(args.again_after_ms));
    }
    fs::write(&started, "").map_err(|why| failed("write", &started, &why))?;
    let fresh = args.folder.join("store.pid.new");
    let written = fs::write(&fresh, getpid().to_string())
        .and_then(|()| fs::rename(&fresh, args.folder.join(PID)));
    written.map_err(|why| failed("write", &fresh, &why))?;
    // Looked at again: `dev` takes its mark away first, and then looks for what was written above.
    if self::dev(&args.folder)? != dev || getppid() != Some(dev) {
        return Err(Failure::local("`tenure dev` is being stopped"));
    }
    let (program, arguments) = args
        .program
        .split_first()
        .ok_or_else(|| Failure::invalid("no program is named"))?;
    let why = Command::new(program).args(arguments).exec();
    Err(failed("run", Path::new(program), &why))
}

/// Whether this is the only one of the node. The lock is held by the open file, which the program inherits:
/// it goes when the program ends, however that is.
fn is_alone(node: &Path) -> Result<bool, Failure> {
    let path = node.join("store.lock");
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    let lock = opened.map_err(|why| failed("write", &path, &why))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(false),
        Err(why) => return Err(failed("lock", &path, &why.into())),
    }
    fcntl_setfd(&lock, FdFlags::empty()).map_err(|why| failed("keep", &path, &why.into()))?;
    // It stays open until this process is another program, and in that.
    std::mem::forget(lock);
    Ok(true)
}

/// The process of `dev`, as long as it wants instances.
fn dev(node: &Path) -> Result<Pid, Failure> {
    let mark = node.parent().unwrap_or(node).join(DEV);
    let text = fs::read_to_string(&mark).map_err(|why| failed("read", &mark, &why))?;
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| Failure::local(format!("{}: no process id", mark.display())))
}

fn failed(what: &str, path: &Path, why: &std::io::Error) -> Failure {
    Failure::local(format!("cannot {what} {}: {why}", path.display()))
}
