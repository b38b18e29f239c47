//! The life of one agent: it listens, joins, and runs until it is told to stop.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use tenure_client::pledge::{self, Questions};
use tenure_client::{Client, Options, OrderBook, Sessions};
use tenure_core::agent::{Agent, Input, Kept, Start};
use tenure_core::{Automation, Endpoint, Incarnation, Member, Millis, ServiceName};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::board::Board;
use crate::checks::{self, Joined, Sight};
use crate::clock;
use crate::config::Config;
use crate::copies::{Books, Custody};
use crate::driver::Driver;
use crate::error::Error;
use crate::instance::{Instance, Slot, Told};
use crate::join::{self, Membership};
use crate::launch::Addresses;
use crate::register::{Registrar, Troubles};
use crate::runner::{Carrier, Hands, Parts, Runner, Wish, pace};
use crate::state::{Folder, Keeper, KeptFile, boot_id};

/// Messages of all instances that the runner has not taken in yet.
const TOLD_MAX: usize = 256;
/// Answers of other agents that it has not.
const ANSWERS_MAX: usize = 256;

/// The longest lease that there can be: what counts when nothing is known of an earlier one.
const LEASE_LONGEST: Millis = Millis(60_000);

/// What an agent is started with.
pub(crate) struct Equipment {
    pub(crate) config: Config,
    pub(crate) folder: Folder,
    pub(crate) drivers: BTreeMap<ServiceName, Box<dyn Driver>>,
    pub(crate) wishes: mpsc::Receiver<Wish>,
    pub(crate) left: watch::Sender<bool>,
    pub(crate) member: watch::Sender<Option<Member>>,
    pub(crate) ready: oneshot::Sender<Addresses>,
}

/// Runs an agent on this thread until it ends.
///
/// One thread for everything: each step follows the other without waking another thread.
pub(crate) fn live(equipment: Equipment) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::system)?;
    let end = runtime.block_on(equipment.live());
    // What a driver still does on a disk that hangs is not waited for.
    runtime.shutdown_background();
    end
}

impl Equipment {
    pub(crate) async fn live(mut self) -> Result<(), Error> {
        let mut tasks = JoinSet::new();
        let sight = Arc::new(Sight {
            cluster: self.config.cluster.clone(),
            node: self.config.node.as_str().to_owned(),
            joined: OnceLock::new(),
        });
        let mut addresses = Addresses::default();
        if let Some(address) = self.config.listen {
            let listening = checks::listen(address).await;
            let (listener, bound) = listening.map_err(|why| Error::Listen {
                key: "listen",
                address,
                why: why.to_string(),
            })?;
            addresses.checks = Some(bound);
            tasks.spawn(checks::serve(listener, sight.clone()));
        }
        let questions = questions(&self.config).await?;
        addresses.pledges = questions.as_ref().map(Questions::address);
        let client = self.client()?;
        let (ready, _) = oneshot::channel();
        let ready = std::mem::replace(&mut self.ready, ready);
        // Whoever started it may have turned away; then its wishes say so.
        let _gone = ready.send(addresses);
        match self.join(&client).await? {
            Some(joined) => self.run(joined, client, questions, &sight, tasks).await,
            None => Ok(()),
        }
    }

    fn client(&self) -> Result<Client, Error> {
        let options = Options {
            actor: format!("agent of {}", self.config.node),
            ..Options::default()
        };
        let servers = self.config.servers.iter().map(Endpoint::to_string);
        Client::new(servers, options).map_err(Error::Refused)
    }

    /// Joins; None when it is told to stop before it has.
    async fn join(&mut self, client: &Client) -> Result<Option<Membership>, Error> {
        let boot = boot_id()?;
        let joining = join::identity(&self.folder, &self.config, client, boot);
        tokio::pin!(joining);
        loop {
            tokio::select! {
                joined = &mut joining => return joined.map(Some),
                wish = self.wishes.recv() => match wish {
                    Some(Wish::Leave) => drop(self.left.send_replace(true)),
                    Some(Wish::Stop) | None => return Ok(None),
                },
            }
        }
    }

    async fn run(
        self,
        membership: Membership,
        client: Client,
        questions: Option<Questions>,
        sight: &Sight,
        mut tasks: JoinSet<()>,
    ) -> Result<(), Error> {
        let identity = &membership.identity;
        let member = identity.member();
        let services: Vec<ServiceName> = self.drivers.keys().cloned().collect();
        let opened = KeptFile::open(&self.folder, &identity.boot, member.node, services.len())?;
        let (mut file, kept) = opened;
        let advertised = advertised(&self.config, questions.as_ref());
        // A later session of the same life is the larger one, and no two are alike.
        let mut unique = [0; 2];
        getrandom::fill(&mut unique).map_err(Error::system)?;
        let session = (clock::now().0 << 16) | u64::from(u16::from_le_bytes(unique));
        let start = start(&membership, session, advertised, services.clone(), kept);
        let initial = start.kept.clone().unwrap_or_default();
        let heartbeat = start.heartbeat;
        let machine = Agent::new(start, clock::now());
        let board = Arc::new(Board::new(machine, services.iter().cloned()));
        let (tell, told) = mpsc::channel(TOLD_MAX);
        let (set_pace, paced) = watch::channel(pace(heartbeat));
        let (answer, answers) = mpsc::channel(ANSWERS_MAX);
        let ways = Ways {
            tell,
            paced: paced.clone(),
            answer: answer.clone(),
        };
        let (slots, books) = ways.take_up(self.drivers, &mut tasks);
        let link = Sessions::start(&client, member, session, &self.config.cluster);
        let troubles = Troubles::default();
        let joined = Joined {
            member,
            board: board.clone(),
            attendance: link.attendance(),
            troubles: troubles.clone(),
            pace: paced,
        };
        if sight.joined.set(joined).is_err() {
            return Err(Error::System("the agent joined twice".to_owned()));
        }
        let registrar = Registrar {
            client,
            member,
            services: self.config.services,
            troubles,
        };
        tasks.spawn(registrar.run());
        self.member.send_replace(Some(member));
        let hands = Hands {
            slots,
            keeper: Keeper::start(move |kept: &Kept| file.write(kept)).map_err(Error::system)?,
            kept: initial,
            answer,
            books,
            left: self.left,
        };
        let runner = Runner::new(Parts {
            board,
            link,
            carrier: Carrier::new(hands),
            told,
            questions,
            answers,
            wishes: self.wishes,
            pace: set_pace,
        });
        let runner = runner.map_err(Error::system)?;
        let ended = runner.run().await.map_err(Error::system);
        tasks.shutdown().await;
        ended
    }
}

async fn questions(config: &Config) -> Result<Option<Questions>, Error> {
    let Some(pledge) = &config.pledge else {
        return Ok(None);
    };
    let address = pledge.listen;
    let serving = pledge::serve(address).await;
    let questions = serving.map_err(|why| Error::Listen {
        key: "pledge.listen",
        address,
        why: why.to_string(),
    })?;
    Ok(Some(questions))
}

/// Where the tasks of the instances say what they see.
struct Ways {
    tell: mpsc::Sender<Told>,
    paced: watch::Receiver<Millis>,
    answer: mpsc::Sender<Input>,
}

impl Ways {
    /// Has each driver looked after by tasks of its own.
    fn take_up(
        self,
        drivers: BTreeMap<ServiceName, Box<dyn Driver>>,
        tasks: &mut JoinSet<()>,
    ) -> (BTreeMap<ServiceName, Arc<Slot>>, Books) {
        let (mut slots, mut books) = (BTreeMap::new(), Books::new());
        for (name, mut driver) in drivers {
            if let Some(custodian) = driver.custodian() {
                let book = Arc::new(OrderBook::new(0));
                books.insert(name.clone(), book.clone());
                let custody = Custody {
                    service: name.clone(),
                    custodian,
                    book,
                    tell: self.answer.clone(),
                };
                tasks.spawn(custody.run());
            }
            let slot = Arc::new(Slot::default());
            slots.insert(name.clone(), slot.clone());
            let (tell, paced) = (self.tell.clone(), self.paced.clone());
            let instance = Instance::new(name, driver, slot, tell, paced);
            tasks.spawn(instance.run());
        }
        (slots, books)
    }
}

/// Where other agents reach this one.
fn advertised(config: &Config, questions: Option<&Questions>) -> Option<Endpoint> {
    let given = config.pledge.as_ref()?.advertise.clone();
    let bound = || Endpoint::new(&questions?.address().to_string()).ok();
    given.or_else(bound)
}

fn start(
    membership: &Membership,
    session: u64,
    agent: Option<Endpoint>,
    services: Vec<ServiceName>,
    kept: Option<Kept>,
) -> Start {
    let identity = &membership.identity;
    // A node that has just begun its first life has never promised anything to anybody.
    let is_new = membership.joined_now && identity.incarnation == Incarnation(1);
    // What an earlier process in this boot kept is lost: nothing is known of what it promised.
    let lease = if membership.joined_now {
        identity.lease
    } else {
        LEASE_LONGEST
    };
    Start {
        member: identity.member(),
        session,
        agent,
        services,
        kept: kept.or_else(|| is_new.then(Kept::default)),
        heartbeat: Automation::default().fast_heartbeat,
        lease,
    }
}
