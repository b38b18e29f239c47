//! A `redis-server` of a test's own.

use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;

/// Below the range of outgoing connections, one of which could otherwise take the port of a server that
/// is down for a moment.
const PORTS: std::ops::Range<u16> = 12_000..32_768;
const UP_WITHIN: Duration = Duration::from_secs(20);
/// The state of a socket that listens, in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// A port that no other test process asking in the same way gets while this one lives.
pub fn free_port() -> u16 {
    static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let span = u32::from(PORTS.end - PORTS.start);
    let begin = std::process::id().wrapping_mul(37) % span;
    for step in 0..span {
        let port = PORTS.start + u16::try_from((begin + step) % span).unwrap();
        let name = SocketAddr::from_abstract_name(format!("tenure-test-port-{port}")).unwrap();
        let Ok(hold) = UnixListener::bind_addr(&name) else {
            continue;
        };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
            reserved.push(hold);
            return port;
        }
    }
    panic!("no port of {PORTS:?} is free");
}

pub struct Server {
    pub port: u16,
    pub folder: TempDir,
    arguments: Vec<String>,
    password: Option<String>,
    file: Option<String>,
    child: Option<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Server {
    /// A server without persistence.
    pub fn start() -> Self {
        Self::with(&["--save", ""])
    }

    pub fn with(arguments: &[&str]) -> Self {
        let mut server = Self::stopped(arguments);
        server.launch();
        server
    }

    /// One that is not running yet.
    pub fn stopped(arguments: &[&str]) -> Self {
        Self {
            port: free_port(),
            folder: tempfile::tempdir().unwrap(),
            arguments: arguments.iter().map(|it| (*it).to_owned()).collect(),
            password: None,
            file: None,
            child: None,
        }
    }

    pub fn secured(arguments: &[&str], password: &str) -> Self {
        let mut server = Self::stopped(arguments);
        server.password = Some(password.to_owned());
        server
            .arguments
            .extend(["--requirepass".to_owned(), password.to_owned()]);
        server.launch();
        server
    }

    /// Started with this file from now on.
    pub fn configured_by(&mut self, file: &Path) {
        self.file = Some(file.display().to_string());
    }

    /// How it is started, the program first.
    pub fn command(&self) -> Vec<String> {
        let program = ["redis-server".to_owned()]
            .into_iter()
            .chain(self.file.clone());
        let fixed = [
            "--port",
            &self.port.to_string(),
            "--bind",
            "127.0.0.1",
            "--dir",
            &self.folder.path().display().to_string(),
            "--logfile",
            "log",
            "--repl-diskless-sync-delay",
            "0",
        ];
        let fixed = fixed.iter().map(|it| (*it).to_owned());
        program
            .chain(fixed)
            .chain(self.arguments.iter().cloned())
            .collect()
    }

    /// More arguments for the next start.
    pub fn add(&mut self, arguments: &[&str]) {
        self.arguments
            .extend(arguments.iter().map(|it| (*it).to_owned()));
    }

    pub fn launch(&mut self) {
        self.spawn();
        self.wait_until_up();
    }

    pub fn spawn(&mut self) {
        // A child of the one before may hold its port for a moment longer.
        let until = Instant::now() + UP_WITHIN;
        while TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(Instant::now() < until, "port {} is not free", self.port);
            std::thread::sleep(Duration::from_millis(1));
        }
        let words = self.command();
        let child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("redis-server cannot be started ({error}): install the package redis-server")
            });
        self.child = Some(child);
    }

    pub fn wait_until_up(&self) {
        let until = Instant::now() + UP_WITHIN;
        while Instant::now() < until {
            if let Some(mut client) = Client::open(self.port)
                && self
                    .password
                    .as_ref()
                    .is_none_or(|it| client.ask(&["AUTH", it]).is("OK"))
                && client.ask(&["PING"]).is("PONG")
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!(
            "redis-server is not up within {UP_WITHIN:?}; its log:\n{}",
            self.log()
        );
    }

    /// How many bytes lie in its connections that it has not read: while it is frozen they do not get fewer.
    pub fn unread(&self) -> u64 {
        let text = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let own = format!(":{:04X}", self.port);
        let sockets = text.lines().skip(1).map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let mut next = || words.next().expect("proc(5) says so");
            (next(), next(), next(), next())
        });
        let own = sockets.filter(|(local, _, state, _)| local.ends_with(&own) && *state != LISTENS);
        let unread = own.map(|(_, _, _, queues)| {
            let (_, unread) = queues.split_once(':').expect("proc(5) says so");
            u64::from_str_radix(unread, 16).unwrap()
        });
        unread.sum()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn client(&self) -> Client {
        let mut client = Client::open(self.port).expect("the server listens");
        if let Some(password) = &self.password {
            assert!(client.ask(&["AUTH", password]).is("OK"));
        }
        client
    }

    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("the server was started");
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Freezes it; returns when it is frozen.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.child.as_ref().unwrap().id());
        while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
            std::thread::yield_now();
        }
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends SIGKILL, and does not wait.
    pub fn shoot(&self) {
        self.signal(Signal::KILL);
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Gone already is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Whether it was ended by somebody else. Waits for that.
    pub fn ends_within(&mut self, bound: Duration) -> bool {
        let until = Instant::now() + bound;
        while Instant::now() < until {
            if self.child.as_mut().unwrap().try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }
}
