//! What to try next, as commands that can be pasted.

use super::{store, view::View};
use std::{ffi::OsStr, path::Path};
use tenure_core::{Assignment, NodeId, State};

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
    let name = view.kind.name();
    let primary = store::primary(view, state);
    let fail = match primary.as_ref().and_then(|(_, pid)| *pid) {
        Some(pid) => format!("kill -9 {pid}"),
        None => format!("(nobody is primary of {name} at the moment)"),
    };
    let mut moves: Vec<String> = Vec::new();
    moves.extend(other(view, state).map(|node| format!("{tenure} switchover {name} --to {node}")));
    moves.push(format!("{tenure} explain {name}"));
    moves.extend(primary.map(|(node, _)| format!("{tenure} what-if node lost {node}")));
    let kill = match (view.leader, view.leader_pid()) {
        (Some(_), Some(pid)) => format!("kill -9 {pid}"),
        (_, None) | (None, Some(_)) => "(nobody leads at the moment)".to_owned(),
    };
    [
        (
            format!("1. From a second terminal: kill {name}'s primary, ask what came of it:"),
            vec![fail, format!("{tenure} receipts {name}")],
        ),
        (
            "2. Move it in order; ask why it stays; what if its node were lost:".to_owned(),
            moves,
        ),
        (
            "3. Kill the leader of the servers; apply the topology file once changed:".to_owned(),
            vec![kill, format!("{tenure} apply -f {topology} --yes")],
        ),
    ]
}

/// Another instance that is in sync, the one that comes last.
fn other(view: &View, state: &State) -> Option<String> {
    let now: &Assignment = state.assignment(&view.kind.service())?;
    let primary = now.primary.map(|member| member.node);
    let mut others = now.in_sync.iter().filter(|node| Some(**node) != primary);
    let other: &NodeId = others.next_back()?;
    let node = state.nodes().get(other)?;
    Some(node.name.to_string())
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
            suggestions(
                &invocation,
                &View::new(&[], store::Kind::Redis),
                &State::default(),
            )[0]
            .1[1]
                .clone()
        };
        assert_eq!(asks(plain), "target/release/tenure receipts redis-server");
        let elsewhere = "tenure --server 127.0.0.1:5 receipts redis-server";
        assert_eq!(asks(other), elsewhere);
    }
}
