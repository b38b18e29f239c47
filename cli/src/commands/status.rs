//! `status`: what is wrong, and who leads. Its exit code is what monitoring reads.

mod moving;

use super::Context;
use crate::{
    cluster::{Known, Look},
    exit::{Exit, Failure},
    output::{Out, escape},
};
use clap::Args;
use serde::Serialize;
use tenure_client::{ClusterStatus, RaftStatus, ServerState};
use tenure_core::{Endpoint, Severity};

/// Nothing but what every command shares.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit code 0 when all is well, 1 for a warning, 2 when somebody must act, 3 when nobody answers. A service
that nobody serves as primary is told with what the leader does about it, or why it does nothing; pauses
and failovers that nobody has acknowledged are warnings.

Example:
  tenure status")]
pub struct StatusArgs {}

/// What `status --json` prints.
#[derive(Serialize)]
struct StatusShape {
    /// ok, warning or critical.
    status: &'static str,
    cluster: String,
    version: String,
    revision: u64,
    /// The server that leads; null when none does.
    leader: Option<u64>,
    term: u64,
    servers: Vec<ServerShape>,
    findings: Vec<FindingShape>,
    nodes: u64,
    services: u64,
    instances: u64,
}

/// One server: what the leader knows of it, and what it says itself (null when it does not answer).
#[derive(Serialize)]
struct ServerShape {
    id: u64,
    api: String,
    raft: String,
    voter: bool,
    leader: bool,
    /// Log entries that it still lacks, as the leader knows.
    lag: Option<u64>,
    reachable: bool,
    role: Option<String>,
    term: Option<u64>,
    applied: Option<u64>,
    pid: Option<u32>,
}

impl ServerShape {
    fn new(state: ServerState, said: Option<&RaftStatus>) -> Self {
        Self {
            id: state.id.0,
            api: state.api,
            raft: state.raft,
            voter: state.voter,
            leader: state.leader,
            lag: state.lag,
            reachable: said.is_some(),
            role: said.map(|said| said.role.to_string()),
            term: said.map(|said| said.term),
            applied: said.map(|said| said.applied.0),
            pid: said.map(|said| said.pid),
        }
    }
}

/// Something that is wrong.
#[derive(Serialize)]
struct FindingShape {
    severity: Severity,
    subject: String,
    what: String,
}

pub(super) async fn run(_: StatusArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let Known {
        status: known,
        is_current,
    } = cluster.status().await?;
    let servers: Vec<Endpoint> = known
        .servers
        .iter()
        .filter_map(|server| Endpoint::new(&server.api).ok())
        .collect();
    let (looks, more) = tokio::join!(
        cluster.look(&servers),
        moving::findings(&cluster, is_current)
    );
    let shape = shape(known, &looks, more, is_current);
    context.out.show(&shape, || text(context.out, &shape))?;
    Ok(exit(&shape.findings))
}

fn shape(
    known: ClusterStatus,
    looks: &[Look],
    more: Vec<FindingShape>,
    has_quorum: bool,
) -> StatusShape {
    let said = |api: &str| {
        let look = looks.iter().find(|look| look.api.as_str() == api)?;
        look.said.as_ref().ok()
    };
    let servers: Vec<ServerShape> = known
        .servers
        .into_iter()
        .map(|state| {
            let said = said(&state.api);
            ServerShape::new(state, said)
        })
        .collect();
    let mut findings = of_servers(&servers, has_quorum);
    findings.extend(known.findings.into_iter().map(|finding| FindingShape {
        severity: finding.severity,
        subject: finding.subject,
        what: finding.what,
    }));
    findings.extend(more);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    StatusShape {
        status: word(exit(&findings)),
        cluster: known.cluster,
        version: known.version,
        revision: known.header.revision.0,
        leader: known.leader.filter(|_| has_quorum).map(|id| id.0),
        term: known.term,
        servers,
        findings,
        nodes: known.nodes,
        services: known.services,
        instances: known.instances,
    }
}

/// What is wrong with the servers themselves.
fn of_servers(servers: &[ServerShape], has_quorum: bool) -> Vec<FindingShape> {
    let mut findings = Vec::new();
    if !has_quorum {
        findings.push(FindingShape {
            severity: Severity::Critical,
            subject: "servers".to_owned(),
            what: "none leads with a quorum: nothing can be changed, and what is shown may be old"
                .to_owned(),
        });
    }
    for server in servers.iter().filter(|server| !server.reachable) {
        findings.push(FindingShape {
            severity: Severity::Warning,
            subject: format!("server {}", server.id),
            what: format!("does not answer at {}", server.api),
        });
    }
    findings
}

fn exit(findings: &[FindingShape]) -> Exit {
    match findings.iter().map(|finding| finding.severity).max() {
        None | Some(Severity::Ok) => Exit::Ok,
        Some(Severity::Warning) => Exit::Warning,
        Some(Severity::Critical) => Exit::Critical,
    }
}

fn word(exit: Exit) -> &'static str {
    match exit {
        Exit::Ok => "ok",
        Exit::Warning => "warning",
        Exit::Critical => "critical",
        Exit::Unknown => "unknown",
    }
}

fn text(out: Out, shape: &StatusShape) -> String {
    let leader = match shape.leader {
        Some(id) => format!("server {id} leads in term {}", shape.term),
        None => "no server leads".to_owned(),
    };
    let StatusShape {
        nodes,
        services,
        instances,
        ..
    } = shape;
    let mut text = escape(&format!(
        "{}: cluster {}, {leader}, revision {}; {nodes} nodes, {services} services, {instances} instances",
        shape.status.to_uppercase(),
        shape.cluster,
        shape.revision,
    ));
    let mut grid = out.grid(&["server", "api", "role", "term", "applied", "behind", "pid"]);
    for server in &shape.servers {
        let none = || "-".to_owned();
        let number = |number: Option<u64>| number.map_or_else(none, |n| n.to_string());
        let vote = if server.voter { "" } else { " (no vote)" };
        grid.row([
            format!("{}{}", server.id, if server.leader { " *" } else { "" }),
            server.api.clone(),
            server
                .role
                .as_ref()
                .map_or_else(|| "no answer".to_owned(), |role| format!("{role}{vote}")),
            number(server.term),
            number(server.applied),
            number(server.lag),
            server.pid.map_or_else(none, |pid| pid.to_string()),
        ]);
    }
    text.push_str(&format!("\n\n{grid}"));
    if !shape.findings.is_empty() {
        let mut grid = out.grid(&["severity", "subject", "what"]);
        for finding in &shape.findings {
            grid.row([
                finding.severity.to_string(),
                finding.subject.clone(),
                finding.what.clone(),
            ]);
        }
        text.push_str(&format!("\n\n{grid}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(id: u64, leader: bool, reachable: bool) -> ServerShape {
        ServerShape {
            id,
            api: format!("127.0.0.1:74{id}0"),
            raft: format!("127.0.0.1:74{id}1"),
            voter: id != 3,
            leader,
            lag: Some(id - 1),
            reachable,
            role: reachable.then(|| if leader { "leader" } else { "follower" }.to_owned()),
            term: reachable.then_some(4),
            applied: reachable.then_some(90),
            pid: reachable.then_some(100),
        }
    }

    fn golden(servers: Vec<ServerShape>, has_quorum: bool) -> (Exit, String) {
        let findings = of_servers(&servers, has_quorum);
        let shape = StatusShape {
            status: word(exit(&findings)),
            cluster: "dev".to_owned(),
            version: "0".to_owned(),
            revision: 88,
            leader: has_quorum.then_some(1),
            term: 4,
            servers,
            findings,
            nodes: 11,
            services: 9,
            instances: 24,
        };
        let out = Out {
            json: false,
            width: None,
        };
        (exit(&shape.findings), text(out, &shape))
    }

    #[test]
    fn a_healthy_cluster_is_told_in_one_line() {
        let (exit, text) = golden(vec![server(1, true, true), server(2, false, true)], true);
        let wanted = "\
OK: cluster dev, server 1 leads in term 4, revision 88; 11 nodes, 9 services, 24 instances

SERVER  API             ROLE      TERM  APPLIED  BEHIND  PID
1 *     127.0.0.1:7410  leader    4     90       0       100
2       127.0.0.1:7420  follower  4     90       1       100";
        assert_eq!(text, wanted);
        assert_eq!(exit, Exit::Ok);
    }

    #[test]
    fn what_is_wrong_decides_the_exit_code() {
        let (warned, text) = golden(vec![server(1, true, true), server(3, false, false)], true);
        let wanted = "\
WARNING: cluster dev, server 1 leads in term 4, revision 88; 11 nodes, 9 services, 24 instances

SERVER  API             ROLE       TERM  APPLIED  BEHIND  PID
1 *     127.0.0.1:7410  leader     4     90       0       100
3       127.0.0.1:7430  no answer  -     -        2       -

SEVERITY  SUBJECT   WHAT
WARNING   server 3  does not answer at 127.0.0.1:7430";
        assert_eq!(text, wanted);
        assert_eq!(warned, Exit::Warning);
        let (without_quorum, _) = golden(vec![server(3, false, true)], false);
        assert_eq!(without_quorum, Exit::Critical);
    }
}
