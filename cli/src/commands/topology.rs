//! `plan`, `diff` and `apply`: what a topology file asks for.

use super::Context;
use crate::{
    cluster::Cluster,
    exit::{Exit, Failure},
    output::{self, escape},
    topology,
};
use clap::Args;
use serde::Serialize;
use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};
use tenure_core::{Command, Plan, Revision, Step, limits::BATCH_COMMANDS_MAX};

/// A topology file, and what to do with what it does not name.
#[derive(Debug, Args)]
struct Wanted {
    /// The topology file
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Also take away what the file does not name
    #[arg(long)]
    remove: bool,
}

/// What to plan.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tenure plan -f topology.toml")]
pub struct PlanArgs {
    #[command(flatten)]
    wanted: Wanted,
}

/// What to compare.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0 when there is nothing to do, 1 when there is.\n\nExample:\n  tenure diff -f topology.toml"
)]
pub struct DiffArgs {
    #[command(flatten)]
    wanted: Wanted,
}

/// What to carry out.
#[derive(Debug, Args)]
#[command(after_help = "\
The steps are one change, all or none, unless they are more than 4096.

Example:
  tenure apply -f topology.toml --yes")]
pub struct ApplyArgs {
    #[command(flatten)]
    wanted: Wanted,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// What `plan`, `diff` and `apply` print with `--json`.
#[derive(Serialize)]
struct PlanShape {
    steps: Vec<String>,
    /// What stays different, and why.
    holds: Vec<String>,
    /// Whether the steps were carried out.
    applied: bool,
    /// The revision after them; null when they were not carried out.
    revision: Option<u64>,
}

impl PlanShape {
    fn new(plan: &Plan, revision: Option<Revision>) -> Self {
        Self {
            steps: plan.steps.iter().map(|step| step.what.clone()).collect(),
            holds: plan.holds.clone(),
            applied: revision.is_some(),
            revision: revision.map(|revision| revision.0),
        }
    }
}

async fn planned(wanted: &Wanted, context: &Context) -> Result<(Cluster, Plan), Failure> {
    let topology = topology::read(&wanted.file).map_err(Failure::invalid)?;
    let cluster = context.cluster().await?;
    let plan = cluster.plan(&topology, wanted.remove).await?;
    Ok((cluster, plan))
}

pub(super) async fn plan(args: PlanArgs, context: &Context) -> Result<Exit, Failure> {
    let (_, plan) = planned(&args.wanted, context).await?;
    context
        .out
        .show(&PlanShape::new(&plan, None), || describe(&plan))?;
    Ok(Exit::Ok)
}

pub(super) async fn diff(args: DiffArgs, context: &Context) -> Result<Exit, Failure> {
    let (_, plan) = planned(&args.wanted, context).await?;
    context
        .out
        .show(&PlanShape::new(&plan, None), || describe(&plan))?;
    Ok(if is_same(&plan) {
        Exit::Ok
    } else {
        Exit::Warning
    })
}

fn is_same(plan: &Plan) -> bool {
    plan.steps.is_empty() && plan.holds.is_empty()
}

fn describe(plan: &Plan) -> String {
    if is_same(plan) {
        return "nothing to do: the cluster is as the file says".to_owned();
    }
    let steps = plan
        .steps
        .iter()
        .enumerate()
        .map(|(at, step)| format!("{:>4}. {}", at + 1, escape(&step.what)));
    let holds = plan
        .holds
        .iter()
        .map(|hold| format!("held: {}", escape(hold)));
    let lines: Vec<String> = steps.chain(holds).collect();
    lines.join("\n")
}

pub(super) async fn apply(args: ApplyArgs, context: &Context) -> Result<Exit, Failure> {
    let (cluster, plan) = planned(&args.wanted, context).await?;
    if plan.steps.is_empty() {
        context
            .out
            .show(&PlanShape::new(&plan, None), || describe(&plan))?;
        return Ok(held(&plan));
    }
    if !args.yes && !agreed(&plan).await? {
        output::remark("nothing was changed");
        return Ok(Exit::Warning);
    }
    let revision = carry_out(&cluster, &plan).await?;
    let text = || {
        format!(
            "{}\ndone: {} step(s), revision {revision}",
            describe(&plan),
            plan.steps.len()
        )
    };
    context
        .out
        .show(&PlanShape::new(&plan, Some(revision)), text)?;
    Ok(held(&plan))
}

fn held(plan: &Plan) -> Exit {
    if plan.holds.is_empty() {
        Exit::Ok
    } else {
        Exit::Warning
    }
}

/// Asks the person at the terminal.
async fn agreed(plan: &Plan) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::invalid(format!(
            "{} step(s) are to be carried out and nobody is there to ask: repeat with --yes",
            plan.steps.len()
        )));
    }
    for line in describe(plan).lines() {
        output::remark(line);
    }
    output::remark(&format!(
        "Carry out these {} step(s)? Type yes:",
        plan.steps.len()
    ));
    let read = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map(|_| answer)
    });
    let answer = read
        .await
        .map_err(Failure::local)?
        .map_err(Failure::local)?;
    Ok(matches!(answer.trim(), "yes" | "y"))
}

/// Carries out the steps as one change, or as few as they fit in. Stops at the first that fails.
///
/// # Errors
/// The cluster's; what came before was carried out, and a new plan shows what is left.
pub async fn carry_out(cluster: &Cluster, plan: &Plan) -> Result<Revision, Failure> {
    let mut revision = Revision::default();
    for (at, steps) in plan.steps.chunks(BATCH_COMMANDS_MAX).enumerate() {
        let batch = Command::Batch(steps.iter().map(|step| step.command.clone()).collect());
        let done = cluster
            .execute(batch)
            .await
            .map_err(|failure| partly(failure, at, steps))?;
        revision = done.revision;
    }
    Ok(revision)
}

fn partly(failure: Failure, at: usize, steps: &[Step]) -> Failure {
    let before = at * BATCH_COMMANDS_MAX;
    let sentence = match before {
        0 => format!(
            "none of the {} step(s) was carried out: {failure}",
            steps.len()
        ),
        n => format!("after the first {n} steps: {failure}"),
    };
    let is_open = failure.why == crate::exit::Why::OutcomeUnknown;
    if is_open {
        failure
    } else {
        Failure {
            sentence,
            ..failure
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_reads_as_a_list() {
        let step = |what: &str| Step {
            what: what.to_owned(),
            command: Command::OpenClient,
        };
        let plan = Plan {
            steps: vec![step("add node db-1"), step("add service x\u{1b}")],
            holds: vec!["node db-9: not in the topology".to_owned()],
        };
        let text =
            "   1. add node db-1\n   2. add service x\\u{1b}\nheld: node db-9: not in the topology";
        assert_eq!(describe(&plan), text);
        assert_eq!(held(&plan), Exit::Warning);
        assert!(!is_same(&plan));
        assert_eq!(
            describe(&Plan::default()),
            "nothing to do: the cluster is as the file says"
        );
    }
}
