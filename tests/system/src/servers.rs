//! The servers as hosts of the simulation, and what is looked at from outside.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tenure_core::invariants;
use tenure_server::{Config, Consensus, GroupStatus, Server, ServerRole};

/// How many servers form a cluster.
pub const SERVERS: usize = 3;
/// Where each listens for clients, and for the others.
const API: u16 = 7_400;
const RAFT: u16 = 7_401;

/// The host of a server.
pub fn host(server: usize) -> String {
    format!("s{}", server + 1)
}

/// Where clients reach a server.
pub fn api(server: usize) -> String {
    format!("{}:{API}", host(server))
}

/// When checkpoints are written and how much log stays: little, so that servers that were away are sent snapshots.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    /// Entries between two checkpoints.
    pub checkpoint: u64,
    /// Entries that stay.
    pub log: u64,
}

/// The configuration of a server.
pub fn config(server: usize, folder: &Path, keeping: Keeping) -> Config {
    let listed = (0..SERVERS).map(|at| {
        let (id, host) = (at + 1, host(at));
        format!("[[servers]]\nid = {id}\nraft = \"{host}:{RAFT}\"\napi = \"{host}:{API}\"\n")
    });
    let Keeping { checkpoint, log } = keeping;
    let text = format!(
        "cluster = \"simulated\"\nserver = {}\ndata_dir = {folder:?}\n\
         raft.listen = \"0.0.0.0:{RAFT}\"\napi.listen = \"0.0.0.0:{API}\"\n\
         [storage]\ncheckpoint_entries = {checkpoint}\nlog_keep_entries = {log}\n{}",
        server + 1,
        listed.collect::<String>()
    );
    Config::parse(Path::new("simulated.toml"), &text).expect("a configuration that is right")
}

/// A server as it is seen from outside; empty while it does not run.
#[derive(Clone, Default)]
pub struct Probe(Rc<RefCell<Option<Consensus>>>);

impl Probe {
    /// What the server says of the group, while it runs.
    pub fn group(&self) -> Option<GroupStatus> {
        self.0.borrow().as_ref().map(Consensus::group)
    }

    /// The handle, while it runs.
    pub fn consensus(&self) -> Option<Consensus> {
        self.0.borrow().clone()
    }

    /// The server does not run any more.
    pub fn clear(&self) {
        self.0.borrow_mut().take();
    }

    /// Which of the core's rules the server's state breaks.
    pub fn violations(&self) -> Vec<String> {
        let Some(consensus) = self.consensus() else {
            return Vec::new();
        };
        let found = consensus.reader().read(invariants::check);
        found
            .iter()
            .map(|violation| format!("{violation:?}"))
            .collect()
    }
}

/// Runs a server until it ends by itself, which it must not.
pub async fn serve(config: Config, probe: Probe, after: Duration) -> turmoil::Result {
    tokio::time::sleep(after).await;
    let running = Server::start(config).await?;
    *probe.0.borrow_mut() = Some(running.consensus().clone());
    running.wait().await?;
    Err("it ended, and nobody had asked it to".into())
}

/// Who led in which term, and how far each server's log was committed.
#[derive(Default)]
pub struct Elections {
    leaders: BTreeMap<u64, usize>,
}

impl Elections {
    /// Looks at all servers.
    ///
    /// # Errors
    /// When two lead in the same term.
    pub fn look(&mut self, probes: &[Probe]) -> Result<(), String> {
        for (server, probe) in probes.iter().enumerate() {
            let Some(group) = probe
                .group()
                .filter(|group| group.role == ServerRole::Leader)
            else {
                continue;
            };
            let first = *self.leaders.entry(group.term).or_insert(server);
            if first != server {
                return Err(format!(
                    "{} and {} both led in term {}",
                    host(first),
                    host(server),
                    group.term
                ));
            }
        }
        Ok(())
    }

    /// In how many terms somebody led.
    pub fn count(&self) -> u64 {
        self.leaders.len() as u64
    }
}

/// The server that leads now in the highest term, by its own word.
pub fn leader(probes: &[Probe]) -> Option<usize> {
    let groups = probes.iter().map(Probe::group).enumerate();
    let leading = groups.filter_map(|(server, group)| Some((server, group?)));
    leading
        .filter(|(_, group)| group.role == ServerRole::Leader)
        .max_by_key(|(_, group)| group.term)
        .map(|(server, _)| server)
}

/// Whether all servers run, follow one leader, and hold the same.
///
/// # Errors
/// What is not so yet.
pub fn agree(probes: &[Probe]) -> Result<(), String> {
    let mut seen: Option<(u64, String)> = None;
    for (server, probe) in probes.iter().enumerate() {
        let host = host(server);
        let consensus = probe
            .consensus()
            .ok_or_else(|| format!("{host} does not run"))?;
        let group = consensus.group();
        if group.leader.is_none() || group.applied != group.last_log {
            return Err(format!("{host} is not up to date: {group:?}"));
        }
        let own = (group.last_log, format!("{:?}", consensus.reader().digest()));
        match &seen {
            Some(first) if *first != own => {
                return Err(format!("{host} has {own:?} where another has {first:?}"));
            }
            Some(_) => {}
            None => seen = Some(own),
        }
    }
    Ok(())
}
