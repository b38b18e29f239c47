//! The folder of a small cluster: one folder per server, one per node that has an agent, and what a later
//! run needs to go on.

use super::{
    ports::{self, NodePorts, Ports},
    store::{self, FirstData, Kind, NODES, Site, Store, Wanted},
};
use crate::exit::Failure;
use serde::{Deserialize, Serialize};
use std::{
    fmt::{Display, Write},
    fs, io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// What says that a folder is ours.
const MARK: &str = "dev.toml";

/// The cluster's name, in every configuration.
const CLUSTER: &str = "dev";

/// How many servers there are when nobody says so.
const SERVERS_DEFAULT: u64 = 3;

/// What stands in the mark.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    version: u32,
    store: Kind,
    servers: Vec<Ports>,
    nodes: Vec<NodePorts>,
}

/// Version of the mark. Version 1 knew no agents.
const VERSION: u32 = 2;

/// Everything that is kept on disk. A temporary folder goes when this is dropped.
pub struct Folder {
    path: PathBuf,
    /// Where each server listens, server 1 first.
    pub servers: Vec<Ports>,
    /// Where each node listens that has an agent, in the order of their names.
    pub nodes: Vec<NodePorts>,
    /// What stands behind the service whose primary is moved.
    pub store: Store,
    temporary: Option<TempDir>,
}

impl Folder {
    /// Makes a folder for `servers` servers, or takes up the one that is there.
    ///
    /// # Errors
    /// When it is somebody else's, or was made for another number of servers or another store.
    pub fn open(
        given: Option<&Path>,
        servers: Option<u64>,
        free_ports: bool,
        wanted: &Wanted,
    ) -> Result<Self, Failure> {
        let choose = || {
            let store = Store::choose(wanted, None)?;
            let servers = ports::choose(servers.unwrap_or(SERVERS_DEFAULT), free_ports)?;
            let count = u64::try_from(NODES.len()).unwrap_or(0);
            let nodes = ports::choose_for_nodes(count, &servers)?;
            Ok((servers, nodes, store))
        };
        let Some(path) = given else {
            let temporary = tempfile::Builder::new().prefix("tenure-dev-").tempdir();
            let temporary =
                temporary.map_err(|why| failed("make a folder in", &std::env::temp_dir(), &why))?;
            let path = temporary.path().to_owned();
            return Self::make(path, choose()?, Some(temporary));
        };
        fs::create_dir_all(path).map_err(|why| failed("make", path, &why))?;
        let path = path
            .canonicalize()
            .map_err(|why| failed("find", path, &why))?;
        if path.join(MARK).exists() {
            return Self::resume(path, servers, wanted);
        }
        let mut entries = fs::read_dir(&path).map_err(|why| failed("read", &path, &why))?;
        if entries.next().is_some() {
            return Err(Failure::invalid(format!(
                "{} is not empty and was not made by `tenure dev`: name an empty folder, or a new one",
                path.display()
            )));
        }
        Self::make(path, choose()?, None)
    }

    fn make(
        path: PathBuf,
        (servers, nodes, store): (Vec<Ports>, Vec<NodePorts>, Store),
        temporary: Option<TempDir>,
    ) -> Result<Self, Failure> {
        // First of all: where this fails nothing is left in the folder.
        let data = match &store {
            Store::Mysql(programs) => Some(FirstData::make(programs)?),
            Store::Redis(_) | Store::BuiltIn => None,
        };
        let mark = Mark {
            version: VERSION,
            store: store.kind(),
            servers,
            nodes,
        };
        let folder = Self {
            path,
            servers: mark.servers.clone(),
            nodes: mark.nodes.clone(),
            store,
            temporary,
        };
        folder.configure()?;
        if let Some(data) = data {
            NODES
                .iter()
                .try_for_each(|node| data.copy_to(&folder.node(node)))?;
        }
        write(
            &folder.topology(),
            &store::topology(folder.store.kind(), &folder.nodes),
        )?;
        write(
            &folder.path.join(MARK),
            &toml::to_string(&mark).map_err(Failure::local)?,
        )?;
        Ok(folder)
    }

    fn resume(path: PathBuf, servers: Option<u64>, wanted: &Wanted) -> Result<Self, Failure> {
        let found = Mark::read(&path.join(MARK))?;
        let count = found.servers.len();
        if let Some(wanted) = servers.filter(|wanted| usize::try_from(*wanted) != Ok(count)) {
            return Err(Failure::invalid(format!(
                "{} was made for {count} server(s), not {wanted}: leave --servers out, or name another folder",
                path.display()
            )));
        }
        let folder = Self {
            path,
            servers: found.servers,
            nodes: found.nodes,
            store: Store::choose(wanted, Some(found.store))?,
            temporary: None,
        };
        // The folder may have been moved since.
        folder.configure()?;
        Ok(folder)
    }

    fn configure(&self) -> Result<(), Failure> {
        for server in self.ids() {
            let own = self.server(server);
            fs::create_dir_all(&own).map_err(|why| failed("make", &own, &why))?;
            write(&self.config(server), &self.config_text(server))?;
        }
        let program = std::env::current_exe()
            .map_err(|why| Failure::local(format!("this program's path is unknown: {why}")))?;
        let nodes = NODES.into_iter().zip(self.nodes.iter().copied());
        for (at, (node, ports)) in (1..).zip(nodes) {
            let own = self.node(node);
            fs::create_dir_all(&own).map_err(|why| failed("make", &own, &why))?;
            let site = Site {
                cluster: CLUSTER,
                servers: &self.servers,
                node,
                ports,
                folder: own,
                program: &program,
            };
            write(&self.agent_config(node), &site.agent(&self.store))?;
            match &self.store {
                Store::Redis(_) => write(&site.redis_conf(), &site.redis())?,
                Store::Mysql(_) => {
                    write(&site.my_cnf(), &site.mysql(at))?;
                    site.write_password()?;
                }
                Store::BuiltIn => {}
            }
        }
        Ok(())
    }

    /// Makes sure that the servers can be started where they were before.
    ///
    /// # Errors
    /// Names the address that is in use.
    pub fn check_ports(&self) -> Result<(), Failure> {
        let servers = self.servers.iter().find_map(|ports| ports.taken());
        let nodes = || self.nodes.iter().find_map(|ports| ports.taken());
        match servers.or_else(nodes) {
            None => Ok(()),
            Some(taken) => Err(Failure::local(format!(
                "the cluster in {} needs {taken}, which is in use: is it running already?",
                self.path.display()
            ))),
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is removed afterwards.
    pub fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// The servers' numbers.
    pub fn ids(&self) -> impl Iterator<Item = u64> + use<> {
        1..=u64::try_from(self.servers.len()).unwrap_or(0)
    }

    /// Where a server listens.
    pub fn ports(&self, server: u64) -> Ports {
        let at = usize::try_from(server).unwrap_or(0).saturating_sub(1);
        self.servers
            .get(at)
            .copied()
            .unwrap_or(Ports::fixed(server))
    }

    fn server(&self, server: u64) -> PathBuf {
        self.path.join(format!("server-{server}"))
    }

    /// A server's configuration.
    pub fn config(&self, server: u64) -> PathBuf {
        self.server(server).join("server.toml")
    }

    /// Where a server logs.
    pub fn log(&self, server: u64) -> PathBuf {
        self.server(server).join("log")
    }

    /// The folder of a node that has an agent.
    pub fn node(&self, node: &str) -> PathBuf {
        self.path.join(node)
    }

    /// The configuration of a node's agent.
    pub fn agent_config(&self, node: &str) -> PathBuf {
        self.node(node).join("agent.toml")
    }

    /// Where a node's agent logs.
    pub fn agent_log(&self, node: &str) -> PathBuf {
        self.node(node).join("agent.log")
    }

    /// The example, to be changed and applied.
    pub fn topology(&self) -> PathBuf {
        self.path.join("topology.toml")
    }

    fn config_text(&self, server: u64) -> String {
        let ports = self.ports(server);
        let data = self.server(server).join("data");
        let mut text = String::new();
        let mut line = |line: &dyn Display| {
            writeln!(text, "{line}").expect("a string takes everything");
        };
        line(&format_args!("cluster = {}", quoted(CLUSTER)));
        line(&format_args!("server = {server}"));
        line(&format_args!(
            "data_dir = {}",
            quoted(&data.to_string_lossy())
        ));
        line(&format_args!("\n[raft]\nlisten = \"{}\"", ports.raft()));
        line(&format_args!("\n[api]\nlisten = \"{}\"", ports.api()));
        for id in self.ids() {
            let ports = self.ports(id);
            let (raft, api) = (ports.raft(), ports.api());
            line(&format_args!(
                "\n[[servers]]\nid = {id}\nraft = \"{raft}\"\napi = \"{api}\""
            ));
        }
        text
    }
}

impl Mark {
    fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|why| failed("read", path, &why))?;
        let wrong = |why: &str| Failure::invalid(format!("{}: {why}", path.display()));
        let table: toml::Table = toml::from_str(&text).map_err(|why| wrong(why.message()))?;
        let version = table.get("version").and_then(toml::Value::as_integer);
        if version != Some(VERSION.into()) {
            let found = version.map_or_else(|| "missing".to_owned(), |it| it.to_string());
            return Err(wrong(&format!(
                "version = {found}: this build knows version {VERSION} only; name another folder"
            )));
        }
        table
            .try_into()
            .map_err(|why: toml::de::Error| wrong(why.message()))
    }
}

fn quoted(text: &str) -> toml::Value {
    toml::Value::String(text.to_owned())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|why| failed("write", path, &why))
}

fn failed(what: &str, path: &Path, why: &io::Error) -> Failure {
    Failure::local(format!("cannot {what} {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_goes_and_a_given_one_stays() {
        let folder = Folder::open(None, None, true, &Wanted::BuiltIn).unwrap();
        let path = folder.path().to_owned();
        assert!(path.join(MARK).exists() && folder.is_temporary());
        drop(folder);
        assert!(!path.exists());

        let parent = tempfile::tempdir().unwrap();
        let given = parent.path().join("data");
        let first = Folder::open(Some(&given), Some(2), true, &Wanted::BuiltIn).unwrap();
        let ports = first.servers.clone();
        drop(first);
        let again = Folder::open(Some(&given), None, true, &Wanted::Whatever).unwrap();
        assert_eq!((again.servers, again.store), (ports, Store::BuiltIn));
    }

    #[test]
    fn somebody_elses_folder_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("letter.txt"), "dear").unwrap();
        let failure = Folder::open(Some(parent.path()), None, true, &Wanted::BuiltIn)
            .err()
            .unwrap();
        assert!(failure.sentence.contains("is not empty"), "{failure}");
    }

    #[test]
    fn another_number_of_servers_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        drop(Folder::open(Some(parent.path()), Some(1), true, &Wanted::BuiltIn).unwrap());
        let failure = Folder::open(Some(parent.path()), Some(3), true, &Wanted::BuiltIn)
            .err()
            .unwrap();
        assert!(
            failure.sentence.contains("was made for 1 server(s), not 3"),
            "{failure}"
        );
    }

    #[test]
    fn another_version_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join(MARK), "version = 1\nservers = []").unwrap();
        let failure = Folder::open(Some(parent.path()), None, true, &Wanted::BuiltIn)
            .err()
            .unwrap();
        assert!(
            failure
                .sentence
                .contains("version = 1: this build knows version 2 only"),
            "{failure}"
        );
    }

    #[test]
    fn the_servers_accept_their_configuration() {
        let folder = Folder::open(None, Some(3), true, &Wanted::BuiltIn).unwrap();
        for server in folder.ids() {
            let config = tenure_server::Config::load(&folder.config(server)).unwrap();
            assert_eq!((config.server().0, config.cluster()), (server, CLUSTER));
        }
    }
}
