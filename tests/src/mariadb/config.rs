//! The configuration of a `mariadbd`, as the page for operators wants it, and of the agent beside it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::failover::config::{Listens, agent_head};

/// The service that is failed over.
pub const SERVICE: &str = "mysql-server";

/// A name and the word that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    /// The account's name, valid from every host.
    pub name: &'static str,
    /// Its password.
    pub password: &'static str,
}

/// The account of the agents.
pub const AGENT: Login = Login {
    name: "tenure",
    password: "an agent's word",
};

/// The account of those who may do everything, also write past a fence.
pub const OPERATOR: Login = Login {
    name: "operator",
    password: "an operator's word",
};

/// The account of those who write: it may do nothing that a fence does not stop.
pub const WRITER: Login = Login {
    name: "app",
    password: "a writer's word",
};

/// The account of those who save and look after the data: it may lock everything, and write nothing.
pub const KEEPER: Login = Login {
    name: "keeper",
    password: "a keeper's word",
};

/// The files of one `mariadbd` in its folder.
#[derive(Clone, Debug)]
pub struct Files {
    /// Holds all of them.
    pub folder: PathBuf,
}

impl Files {
    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.join("my.cnf")
    }

    /// Its data.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What it says of itself.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("mariadbd.log")
    }

    /// Made by whoever wants it started.
    #[must_use]
    pub fn wanted(&self) -> PathBuf {
        self.folder.join("start")
    }

    /// The agent's password.
    #[must_use]
    pub fn password(&self) -> PathBuf {
        self.folder.join("agent.password")
    }
}

/// The configuration of a `mariadbd` with this number, `more` at its end. Roles are the agent's business: it comes up
/// taking no writes, and following nobody.
#[must_use]
pub fn mariadbd(files: &Files, address: SocketAddr, number: u64, more: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    let (data, folder) = (files.data(), &files.folder);
    let (data, folder) = (data.display(), folder.display());
    let user = if rustix::process::geteuid().is_root() {
        "user = root\n"
    } else {
        ""
    };
    format!(
        "[mariadbd]\n{user}datadir = {data}\nsocket = {folder}/s\npid-file = {folder}/pid\n\
         bind-address = {ip}\nport = {port}\nserver-id = {number}\nskip-name-resolve\n\
         log-bin = binlog\nbinlog-format = ROW\ngtid-strict-mode = 1\nlog-slave-updates = 1\nsync-binlog = 1\n\
         innodb-flush-log-at-trx-commit = 1\nread-only = 1\nskip-slave-start = 1\nslave-parallel-threads = 4\n\
         innodb-buffer-pool-size = 16M\ninnodb-log-file-size = 8M\nperformance-schema = 0\n{more}\n"
    )
}

/// The configuration of the agent of the node at this place, whose `mariadbd` is at `address`; `more` is added to the
/// settings of its driver.
#[must_use]
pub fn agent(
    (at, address): (usize, SocketAddr),
    servers: &[SocketAddr],
    state: &Path,
    listens: Listens,
    files: &Files,
    more: &str,
) -> String {
    let head = agent_head(at, servers, state, listens);
    let password = files.password().display().to_string();
    let start = files.wanted().display().to_string();
    format!(
        "{head}\n[[services]]\nname = \"{SERVICE}\"\ndriver = \"mysql\"\nendpoint = \"{address}\"\non_stop = \"leave\"\n\n\
         [services.settings]\nusername = \"{}\"\npassword_file = {password:?}\nstart = [\"touch\", {start:?}]\n{more}",
        AGENT.name
    )
}
