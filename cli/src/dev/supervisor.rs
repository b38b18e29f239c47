//! Keeps the servers running: one that dies is started again after a while.

use super::{
    child::{Server, Start},
    event::Event,
    folder::Folder,
};
use crate::{exit::Failure, signals};
use std::{process::ExitStatus, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

/// How long a dead server stays dead, so that there is time to look.
const RESTART_AFTER: Duration = Duration::from_secs(5);

/// How the servers are to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Not,
    InOrder,
    AtOnce,
}

/// All servers, each with a task that looks after it.
pub struct Supervisor {
    tasks: JoinSet<()>,
    stop: watch::Sender<Stop>,
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
        let stop = watch::Sender::new(Stop::Not);
        let mut tasks = JoinSet::new();
        for id in folder.ids() {
            let (config, log) = (folder.config(id), folder.log(id));
            let start = Start {
                program: program.clone(),
                config,
                log,
            };
            let care = Care {
                id,
                start,
                events: sender.clone(),
                stop: stop.subscribe(),
            };
            let server = care.start.spawn()?;
            care.tell(Event::Started {
                server: id,
                pid: server.pid,
                again: false,
            });
            tasks.spawn(care.run(server));
        }
        Ok(Self {
            tasks,
            stop,
            events,
        })
    }

    /// Stops all servers; in order, unless another signal comes. Nothing runs afterwards.
    pub async fn stop(mut self, in_order: bool, signals: &mut signals::Stop) {
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

/// What is needed to look after one server.
struct Care {
    id: u64,
    start: Start,
    events: mpsc::UnboundedSender<Event>,
    stop: watch::Receiver<Stop>,
}

impl Care {
    fn tell(&self, event: Event) {
        // Nobody listens any more when everything is being stopped.
        let _unheard = self.events.send(event);
    }

    async fn run(mut self, first: Server) {
        let mut server = first;
        loop {
            let status = tokio::select! {
                status = server.ended() => status,
                how = told(&mut self.stop) => return self.end(server, how).await,
            };
            self.tell(Event::Died {
                server: self.id,
                pid: server.pid,
                how: wording(status),
                restart_after: RESTART_AFTER,
            });
            server = loop {
                tokio::select! {
                    () = tokio::time::sleep(RESTART_AFTER) => {}
                    _ = told(&mut self.stop) => return,
                }
                match self.start.spawn() {
                    Ok(server) => break server,
                    Err(failure) => self.tell(Event::Trouble {
                        what: failure.to_string(),
                    }),
                }
            };
            self.tell(Event::Started {
                server: self.id,
                pid: server.pid,
                again: true,
            });
        }
    }

    async fn end(&mut self, server: Server, how: Stop) {
        if how == Stop::AtOnce {
            return server.stop(false).await;
        }
        tokio::select! {
            () = server.stop(true) => {}
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

fn wording(status: std::io::Result<ExitStatus>) -> String {
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
