//! One run: a cluster forms, is used and put under faults, and must be whole again when they are over.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tenure_tests::power_loss::chance::Chance;
use tenure_tests::watches::picture::Records;
use turmoil::Sim;

use crate::faults::{self, Fault};
use crate::kernel;
use crate::library::{self, Told};
use crate::links::Links;
use crate::load::{self, Shared};
use crate::network;
use crate::nodes::{self, NODES, Stores};
use crate::place::Place;
use crate::servers::{self, Elections, Keeping, Probe, SERVERS, host};
use crate::site::Site;
use crate::tally::Tally;

mod inflict;

use inflict::GoingOn;

/// The hosts beside servers and nodes.
const CLIENTS: [&str; 3] = ["c1", "c2", "library"];
/// Between two moments of the stores.
const DATA: u128 = 5;
/// Within this the cluster has to form and take its first writes, while nothing is wrong.
const FORM_WITHIN: Duration = Duration::from_secs(30);
/// Within this everything has to be whole again when nothing is wrong any more.
const HEAL_WITHIN: Duration = Duration::from_secs(90);
/// Within this clients have to notice that they are to end.
const END_WITHIN: Duration = Duration::from_secs(30);

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything else follows from it.
    pub seed: u64,
    /// For how long there are faults.
    pub length: Duration,
    /// Disks forget what they said was durable: this must be found out.
    pub lying_disk: bool,
    /// Shows what happens.
    pub told: bool,
}

/// A run.
pub struct Run<'a> {
    plan: Plan,
    sim: Sim<'a>,
    place: Place,
    links: Links,
    probes: Vec<Probe>,
    elections: Elections,
    shared: Arc<Shared>,
    told: Arc<Told>,
    nodes: Rc<RefCell<Option<Records>>>,
    stores: Stores,
    going_on: Vec<GoingOn>,
    /// Which hosts do not run.
    down: Vec<bool>,
    chance: Chance,
    tally: Tally,
}

/// A sentence that says which promise was broken.
pub type Failure = String;

/// Runs a plan.
///
/// # Errors
/// Which promise was broken.
pub fn run(plan: &Plan) -> Result<Tally, Failure> {
    kernel::begin(plan.seed);
    let mut chance = Chance::new(plan.seed);
    let mut run = Run::new(plan, &mut chance)?;
    let faults = faults::draw(&mut chance, run.links.len(), plan.length);
    run.form()?;
    run.suffer(faults)?;
    run.heal()?;
    run.end()
}

fn hosts() -> Vec<String> {
    let servers = (0..SERVERS).map(host);
    let nodes = (0..NODES).map(nodes::host);
    let clients = CLIENTS.map(str::to_owned);
    servers.chain(nodes).chain(clients).collect()
}

impl<'a> Run<'a> {
    fn new(plan: &Plan, chance: &mut Chance) -> Result<Self, Failure> {
        let latency = faults::millis(chance, 1, 12);
        let sim = turmoil::Builder::new()
            .rng_seed(chance.number())
            .enable_random_order()
            .simulation_duration(Duration::MAX)
            .tick_duration(Duration::from_millis(1))
            .min_message_latency(Duration::ZERO)
            .max_message_latency(latency)
            .tcp_capacity(1 << 16)
            .build();
        let place = Place::new(plan.lying_disk).map_err(|why| format!("no folder: {why}"))?;
        let mut run = Self {
            plan: plan.clone(),
            sim,
            place,
            links: Links::new(hosts(), latency),
            probes: Vec::new(),
            elections: Elections::default(),
            shared: Arc::default(),
            told: Arc::default(),
            nodes: Rc::default(),
            stores: Stores::new(Site::new().into()),
            going_on: Vec::new(),
            down: vec![false; hosts().len()],
            chance: Chance::new(chance.number()),
            tally: Tally::default(),
        };
        let checkpoint = [100, 100, 200, 1_000][chance.up_to(3)];
        let keeping = Keeping {
            checkpoint,
            log: [0, 20, 100][chance.up_to(2)],
        };
        for server in 0..SERVERS {
            run.add_server(server, keeping, faults::millis(chance, 0, 1_500));
        }
        for node in 0..NODES {
            run.add_node(node);
        }
        run.add_clients(chance);
        Ok(run)
    }

    fn add_node(&mut self, node: usize) {
        let folder = self.place.of(&nodes::host(node));
        let config = nodes::config(node, &folder);
        let stores = self.stores.clone();
        self.sim.host(nodes::host(node), move || {
            nodes::attend(config.clone(), stores.clone(), node)
        });
    }

    fn add_server(&mut self, server: usize, keeping: Keeping, delay: Duration) {
        let folder = self.place.of(&host(server));
        let config = servers::config(server, &folder, keeping);
        let probe = Probe::default();
        self.probes.push(probe.clone());
        self.sim.host(host(server), move || {
            servers::serve(config.clone(), probe.clone(), delay)
        });
    }

    fn add_clients(&mut self, chance: &mut Chance) {
        let seed = chance.number();
        let pause = faults::millis(chance, 5, 60);
        for (at, host) in CLIENTS[..2].iter().enumerate() {
            let shared = self.shared.clone();
            self.sim.client(*host, async move {
                if at == 0 {
                    load::set_up(shared.clone(), 3).await?;
                }
                let first = at as u64 * 8;
                let working = (first + 1..first + 4)
                    .map(|client| tokio::spawn(load::work(shared.clone(), client, seed, pause)));
                for client in working.collect::<Vec<_>>() {
                    client.await?;
                }
                Ok(())
            });
        }
        let (told, nodes) = (self.told.clone(), self.nodes.clone());
        self.sim.client(CLIENTS[2], async move {
            let records = library::use_it(told, pause * 3).await?;
            *nodes.borrow_mut() = Some(records);
            Ok(())
        });
    }

    fn step(&mut self) -> Result<bool, Failure> {
        let ended = self.sim.step().map_err(|why| why.to_string())?;
        kernel::set_elapsed(self.sim.elapsed());
        if let Some(why) = crate::panicked() {
            return Err(why);
        }
        self.elections.look(&self.probes)?;
        let mut stores = nodes::lock(&self.stores);
        if self.sim.elapsed().as_millis().is_multiple_of(DATA) {
            stores.data();
        }
        let broken = stores.broken.clone();
        drop(stores);
        match self.told.broken().or(broken) {
            Some(why) => Err(why),
            None => Ok(ended),
        }
    }

    /// Goes on until something is so.
    fn until(
        &mut self,
        what: &str,
        within: Duration,
        look: impl Fn(&Self) -> Result<(), String>,
    ) -> Result<(), Failure> {
        let until = self.sim.elapsed() + within;
        loop {
            self.step()?;
            match look(self) {
                Ok(()) => return Ok(()),
                Err(why) if self.sim.elapsed() > until => {
                    return Err(format!("not {what} within {within:?}: {why}"));
                }
                Err(why) if self.sim.elapsed().as_millis() % 5_000 == 0 => {
                    self.say(&format!("not {what} yet: {why}"));
                }
                Err(_) => {}
            }
        }
    }

    fn form(&mut self) -> Result<(), Failure> {
        self.until("formed", FORM_WITHIN, |run| {
            let registers = run.shared.registers();
            registers.ok_or_else(|| "no registers".to_owned())?;
            nodes::lock(&run.stores).is_whole()
        })?;
        self.say(&format!("formed, term {}", self.elections.count()));
        Ok(())
    }

    fn suffer(&mut self, faults: Vec<Fault>) -> Result<(), Failure> {
        let began = self.sim.elapsed();
        for fault in faults {
            while self.sim.elapsed() < began + fault.at {
                self.step()?;
                self.let_go(false)?;
            }
            self.say(&fault.to_string());
            self.inflict(&fault)?;
        }
        while self.sim.elapsed() < began + self.plan.length {
            self.step()?;
            self.let_go(false)?;
        }
        Ok(())
    }

    fn heal(&mut self) -> Result<(), Failure> {
        self.let_go(true)?;
        self.say("all faults are over");
        self.until("in agreement on a leader", HEAL_WITHIN, |run| {
            servers::leader(&run.probes)
                .map(drop)
                .ok_or_else(|| "nobody leads".to_owned())
        })?;
        self.until("whole", HEAL_WITHIN, |run| {
            nodes::lock(&run.stores).is_whole()
        })?;
        let acked = nodes::lock(&self.stores).acked;
        self.until("taking writes of the service", HEAL_WITHIN, |run| {
            let now = nodes::lock(&run.stores).acked;
            if now > acked {
                Ok(())
            } else {
                Err(format!("{now} were acknowledged"))
            }
        })?;
        let [made, ..] = self.told.counts();
        self.until("taking changes", HEAL_WITHIN, |run| {
            let now = run.told.counts()[0];
            if now > made + 3 {
                Ok(())
            } else {
                Err(format!("{now} after {made}"))
            }
        })
    }

    fn end(mut self) -> Result<Tally, Failure> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.told.stop.store(true, Ordering::Relaxed);
        let until = self.sim.elapsed() + END_WITHIN;
        while !self.step()? {
            if self.sim.elapsed() > until {
                return Err(format!("the clients do not end within {END_WITHIN:?}"));
            }
        }
        self.until("equal", HEAL_WITHIN, |run| servers::agree(&run.probes))?;
        for (server, probe) in self.probes.iter().enumerate() {
            if let Some(broken) = probe.violations().first() {
                return Err(format!(
                    "the state of {} breaks a rule: {broken}",
                    host(server)
                ));
            }
        }
        let nodes = self
            .nodes
            .borrow_mut()
            .take()
            .ok_or("the nodes were not listed")?;
        self.told.judge(&nodes)?;
        let [reads, writes, refused, unknown] = self.shared.judge()?;
        self.tally.elections = self.elections.count();
        self.tally.simulated = self.sim.elapsed();
        self.tally.reads = reads;
        self.tally.writes = writes;
        self.tally.refused = refused;
        self.tally.unknown = unknown;
        let [made, unsure, _] = self.told.counts();
        let stores = nodes::lock(&self.stores);
        (self.tally.promotions, self.tally.acked) = (stores.promotions(), stores.acked);
        drop(stores);
        self.tally.made = made;
        self.tally.unsure = unsure;
        (self.tally.trace, self.tally.bytes) = network::trace();
        Ok(self.tally)
    }

    fn say(&self, what: &str) {
        if self.plan.told {
            println!("{:>8} ms  {what}", self.sim.elapsed().as_millis());
        }
    }
}
