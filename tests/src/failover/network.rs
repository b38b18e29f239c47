//! Places of their own: each in a network namespace, joined by a bridge in the namespace of whoever made them, so that
//! one can be cut off from all or from some, both ways or one way. The namespaces have no names and end with their
//! processes: nothing of them can be left behind.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::{Process, ProcessError};

const BRIDGE: &str = "bench0";
const HOLDER_BOUND: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(1);
/// The last byte of the hub's address.
const HUB_LAST: u8 = 254;
/// All that `Network::namespaces` will need, tried in a namespace that is gone at once.
const TRIAL: &str =
    "ip link set lo up && ip link add b0 type bridge && ip link add v0 type veth peer name v1";

/// What can go wrong with namespaces. What was begun of a network ends with it, so making another is safe.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A command of the system failed.
    #[error("{command:?} failed: {told}")]
    Command {
        /// The command.
        command: String,
        /// What it printed.
        told: String,
    },
    /// The process that holds a namespace could not be driven.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// `unshare` runs and has made no namespace.
    #[error("process {pid} is in no network namespace of its own within {HOLDER_BOUND:?}")]
    TooLate {
        /// The process.
        pid: u32,
    },
    /// A thread could not enter a namespace.
    #[error("cannot enter the network namespace of process {pid}: {source}")]
    Enter {
        /// The process in that namespace.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
}

/// A place that processes run at.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where others reach it.
    pub ip: Ipv4Addr,
    /// A process in its namespace; none when it is the namespace of whoever made the network.
    holder: Option<u32>,
}

impl Site {
    /// The program and arguments that run `program` there. The process keeps its id: `nsenter` becomes it.
    fn command(&self, program: &Path, args: Vec<String>) -> (OsString, Vec<String>) {
        let Some(holder) = self.holder else {
            return (program.into(), args);
        };
        let mut entered = vec![format!("--net=/proc/{holder}/ns/net"), "--".to_owned()];
        entered.push(program.display().to_string());
        entered.extend(args);
        ("nsenter".into(), entered)
    }

    /// Describes a process at this site without starting it.
    #[must_use]
    pub fn process(&self, name: String, program: &Path, args: Vec<String>, log: &Path) -> Process {
        let (program, args) = self.command(program, args);
        Process::new(name, Path::new(&program), args, log.to_path_buf())
    }

    /// Moves the calling thread there, and with it the threads and processes that it starts from now on. To be called on
    /// a thread of its own.
    ///
    /// # Errors
    /// The system refuses. A retry is safe.
    pub fn enter(&self) -> Result<(), NetworkError> {
        self.holder.map_or(Ok(()), enter)
    }

    /// Runs `ip` there, with these lines as its commands.
    fn ip(&self, lines: &[String]) -> Result<(), NetworkError> {
        let args = vec!["-batch".to_owned(), "-".to_owned()];
        let (program, args) = self.command(Path::new("ip"), args);
        let failed = |told: String| NetworkError::Command {
            command: format!("ip {}", lines.join("; ")),
            told,
        };
        let fed = |error: io::Error| failed(error.to_string());
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(fed)?;
        if let Some(mut input) = child.stdin.take() {
            let text = lines.join("\n") + "\n";
            input.write_all(text.as_bytes()).map_err(fed)?;
        }
        let output = child.wait_with_output().map_err(fed)?;
        if output.status.success() {
            return Ok(());
        }
        Err(failed(told(&output)))
    }

    /// The name of the interface that leads to the others, from its own side.
    fn interface(&self) -> &'static str {
        if self.holder.is_some() {
            "eth0"
        } else {
            BRIDGE
        }
    }

    fn last(&self) -> u8 {
        self.ip.octets()[3]
    }

    /// What makes packets to `other` arrive there, or at an interface that nobody has.
    fn neighbour(&self, other: &Self, arrives: bool) -> String {
        let (ip, last, device) = (other.ip, other.last(), self.interface());
        let kind = if arrives { 0 } else { 0xff };
        format!(
            "neigh replace {ip} lladdr {} nud permanent dev {device}",
            link_address(kind, last)
        )
    }
}

fn link_address(kind: u8, last: u8) -> String {
    format!("02:77:{kind:02x}:00:00:{last:02x}")
}

/// The sites of one run.
#[derive(Debug)]
pub struct Network {
    /// The namespace of whoever made the network.
    pub hub: Site,
    /// The others.
    pub sites: Vec<Site>,
    holders: Vec<Process>,
}

impl Network {
    /// Everything on loopback; nothing can be cut off.
    #[must_use]
    pub fn loopback(sites: usize) -> Self {
        let site = Site {
            ip: Ipv4Addr::LOCALHOST,
            holder: None,
        };
        Self {
            hub: site.clone(),
            sites: vec![site; sites],
            holders: Vec::new(),
        }
    }

    /// Makes `sites` sites with a namespace each, at most 200. To be called by a thread that is in a namespace of its
    /// own ([`enter_new`], or `unshare`). The processes that hold the namespaces are members of `group` if one is named.
    ///
    /// # Errors
    /// The system refuses. A retry is safe in another namespace.
    pub fn namespaces(sites: usize, group: Option<i32>, dir: &Path) -> Result<Self, NetworkError> {
        let hub = Site {
            ip: address(HUB_LAST),
            holder: None,
        };
        hub.ip(&[
            "link set lo up".to_owned(),
            format!("link add {BRIDGE} type bridge forward_delay 0 stp_state 0"),
            format!("link set {BRIDGE} address {}", link_address(0, HUB_LAST)),
            format!("addr add {}/24 dev {BRIDGE}", hub.ip),
            format!("link set {BRIDGE} up"),
        ])?;
        let mut network = Self {
            hub,
            sites: Vec::new(),
            holders: Vec::new(),
        };
        for at in 0..sites {
            network.add_site(at, group, dir)?;
        }
        // Who is where is said beforehand: a cut is of what is sent, not of questions that find no answer.
        let everybody: Vec<Place> = (0..sites).map(Place::Site).chain([Place::Hub]).collect();
        network.arrive(&everybody, &everybody, true)?;
        Ok(network)
    }

    fn add_site(&mut self, at: usize, group: Option<i32>, dir: &Path) -> Result<(), NetworkError> {
        let last = u8::try_from(at + 1).unwrap_or(u8::MAX);
        let holder = hold(group, &dir.join(format!("namespace-{at}.log")))?;
        let pid = holder.pid().unwrap_or(0);
        self.holders.push(holder);
        let port = port_of(at);
        self.hub.ip(&[
            format!("link add {port} type veth peer name eth0 netns {pid}"),
            format!("link set {port} master {BRIDGE} up"),
        ])?;
        let site = Site {
            ip: address(last),
            holder: Some(pid),
        };
        site.ip(&[
            "link set lo up".to_owned(),
            format!("link set eth0 address {}", link_address(0, last)),
            format!("addr add {}/24 dev eth0", site.ip),
            "link set eth0 up".to_owned(),
        ])?;
        self.sites.push(site);
        Ok(())
    }

    /// Whether a site can be cut off.
    #[must_use]
    pub fn can_cut(&self) -> bool {
        !self.holders.is_empty()
    }

    /// Lets nothing pass to or from a site. Nobody is told: links stay up, packets vanish.
    ///
    /// # Errors
    /// The system refuses. A retry is safe.
    pub fn cut(&self, site: usize) -> Result<(), NetworkError> {
        self.hub
            .ip(&[format!("link set {} nomaster", port_of(site))])
    }

    /// Ends a cut.
    ///
    /// # Errors
    /// The system refuses. A retry is safe.
    pub fn heal(&self, site: usize) -> Result<(), NetworkError> {
        self.hub
            .ip(&[format!("link set {} master {BRIDGE}", port_of(site))])
    }

    /// Lets nothing arrive that one of `from` sends to one of `to`. Nobody is told: packets vanish.
    ///
    /// # Errors
    /// The system refuses. A retry is safe.
    pub fn silence(&self, from: &[Place], to: &[Place]) -> Result<(), NetworkError> {
        self.arrive(from, to, false)
    }

    /// Ends what [`silence`](Self::silence) began.
    ///
    /// # Errors
    /// The system refuses. A retry is safe.
    pub fn let_hear(&self, from: &[Place], to: &[Place]) -> Result<(), NetworkError> {
        self.arrive(from, to, true)
    }

    fn arrive(&self, from: &[Place], to: &[Place], arrives: bool) -> Result<(), NetworkError> {
        for sender in from {
            let site = self.at(*sender);
            let others = to.iter().filter(|other| *other != sender);
            let lines: Vec<String> = others
                .map(|other| site.neighbour(self.at(*other), arrives))
                .collect();
            site.ip(&lines)?;
        }
        Ok(())
    }

    fn at(&self, place: Place) -> &Site {
        match place {
            Place::Hub => &self.hub,
            Place::Site(at) => &self.sites[at],
        }
    }
}

/// One of those between whom packets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The namespace of whoever made the network.
    Hub,
    /// The site at this place in the list.
    Site(usize),
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, last)
}

/// The bridge's port that leads to a site.
fn port_of(site: usize) -> String {
    format!("site{site}")
}

/// How `unshare` makes a network namespace here.
///
/// # Errors
/// The reason why it cannot be made, in one line.
pub fn permitted() -> Result<&'static [&'static str], String> {
    let mut why = String::new();
    for flags in [&["--net"][..], &["--net", "--map-root-user"]] {
        let trial = Command::new("unshare")
            .args(flags)
            .args(["sh", "-c", TRIAL])
            .stdin(Stdio::null())
            .output();
        match trial {
            Ok(output) if output.status.success() => return Ok(flags),
            Ok(output) => why = told(&output),
            Err(error) => why = format!("unshare: {error}"),
        }
    }
    Err(why)
}

/// Moves the calling thread into a new network namespace, and with it the threads and processes that it starts from now
/// on. It ends with the last of them.
///
/// # Errors
/// The system refuses: this must be root. A retry is safe.
pub fn enter_new(dir: &Path) -> Result<(), NetworkError> {
    let mut holder = hold(None, &dir.join("namespace.log"))?;
    enter(holder.pid().unwrap_or(0))?;
    Ok(holder.kill()?)
}

fn enter(pid: u32) -> Result<(), NetworkError> {
    let failed = |source| NetworkError::Enter { pid, source };
    let namespace = File::open(format!("/proc/{pid}/ns/net")).map_err(failed)?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(|error| failed(error.into()))
}

/// A process in a network namespace of its own.
fn hold(group: Option<i32>, log: &Path) -> Result<Process, NetworkError> {
    let args = ["--net", "sleep", "infinity"].map(str::to_owned).to_vec();
    let mut holder = Process::new("a namespace", Path::new("unshare"), args, log.to_path_buf());
    if let Some(group) = group {
        holder = holder.in_group(group);
    }
    holder.start()?;
    let pid = holder.pid().unwrap_or(0);
    let here = std::fs::read_link("/proc/thread-self/ns/net").ok();
    let deadline = Instant::now() + HOLDER_BOUND;
    while Instant::now() < deadline {
        holder.check()?;
        let there = std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        if there.is_some() && there != here {
            return Ok(holder);
        }
        std::thread::sleep(POLL);
    }
    Err(NetworkError::TooLate { pid })
}

/// What a failed command printed, in one line.
fn told(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    let line = errors.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return output.status.to_string();
    }
    line
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
