//! Configurations of Tenure's servers and agents.

use std::net::SocketAddr;
use std::path::Path;

/// The service that is failed over.
pub const SERVICE: &str = "redis-server";
const CLUSTER: &str = "bench";

/// The configuration of the server at this place in the lists.
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
pub fn node_name(at: usize) -> String {
    format!("node-{at}")
}

/// The configuration of the agent of the node at this place: where it answers checks and pledges, and where the
/// node's redis-server is.
pub fn agent(
    at: usize,
    servers: &[SocketAddr],
    state: &Path,
    checks: SocketAddr,
    pledges: SocketAddr,
    redis: SocketAddr,
) -> String {
    let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
    format!(
        "cluster = \"{CLUSTER}\"\nservers = {servers:?}\nnode = \"{}\"\nstate_dir = {:?}\n\
         listen = \"{checks}\"\n\n[pledge]\nlisten = \"{pledges}\"\n\n\
         [[services]]\nname = \"{SERVICE}\"\ndriver = \"redis\"\nendpoint = \"{redis}\"\non_stop = \"leave\"\n",
        node_name(at),
        state.display().to_string()
    )
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
        let text = agent(0, &[at(1)], Path::new("/state"), at(2), at(3), at(4));
        let config = tenure_agent::Config::parse(Path::new("a.toml"), &text);
        config.unwrap_or_else(|error| panic!("{error}"));
    }
}
