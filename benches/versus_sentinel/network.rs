//! Where the nodes are: all on loopback, or each in a network namespace of its own, joined by a bridge in the
//! namespace of the bench, so that one of them can be cut off. The namespaces have no names and end with their
//! processes: nothing of them can be left behind.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tenure_benches::process::Process;

use crate::error::BenchError;
use crate::moment::Moment;

/// How many nodes there are.
pub const NODES: usize = 3;
const BRIDGE: &str = "bench0";
const HUB: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 254);
const HOLDER_BOUND: Duration = Duration::from_secs(5);
/// All that `Network::namespaces` will need, tried in a namespace that is gone at once.
const TRIAL: &str =
    "ip link set lo up && ip link add b0 type bridge && ip link add v0 type veth peer name v1";

/// A place that processes run at.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where others reach it.
    pub ip: Ipv4Addr,
    /// A process in its namespace; none when it is the namespace of the bench.
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

    /// Describes a process at this site, a member of `group`, without starting it.
    pub fn process(
        &self,
        group: i32,
        name: String,
        program: &Path,
        args: Vec<String>,
        log: &Path,
    ) -> Process {
        let (program, args) = self.command(program, args);
        Process::new(name, Path::new(&program), args, log.to_path_buf()).in_group(group)
    }
}

/// The sites of one run.
#[derive(Debug)]
pub struct Network {
    /// Where servers, Sentinels and the writers are.
    pub hub: Site,
    /// Where the nodes are.
    pub nodes: Vec<Site>,
    holders: Vec<Process>,
}

impl Network {
    /// Everything on loopback.
    pub fn loopback() -> Self {
        let site = Site {
            ip: Ipv4Addr::LOCALHOST,
            holder: None,
        };
        Self {
            hub: site.clone(),
            nodes: vec![site; NODES],
            holders: Vec::new(),
        }
    }

    /// Makes a namespace per node. To be called inside a namespace of the bench's own ([`enter`]).
    pub async fn namespaces(group: i32, dir: &Path) -> Result<Self, BenchError> {
        ip("link set lo up")?;
        ip(&format!(
            "link add {BRIDGE} type bridge forward_delay 0 stp_state 0"
        ))?;
        ip(&format!("addr add {HUB}/24 dev {BRIDGE}"))?;
        ip(&format!("link set {BRIDGE} up"))?;
        let mut network = Self {
            hub: Site {
                ip: HUB,
                holder: None,
            },
            nodes: Vec::new(),
            holders: Vec::new(),
        };
        for at in 0..NODES {
            network.add_node(at, group, dir).await?;
        }
        Ok(network)
    }

    async fn add_node(&mut self, at: usize, group: i32, dir: &Path) -> Result<(), BenchError> {
        let last = u8::try_from(at + 1).unwrap_or(u8::MAX);
        let address = Ipv4Addr::new(10, 77, 0, last);
        let args = ["--net", "sleep", "infinity"].map(str::to_owned).to_vec();
        let log = dir.join(format!("namespace-{at}.log"));
        let mut holder =
            Process::new("a namespace", Path::new("unshare"), args, log).in_group(group);
        holder.start()?;
        let pid = holder.pid().unwrap_or(0);
        own_namespace(&mut holder, pid).await?;
        self.holders.push(holder);
        let port = port_of(at);
        ip(&format!(
            "link add {port} type veth peer name eth0 netns {pid}"
        ))?;
        ip(&format!("link set {port} master {BRIDGE} up"))?;
        for settings in [
            "link set lo up".to_owned(),
            format!("addr add {address}/24 dev eth0"),
            "link set eth0 up".to_owned(),
        ] {
            run(
                "nsenter",
                &format!("--net=/proc/{pid}/ns/net -- ip {settings}"),
            )?;
        }
        self.nodes.push(Site {
            ip: address,
            holder: Some(pid),
        });
        Ok(())
    }

    /// Whether a node can be cut off.
    pub fn can_cut(&self) -> bool {
        !self.holders.is_empty()
    }

    /// Lets nothing pass to or from a node. Nobody is told: links stay up, packets vanish.
    pub fn cut(&self, node: usize) -> Result<(), BenchError> {
        ip(&format!("link set {} nomaster", port_of(node)))
    }

    /// Ends a cut.
    pub fn heal(&self, node: usize) -> Result<(), BenchError> {
        ip(&format!("link set {} master {BRIDGE}", port_of(node)))
    }

    /// For the conditions.
    pub fn describe(&self) -> &'static str {
        if self.can_cut() {
            "every node in a network namespace of its own, joined by a bridge; Sentinels, servers and writers beside the bridge"
        } else {
            "all on loopback"
        }
    }
}

/// The bridge's port that leads to a node.
fn port_of(node: usize) -> String {
    format!("node{node}")
}

/// Starts this program again, in place of itself, inside a network namespace of its own. Returns only with the
/// reason why this cannot be done.
pub fn enter() -> String {
    let mut why = String::new();
    for flags in [&["--net"][..], &["--net", "--map-root-user"]] {
        let trial = Command::new("unshare")
            .args(flags)
            .args(["sh", "-c", TRIAL])
            .stdin(Stdio::null())
            .output();
        match trial {
            Ok(output) if output.status.success() => return replace(flags),
            Ok(output) => why = told(&output),
            Err(error) => why = format!("unshare: {error}"),
        }
    }
    why
}

fn replace(flags: &[&str]) -> String {
    let own = match std::env::current_exe() {
        Ok(own) => own,
        Err(error) => return format!("the path of this program: {error}"),
    };
    let error = Command::new("unshare")
        .args(flags)
        .arg("--")
        .arg(own)
        .args(std::env::args_os().skip(1))
        .arg("--inside")
        .exec();
    format!("unshare: {error}")
}

/// Waits until a process has left the namespace of the bench.
async fn own_namespace(holder: &mut Process, pid: u32) -> Result<(), BenchError> {
    let here = std::fs::read_link("/proc/self/ns/net").ok();
    let deadline = Moment::now().plus(HOLDER_BOUND);
    while Moment::now() < deadline {
        holder.check()?;
        let there = std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        if there.is_some() && there != here {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err(BenchError::TooLate {
        what: "a network namespace".to_owned(),
        bound: HOLDER_BOUND,
        last: "unshare has not made it".to_owned(),
    })
}

fn ip(args: &str) -> Result<(), BenchError> {
    run("ip", args)
}

fn run(program: &str, args: &str) -> Result<(), BenchError> {
    let failed = |told: String| BenchError::Namespace {
        command: format!("{program} {args}"),
        told,
    };
    let output = Command::new(program)
        .args(args.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(told(&output)))
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
mod tests {
    use super::*;

    #[test]
    fn a_process_is_led_into_its_namespace() {
        let program = Path::new("redis-server");
        let args = vec!["--port".to_owned(), "1".to_owned()];
        let here = Site {
            ip: Ipv4Addr::LOCALHOST,
            holder: None,
        };
        assert_eq!(
            here.command(program, args.clone()),
            ("redis-server".into(), args.clone())
        );
        let there = Site {
            ip: Ipv4Addr::new(10, 77, 0, 1),
            holder: Some(42),
        };
        let (entering, entered) = there.command(program, args);
        assert_eq!(entering, "nsenter");
        assert_eq!(
            entered.join(" "),
            "--net=/proc/42/ns/net -- redis-server --port 1"
        );
    }

    #[test]
    fn what_a_command_said_is_kept() {
        let error = run("sh", "-c exit").err();
        assert!(error.is_none());
        let error = run("sh", "/nonexistent").expect_err("there is no such script");
        assert!(error.to_string().contains("/nonexistent"), "{error}");
    }
}
