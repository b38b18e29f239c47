//! Where servers, agents and stores listen: the ports that the other commands ask by default, or free ones.

use crate::exit::Failure;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

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
        first_taken([self.api(), self.raft()])
    }
}

/// Where a node's instance of the service listens, and its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodePorts {
    /// The instance.
    pub store: u16,
    /// The agent's checks.
    pub checks: u16,
    /// The agent, for other agents.
    pub pledges: u16,
}

impl NodePorts {
    /// Where the instance is reached.
    pub fn store(self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.store).into()
    }

    /// Where the agent answers checks.
    pub fn checks(self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.checks).into()
    }

    /// Where other agents ask it.
    pub fn pledges(self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.pledges).into()
    }

    /// The address that is in use already, if one of them is.
    pub fn taken(self) -> Option<SocketAddr> {
        first_taken([self.store(), self.checks(), self.pledges()])
    }
}

fn first_taken<const N: usize>(addresses: [SocketAddr; N]) -> Option<SocketAddr> {
    addresses
        .into_iter()
        .find(|address| TcpListener::bind(address).is_err())
}

/// Free ports are looked for here: below those that the system gives to outgoing connections, which
/// could take one while its server is down.
const FREE_FROM: u16 = 8_000;
const FREE_COUNT: u16 = 4_000;

/// Ports for the servers 1 to `servers`: all fixed ones, or all free ones where one of them is in use
/// or `free` is asked for.
///
/// # Errors
/// When there are not enough free ports.
pub fn choose(servers: u64, free: bool) -> Result<Vec<Ports>, Failure> {
    let fixed: Vec<Ports> = (1..=servers).map(Ports::fixed).collect();
    if !free && fixed.iter().all(|ports| ports.taken().is_none()) {
        return Ok(fixed);
    }
    let found = free_ports(servers.saturating_mul(2), &[])?;
    let pairs = found.chunks_exact(2);
    Ok(pairs
        .map(|pair| Ports {
            api: pair[0],
            raft: pair[1],
        })
        .collect())
}

/// Free ports for so many nodes, none of which a server has.
///
/// # Errors
/// When there are not enough free ports.
pub fn choose_for_nodes(nodes: u64, servers: &[Ports]) -> Result<Vec<NodePorts>, Failure> {
    let given: Vec<u16> = servers.iter().flat_map(|it| [it.api, it.raft]).collect();
    let found = free_ports(nodes.saturating_mul(3), &given)?;
    let threes = found.chunks_exact(3);
    Ok(threes
        .map(|three| NodePorts {
            store: three[0],
            checks: three[1],
            pledges: three[2],
        })
        .collect())
}

/// Two that run side by side begin their search at different places.
fn free_ports(wanted: u64, given: &[u16]) -> Result<Vec<u16>, Failure> {
    let count = u32::from(FREE_COUNT);
    let start = std::process::id().wrapping_mul(64) % count;
    let candidates =
        (0..count).map(|step| FREE_FROM + u16::try_from((start + step) % count).unwrap_or(0));
    let is_free = |port: &u16| {
        !given.contains(port) && first_taken([(Ipv4Addr::LOCALHOST, *port).into()]).is_none()
    };
    let number = usize::try_from(wanted).unwrap_or(usize::MAX);
    let found: Vec<u16> = candidates.filter(is_free).take(number).collect();
    if found.len() == number {
        return Ok(found);
    }
    let last = FREE_FROM + FREE_COUNT;
    Err(Failure::local(format!(
        "there are not {wanted} free ports on 127.0.0.1 from {FREE_FROM} to {last}: stop what holds them"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_fixed_ports_are_those_that_are_asked_by_default() {
        let default: Vec<String> = (1..=3)
            .map(|server| Ports::fixed(server).api().to_string())
            .collect();
        assert_eq!(default.join(","), crate::args::SERVERS_DEFAULT);
    }

    #[test]
    fn free_ports_differ() {
        let ports = choose(3, true).unwrap();
        let all = ports.iter().flat_map(|ports| [ports.api, ports.raft]);
        let nodes = choose_for_nodes(3, &ports).unwrap();
        let others = nodes
            .iter()
            .flat_map(|ports| [ports.store, ports.checks, ports.pledges]);
        let distinct: BTreeSet<u16> = all.chain(others).collect();
        assert_eq!(distinct.len(), 15, "{ports:?} {nodes:?}");
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
