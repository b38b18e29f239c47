//! Checking a configuration, once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tenure_core::limits::WEIGHT_MAX;
use tenure_core::{Attributes, Endpoint, NodeName, ServiceName, Zone};

use super::file::{self, File};
use super::{Config, ConfigError, EMBEDDED, OnStop, PledgeAddress, ServiceConfig};
use crate::driver::{self, InstanceAt};

/// Reports values of one file.
struct Checker<'a> {
    path: &'a Path,
}

type Checked<T> = Result<T, ConfigError>;

pub(super) fn check(path: &Path, file: File) -> Checked<Config> {
    let checker = Checker { path };
    if let Err(error) = NodeName::new(&file.cluster) {
        return checker.wrong("cluster", quoted(&file.cluster), error.to_string());
    }
    if file.state_dir.as_os_str().is_empty() {
        let why = "name a folder for this agent alone, which outlives restarts of the machine";
        return checker.wrong("state_dir", "\"\"", why);
    }
    let listen = match &file.listen {
        Some(listen) => Some(checker.address("listen", listen)?),
        None => None,
    };
    let pledge = match &file.pledge {
        Some(pledge) => Some(checker.pledge(pledge, listen)?),
        None => None,
    };
    Ok(Config {
        servers: checker.servers(&file.servers)?,
        node: checker.named("node", &file.node, NodeName::new(&file.node))?,
        zone: match &file.zone {
            Some(zone) => Some(checker.named("zone", zone, Zone::new(zone))?),
            None => None,
        },
        labels: match file.labels {
            Some(labels) => Some(checker.labels(labels)?),
            None => None,
        },
        weight: checker.weight(file.weight)?,
        services: checker.services(&file.state_dir, file.services)?,
        cluster: file.cluster,
        state_dir: file.state_dir,
        listen,
        pledge,
    })
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

impl Checker<'_> {
    fn wrong<T>(&self, key: &str, value: impl ToString, why: impl Into<String>) -> Checked<T> {
        Err(ConfigError::Value {
            path: self.path.to_owned(),
            key: key.to_owned(),
            value: value.to_string(),
            why: why.into(),
        })
    }

    fn named<T>(
        &self,
        key: &str,
        text: &str,
        parsed: Result<T, impl std::fmt::Display>,
    ) -> Checked<T> {
        match parsed {
            Ok(parsed) => Ok(parsed),
            Err(why) => self.wrong(key, quoted(text), why.to_string()),
        }
    }

    fn address(&self, key: &str, text: &str) -> Checked<SocketAddr> {
        match text.parse() {
            Ok(address) => Ok(address),
            Err(_) => self.wrong(
                key,
                quoted(text),
                "it is not IP:PORT, like \"127.0.0.1:7420\" or \"0.0.0.0:7420\"",
            ),
        }
    }

    fn servers(&self, servers: &[String]) -> Checked<Vec<Endpoint>> {
        if servers.is_empty() {
            let why = "name the API endpoints of the cluster's servers, as \"HOST:PORT\"; all of them, so \
                       that the agent can start while one is down";
            return self.wrong("servers", "[]", why);
        }
        let mut endpoints = Vec::new();
        for (at, text) in servers.iter().enumerate() {
            let key = format!("servers[{at}]");
            let endpoint = self.named(&key, text, Endpoint::new(text))?;
            if let Some(before) = endpoints.iter().position(|known| *known == endpoint) {
                let why = format!("servers[{before}] is the same");
                return self.wrong(&key, quoted(text), why);
            }
            endpoints.push(endpoint);
        }
        Ok(endpoints)
    }

    fn labels(&self, labels: BTreeMap<String, String>) -> Checked<Attributes> {
        let shown = format!("{labels:?}");
        match Attributes::new(labels) {
            Ok(labels) => Ok(labels),
            Err(why) => self.wrong("labels", shown, why.to_string()),
        }
    }

    fn weight(&self, weight: Option<u32>) -> Checked<Option<u32>> {
        match weight {
            Some(weight) if weight > WEIGHT_MAX => {
                let why = format!("it must be from 0 to {WEIGHT_MAX}; 100 is usual");
                self.wrong("weight", weight, why)
            }
            Some(_) | None => Ok(weight),
        }
    }

    fn pledge(&self, pledge: &file::Pledge, checks: Option<SocketAddr>) -> Checked<PledgeAddress> {
        let key = "pledge.listen";
        let listen = self.address(key, &pledge.listen)?;
        if listen.port() != 0 && Some(listen) == checks {
            let why = "listen is the same: the two need ports of their own";
            return self.wrong(key, quoted(&pledge.listen), why);
        }
        let advertise = match &pledge.advertise {
            Some(text) => Some(self.named("pledge.advertise", text, Endpoint::new(text))?),
            None => None,
        };
        if advertise.is_none() && listen.ip().is_unspecified() {
            let why =
                "other agents cannot reach that address: set pledge.advertise to one that they can";
            return self.wrong(key, quoted(&pledge.listen), why);
        }
        Ok(PledgeAddress { listen, advertise })
    }

    fn services(
        &self,
        state_dir: &Path,
        services: Vec<file::Service>,
    ) -> Checked<Vec<ServiceConfig>> {
        let mut checked: Vec<ServiceConfig> = Vec::new();
        for (at, service) in services.into_iter().enumerate() {
            let key = format!("services[{at}]");
            let service = self.service(&key, state_dir, service)?;
            let same = |it: &ServiceConfig| it.name == service.name;
            if let Some(before) = checked.iter().position(same) {
                let why =
                    format!("services[{before}] is the same: a node has one instance of each");
                return self.wrong(&format!("{key}.name"), quoted(service.name.as_str()), why);
            }
            checked.push(service);
        }
        Ok(checked)
    }

    fn service(
        &self,
        key: &str,
        state_dir: &Path,
        service: file::Service,
    ) -> Checked<ServiceConfig> {
        let name = ServiceName::new(&service.name);
        let name = self.named(&format!("{key}.name"), &service.name, name)?;
        let endpoint = Endpoint::new(&service.endpoint);
        let endpoint = self.named(&format!("{key}.endpoint"), &service.endpoint, endpoint)?;
        let on_stop = match service.on_stop.as_str() {
            "hand-over" => OnStop::HandOver,
            "leave" => OnStop::Leave,
            other => {
                let why = "it must be \"hand-over\" or \"leave\"";
                return self.wrong(&format!("{key}.on_stop"), quoted(other), why);
            }
        };
        let checked = ServiceConfig {
            name,
            driver: service.driver,
            endpoint,
            preference: service.preference,
            on_stop,
            settings: service.settings,
        };
        self.driver(key, state_dir, &checked)?;
        Ok(checked)
    }

    /// Settings that the driver refuses are refused now, and not when the instance is in need.
    fn driver(&self, key: &str, state_dir: &Path, service: &ServiceConfig) -> Checked<()> {
        if service.driver == EMBEDDED {
            return Ok(());
        }
        let refused = |why: driver::ConfigError| ConfigError::Driver {
            path: self.path.to_owned(),
            key: format!("{key} ({})", service.name),
            why: why.to_string(),
        };
        let at = instance_at(state_dir, service);
        let driver = driver::parse(&service.driver, at, service.settings.clone());
        driver.map(drop).map_err(refused)
    }
}

/// The instance that a service's driver is for.
pub(crate) fn instance_at(state_dir: &Path, service: &ServiceConfig) -> InstanceAt {
    let folder: PathBuf = state_dir.join("services").join(service.name.as_str());
    InstanceAt {
        service: service.name.clone(),
        endpoint: service.endpoint.clone(),
        folder,
    }
}
