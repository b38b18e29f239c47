//! Where the servers listen: the ports that the other commands ask by default, or free ones.

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
        [self.api(), self.raft()]
            .into_iter()
            .find(|address| TcpListener::bind(address).is_err())
    }
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
    find_free(servers)
}

/// Two that run side by side begin their search at different places.
fn find_free(servers: u64) -> Result<Vec<Ports>, Failure> {
    let count = u32::from(FREE_COUNT);
    let start = std::process::id().wrapping_mul(64) % count;
    let candidates = (0..count).step_by(2).map(|step| {
        let api = FREE_FROM + u16::try_from((start + step) % count).unwrap_or(0);
        Ports { api, raft: api + 1 }
    });
    let wanted = usize::try_from(servers).unwrap_or(usize::MAX);
    let found: Vec<Ports> = candidates
        .filter(|ports| ports.taken().is_none())
        .take(wanted)
        .collect();
    if found.len() == wanted {
        return Ok(found);
    }
    let last = FREE_FROM + FREE_COUNT;
    Err(Failure::local(format!(
        "there are not {} free ports on 127.0.0.1 from {FREE_FROM} to {last}: stop what holds them",
        2 * wanted
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
        let distinct: BTreeSet<u16> = all.collect();
        assert_eq!(distinct.len(), 6, "{ports:?}");
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
