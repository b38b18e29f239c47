//! Where the servers listen: the ports that the other commands ask by default, or free ones.

use crate::exit::Failure;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

/// Where one server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// For clients.
    pub api: u16,
    /// For other servers.
    pub raft: u16,
}

impl Ports {
    /// The ports that the other commands ask by default, for the servers 1 to 9.
    pub fn fixed(server: u64) -> Self {
        let tens = u16::try_from(server).unwrap_or(0).saturating_mul(10);
        Self {
            api: 7_400 + tens,
            raft: 7_401 + tens,
        }
    }

    /// Where clients reach the server.
    pub fn api(self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.api).into()
    }

    /// Where other servers reach it.
    pub fn raft(self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.raft).into()
    }

    /// The address that is in use already, if one of the two is.
    pub fn taken(self) -> Option<SocketAddr> {
        [self.api(), self.raft()]
            .into_iter()
            .find(|address| TcpListener::bind(address).is_err())
    }
}

/// Ports for the servers 1 to `servers`: all fixed ones, or all free ones.
///
/// # Errors
/// When the system has no free ports.
pub fn choose(servers: u64) -> Result<Vec<Ports>, Failure> {
    let fixed: Vec<Ports> = (1..=servers).map(Ports::fixed).collect();
    if fixed.iter().all(|ports| ports.taken().is_none()) {
        return Ok(fixed);
    }
    free(servers).map_err(|why| Failure::local(format!("no free port on 127.0.0.1: {why}")))
}

/// All are held until all are found, so that none is found twice.
fn free(servers: u64) -> std::io::Result<Vec<Ports>> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let mut held = Vec::new();
    let mut found = Vec::new();
    for _ in 0..servers {
        let (api, raft) = (listen()?, listen()?);
        found.push(Ports {
            api: api.local_addr()?.port(),
            raft: raft.local_addr()?.port(),
        });
        held.push((api, raft));
    }
    let distinct: BTreeSet<u16> = found
        .iter()
        .flat_map(|ports| [ports.api, ports.raft])
        .collect();
    assert_eq!(
        distinct.len(),
        2 * found.len(),
        "ports that are held at once differ"
    );
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_ports_are_those_that_are_asked_by_default() {
        let default: Vec<String> = (1..=3)
            .map(|server| Ports::fixed(server).api().to_string())
            .collect();
        assert_eq!(default.join(","), crate::args::SERVERS_DEFAULT);
    }

    #[test]
    fn free_ports_differ() {
        let ports = free(3).unwrap();
        assert!(
            ports.iter().all(|ports| ports.taken().is_none()),
            "{ports:?}"
        );
    }

    #[test]
    fn a_taken_port_is_named() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = holder.local_addr().unwrap();
        let ports = Ports {
            api: address.port(),
            raft: address.port(),
        };
        assert_eq!(ports.taken(), Some(address));
    }
}
