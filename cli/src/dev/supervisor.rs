//! Keeps servers and agents running: one that dies is started again after a while.

use super::{
    child::{Running, Start},
    event::{Event, Who},
    folder::Folder,
    store::{NODES, Store},
};
use crate::{exit::Failure, signals};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

/// How long a dead server stays dead, so that there is time to look.
const SERVER_AFTER: Duration = Duration::from_secs(5);
/// How long a dead agent does: as where a service manager looks after it.
const AGENT_AFTER: Duration = Duration::from_secs(1);

/// How they are to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Not,
    InOrder,
    AtOnce,
}

/// Processes of one kind, each with a task that looks after it.
struct Group {
    tasks: JoinSet<()>,
    stop: watch::Sender<Stop>,
}

/// All of them.
pub struct Supervisor {
    program: PathBuf,
    servers: Group,
    agents: Group,
    sender: mpsc::UnboundedSender<Event>,
    /// What happens to them.
    pub events: mpsc::UnboundedReceiver<Event>,
}

impl Supervisor {
    /// Starts all servers of the folder.
    ///
    /// # Errors
    /// When one cannot be started; none runs then.
    pub fn start(folder: &Folder) -> Result<Self, Failure> {
        let program = std::env::current_exe()
            .map_err(|why| Failure::local(format!("this program's path is unknown: {why}")))?;
        let (sender, events) = mpsc::unbounded_channel();
        let mut supervisor = Self {
            program,
            servers: Group::default(),
            agents: Group::default(),
            sender,
            events,
        };
        for id in folder.ids() {
            let arguments = with_config(&["server"], &folder.config(id));
            let start = supervisor.how(arguments, folder.log(id));
            let care = Care::of(Who::Server(id), start, SERVER_AFTER, &supervisor.sender);
            supervisor.servers.begin(care)?;
        }
        Ok(supervisor)
    }

    /// Starts the agents of all nodes that have one.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn start_agents(&mut self, folder: &Folder) -> Result<(), Failure> {
        for (node, ports) in NODES.into_iter().zip(&folder.nodes) {
            let config = folder.agent_config(node);
            let arguments = match folder.store {
                Store::Redis(_) | Store::Mysql(_) => with_config(&["agent"], &config),
                Store::BuiltIn => {
                    let mut arguments = with_config(&["dev-part", "agent"], &config);
                    arguments.extend(["--store".into(), ports.store().to_string().into()]);
                    arguments.extend(["--folder".into(), folder.node(node).into()]);
                    arguments
                }
            };
            let start = self.how(arguments, folder.agent_log(node));
            let care = Care::of(Who::Agent(node), start, AGENT_AFTER, &self.sender);
            self.agents.begin(care)?;
        }
        Ok(())
    }

    fn how(&self, arguments: Vec<OsString>, log: PathBuf) -> Start {
        Start {
            program: self.program.clone(),
            arguments,
            log,
        }
    }

    /// Stops the agents; in order, unless another signal comes. No instance is started afterwards.
    pub async fn stop_agents(&mut self, in_order: bool, signals: &mut signals::Stop) {
        self.agents.stop(in_order, signals).await;
    }

    /// Stops the servers; in order, unless another signal comes. Nothing runs afterwards.
    pub async fn stop(mut self, in_order: bool, signals: &mut signals::Stop) {
        self.agents.stop(false, signals).await;
        self.servers.stop(in_order, signals).await;
    }
}

fn with_config(command: &[&str], config: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = command.iter().map(OsString::from).collect();
    arguments.extend(["--die-with-parent", "--config"].map(OsString::from));
    arguments.push(config.into());
    arguments
}

impl Default for Group {
    fn default() -> Self {
        Self {
            tasks: JoinSet::new(),
            stop: watch::Sender::new(Stop::Not),
        }
    }
}

impl Group {
    fn begin(&mut self, mut care: Care) -> Result<(), Failure> {
        care.stop = self.stop.subscribe();
        let running = care.start.spawn()?;
        care.tell(Event::Started {
            who: care.who,
            pid: running.pid,
            again: false,
        });
        self.tasks.spawn(care.run(running));
        Ok(())
    }

    async fn stop(&mut self, in_order: bool, signals: &mut signals::Stop) {
        self.stop.send_replace(if in_order {
            Stop::InOrder
        } else {
            Stop::AtOnce
        });
        loop {
            tokio::select! {
                ended = self.tasks.join_next() => if ended.is_none() { return },
                _ = signals.next() => { self.stop.send_replace(Stop::AtOnce); }
            }
        }
    }
}

/// What is needed to look after one process.
struct Care {
    who: Who,
    start: Start,
    again_after: Duration,
    events: mpsc::UnboundedSender<Event>,
    stop: watch::Receiver<Stop>,
}

impl Care {
    fn of(
        who: Who,
        start: Start,
        again_after: Duration,
        events: &mpsc::UnboundedSender<Event>,
    ) -> Self {
        Self {
            who,
            start,
            again_after,
            events: events.clone(),
            stop: watch::Sender::new(Stop::Not).subscribe(),
        }
    }

    fn tell(&self, event: Event) {
        // Nobody listens any more when everything is being stopped.
        let _unheard = self.events.send(event);
    }

    async fn run(mut self, first: Running) {
        let mut running = first;
        loop {
            let status = tokio::select! {
                status = running.ended() => status,
                how = told(&mut self.stop) => return self.end(running, how).await,
            };
            self.tell(Event::Died {
                who: self.who,
                pid: running.pid,
                how: wording(status),
                restart_after: Some(self.again_after),
            });
            running = loop {
                tokio::select! {
                    () = tokio::time::sleep(self.again_after) => {}
                    _ = told(&mut self.stop) => return,
                }
                match self.start.spawn() {
                    Ok(running) => break running,
                    Err(failure) => self.tell(Event::Trouble {
                        what: failure.to_string(),
                    }),
                }
            };
            self.tell(Event::Started {
                who: self.who,
                pid: running.pid,
                again: true,
            });
        }
    }

    async fn end(&mut self, running: Running, how: Stop) {
        if how == Stop::AtOnce {
            return running.stop(false).await;
        }
        tokio::select! {
            () = running.stop(true) => {}
            // Dropped, it is killed.
            _ = self.stop.wait_for(|how| *how == Stop::AtOnce) => {}
        }
    }
}

async fn told(stop: &mut watch::Receiver<Stop>) -> Stop {
    // Without a sender there is nobody to run for.
    stop.wait_for(|how| *how != Stop::Not)
        .await
        .map_or(Stop::AtOnce, |how| *how)
}

/// How a process ended.
pub fn wording(status: std::io::Result<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status {
        Ok(status) => match (status.signal(), status.code()) {
            (Some(9), _) => "killed (SIGKILL)".to_owned(),
            (Some(15), _) => "ended by SIGTERM".to_owned(),
            (Some(signal), _) => format!("ended by signal {signal}"),
            (None, Some(0)) => "it was told to stop".to_owned(),
            (None, code) => format!("exit code {}", code.unwrap_or(-1)),
        },
        Err(why) => why.to_string(),
    }
}
