//! Configurations of Tenure's servers and agents, and of redis-server.

use std::net::SocketAddr;
use std::path::Path;

/// The service that is failed over.
pub const SERVICE: &str = "redis-server";
const CLUSTER: &str = "failover";

/// The configuration of the server at this place in the lists.
#[must_use]
pub fn server(at: usize, api: &[SocketAddr], raft: &[SocketAddr], data: &Path) -> String {
    let mut text = format!(
        "cluster = \"{CLUSTER}\"\nserver = {}\ndata_dir = {:?}\n\n[raft]\nlisten = \"{}\"\n\n[api]\nlisten = \"{}\"\n",
        at + 1,
        data.display().to_string(),
        raft[at],
        api[at]
    );
    for (peer, (api, raft)) in api.iter().zip(raft).enumerate() {
        let id = peer + 1;
        text.push_str(&format!(
            "\n[[servers]]\nid = {id}\nraft = \"{raft}\"\napi = \"{api}\"\n"
        ));
    }
    text
}

/// The name of the node at this place.
#[must_use]
pub fn node_name(at: usize) -> String {
    format!("node-{at}")
}

/// Where the agent of a node listens.
#[derive(Clone, Copy, Debug)]
pub struct Listens {
    /// For load balancers' checks.
    pub checks: SocketAddr,
    /// For primaries that ask for a pledge.
    pub pledges: SocketAddr,
}

/// The configuration of the agent of the node at this place, with the node's instances: service, and where its
/// redis-server is.
#[must_use]
pub fn agent(
    at: usize,
    servers: &[SocketAddr],
    state: &Path,
    listens: Listens,
    instances: &[(String, SocketAddr)],
) -> String {
    let mut text = agent_head(at, servers, state, listens);
    for (service, redis) in instances {
        text.push_str(&format!(
            "\n[[services]]\nname = \"{service}\"\ndriver = \"redis\"\nendpoint = \"{redis}\"\non_stop = \"leave\"\n"
        ));
    }
    text
}

/// The configuration of the agent of the node at this place, as far as it speaks of no instance.
#[must_use]
pub fn agent_head(at: usize, servers: &[SocketAddr], state: &Path, listens: Listens) -> String {
    let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
    format!(
        "cluster = \"{CLUSTER}\"\nservers = {servers:?}\nnode = \"{}\"\nstate_dir = {:?}\n\
         listen = \"{}\"\n\n[pledge]\nlisten = \"{}\"\n",
        node_name(at),
        state.display().to_string(),
        listens.checks,
        listens.pledges
    )
}

/// The configuration of an empty redis-server, with `settings` added; its data go to `dir`.
#[must_use]
pub fn redis(
    address: SocketAddr,
    dir: &Path,
    replica_of: Option<SocketAddr>,
    settings: &str,
) -> String {
    let (ip, port) = (address.ip(), address.port());
    let dir = dir.display();
    let mut text = format!(
        "bind {ip}\nport {port}\nprotected-mode no\ndir \"{dir}\"\ndbfilename \"{port}.rdb\"\n\
         save \"\"\nappendonly no\nrepl-diskless-sync yes\nrepl-diskless-sync-delay 0\nrepl-backlog-size 16mb\n"
    );
    if let Some(primary) = replica_of {
        text.push_str(&format!("replicaof {} {}\n", primary.ip(), primary.port()));
    }
    text.push_str(settings);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_server_accepts_its_configuration() {
        let (api, raft) = ([at(1), at(2), at(3)], [at(4), at(5), at(6)]);
        let text = server(1, &api, &raft, Path::new("/data"));
        assert_eq!(text.matches("[[servers]]").count(), 3);
        let config = tenure_server::Config::parse(Path::new("s.toml"), &text);
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((config.server().0, config.cluster()), (2, CLUSTER));
    }

    #[test]
    fn an_agent_accepts_its_configuration() {
        let text = agent(
            0,
            &[at(1)],
            Path::new("/state"),
            Listens {
                checks: at(2),
                pledges: at(3),
            },
            &[(SERVICE.to_owned(), at(4)), ("other".to_owned(), at(5))],
        );
        let config = tenure_agent::Config::parse(Path::new("a.toml"), &text);
        config.unwrap_or_else(|error| panic!("{error}"));
    }
}
