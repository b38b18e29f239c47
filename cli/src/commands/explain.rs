//! `explain`: why the leader does what it does about a service, or does nothing.

use super::{Context, find_service};
use crate::{
    exit::{Exit, Failure},
    output::{escape, shape},
};
use clap::Args;
use tenure_core::{
    RecordKind, ServiceName,
    controller::{Explanation, Hold, HoldCode},
};

/// Of which service.
#[derive(Debug, Args)]
#[command(after_help = "\
What is done or why nothing is, and then what that rests on, one fact a line. Exit code 0 when there is
nothing to do or something is done, 1 when the leader decided not to act.

Example:
  tenure explain redis-server")]
pub struct ExplainArgs {
    /// Its name
    service: ServiceName,
}

pub(super) async fn run(args: ExplainArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let state = cluster
        .state(&[RecordKind::Service], std::slice::from_ref(&args.service))
        .await?;
    find_service(&state, &args.service)?;
    let explained = cluster.explain(&args.service).await?;
    let shape = shape::Explanation::new(&args.service, &explained);
    context
        .out
        .show(&shape, || text(&args.service, &explained))?;
    Ok(exit(&explained))
}

fn exit(explained: &Explanation) -> Exit {
    match &explained.decision {
        Err(hold) if hold.code != HoldCode::Nothing => Exit::Warning,
        Ok(_) | Err(_) => Exit::Ok,
    }
}

fn text(service: &ServiceName, explained: &Explanation) -> String {
    let heading = format!("{service}: {}", wording(&explained.decision));
    let facts = explained.facts.iter().map(|fact| format!("  {fact}"));
    let lines = std::iter::once(heading).chain(facts);
    lines
        .map(|line| escape(&line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A decision as half a sentence.
pub(super) fn wording(decision: &Result<String, Hold>) -> String {
    match decision {
        Ok(decision) => decision.clone(),
        Err(hold) if hold.code == HoldCode::Nothing => hold.to_string(),
        Err(hold) => format!("held: {hold}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(decision: Result<String, Hold>) -> (Exit, String) {
        let explained = Explanation {
            decision,
            facts: vec![
                "db-1 is primary by epoch 4".to_owned(),
                "a\u{1b}".to_owned(),
            ],
        };
        let service = ServiceName::new("redis-server").unwrap();
        (exit(&explained), text(&service, &explained))
    }

    #[test]
    fn the_decision_comes_before_the_facts() {
        let facts = "\n  db-1 is primary by epoch 4\n  a\\u{1b}";
        let hold = |code, why: &str| Err(Hold::new(code, why));
        let table = [
            (
                Ok("failover (node lost): asking the others".to_owned()),
                Exit::Ok,
                "redis-server: failover (node lost): asking the others",
            ),
            (
                hold(HoldCode::Nothing, "the primary is heard and serves"),
                Exit::Ok,
                "redis-server: nothing to do: the primary is heard and serves",
            ),
            (
                hold(HoldCode::NotProven, "missing: db-3"),
                Exit::Warning,
                "redis-server: held: completeness not proven: missing: db-3",
            ),
        ];
        for (decision, exit, heading) in table {
            assert_eq!(explained(decision), (exit, format!("{heading}{facts}")));
        }
    }
}
