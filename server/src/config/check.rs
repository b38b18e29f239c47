//! Checking a configuration, once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tenure_core::{Endpoint, NodeName, ServerId};

use super::file::{self, File};
use super::{Address, Config, ConfigError, Keeping, Timing};
use crate::error::Peer;

/// Reports values of one file.
struct Checker<'a> {
    path: &'a Path,
}

type Checked<T> = Result<T, ConfigError>;

impl Checker<'_> {
    fn wrong<T>(&self, key: &str, value: impl ToString, why: impl Into<String>) -> Checked<T> {
        Err(ConfigError::Value {
            path: self.path.to_owned(),
            key: key.to_owned(),
            value: value.to_string(),
            why: why.into(),
        })
    }

    fn endpoint(&self, key: &str, text: &str) -> Checked<()> {
        match Endpoint::new(text) {
            Ok(_) => Ok(()),
            Err(error) => self.wrong(key, format!("{text:?}"), error.to_string()),
        }
    }
}

pub(super) fn check(path: &Path, file: File) -> Checked<Config> {
    let checker = Checker { path };
    checker.identity(&file)?;
    checker.servers(&file)?;
    let own = file.servers.iter().find(|server| server.id == file.server);
    let raft = checker.address("raft", &file.raft, own.map(|own| own.raft.as_str()))?;
    let api = checker.address("api", &file.api, own.map(|own| own.api.as_str()))?;
    if raft.listen == api.listen && raft.listen.port() != 0 {
        return checker.wrong(
            "api.listen",
            format!("{:?}", file.api.listen),
            "raft.listen is the same: the two need ports of their own",
        );
    }
    let timing = checker.timing(&file.timing)?;
    let keeping = checker.keeping(&file.storage)?;
    let servers = file.servers.into_iter().map(|server| Peer {
        id: ServerId(server.id),
        raft: server.raft,
        api: server.api,
    });
    Ok(Config {
        cluster: file.cluster,
        server: ServerId(file.server),
        data_dir: file.data_dir,
        raft,
        api,
        servers: servers.collect(),
        timing,
        keeping,
        probe: None,
    })
}

impl Checker<'_> {
    fn identity(&self, file: &File) -> Checked<()> {
        if let Err(error) = NodeName::new(&file.cluster) {
            return self.wrong("cluster", format!("{:?}", file.cluster), error.to_string());
        }
        if file.server == 0 {
            return self.wrong("server", 0, "server ids begin with 1");
        }
        if file.data_dir.as_os_str().is_empty() {
            return self.wrong("data_dir", "\"\"", "name a folder for this server alone");
        }
        Ok(())
    }

    fn servers(&self, file: &File) -> Checked<()> {
        if file.join && !file.servers.is_empty() {
            return self.wrong(
                "join",
                true,
                "there is a list of [[servers]] too: a server that forms the cluster has the list, \
                 one that is added later has `join = true`",
            );
        }
        let mut ids = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        for (at, server) in file.servers.iter().enumerate() {
            let key = format!("servers[{at}]");
            if server.id == 0 {
                return self.wrong(&format!("{key}.id"), 0, "server ids begin with 1");
            }
            if let Some(before) = ids.insert(server.id, at) {
                return self.wrong(
                    &format!("{key}.id"),
                    server.id,
                    format!("servers[{before}] has the same id: every server needs its own"),
                );
            }
            for (what, text) in [("raft", &server.raft), ("api", &server.api)] {
                let key = format!("{key}.{what}");
                self.endpoint(&key, text)?;
                if let Some(before) = addresses.insert(text.clone(), key.clone()) {
                    return self.wrong(
                        &key,
                        format!("{text:?}"),
                        format!("{before} is the same address"),
                    );
                }
            }
        }
        if !file.servers.is_empty() && !ids.contains_key(&file.server) {
            return self.wrong(
                "server",
                file.server,
                "it is not in the list of [[servers]]: add it there, or set `join = true` and leave \
                 the list out",
            );
        }
        Ok(())
    }

    fn address(
        &self,
        what: &str,
        address: &file::Address,
        listed: Option<&str>,
    ) -> Checked<Address> {
        let key = format!("{what}.listen");
        let Ok(listen) = address.listen.parse::<SocketAddr>() else {
            return self.wrong(
                &key,
                format!("{:?}", address.listen),
                "it is not IP:PORT, like \"10.0.0.1:7401\" or \"0.0.0.0:7401\"",
            );
        };
        if let Some(advertise) = &address.advertise {
            let key = format!("{what}.advertise");
            self.endpoint(&key, advertise)?;
            if let Some(listed) = listed.filter(|listed| listed != advertise) {
                return self.wrong(
                    &key,
                    format!("{advertise:?}"),
                    format!("the list of [[servers]] says {listed:?}: others would look there"),
                );
            }
        }
        let advertise = address
            .advertise
            .clone()
            .or_else(|| listed.map(str::to_owned));
        if advertise.is_none() && listen.ip().is_unspecified() {
            return self.wrong(
                &key,
                format!("{:?}", address.listen),
                format!(
                    "others cannot reach that address: set {what}.advertise to one that they can"
                ),
            );
        }
        Ok(Address { listen, advertise })
    }

    fn timing(&self, timing: &file::Timing) -> Checked<Timing> {
        let &file::Timing {
            heartbeat_ms,
            election_min_ms,
            election_max_ms,
        } = timing;
        if !(5..=10_000).contains(&heartbeat_ms) {
            return self.wrong(
                "timing.heartbeat_ms",
                heartbeat_ms,
                "it must be from 5 to 10000",
            );
        }
        if election_min_ms < 3 * heartbeat_ms {
            return self.wrong(
                "timing.election_min_ms",
                election_min_ms,
                format!(
                    "it must be at least three times timing.heartbeat_ms = {heartbeat_ms}, or one \
                     late heartbeat would begin an election: at least {}",
                    3 * heartbeat_ms
                ),
            );
        }
        if election_max_ms < election_min_ms + 10 || election_max_ms > 60_000 {
            return self.wrong(
                "timing.election_max_ms",
                election_max_ms,
                format!(
                    "it must be at least 10 more than timing.election_min_ms = {election_min_ms}, so \
                     that two servers rarely call an election at once, and at most 60000"
                ),
            );
        }
        Ok(Timing {
            heartbeat: Duration::from_millis(heartbeat_ms),
            election_min: Duration::from_millis(election_min_ms),
            election_max: Duration::from_millis(election_max_ms),
        })
    }

    fn keeping(&self, storage: &file::Storage) -> Checked<Keeping> {
        let key = "storage.checkpoint_entries";
        if !(100..=10_000_000).contains(&storage.checkpoint_entries) {
            return self.wrong(
                key,
                storage.checkpoint_entries,
                "it must be from 100 to 10000000",
            );
        }
        if storage.log_keep_entries > 100_000_000 {
            return self.wrong(
                "storage.log_keep_entries",
                storage.log_keep_entries,
                "it must be at most 100000000",
            );
        }
        let events_max = usize::try_from(storage.events_max).unwrap_or(usize::MAX);
        if !(1_000..=100_000_000).contains(&events_max) {
            return self.wrong(
                "storage.events_max",
                storage.events_max,
                "it must be from 1000 to 100000000",
            );
        }
        Ok(Keeping {
            checkpoint_entries: storage.checkpoint_entries,
            log_keep_entries: storage.log_keep_entries,
            events_max,
        })
    }
}
