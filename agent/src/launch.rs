//! Starting an agent, and the handle on one that runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tenure_core::{Member, ServiceName};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::agent::{self, Equipment};
use crate::config::{Config, EMBEDDED, OnStop, instance_at};
use crate::driver::{self, Driver};
use crate::error::Error;
use crate::runner::Wish;
use crate::state::Folder;

/// How long [`run`] lets roles be handed over before it ends all the same.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(10);

/// Starts an agent.
pub struct Launch {
    config: Config,
    drivers: BTreeMap<ServiceName, Box<dyn Driver>>,
}

impl std::fmt::Debug for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launch")
            .field("config", &self.config)
            .field("drivers", &self.drivers.keys())
            .finish()
    }
}

impl Launch {
    /// An agent by this configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            drivers: BTreeMap::new(),
        }
    }

    /// Brings the driver of a service along, whose `driver` is [`EMBEDDED`] in the configuration: for
    /// programs that embed the agent and serve themselves.
    #[must_use]
    pub fn with_driver(mut self, service: ServiceName, driver: Box<dyn Driver>) -> Self {
        self.drivers.insert(service, driver);
        self
    }

    /// Starts the agent on a thread of its own, so that nothing else that this program does can delay it.
    /// It joins in the background, for as long as that takes; it ends when the handle is dropped.
    ///
    /// # Errors
    /// [`Error`] when the folder or an address cannot be used, or a driver is missing. A retry helps when
    /// that has changed.
    pub async fn start(mut self) -> Result<Handle, Error> {
        let drivers = self.drivers()?;
        let folder = Folder::open(self.config.state_dir())?;
        let (wish, wishes) = mpsc::channel(4);
        let (tell_left, left) = watch::channel(false);
        let (tell_member, member) = watch::channel(None);
        let (tell_end, ended) = watch::channel(None);
        let (tell_ready, ready) = oneshot::channel();
        let hand_over = self.config.services().any(|(_, it)| it == OnStop::HandOver);
        let equipment = Equipment {
            config: self.config,
            folder,
            drivers,
            wishes,
            left: tell_left,
            member: tell_member,
            ready: tell_ready,
        };
        if tenure_client::is_simulated() {
            tokio::spawn(async move { tell_end.send_replace(Some(equipment.live().await)) });
        } else {
            let thread = std::thread::Builder::new().name("tenure-agent".to_owned());
            let body = move || {
                let end = agent::live(equipment);
                tell_end.send_replace(Some(end));
            };
            drop(thread.spawn(body).map_err(Error::system)?);
        }
        let mut handle = Handle {
            wish,
            left,
            member,
            ended,
            checks: None,
            pledges: None,
            hand_over,
        };
        match ready.await {
            Ok(addresses) => {
                handle.checks = addresses.checks;
                handle.pledges = addresses.pledges;
                Ok(handle)
            }
            Err(_) => Err(match handle.ended().await {
                Err(error) => error,
                Ok(()) => Error::System("the agent ended before it had begun".to_owned()),
            }),
        }
    }

    /// The driver of every service.
    fn drivers(&mut self) -> Result<BTreeMap<ServiceName, Box<dyn Driver>>, Error> {
        let mut drivers = BTreeMap::new();
        for service in &self.config.services {
            let name = &service.name;
            let brought = self.drivers.remove(name);
            let driver = match (service.driver.as_str(), brought) {
                (EMBEDDED, Some(driver)) => driver,
                (EMBEDDED, None) => {
                    let why = format!(
                        "its driver is {EMBEDDED:?}, and the program brings none along for it"
                    );
                    return Err(Error::Driver {
                        service: name.clone(),
                        why,
                    });
                }
                (kind, None) => {
                    let at = instance_at(&self.config.state_dir, service);
                    let driver = driver::parse(kind, at, service.settings.clone());
                    driver.map_err(|why| Error::settings(name, &why))?
                }
                (kind, Some(_)) => return Err(unwanted(name, kind)),
            };
            drivers.insert(name.clone(), driver);
        }
        match self.drivers.pop_first() {
            Some((name, _)) => Err(Error::Driver {
                service: name,
                why: "the program brings a driver along, and the configuration has no such service"
                    .to_owned(),
            }),
            None => Ok(drivers),
        }
    }
}

fn unwanted(service: &ServiceName, kind: &str) -> Error {
    Error::Driver {
        service: service.clone(),
        why: format!(
            "the program brings a driver along, and the configuration has driver = {kind:?}: make it \
             {EMBEDDED:?}"
        ),
    }
}

/// Where a running agent is asked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Addresses {
    pub(crate) checks: Option<SocketAddr>,
    pub(crate) pledges: Option<SocketAddr>,
}

/// A running agent. It ends when this is dropped, and leaves every instance as it is.
#[derive(Debug)]
pub struct Handle {
    wish: mpsc::Sender<Wish>,
    left: watch::Receiver<bool>,
    member: watch::Receiver<Option<Member>>,
    ended: watch::Receiver<Option<Result<(), Error>>>,
    checks: Option<SocketAddr>,
    pledges: Option<SocketAddr>,
    hand_over: bool,
}

impl Handle {
    /// Where the HTTP checks are asked.
    #[must_use]
    pub fn checks(&self) -> Option<SocketAddr> {
        self.checks
    }

    /// Where other agents ask for pledges.
    #[must_use]
    pub fn pledges(&self) -> Option<SocketAddr> {
        self.pledges
    }

    /// The member that it is; waits until it has joined. None when it ended before.
    pub async fn member(&mut self) -> Option<Member> {
        let member = self.member.wait_for(Option::is_some).await;
        member.ok().and_then(|member| *member)
    }

    /// Hands over what the node is primary of, and waits until that is done, for at most so long. Gives
    /// whether nothing is held any more. The agent goes on, and is given nothing: stop it afterwards.
    pub async fn leave(&mut self, within: Duration) -> bool {
        if self.wish.send(Wish::Leave).await.is_err() {
            return *self.left.borrow();
        }
        let left = timeout(within, self.left.wait_for(|left| *left)).await;
        matches!(left, Ok(Ok(_)))
    }

    /// Ends the agent, and leaves every instance as it is: one that is started soon goes on as the same
    /// member.
    ///
    /// # Errors
    /// [`Error`] when it had ended by itself before.
    pub async fn stop(mut self) -> Result<(), Error> {
        // When nobody listens it has ended already.
        let _ended = self.wish.send(Wish::Stop).await;
        self.ended().await
    }

    /// Ends the agent as the configuration says: `on_stop = "hand-over"` of any service has everything
    /// handed over first, for at most so long.
    ///
    /// # Errors
    /// As for [`Handle::stop`].
    pub async fn shut_down(mut self, within: Duration) -> Result<(), Error> {
        if self.hand_over && !self.leave(within).await {
            tracing::warn!("the node ends with roles that nobody took over");
        }
        self.stop().await
    }

    /// Waits until it has ended. May be cancelled and called again.
    ///
    /// # Errors
    /// [`Error`] when it ended by itself.
    pub async fn ended(&mut self) -> Result<(), Error> {
        let ended = self.ended.wait_for(Option::is_some).await;
        let ended = ended.ok().and_then(|ended| ended.clone());
        ended.unwrap_or_else(|| Err(Error::System("the agent's thread died".to_owned())))
    }
}

/// Runs an agent until `shutdown` resolves, and ends it then as the configuration says.
///
/// # Errors
/// [`Error`] when it cannot start, or ends by itself.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let mut handle = Launch::new(config).start().await?;
    tokio::select! {
        ended = handle.ended() => return ended,
        () = shutdown => {}
    }
    handle.shut_down(HAND_OVER_WITHIN).await
}
