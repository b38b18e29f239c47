//! The driver of the built-in service, which the agent is given along.

use super::super::line::{Answer, Line};
use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tenure_agent::driver::{Doing, Driver, DriverError, PresenceTeller, PresenceWatch};
use tenure_core::{
    Endpoint, Health, Millis, Note, Position, Presence, Rejoin,
    agent::{Action, Feat, Observation, Observed},
};
use tokio::{task::JoinHandle, time::sleep};

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);
/// How soon a process that went is looked for again.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long after a start another one is tried.
const START_EVERY: Duration = Duration::from_secs(1);

/// The driver of one instance.
pub struct BuiltIn {
    at: Arc<Place>,
    /// One connection for observations, and one for actions: a fence finds its own free.
    watching: Option<Line>,
    acting: Option<Line>,
    presence: PresenceTeller,
    watch: Option<JoinHandle<()>>,
    last: Seen,
    answered: Instant,
}

/// Where the instance is, and what it is started by.
struct Place {
    endpoint: Endpoint,
    folder: PathBuf,
}

/// What an instance says of itself.
#[derive(Debug, Clone)]
struct Seen {
    run: u64,
    role: Observed,
    position: Option<Position>,
    rejoin: Option<Rejoin>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            run: 0,
            role: Observed::Nothing,
            position: None,
            rejoin: None,
        }
    }
}

impl Drop for BuiltIn {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

impl BuiltIn {
    /// The driver of the instance at this endpoint, of the node with this folder.
    pub fn new(endpoint: Endpoint, folder: PathBuf) -> Self {
        Self {
            at: Arc::new(Place { endpoint, folder }),
            watching: None,
            acting: None,
            presence: PresenceTeller::new(),
            watch: None,
            last: Seen::default(),
            answered: Instant::now(),
        }
    }

    async fn look(&mut self) -> Observation {
        let (presence, health, note) =
            match ask(&mut self.watching, &self.at.endpoint, "STATE").await {
                Ok(seen) => {
                    self.presence.say(Presence::Running);
                    self.last = seen;
                    self.answered = Instant::now();
                    (Presence::Running, Health::Healthy, String::new())
                }
                Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => {
                    self.presence.say(Presence::Exited);
                    self.last = Seen::default();
                    (Presence::Exited, Health::Failing, why.to_string())
                }
                Err(why) => (self.presence.now(), Health::Failing, why.to_string()),
            };
        let silent = self.answered.elapsed().as_millis();
        let is_stalled = health == Health::Failing && self.last.role == Observed::Writable;
        let stalled = u64::try_from(silent).unwrap_or(u64::MAX);
        Observation {
            presence,
            run: self.last.run,
            health,
            role: if health == Health::Failing {
                Observed::Nothing
            } else {
                self.last.role
            },
            position: self.last.position.clone(),
            stalled: Millis(if is_stalled { stalled } else { 0 }),
            note: Note::new(&note).unwrap_or_default(),
            ..Observation::nothing()
        }
    }

    async fn carry_out(&mut self, action: Action) -> Result<Feat, DriverError> {
        if let Action::Probe { primary } = &action {
            let answers = ask(&mut None, primary, "STATE").await.is_ok();
            return Ok(Feat::Sees(answers));
        }
        let command = command(&action);
        let endpoint = self.at.endpoint.clone();
        let asked = ask(&mut self.acting, &endpoint, &command).await;
        // Where there is no process nothing can be written.
        let is_fence = matches!(action, Action::Fence { .. });
        if is_fence && asked.as_ref().is_err_and(is_refused) {
            return Ok(Feat::At(None));
        }
        let seen = asked.map_err(|why| DriverError::Unreachable {
            endpoint: endpoint.to_string(),
            why: why.to_string(),
        })?;
        feat(&action, seen)
    }
}

fn is_refused(why: &io::Error) -> bool {
    why.kind() == io::ErrorKind::ConnectionRefused
}

fn command(action: &Action) -> String {
    match action {
        Action::Promote {
            epoch,
            write_acks,
            strict,
        } => {
            let least = if *strict { *write_acks } else { 0 };
            format!("PROMOTE {} {least}", epoch.0)
        }
        Action::Follow { primary, .. } => format!("FOLLOW {primary}"),
        Action::Fence { orderly: true } => "FENCE orderly".to_owned(),
        Action::Fence { orderly: false } => "FENCE at-once".to_owned(),
        Action::Detach => "DETACH".to_owned(),
        Action::Quiesce { lasting } => format!("HOLD {}", lasting.0),
        Action::Resume => "RESUME".to_owned(),
        Action::Permit { members } => {
            let members: Vec<&str> = members.values().map(Endpoint::as_str).collect();
            format!("PERMIT {}", members.join(" "))
        }
        Action::Measure | Action::Probe { .. } => "STATE".to_owned(),
    }
}

fn feat(action: &Action, seen: Seen) -> Result<Feat, DriverError> {
    match action {
        Action::Promote { .. } | Action::Resume | Action::Probe { .. } => Ok(Feat::Done),
        Action::Fence { .. } | Action::Detach | Action::Quiesce { .. } | Action::Measure => {
            Ok(Feat::At(seen.position))
        }
        Action::Permit { .. } => Ok(Feat::Permits(seen.position)),
        Action::Follow { primary, .. } if seen.role != (Observed::Following { linked: true }) => {
            Err(DriverError::UnderWay {
                what: format!("the link to {primary}"),
            })
        }
        Action::Follow { .. } => Ok(Feat::Follows(seen.rejoin.map(|rejoin| {
            let tail = match rejoin {
                Rejoin::Identical | Rejoin::Behind => "",
                Rejoin::Ahead | Rejoin::Diverged => {
                    "what only it had is gone: nothing is kept here"
                }
            };
            (rejoin, Note::new(tail).unwrap_or_default())
        }))),
    }
}

/// Asks over a connection that is kept, or over a new one. One that was not answered is not used again.
async fn ask(kept: &mut Option<Line>, endpoint: &Endpoint, words: &str) -> io::Result<Seen> {
    let mut line = match kept.take() {
        Some(line) => line,
        None => Line::connect(endpoint.as_str()).await?,
    };
    match line.ask(words, ANSWER_WITHIN).await? {
        Answer::Done(told) => {
            *kept = Some(line);
            read(&told).ok_or_else(|| io::Error::other(format!("no state: {told:?}")))
        }
        other @ (Answer::Refused(_) | Answer::Number(_) | Answer::Value(_)) => {
            Err(io::Error::other(format!("{words}: {other:?}")))
        }
    }
}

fn read(told: &str) -> Option<Seen> {
    let words: Vec<&str> = told.split(' ').collect();
    let [role, run, history, offset, rejoin] = words[..] else {
        return None;
    };
    let offset = offset.parse().ok()?;
    Some(Seen {
        run: run.parse().ok()?,
        role: match role {
            "primary" => Observed::Writable,
            "fenced" => Observed::Fenced,
            "linked" => Observed::Following { linked: true },
            "replica" => Observed::Following { linked: false },
            _ => return None,
        },
        position: (history != "-").then(|| Position {
            history: Note::new(history).unwrap_or_default(),
            offset,
        }),
        rejoin: match rejoin {
            "identical" => Some(Rejoin::Identical),
            "behind" => Some(Rejoin::Behind),
            "ahead" => Some(Rejoin::Ahead),
            "diverged" => Some(Rejoin::Diverged),
            _ => None,
        },
    })
}

impl Driver for BuiltIn {
    fn observe(&mut self) -> Doing<'_, Observation> {
        Box::pin(self.look())
    }

    fn act(&mut self, action: Action) -> Doing<'_, Result<Feat, DriverError>> {
        Box::pin(self.carry_out(action))
    }

    fn presence(&mut self) -> PresenceWatch {
        let (at, teller) = (self.at.clone(), self.presence.clone());
        self.watch
            .get_or_insert_with(|| tokio::spawn(watch(at, teller)));
        self.presence.watch()
    }
}

/// Watches the instance's process by a connection that is never used, and starts one that is not there.
async fn watch(at: Arc<Place>, teller: PresenceTeller) {
    let mut started: Option<Instant> = None;
    loop {
        match Line::connect(at.endpoint.as_str()).await {
            Ok(mut canary) => {
                teller.say(Presence::Running);
                // Nothing is ever said here: it ends when the process does.
                let _ended = canary.line().await;
                continue;
            }
            Err(why) if is_refused(&why) => {
                teller.say(Presence::Exited);
                if started.is_none_or(|at| at.elapsed() >= START_EVERY) {
                    started = Some(Instant::now());
                    at.start().await;
                }
            }
            Err(_) => teller.say(Presence::Unknown),
        }
        sleep(LOOK_EVERY).await;
    }
}

impl Place {
    async fn start(&self) {
        let Ok(own) = std::env::current_exe() else {
            return;
        };
        let mut program = tokio::process::Command::new(&own);
        program
            .args(["dev-part", "exec", "--folder"])
            .arg(&self.folder)
            .arg("--")
            .arg(&own)
            .args(["dev-part", "store", "--listen", self.endpoint.as_str()])
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        // It ends at once, and what does not come up is started again.
        match program.status().await {
            Ok(status) if status.success() => {}
            Ok(status) => tracing::warn!(%status, "the instance was not started"),
            Err(why) => tracing::warn!(%why, "the instance was not started"),
        }
    }
}
