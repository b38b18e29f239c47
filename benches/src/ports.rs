//! Loopback ports for servers that must come back at the same address after they were killed.

use std::net::{Ipv4Addr, TcpListener};

/// The lowest port of the kernel's default range for outgoing connections. Ports are taken from below it:
/// a port inside could be handed to somebody's outgoing connection while its server is down.
const EPHEMERAL_FROM: u16 = 32_768;
const FIRST: u16 = 12_000;

/// Too few free ports were found.
#[derive(Debug, thiserror::Error)]
#[error(
    "only {found} of {wanted} ports between {FIRST} and {EPHEMERAL_FROM} can be bound on 127.0.0.1; \
     stop what occupies them and start again"
)]
pub struct NoFreePorts {
    found: usize,
    wanted: usize,
}

/// `wanted` distinct TCP ports that were free on loopback a moment ago. Nothing reserves them: bind soon,
/// and treat "address in use" as a reason to ask again.
///
/// # Errors
/// When the whole range holds fewer free ports than asked for; a retry helps only once some were released.
pub fn free_ports(wanted: usize) -> Result<Vec<u16>, NoFreePorts> {
    let span = EPHEMERAL_FROM - FIRST;
    // Benches that run side by side start their search at different places.
    let start = u16::try_from(std::process::id() % u32::from(span)).unwrap_or(0);
    let mut held = Vec::with_capacity(wanted);
    for step in 0..span {
        if held.len() == wanted {
            break;
        }
        let offset = (u32::from(start) + u32::from(step)) % u32::from(span);
        let port = FIRST + u16::try_from(offset).unwrap_or(0);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    if held.len() < wanted {
        return Err(NoFreePorts {
            found: held.len(),
            wanted,
        });
    }
    Ok(held.into_iter().map(|(port, _listener)| port).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_distinct_and_outside_the_range_of_outgoing_connections() {
        let mut ports = free_ports(9).expect("nine free ports");
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 9);
        assert!(
            ports
                .iter()
                .all(|port| (FIRST..EPHEMERAL_FROM).contains(port))
        );
    }
}
