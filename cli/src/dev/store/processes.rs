//! The instances' processes: children of `dev` that agents have started. Seen to come and go, and stopped
//! at the end.

use super::{Kind, NODES};
use crate::{
    dev::{
        event::{Event, Who},
        supervisor::wording,
    },
    exit::Failure,
};
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, set_child_subreaper, waitpid,
};
use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant},
};

/// The file that says which process `dev` is, as long as instances are wanted.
pub const DEV: &str = "dev.pid";
/// The file of a node that says that its instance was started before.
pub const STARTED: &str = "store.started";
/// The file of a node that says which process its instance is.
pub const PID: &str = "store.pid";

/// How long an instance may take to stop in order, which may include saving its data.
const STOP_WITHIN: Duration = Duration::from_secs(8);
/// How long a killed one may take to go.
const KILLED_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// All of them.
pub struct Processes {
    folder: PathBuf,
    nodes: Vec<Node>,
}

struct Node {
    kind: Kind,
    name: &'static str,
    file: PathBuf,
    /// Those that were not seen to end. They keep their ids until then, for nobody else waits for them.
    known: Vec<Pid>,
    started_before: bool,
}

impl Processes {
    /// Makes this process the one that takes what agents leave behind.
    ///
    /// # Errors
    /// When the system does not let it, or the folder cannot be written to.
    pub fn begin(folder: &Path, kind: Kind) -> Result<Self, Failure> {
        set_child_subreaper(Some(getpid()))
            .map_err(|why| Failure::local(format!("the system gives up no orphans: {why}")))?;
        let node = |name| Node {
            kind,
            name,
            file: folder.join(name).join(PID),
            known: Vec::new(),
            started_before: false,
        };
        let nodes: Vec<Node> = NODES.into_iter().map(node).collect();
        for node in &nodes {
            // None is there on the first run.
            let _absent = fs::remove_file(&node.file);
            let _absent = fs::remove_file(node.file.with_file_name(STARTED));
        }
        let mark = folder.join(DEV);
        fs::write(&mark, getpid().to_string())
            .map_err(|why| Failure::local(format!("cannot write {}: {why}", mark.display())))?;
        Ok(Self {
            folder: folder.to_owned(),
            nodes,
        })
    }

    /// What came and went since the last look.
    pub fn look(&mut self) -> Vec<Event> {
        self.nodes.iter_mut().flat_map(Node::look).collect()
    }

    /// Stops them all; the agents must have ended. `in_order` lets them save what they have.
    pub async fn stop(&mut self, in_order: bool) {
        // One that is about to start looks for this after it has said who it is.
        let _absent = fs::remove_file(self.folder.join(DEV));
        let kinds = [(Signal::TERM, STOP_WITHIN), (Signal::KILL, KILLED_WITHIN)];
        for (signal, within) in kinds.into_iter().skip(usize::from(!in_order)) {
            let until = Instant::now() + within;
            let mut told: Vec<Pid> = Vec::new();
            loop {
                self.look();
                let left: Vec<Pid> = self.nodes.iter().flat_map(|it| it.known.clone()).collect();
                if left.is_empty() {
                    return;
                }
                for pid in left {
                    if !told.contains(&pid) {
                        told.push(pid);
                        // An error means that it has ended already.
                        let _ended = kill_process(pid, signal);
                    }
                }
                if Instant::now() >= until {
                    break;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }

    /// Ends what others have left behind; everything that was started here must have ended. A process that
    /// was killed may have had children, and they may still write.
    pub async fn sweep(&self) {
        let until = Instant::now() + KILLED_WITHIN;
        loop {
            let left = children();
            if left.is_empty() || Instant::now() >= until {
                return;
            }
            for pid in left {
                // Both fail for one that has ended in the meantime.
                let _ended = kill_process(pid, Signal::KILL);
                let _reaped = waitpid(Some(pid), WaitOptions::NOHANG);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Node {
    /// The one that went, and then the one that came in its place.
    fn look(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let (kind, name, file) = (self.kind, self.name, self.file.clone());
        self.known.retain(|pid| {
            let Some(how) = ended(*pid) else {
                return true;
            };
            events.push(Event::Died {
                who: Who::Store(kind, name),
                pid: number(*pid),
                how,
                restart_after: None,
            });
            if read(&file) == Some(*pid) {
                let _absent = fs::remove_file(&file);
            }
            false
        });
        events.extend(self.came());
        events
    }

    fn came(&mut self) -> Option<Event> {
        let pid = read(&self.file)?;
        if self.known.contains(&pid) || !is_ours(pid) {
            return None;
        }
        self.known.push(pid);
        let again = std::mem::replace(&mut self.started_before, true);
        Some(Event::Started {
            who: Who::Store(self.kind, self.name),
            pid: number(pid),
            again,
        })
    }
}

fn read(file: &Path) -> Option<Pid> {
    let text = fs::read_to_string(file).ok()?;
    text.parse().ok().and_then(Pid::from_raw)
}

fn number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

/// All children of this process.
fn children() -> Vec<Pid> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = processes.filter_map(|entry| entry.file_name().into_string().ok());
    let pids = names.filter_map(|name| name.parse().ok().and_then(Pid::from_raw));
    pids.filter(|pid| is_ours(*pid)).collect()
}

/// Whether it is a child of this process, which no other process of the same number can be.
fn is_ours(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name, which may hold anything: the state, and the parent.
    let parent = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.split(' ').nth(1));
    parent
        .and_then(|parent| parent.parse().ok())
        .and_then(Pid::from_raw)
        == Some(getpid())
}

/// How it ended, if it has.
fn ended(pid: Pid) -> Option<String> {
    match waitpid(Some(pid), WaitOptions::NOHANG) {
        Ok(None) => None,
        Ok(Some((_, status))) => Some(wording(Ok(exit_status(status)))),
        Err(why) => Some(why.to_string()),
    }
}

fn exit_status(status: WaitStatus) -> ExitStatus {
    ExitStatus::from_raw(status.as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::zombie_processes, reason = "the node under test waits for it")]
    fn a_child_comes_and_goes_and_a_stranger_is_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let mut node = Node {
            kind: Kind::Redis,
            name: "db-1",
            file: folder.path().join(PID),
            known: Vec::new(),
            started_before: false,
        };
        assert_eq!(node.look(), []);
        fs::write(&node.file, "1").unwrap();
        assert_eq!(node.look(), [], "process 1 is nobody's child");

        let mut child = std::process::Command::new("sleep")
            .arg("100")
            .spawn()
            .unwrap();
        fs::write(&node.file, child.id().to_string()).unwrap();
        let (who, pid) = (Who::Store(Kind::Redis, "db-1"), child.id());
        let again = false;
        assert_eq!(node.look(), [Event::Started { who, pid, again }]);
        assert_eq!(node.look(), []);

        child.kill().unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        let died = loop {
            let events = node.look();
            if !events.is_empty() {
                break events;
            }
            assert!(Instant::now() < until, "it is not seen to end");
            std::thread::sleep(Duration::from_millis(1));
        };
        let how = "killed (SIGKILL)".to_owned();
        let restart_after = None;
        assert_eq!(
            died,
            [Event::Died {
                who,
                pid,
                how,
                restart_after
            }]
        );
        assert!(!node.file.exists());
    }
}
