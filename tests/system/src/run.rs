//! One run: a cluster forms, is used and put under faults, and must be whole again when they are over.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tenure_client::{Target, core::ServerId};
use tenure_tests::power_loss::{Treatment, chance::Chance, image::Image};
use tenure_tests::watches::picture::Records;
use turmoil::Sim;

use crate::faults::{self, Fault, What};
use crate::kernel;
use crate::library::{self, Told};
use crate::links::{Links, State};
use crate::load::{self, Shared};
use crate::network;
use crate::place::Place;
use crate::servers::{self, Elections, Keeping, Probe, SERVERS, host};
use crate::tally::Tally;

/// The hosts beside the servers.
const CLIENTS: [&str; 3] = ["c1", "c2", "library"];
/// Within this the cluster has to form and take its first writes, while nothing is wrong.
const FORM_WITHIN: Duration = Duration::from_secs(30);
/// Within this everything has to be whole again when nothing is wrong any more.
const HEAL_WITHIN: Duration = Duration::from_secs(30);
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
    /// The faults that go on: what each does to links, and which host it keeps down.
    going_on: Vec<(Duration, Vec<Cut>, Option<usize>)>,
    down: Vec<bool>,
    chance: Chance,
    tally: Tally,
}

/// Two hosts, and what is wrong with the link between them.
type Cut = (usize, usize, State);

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
    let faults = faults::draw(&mut chance, SERVERS, run.links.len(), plan.length);
    run.form()?;
    run.suffer(faults)?;
    run.heal()?;
    run.end()
}

fn hosts() -> Vec<String> {
    let servers = (0..SERVERS).map(host);
    servers.chain(CLIENTS.map(str::to_owned)).collect()
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
            probes: vec![Probe::default(); 0],
            elections: Elections::default(),
            shared: Arc::default(),
            told: Arc::default(),
            nodes: Rc::default(),
            going_on: Vec::new(),
            down: vec![false; SERVERS],
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
        run.add_clients(chance);
        Ok(run)
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
        match self.told.broken() {
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
                Err(_) => {}
            }
        }
    }

    fn form(&mut self) -> Result<(), Failure> {
        self.until("formed", FORM_WITHIN, |run| {
            let registers = run.shared.registers();
            registers.map(drop).ok_or_else(|| "no registers".to_owned())
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

    fn inflict(&mut self, fault: &Fault) -> Result<(), Failure> {
        self.tally.faults += 1;
        let until = self.sim.elapsed() + fault.lasts;
        let leader = servers::leader(&self.probes);
        match fault.what {
            What::Killed(server) => self.take_down(&[server], None, until),
            What::PowerCut(server, treatment) => self.take_down(&[server], Some(treatment), until),
            What::AllPowerCut(treatment) => {
                let all: Vec<usize> = (0..SERVERS).collect();
                self.take_down(&all, Some(treatment), until)
            }
            What::LeaderKilled => self.take_down(leader.as_slice(), None, until),
            What::LeaderPowerCut(treatment) => {
                self.take_down(leader.as_slice(), Some(treatment), until)
            }
            What::LeaderCutOff(state) => {
                let links = leader.map(|leader| self.all_of(leader, state));
                self.cut(links.unwrap_or_default(), until)
            }
            What::CutOff(host, state) => self.cut(self.all_of(host, state), until),
            What::Cut(one, other, state) => self.cut(vec![(one, other, state)], until),
            What::Late(host, most) => self.cut(self.all_of(host, State::Slow(most)), until),
            What::HandOver => self.operate(true),
            What::Checkpoint => self.operate(false),
        }
    }

    fn cut(&mut self, links: Vec<(usize, usize, State)>, until: Duration) -> Result<(), Failure> {
        self.going_on.push((until, links, None));
        self.set_links();
        Ok(())
    }

    fn all_of(&self, host: usize, state: State) -> Vec<(usize, usize, State)> {
        let others = (0..self.links.len()).filter(|other| *other != host);
        others.map(|other| (host, other, state)).collect()
    }

    fn operate(&mut self, hands_over: bool) -> Result<(), Failure> {
        // What an operator asks for need not come about while something is wrong.
        self.sim
            .client(format!("operator-{}", self.tally.faults), async move {
                let client = library::client()?;
                if hands_over {
                    let _asked = client.admin().transfer_leader(None).await;
                } else {
                    for server in 1..=SERVERS as u64 {
                        let target = Target::Id(ServerId(server));
                        let _asked = client.admin().checkpoint(target).await;
                    }
                }
                Ok(())
            });
        Ok(())
    }

    /// Takes servers down: kills them, or cuts their power, which leaves what `treatment` says.
    ///
    /// A power cut comes at any moment of the next ones, between any two writes: nobody hears any more what the server
    /// says in these moments, so whatever it has on its disk at one of them it may be found with.
    fn take_down(
        &mut self,
        servers: &[usize],
        treatment: Option<Treatment>,
        until: Duration,
    ) -> Result<(), Failure> {
        let up = |server: &&usize| !self.down[**server];
        let going: Vec<usize> = servers.iter().filter(up).copied().collect();
        if treatment.is_some() {
            let silent = going
                .iter()
                .flat_map(|server| self.all_of(*server, State::LostForth));
            let silent: Vec<_> = silent.collect();
            self.going_on.push((Duration::MAX, silent, None));
            self.set_links();
            self.place.mark().map_err(|why| why.to_string())?;
            for _ in 0..self.chance.up_to(20) {
                self.step()?;
            }
        }
        let images = self.left_of(&going, treatment);
        let images = images.map_err(|why| format!("the folders of servers: {why}"))?;
        for (server, image) in going.iter().zip(images) {
            let host = host(*server);
            self.down[*server] = true;
            self.probes[*server].clear();
            self.sim.crash(host.as_str());
            let restored = self.place.restore(&host, &image);
            restored.map_err(|why| format!("the folder of {host}: {why}"))?;
        }
        self.going_on
            .retain(|(until, _, _)| *until != Duration::MAX);
        let downs = servers
            .iter()
            .map(|server| (until, Vec::new(), Some(*server)));
        self.going_on.extend(downs);
        self.set_links();
        Ok(())
    }

    /// What is found on the disks of servers that are taken down now.
    fn left_of(
        &mut self,
        servers: &[usize],
        treatment: Option<Treatment>,
    ) -> io::Result<Vec<Image>> {
        let hosts: Vec<String> = servers.iter().map(|server| host(*server)).collect();
        let cut = match treatment {
            Some(treatment) => {
                let chance = &mut self.chance;
                Some(self.place.after_cut_since(&hosts, treatment, chance)?)
            }
            None => None,
        };
        let mut kept = Vec::new();
        for host in &hosts {
            let written = self.place.after_cut(host, Treatment::KEPT)?;
            if let Some(what) = written.difference(&Image::read(&self.place.of(host))?) {
                let text = format!("the recorder missed a call for {host}: {what}");
                return Err(io::Error::other(text));
            }
            kept.push(written);
        }
        let Some(cut) = cut else {
            self.tally.downs += hosts.len() as u64;
            return Ok(kept);
        };
        for (left, written) in cut.iter().zip(&kept) {
            self.tally.took_down(left.difference(written).is_some());
        }
        Ok(cut)
    }

    fn set_links(&mut self) {
        let all = self
            .going_on
            .iter()
            .flat_map(|(_, links, _)| links.iter().copied());
        let all: Vec<_> = all.collect();
        self.links.set(&self.sim, &all);
    }

    /// Ends the faults whose time is over, or all.
    fn let_go(&mut self, all: bool) -> Result<(), Failure> {
        let now = self.sim.elapsed();
        let before = self.going_on.len();
        self.going_on.retain(|(until, _, _)| !all && *until > now);
        if self.going_on.len() == before {
            return Ok(());
        }
        self.set_links();
        for server in 0..SERVERS {
            let kept_down = |(_, _, down): &(_, _, Option<usize>)| *down == Some(server);
            if self.down[server] && !self.going_on.iter().any(kept_down) {
                self.down[server] = false;
                self.say(&format!("{} is started", host(server)));
                self.sim.bounce(host(server));
            }
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
