//! `pause` and `resume`: an operator's word that nothing automatic happens for a while.

use super::{
    Context, find_node, find_service,
    until::{self, UntilArgs},
};
use crate::{
    args, clock,
    exit::{Exit, Failure},
    output::{Out, shape},
};
use clap::Args;
use tenure_core::{Command, NodeRef, Note, RecordKind, Revision, Scope, ServiceName, State};

/// For what.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct ScopeArgs {
    /// For this service
    service: Option<ServiceName>,
    /// For whatever this node is primary of, and nothing is given to it: its name, or its number as id:7
    #[arg(long, value_parser = args::node)]
    node: Option<NodeRef>,
    /// For every service
    #[arg(long)]
    cluster: bool,
}

/// What to pause.
#[derive(Debug, Args)]
#[command(after_help = "\
What an operator asks for still happens. A pause that there is already is replaced. Whether it has ended
is told by the leader's clock. `tenure automation show` lists the pauses.

Example:
  tenure pause redis-server --for 1h --reason 'network is being rewired'
  tenure pause --node db-1 --reason 'kernel update'
  tenure pause --cluster --until 2030-01-31T18:00Z --reason 'site test'")]
pub struct PauseArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    until: UntilArgs,
    /// Why; shown to others
    #[arg(long, value_parser = args::note)]
    reason: Note,
    /// Only if the pause is as of this revision (its `modified`); read when left out
    #[arg(long, value_name = "REVISION")]
    expected: Option<u64>,
}

/// What to resume.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tenure resume redis-server\n  tenure resume --cluster")]
pub struct ResumeArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Only if the pause is as of this revision (its `modified`); read when left out
    #[arg(long, value_name = "REVISION")]
    expected: Option<u64>,
}

const KINDS: &[RecordKind] = &[RecordKind::Node, RecordKind::Service, RecordKind::Pause];

impl ScopeArgs {
    /// What is meant, as the state knows it.
    fn find(&self, state: &State) -> Result<Scope, Failure> {
        match (&self.service, &self.node) {
            (Some(name), _) => {
                let service = find_service(state, name)?;
                Ok(Scope::Service(service.name.clone()))
            }
            (None, Some(node)) => Ok(Scope::Node(find_node(state, node)?.id)),
            (None, None) => Ok(Scope::Cluster),
        }
    }
}

/// A scope with the name of its node.
pub(super) fn wording(state: &State, scope: &Scope) -> String {
    match scope {
        Scope::Node(id) => format!("node {}", shape::node_name(state, *id)),
        Scope::Cluster | Scope::Service(_) => scope.to_string(),
    }
}

/// The pauses as a table.
pub(super) fn table(out: Out, state: &State) -> String {
    let mut grid = out.grid(&["paused for", "until", "reason"]);
    for pause in state.pauses().values() {
        grid.row([
            wording(state, &pause.scope),
            pause.until.map_or_else(|| "-".to_owned(), clock::utc),
            pause.reason.to_string(),
        ]);
    }
    grid.to_string()
}

pub(super) async fn pause(args: PauseArgs, context: &Context) -> Result<Exit, Failure> {
    let until = args.until.end(clock::now())?;
    let cluster = context.cluster().await?;
    let state = cluster.state(KINDS, &[]).await?;
    let scope = args.scope.find(&state)?;
    let what = format!(
        "automation is paused for {} {}",
        wording(&state, &scope),
        until::wording(until)
    );
    let known = state.pauses().get(&scope).map(|pause| pause.modified);
    let command = Command::SetPause {
        expected: args.expected.map(Revision).or(known),
        scope,
        until,
        reason: args.reason,
    };
    let done = cluster.execute(command).await?;
    context.done(&what, done)
}

pub(super) async fn resume(args: ResumeArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let state = cluster.state(KINDS, &[]).await?;
    let scope = args.scope.find(&state)?;
    let name = wording(&state, &scope);
    let Some(pause) = state.pauses().get(&scope) else {
        return Err(Failure::not_found(format!(
            "automation is not paused for {name}"
        )));
    };
    let expected = args.expected.map_or(pause.modified, Revision);
    let done = cluster
        .execute(Command::RemovePause { scope, expected })
        .await?;
    context.done(&format!("automation goes on for {name}"), done)
}
