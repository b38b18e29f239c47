//! Loopback ports for servers that must come back at the same address after they were killed.

use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, PoisonError};

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

/// `wanted` distinct TCP ports that are free on loopback, and that no other process asking here gets
/// while this one lives: each is reserved by an abstract socket name, which ends with the process.
///
/// # Errors
/// When the whole range holds fewer free ports than asked for; a retry helps only once some were released.
pub fn free_ports(wanted: usize) -> Result<Vec<u16>, NoFreePorts> {
    let span = EPHEMERAL_FROM - FIRST;
    // Processes that run side by side start their search at different places.
    let start = u16::try_from(std::process::id() % u32::from(span)).unwrap_or(0);
    let mut ports = Vec::with_capacity(wanted);
    for step in 0..span {
        if ports.len() == wanted {
            break;
        }
        let offset = (u32::from(start) + u32::from(step)) % u32::from(span);
        let port = FIRST + u16::try_from(offset).unwrap_or(0);
        if reserve(port) {
            ports.push(port);
        }
    }
    if ports.len() < wanted {
        let found = ports.len();
        return Err(NoFreePorts { found, wanted });
    }
    Ok(ports)
}

/// Names reserved by this process, held until it ends.
static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

fn reserve(port: u16) -> bool {
    let name = SocketAddr::from_abstract_name(format!("tenure-test-port-{port}"));
    let Some(hold) = name
        .ok()
        .and_then(|name| UnixListener::bind_addr(&name).ok())
    else {
        return false;
    };
    if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
        return false;
    }
    let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
    reserved.push(hold);
    true
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
