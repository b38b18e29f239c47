//! `raft`: the servers and their log.

use super::Context;
use crate::{
    args,
    cluster::{Cluster, Look},
    exit::{Exit, Failure},
    output::Out,
};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::collections::BTreeSet;
use tenure_core::{Endpoint, RecordKind, ServerId, ServerStatus};

/// What to do with the servers.
#[derive(Debug, Subcommand)]
pub enum RaftCommand {
    /// Show what each server says of itself and of its log
    #[command(after_help = "Example:\n  tenure raft status")]
    Status,
    /// Add a server that runs with `join = true`: as learner and, once it has caught up, as voter
    #[command(
        after_help = "Example:\n  tenure raft add 4 --raft 10.0.0.4:7401 --api 10.0.0.4:7400"
    )]
    Add(AddArgs),
    /// Remove a server for good; its id is never used again
    #[command(after_help = "Example:\n  tenure raft remove 4")]
    Remove {
        /// Its id
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
    },
    /// Hand leadership to another voter
    #[command(after_help = "Example:\n  tenure raft transfer --to 2")]
    Transfer {
        /// To whom; the most complete one when left out
        #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
        to: Option<u64>,
    },
    /// Compare the servers' states by their digests: exit code 2 when two at one entry differ
    #[command(after_help = "Example:\n  tenure raft digest")]
    Digest,
    /// Write a server's checkpoint now, so that its log can shrink
    #[command(after_help = "Example:\n  tenure raft checkpoint 2")]
    Checkpoint {
        /// Its id
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
    },
}

/// A server to add.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its id, never used before
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    id: u64,
    /// Where other servers reach it
    #[arg(long, value_name = "HOST:PORT", value_parser = args::endpoint)]
    raft: Endpoint,
    /// Where clients reach it
    #[arg(long, value_name = "HOST:PORT", value_parser = args::endpoint)]
    api: Endpoint,
    /// Let it follow without a vote
    #[arg(long)]
    learner: bool,
}

pub(super) async fn run(command: RaftCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        RaftCommand::Status => status(context).await,
        RaftCommand::Add(args) => add(args, context).await,
        RaftCommand::Remove { id } => remove(ServerId(id), context).await,
        RaftCommand::Transfer { to } => transfer(to.map(ServerId), context).await,
        RaftCommand::Digest => digest(context).await,
        RaftCommand::Checkpoint { id } => checkpoint(ServerId(id), context).await,
    }
}

/// Where all servers are: those that take part as the cluster remembers, and those that were named
/// when it cannot be asked.
async fn servers(cluster: &Cluster, context: &Context) -> Vec<Endpoint> {
    let mut found = BTreeSet::new();
    if let Ok(state) = cluster.state(&[RecordKind::Server], &[]).await {
        let admitted = state
            .servers()
            .values()
            .filter(|one| one.status == ServerStatus::Admitted);
        found.extend(admitted.map(|server| server.api.clone()));
    }
    if found.is_empty() {
        found.extend(context.global.server.iter().cloned());
        let learned = cluster.client().servers();
        found.extend(
            learned
                .iter()
                .filter_map(|server| Endpoint::new(&server.api).ok()),
        );
    }
    found.into_iter().collect()
}

/// One server, in what `raft status --json` prints. All but `api` and `error` are null when it does
/// not answer.
#[derive(Serialize)]
struct LogShape {
    api: String,
    error: Option<String>,
    server: Option<u64>,
    role: Option<String>,
    term: Option<u64>,
    leader: Option<u64>,
    last_log: Option<u64>,
    committed: Option<u64>,
    applied: Option<u64>,
    checkpoint: Option<u64>,
    purged: Option<u64>,
    pid: Option<u32>,
}

impl From<&Look> for LogShape {
    fn from(look: &Look) -> Self {
        let said = look.said.as_ref();
        let error = said.err().cloned();
        let said = said.ok();
        Self {
            api: look.api.to_string(),
            error,
            server: said.map(|said| said.server.0),
            role: said.map(|said| said.role.to_string()),
            term: said.map(|said| said.term),
            leader: said.and_then(|said| said.leader).map(|id| id.0),
            last_log: said.map(|said| said.last_log.0),
            committed: said.map(|said| said.committed.0),
            applied: said.map(|said| said.applied.0),
            checkpoint: said.map(|said| said.checkpoint.0),
            purged: said.map(|said| said.purged.0),
            pid: said.map(|said| said.pid),
        }
    }
}

async fn status(context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let looks = cluster.look(&servers(&cluster, context).await).await;
    let shapes: Vec<LogShape> = looks.iter().map(Into::into).collect();
    context.out.show(&shapes, || table(context.out, &shapes))?;
    let answered = shapes.iter().filter(|shape| shape.error.is_none()).count();
    let leads = shapes
        .iter()
        .any(|shape| shape.role.as_deref() == Some("leader"));
    Ok(match (answered == shapes.len(), leads) {
        (true, true) => Exit::Ok,
        (false, true) => Exit::Warning,
        (_, false) => Exit::Critical,
    })
}

fn table(out: Out, shapes: &[LogShape]) -> String {
    let header = [
        "server",
        "api",
        "role",
        "term",
        "last",
        "committed",
        "applied",
        "checkpoint",
        "purged",
        "pid",
    ];
    let mut grid = out.grid(&header);
    for shape in shapes {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let said = shape.role.clone().or_else(|| shape.error.clone());
        grid.row([
            number(shape.server),
            shape.api.clone(),
            said.unwrap_or_default(),
            number(shape.term),
            number(shape.last_log),
            number(shape.committed),
            number(shape.applied),
            number(shape.checkpoint),
            number(shape.purged),
            number(shape.pid.map(u64::from)),
        ]);
    }
    grid.to_string()
}

/// What changes of the servers print with `--json`.
#[derive(Serialize)]
struct ChangeShape {
    what: String,
    server: u64,
}

fn changed(what: String, server: ServerId, context: &Context) -> Result<Exit, Failure> {
    let shape = ChangeShape {
        what,
        server: server.0,
    };
    context.out.show(&shape, || shape.what.clone())?;
    Ok(Exit::Ok)
}

async fn add(args: AddArgs, context: &Context) -> Result<Exit, Failure> {
    let AddArgs {
        id,
        raft,
        api,
        learner,
    } = args;
    let id = ServerId(id);
    let votes = context
        .cluster()
        .await?
        .add_server(id, raft, api, learner)
        .await?;
    let part = if votes { "a voter" } else { "a learner" };
    changed(format!("server {id} is {part}"), id, context)
}

async fn remove(id: ServerId, context: &Context) -> Result<Exit, Failure> {
    context.cluster().await?.remove_server(id).await?;
    changed(
        format!("server {id} is removed; its process can be stopped"),
        id,
        context,
    )
}

async fn transfer(to: Option<ServerId>, context: &Context) -> Result<Exit, Failure> {
    let leader = context.cluster().await?.transfer_leader(to).await?;
    changed(format!("server {leader} leads"), leader, context)
}

async fn checkpoint(id: ServerId, context: &Context) -> Result<Exit, Failure> {
    let applied = context.cluster().await?.checkpoint(id).await?;
    changed(
        format!("the checkpoint of server {id} reaches up to entry {applied}"),
        id,
        context,
    )
}

/// One server, in what `raft digest --json` prints. All but `api` and `error` are null when it does
/// not answer.
#[derive(Serialize)]
struct DigestShape {
    api: String,
    error: Option<String>,
    server: Option<u64>,
    applied: Option<u64>,
    revision: Option<u64>,
    digest: Option<String>,
}

async fn digest(context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let servers = servers(&cluster, context).await;
    let ask = |api: &Endpoint| {
        let (cluster, api) = (cluster.clone(), api.clone());
        async move { (cluster.digest(&api).await, api) }
    };
    let asked = futures::future::join_all(servers.iter().map(ask)).await;
    let shapes: Vec<DigestShape> = asked
        .into_iter()
        .map(|(digest, api)| {
            let error = digest.as_ref().err().cloned();
            let digest = digest.ok();
            DigestShape {
                api: api.to_string(),
                error,
                server: digest.as_ref().map(|digest| digest.server.0),
                applied: digest.as_ref().map(|digest| digest.applied.0),
                revision: digest.as_ref().map(|digest| digest.revision.0),
                digest: digest.map(|digest| digest.digest),
            }
        })
        .collect();
    context
        .out
        .show(&shapes, || digest_table(context.out, &shapes))?;
    Ok(compare(&shapes))
}

/// Only states at the same entry can be compared: the servers are asked one by one while writes go on.
fn compare(shapes: &[DigestShape]) -> Exit {
    let answered: Vec<&DigestShape> = shapes
        .iter()
        .filter(|shape| shape.error.is_none())
        .collect();
    let differ =
        |a: &&DigestShape, b: &&DigestShape| a.applied == b.applied && a.digest != b.digest;
    if answered
        .iter()
        .any(|a| answered.iter().any(|b| differ(a, b)))
    {
        Exit::Critical
    } else if answered.is_empty() {
        Exit::Unknown
    } else if answered.len() < shapes.len() {
        Exit::Warning
    } else {
        Exit::Ok
    }
}

fn digest_table(out: Out, shapes: &[DigestShape]) -> String {
    let mut grid = out.grid(&["server", "api", "applied", "revision", "digest"]);
    for shape in shapes {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
        let said = shape.digest.clone().or_else(|| shape.error.clone());
        grid.row([
            number(shape.server),
            shape.api.clone(),
            number(shape.applied),
            number(shape.revision),
            said.unwrap_or_default(),
        ]);
    }
    grid.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(applied: u64, digest: &str) -> DigestShape {
        DigestShape {
            api: "h:1".to_owned(),
            error: None,
            server: Some(1),
            applied: Some(applied),
            revision: Some(applied),
            digest: Some(digest.to_owned()),
        }
    }

    #[test]
    fn only_states_at_one_entry_are_compared() {
        let silent = || DigestShape {
            error: Some("x".to_owned()),
            ..state(0, "")
        };
        assert_eq!(compare(&[state(5, "a"), state(5, "a")]), Exit::Ok);
        assert_eq!(compare(&[state(5, "a"), state(6, "b")]), Exit::Ok);
        assert_eq!(
            compare(&[state(5, "a"), state(6, "b"), state(5, "c")]),
            Exit::Critical
        );
        assert_eq!(compare(&[state(5, "a"), silent()]), Exit::Warning);
        assert_eq!(compare(&[silent()]), Exit::Unknown);
    }
}
