//! What is written for the nodes: configurations of agents and instances, and the example with the
//! instances where they really are.

use super::{Kind, Store, mysql};
use crate::{
    dev::ports::{NodePorts, Ports},
    topology,
};
use std::{
    ffi::OsStr,
    fmt::{Display, Write},
    path::{Path, PathBuf},
};

/// For how long after a failover another one is held: the example's minute would make a second try dull.
pub const ANTI_FLAP_MS: u32 = 5_000;

/// How long a MariaDB that was killed stays away: what it has committed outlives its process, so one that is back
/// before anybody has decided goes on as primary, and there is nothing to see.
const MYSQL_AGAIN_AFTER_MS: u64 = 3_000;

/// All that the files of one node speak of.
pub struct Site<'a> {
    /// The cluster's name.
    pub cluster: &'a str,
    /// The servers.
    pub servers: &'a [Ports],
    /// The node's name.
    pub node: &'a str,
    /// Where it listens.
    pub ports: NodePorts,
    /// Its folder.
    pub folder: PathBuf,
    /// This program.
    pub program: &'a Path,
}

/// Where the example has the instances of the service.
fn in_example(kind: Kind, at: usize) -> String {
    let port = match kind {
        Kind::Redis | Kind::BuiltIn => 6379,
        Kind::Mysql => 3306,
    };
    format!("10.0.2.{}:{port}", at + 1)
}

/// The example, with the instances of the service where they listen here.
pub fn topology(kind: Kind, nodes: &[NodePorts]) -> String {
    let mut text = topology::EXAMPLE.to_owned();
    for (at, ports) in nodes.iter().enumerate() {
        let real = ports.store().to_string();
        text = text.replace(
            &format!("\"{}\"", in_example(kind, at)),
            &format!("\"{real}\""),
        );
    }
    let head = format!("[services.{}]\n", kind.name());
    let short = format!("{head}anti_flap_ms = {ANTI_FLAP_MS}  # so that a second try is no wait\n");
    text.replace(&head, &short)
}

impl Site<'_> {
    /// The agent's configuration.
    pub fn agent(&self, store: &Store) -> String {
        let mut text = String::new();
        let mut line = |line: &dyn Display| {
            writeln!(text, "{line}").expect("a string takes everything");
        };
        let ports = self.ports;
        let state = self.folder.join("agent");
        line(&format_args!("cluster = {}", quoted(self.cluster)));
        line(&format_args!("servers = {}", self.endpoints()));
        line(&format_args!("node = {}", quoted(self.node)));
        line(&format_args!(
            "state_dir = {}",
            quoted(&state.to_string_lossy())
        ));
        line(&format_args!("listen = \"{}\"", ports.checks()));
        line(&format_args!(
            "\n[pledge]\nlisten = \"{}\"",
            ports.pledges()
        ));
        let name = store.kind().name();
        line(&format_args!("\n[[services]]\nname = \"{name}\""));
        line(&format_args!("endpoint = \"{}\"", ports.store()));
        line(&"on_stop = \"leave\"");
        match store {
            Store::Redis(program) => {
                let start = self.start(0, &[program.as_ref(), self.redis_conf().as_ref()]);
                line(&format_args!("driver = \"redis\"\n\n[services.settings]"));
                line(&format_args!("start = {start}"));
            }
            Store::Mysql(programs) => {
                let defaults = format!("--defaults-file={}", self.my_cnf().display());
                let again = MYSQL_AGAIN_AFTER_MS;
                let start = self.start(again, &[programs.server.as_ref(), defaults.as_ref()]);
                let password = self.password().to_string_lossy().into_owned();
                line(&format_args!("driver = \"mysql\"\n\n[services.settings]"));
                line(&format_args!("username = \"{}\"", mysql::AGENT));
                line(&format_args!("password_file = {}", quoted(&password)));
                line(&format_args!("start = {start}"));
            }
            Store::BuiltIn => line(&format_args!("driver = \"{}\"", tenure_agent::EMBEDDED)),
        }
        text
    }

    /// How the agent starts an instance: as a process that outlives it, and ends with `dev`.
    fn start(&self, again_after_ms: u64, instance: &[&OsStr]) -> toml::Value {
        let again_after_ms = again_after_ms.to_string();
        let words: [&OsStr; 8] = [
            self.program.as_ref(),
            "dev-part".as_ref(),
            "exec".as_ref(),
            "--folder".as_ref(),
            self.folder.as_ref(),
            "--again-after-ms".as_ref(),
            again_after_ms.as_ref(),
            "--".as_ref(),
        ];
        let words = words.iter().chain(instance);
        let words = words.map(|word| quoted(&word.to_string_lossy()));
        toml::Value::Array(words.collect())
    }

    fn endpoints(&self) -> toml::Value {
        let servers = self.servers.iter();
        let endpoints = servers.map(|ports| quoted(&ports.api().to_string()));
        toml::Value::Array(endpoints.collect())
    }

    /// Where `redis-server` has its configuration.
    pub fn redis_conf(&self) -> PathBuf {
        self.folder.join("redis.conf")
    }

    /// The configuration of `redis-server`. Roles are the agent's business.
    pub fn redis(&self) -> String {
        let folder = self.folder.to_string_lossy();
        // Its own way of quoting, for a path may hold anything.
        let folder = folder.replace('\\', "\\\\").replace('"', "\\\"");
        format!(
            "# Written by `tenure dev` for {}; what the agent sets at run time is not here.\n\
             bind 127.0.0.1\n\
             port {}\n\
             dir \"{folder}\"\n\
             logfile \"{folder}/redis.log\"\n\
             dbfilename dump.rdb\n\
             save 3600 1\n\
             repl-diskless-sync yes\n\
             repl-diskless-sync-delay 0\n",
            self.node, self.ports.store,
        )
    }
}

fn quoted(text: &str) -> toml::Value {
    toml::Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::NODES, *};
    use tenure_core::{Millis, Policy};

    fn ports() -> Vec<NodePorts> {
        let ports = |at: u16| NodePorts {
            store: 8_000 + at,
            checks: 8_100 + at,
            pledges: 8_200 + at,
        };
        (1..=3).map(ports).collect()
    }

    #[test]
    fn the_example_has_the_instances_where_they_are() {
        for kind in [Kind::Redis, Kind::Mysql] {
            has_instances(kind);
        }
    }

    fn has_instances(kind: Kind) {
        let text = topology(kind, &ports());
        let parsed = topology::parse("t", &text).unwrap();
        let example = topology::parse("e", topology::EXAMPLE).unwrap();
        for (name, service) in &parsed.services {
            if name.as_str() != kind.name() {
                assert_eq!(Some(service), example.services.get(name));
                continue;
            }
            let endpoints = service.instances.values().map(|it| it.endpoint.to_string());
            let wanted = ["127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003"];
            assert_eq!(endpoints.collect::<Vec<_>>(), wanted);
            let Policy::Primary(policy) = service.policy else {
                panic!("{:?}", service.policy);
            };
            assert_eq!(policy.anti_flap_ms, Millis(ANTI_FLAP_MS.into()));
            let names = service
                .instances
                .keys()
                .map(|name| name.as_str().to_owned());
            assert_eq!(names.collect::<Vec<_>>(), NODES);
        }
    }

    #[test]
    fn agents_accept_their_configurations() {
        let site = Site {
            cluster: "dev",
            servers: &[Ports { api: 1, raft: 2 }],
            node: "db-1",
            ports: ports()[0],
            folder: PathBuf::from("/a \"folder\"/db-1"),
            program: Path::new("/bin/tenure"),
        };
        for store in [
            Store::Redis(PathBuf::from("/bin/redis-server")),
            Store::BuiltIn,
        ] {
            let text = site.agent(&store);
            let config = tenure_agent::Config::parse(Path::new("agent.toml"), &text);
            let config = config.unwrap_or_else(|why| panic!("{why}\n{text}"));
            assert_eq!(config.node().as_str(), "db-1");
        }
        let place = tempfile::tempdir().unwrap();
        let mysql = Site {
            folder: place.path().to_owned(),
            ..site
        };
        mysql.write_password().unwrap();
        let text = mysql.agent(&Store::Mysql(mysql::Mysql::of("/usr/sbin/mariadbd")));
        let config = tenure_agent::Config::parse(Path::new("agent.toml"), &text);
        config.unwrap_or_else(|why| panic!("{why}\n{text}"));
        let conf = site.redis();
        assert!(conf.contains(r#"dir "/a \"folder\"/db-1""#), "{conf}");
    }
}
