//! What a fault does to a run, and how it ends.

use std::io;
use std::time::Duration;

use tenure_client::{Target, core::ServerId};
use tenure_tests::power_loss::{Treatment, image::Image};

use super::{Failure, Run};
use crate::faults::{Fault, What};
use crate::library;
use crate::links::State;
use crate::nodes::{self, NODES};
use crate::servers::{self, SERVERS, host};

/// A fault that goes on.
pub(super) struct GoingOn {
    until: Duration,
    links: Vec<Cut>,
    /// The host that it keeps down.
    down: Option<usize>,
    /// The node whose store it keeps down.
    store: Option<usize>,
}

/// Two hosts, and what is wrong with the link between them.
type Cut = (usize, usize, State);

/// A fault that is ended by what began it.
const OPEN: Duration = Duration::MAX;

impl Run<'_> {
    pub(super) fn inflict(&mut self, fault: &Fault) -> Result<(), Failure> {
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
            What::PrimaryKilled => self.kill_store(self.primary(), until),
            What::PrimaryAgentKilled => self.kill_agent(self.primary(), until),
            What::PrimaryCutOff(state) => {
                let links = self
                    .primary()
                    .map(|node| self.all_of(SERVERS + node, state));
                self.cut(links.unwrap_or_default(), until)
            }
            What::PrimaryLost => {
                let node = self.primary();
                self.kill_store(node, until)?;
                self.kill_agent(node, until)
            }
            What::StoreKilled(node) => self.kill_store(Some(node), until),
            What::AgentKilled(node) => self.kill_agent(Some(node), until),
            What::CutOff(host, state) => self.cut(self.all_of(host, state), until),
            What::Cut(one, other, state) => self.cut(vec![(one, other, state)], until),
            What::Late(host, most) => self.cut(self.all_of(host, State::Slow(most)), until),
            What::HandOver => self.operate(true),
            What::Checkpoint => self.operate(false),
        }
    }

    fn cut(&mut self, links: Vec<(usize, usize, State)>, until: Duration) -> Result<(), Failure> {
        self.going_on.push(GoingOn {
            until,
            links,
            down: None,
            store: None,
        });
        self.set_links();
        Ok(())
    }

    fn primary(&self) -> Option<usize> {
        nodes::lock(&self.stores).primary()
    }

    fn kill_store(&mut self, node: Option<usize>, until: Duration) -> Result<(), Failure> {
        let Some(node) = node else {
            return Ok(());
        };
        let mut stores = nodes::lock(&self.stores);
        // Whoever loses the processes of all who may have a write has to decide what is lost: no run can go on.
        if stores.is_whole().is_err() {
            return Ok(());
        }
        stores.kill(node);
        drop(stores);
        self.going_on.push(GoingOn {
            until,
            links: Vec::new(),
            down: None,
            store: Some(node),
        });
        Ok(())
    }

    fn kill_agent(&mut self, node: Option<usize>, until: Duration) -> Result<(), Failure> {
        let Some(node) = node else {
            return Ok(());
        };
        let down = SERVERS + node;
        if !self.down[down] {
            self.down[down] = true;
            self.sim.crash(nodes::host(node));
        }
        self.going_on.push(GoingOn {
            until,
            links: Vec::new(),
            down: Some(down),
            store: None,
        });
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
            self.going_on.push(GoingOn {
                until: OPEN,
                links: silent,
                down: None,
                store: None,
            });
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
        self.going_on.retain(|fault| fault.until != OPEN);
        for server in servers {
            self.going_on.push(GoingOn {
                until,
                links: Vec::new(),
                down: Some(*server),
                store: None,
            });
        }
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
        let all = self.going_on.iter().flat_map(|fault| fault.links.iter());
        let all: Vec<Cut> = all.copied().collect();
        self.links.set(&self.sim, &all);
        let node = |host: usize| host.checked_sub(SERVERS).filter(|node| *node < NODES);
        let cut = all.iter().filter(|(_, _, state)| *state >= State::Held);
        let apart = cut.filter_map(|(one, other, _)| Some((node(*one)?, node(*other)?)));
        let apart = apart.map(|(one, other)| (one.min(other), one.max(other)));
        nodes::lock(&self.stores).set_apart(apart.collect());
    }

    /// Ends the faults whose time is over, or all.
    pub(super) fn let_go(&mut self, all: bool) -> Result<(), Failure> {
        let now = self.sim.elapsed();
        let before = self.going_on.len();
        self.going_on.retain(|fault| !all && fault.until > now);
        if self.going_on.len() == before {
            return Ok(());
        }
        self.set_links();
        for host in 0..self.down.len() {
            let mut kept_down = self.going_on.iter().map(|fault| fault.down);
            if self.down[host] && !kept_down.any(|down| down == Some(host)) {
                self.down[host] = false;
                let name = self.links.name(host).to_owned();
                self.say(&format!("{name} is started"));
                self.sim.bounce(name);
            }
        }
        for node in 0..NODES {
            let mut kept_down = self.going_on.iter().map(|fault| fault.store);
            if !kept_down.any(|down| down == Some(node)) {
                let lost = if self.chance.one_in(4) {
                    self.chance.up_to(10)
                } else {
                    0
                };
                nodes::lock(&self.stores).restart(node, lost);
            }
        }
        Ok(())
    }
}
