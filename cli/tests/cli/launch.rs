//! The binary, started as a person would.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long anything may take on a busy machine.
pub const BOUND: Duration = Duration::from_secs(90);

/// The binary, with nothing from outside that could change what it does.
pub fn tenure() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command
        .env_remove("TENURE_SERVERS")
        .env_remove("TENURE_ACTOR")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(args: &[&str]) -> Output {
    tenure()
        .args(args)
        .output()
        .expect("the binary that was built can be started")
}

/// The exit code, and stdout as JSON.
pub fn json(output: &Output) -> (Option<i32>, Value) {
    let text = String::from_utf8_lossy(&output.stdout);
    let value = serde_json::from_str(&text)
        .unwrap_or_else(|why| panic!("{why}: {text}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), value)
}

/// `tenure dev`, with its events. Killed when dropped, which takes its servers along.
pub struct Dev {
    child: Child,
    events: Receiver<Value>,
    /// Where it keeps temporary data.
    pub temporary: TempDir,
    /// All processes that it said it started.
    pub pids: Vec<i32>,
    /// Where the servers are asked.
    pub servers: String,
    /// The leader's process when it was ready.
    pub leader_pid: i32,
}

impl Dev {
    /// Starts it and waits until it is ready.
    pub fn start(data_dir: Option<&Path>) -> Self {
        Self::start_with(data_dir, &[])
    }

    /// The same, with more arguments.
    pub fn start_with(data_dir: Option<&Path>, arguments: &[&str]) -> Self {
        let temporary = tempfile::tempdir().expect("a folder for temporary data");
        let mut command = tenure();
        command
            .args(["--json", "dev", "--no-view", "--free-ports"])
            .args(arguments)
            .env("TMPDIR", temporary.path());
        if let Some(folder) = data_dir {
            command.arg("--data-dir").arg(folder);
        }
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("dev can be started");
        let stdout = child.stdout.take().expect("stdout is piped");
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        let (pids, servers) = (Vec::new(), String::new());
        let mut dev = Self {
            child,
            events,
            temporary,
            pids,
            servers,
            leader_pid: 0,
        };
        let ready = dev.wait_for("ready", |event| event["event"] == "ready");
        dev.leader_pid = pid(&ready);
        let text = ready["text"].as_str().expect("every event has a text");
        let (_, asked) = text
            .split_once("ask ")
            .expect("the ready line says where to ask");
        dev.servers = asked.split(';').next().unwrap_or_default().to_owned();
        dev
    }

    /// Waits for an event; remembers all processes that were started on the way.
    pub fn wait_for(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + BOUND;
        let mut before = Vec::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let event = match self.events.recv_timeout(left) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no `{what}` within {BOUND:?}, only {before:#?}")
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("dev ended before `{what}`: {before:#?}")
                }
            };
            if event["event"] == "started" {
                self.pids.push(pid(&event));
            }
            if is_it(&event) {
                return event;
            }
            before.push(event);
        }
    }

    /// Runs a command against its servers.
    pub fn ask(&self, args: &[&str]) -> Output {
        run(&[&["--server", &self.servers], args].concat())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id is an i32");
        send(pid, signal);
    }

    /// Waits until it has ended, and gives its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        poll("dev ends", || {
            status = self.child.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It may have ended, as it should have.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

fn pid(event: &Value) -> i32 {
    let pid = event["pid"]
        .as_i64()
        .and_then(|pid| i32::try_from(pid).ok());
    pid.unwrap_or_else(|| panic!("no process id in {event}"))
}

/// Sends a signal to a process.
pub fn send(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("0 is no process id");
    kill_process(pid, signal).expect("the process runs");
}

/// Whether a process runs; one that has ended and was not waited for does not.
pub fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

/// Waits for a condition.
pub fn poll(what: &str, mut is_true: impl FnMut() -> bool) {
    let until = Instant::now() + BOUND;
    while !is_true() {
        assert!(Instant::now() < until, "not within {BOUND:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
