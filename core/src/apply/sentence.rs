//! What the history says of a command.
//!
//! The sentences are replicated state: servers of two builds must word them alike. Rewording one needs
//! a feature level, as a change of any rule does.

use crate::copies::CopiesCommand;
use crate::{Command, NodeRef, Note, Scope, ServiceName, State};

/// A sentence for people; None for what would drown the others.
pub(super) fn of(state: &State, command: &Command) -> Option<String> {
    Some(match command {
        Command::OpenClient
        | Command::CloseClient { .. }
        | Command::BindServer { .. }
        | Command::ReportInstance { .. }
        | Command::SetInSync { .. }
        | Command::SetMembers { .. }
        | Command::CompleteReceipt { .. }
        | Command::NoteReturn { .. }
        | Command::Acknowledge { .. } => return None,
        Command::SetSettings { .. } => "settings were changed".to_owned(),
        Command::RaiseFeatureLevel { to, .. } => format!("feature level was raised to {to}"),
        Command::AdmitServer { id, raft, .. } => format!("server {id} at {raft} was admitted"),
        Command::RetireServer { id } => format!("server {id} was retired"),
        Command::AddService { name, .. } => format!("service {name} was added"),
        Command::UpdateService { name, .. } => format!("policy of {name} was changed"),
        Command::RemoveService { name, .. } => format!("service {name} was removed"),
        Command::AddInstance { service, node, .. } => {
            format!("{service} was added on {}", named(state, node))
        }
        Command::UpdateInstance { service, node, .. } => {
            format!("{service} on {} was changed", named(state, node))
        }
        Command::RemoveInstance { service, node, .. } => {
            format!("{service} was removed from {}", named(state, node))
        }
        Command::SetPrimary {
            service,
            to,
            succeeds,
            reason,
            ..
        } => {
            let to = named(state, to);
            because(
                format!("{to} became primary of {service} after epoch {succeeds}"),
                reason,
            )
        }
        Command::Promote { .. }
        | Command::SetAutomation { .. }
        | Command::SetPause { .. }
        | Command::RemovePause { .. } => return of_automation(state, command),
        Command::Copies { service, what } => return of_copies(state, service, what),
        Command::Batch(commands) => return of_all(state, commands),
        Command::AddNode { name, .. } => format!("node {name} was added"),
        Command::UpdateNode { node, .. } => format!("node {} was changed", named(state, node)),
        Command::JoinNode { node, .. } => format!("node {} joined", named(state, node)),
        Command::SetLifecycle {
            node, to, reason, ..
        } => because(format!("node {} is {to}", named(state, node)), reason),
        Command::RemoveNode { node, reason, .. } => {
            because(format!("node {} was removed", named(state, node)), reason)
        }
        Command::SetPin {
            node, kind, reason, ..
        } => because(
            format!("node {} was pinned {kind}", named(state, node)),
            reason,
        ),
        Command::RemovePin { node, .. } => {
            format!("pin of node {} was taken away", named(state, node))
        }
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the one who calls it is exhaustive"
)]
fn of_automation(state: &State, command: &Command) -> Option<String> {
    Some(match command {
        Command::Promote {
            service,
            to,
            succeeds,
            account,
            reason,
            ..
        } => {
            let to = named(state, &NodeRef::Id(to.node));
            let what = format!(
                "{to} became primary of {service} after epoch {succeeds} ({})",
                account.cause
            );
            because(what, reason)
        }
        Command::SetAutomation { .. } => "automation was changed".to_owned(),
        Command::SetPause { scope, reason, .. } => because(
            format!("automation was paused for {}", scoped(state, scope)),
            reason,
        ),
        Command::RemovePause { scope, .. } => {
            format!("automation was resumed for {}", scoped(state, scope))
        }
        _ => return None,
    })
}

fn of_all(state: &State, commands: &[Command]) -> Option<String> {
    let mut all = commands.iter().filter_map(|command| of(state, command));
    let first = all.next()?;
    match all.count() {
        0 => Some(first),
        more => Some(format!("{first}, and {more} more in one batch")),
    }
}

/// The name, where the node has one: people do not know numbers.
fn named(state: &State, node: &NodeRef) -> String {
    let known = state.find_node(node).map(|node| node.name.to_string());
    known.unwrap_or_else(|| node.to_string())
}

fn scoped(state: &State, scope: &Scope) -> String {
    match scope {
        Scope::Node(node) => format!("node {}", named(state, &NodeRef::Id(*node))),
        Scope::Cluster | Scope::Service(_) => scope.to_string(),
    }
}

fn because(what: String, reason: &Note) -> String {
    if reason.as_str().is_empty() {
        what
    } else {
        format!("{what}: {reason}")
    }
}

/// What an operator gave up; all else that happens to copies would drown the others.
fn of_copies(state: &State, service: &ServiceName, what: &CopiesCommand) -> Option<String> {
    match what {
        CopiesCommand::Empty { node, accept_loss } => {
            let named = named(state, &NodeRef::Id(*node));
            let loss = if *accept_loss {
                ", and the loss of what is nowhere else was accepted"
            } else {
                ""
            };
            Some(format!(
                "copies of {service} on {named} were given up{loss}"
            ))
        }
        CopiesCommand::Place(_)
        | CopiesCommand::Report(_)
        | CopiesCommand::Verify(_)
        | CopiesCommand::Assign(_)
        | CopiesCommand::Drop(_)
        | CopiesCommand::Dropped(_)
        | CopiesCommand::Remove(_)
        | CopiesCommand::Lose { .. }
        | CopiesCommand::Regain { .. }
        | CopiesCommand::Renew { .. }
        | CopiesCommand::Rebalance(_) => None,
    }
}
