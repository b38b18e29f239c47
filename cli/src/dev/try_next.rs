//! What to try next, as commands that can be pasted.

use super::view::View;
use std::{ffi::OsStr, path::Path};
use tenure_core::{Assignment, NodeId, ServiceName, State};

/// The service whose primary is moved.
const SERVICE: &str = "redis-server";

/// How this program was started, for commands that are to be pasted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The program, as the shell has it, with `--server` where it is needed.
    tenure: String,
    /// The file with the example.
    topology: String,
}

impl Invocation {
    /// By the program's name as it was typed, and the servers unless they are the default ones.
    pub fn new(program: Option<&OsStr>, servers: Option<&str>, topology: &Path) -> Self {
        let program = program.map_or_else(|| "tenure".into(), |program| program.to_string_lossy());
        let mut tenure = shell(&program);
        if let Some(servers) = servers {
            tenure.push_str(&format!(" --server {servers}"));
        }
        Self {
            tenure,
            topology: shell(&topology.to_string_lossy()),
        }
    }
}

/// The text as one word of a shell.
fn shell(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Three things, each with its commands.
pub fn suggestions(
    invocation: &Invocation,
    view: &View,
    state: &State,
) -> [(String, Vec<String>); 3] {
    let Invocation { tenure, topology } = invocation;
    let kill = match (view.leader, view.leader_pid()) {
        (Some(_), Some(pid)) => format!("kill -9 {pid}"),
        (_, None) | (None, Some(_)) => "(nobody leads at the moment)".to_owned(),
    };
    let mut moves = vec![format!("{tenure} watch {SERVICE}")];
    moves.extend(switch(state).map(|switch| format!("{tenure} set-primary {SERVICE} {switch}")));
    let asks = vec![
        format!("{tenure} status"),
        format!("{tenure} apply -f {topology} --yes"),
    ];
    [
        (
            "1. Kill the leader, and see the cluster go on:".to_owned(),
            vec![kill],
        ),
        (
            format!("2. Watch {SERVICE}, and move its primary from a third terminal:"),
            moves,
        ),
        (
            "3. Ask how it is, and apply the topology file after a change of it:".to_owned(),
            asks,
        ),
    ]
}

/// The arguments that move the primary to another instance that is in sync.
fn switch(state: &State) -> Option<String> {
    let service = ServiceName::new(SERVICE).ok()?;
    let now: &Assignment = state.assignment(&service)?;
    let primary = now.primary.map(|member| member.node);
    let other: &NodeId = now.in_sync.iter().find(|node| Some(**node) != primary)?;
    let node = state.nodes().get(other)?;
    Some(format!("--to {} --expected-epoch {}", node.name, now.epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pasted_is_one_word_to_the_shell() {
        let table = [
            ("target/release/tenure", "target/release/tenure"),
            ("/my programs/tenure", "'/my programs/tenure'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("a;b", "'a;b'"),
        ];
        for (text, quoted) in table {
            assert_eq!(shell(text), quoted);
        }
    }

    #[test]
    fn the_servers_are_named_where_they_are_not_the_default() {
        let topology = Path::new("/t/topology.toml");
        let plain = Invocation::new(Some(OsStr::new("target/release/tenure")), None, topology);
        let other = Invocation::new(None, Some("127.0.0.1:5"), topology);
        let asks = |invocation| {
            suggestions(&invocation, &View::new(&[]), &State::default())[2].1[0].clone()
        };
        assert_eq!(asks(plain), "target/release/tenure status");
        assert_eq!(asks(other), "tenure --server 127.0.0.1:5 status");
    }
}
