//! `what-if`: what the leader would decide, by the function that decides.

use super::{Context, find_node};
use crate::{
    args,
    exit::{Exit, Failure},
    output::{Out, escape, shape},
};
use clap::{Args, Subcommand};
use tenure_core::{Node, NodeRef, RecordKind, State, controller::Forecast};

/// What is supposed.
#[derive(Debug, Subcommand)]
pub enum WhatIfCommand {
    /// Suppose something about a node
    #[command(subcommand)]
    Node(NodeEvent),
}

/// What is supposed of a node.
#[derive(Debug, Subcommand)]
pub enum NodeEvent {
    /// Suppose that it were lost now: who would take over what it is primary of, and after how long
    #[command(after_help = "\
Nothing is changed. Exit code 0 when somebody would take over everything, 1 when something would be held.

Example:
  tenure what-if node lost db-1")]
    Lost(LostArgs),
}

/// Which node.
#[derive(Debug, Args)]
pub struct LostArgs {
    /// Its name, or its number as id:7
    #[arg(value_parser = args::node)]
    node: NodeRef,
    /// Also show what each answer rests on
    #[arg(short, long)]
    verbose: bool,
}

pub(super) async fn run(command: WhatIfCommand, context: &Context) -> Result<Exit, Failure> {
    let WhatIfCommand::Node(NodeEvent::Lost(args)) = command;
    let cluster = context.cluster().await?;
    let state = cluster.state(&[RecordKind::Node], &[]).await?;
    let node = find_node(&state, &args.node)?;
    let forecasts = cluster.what_if_lost(&NodeRef::Id(node.id)).await?;
    let shapes: Vec<_> = forecasts
        .iter()
        .map(|forecast| shape::Forecast::new(&state, forecast))
        .collect();
    context.out.show(&shapes, || {
        text(context.out, &state, node, &forecasts, args.verbose)
    })?;
    Ok(exit(&forecasts))
}

fn exit(forecasts: &[Forecast]) -> Exit {
    if forecasts.iter().all(|forecast| forecast.decision.is_ok()) {
        Exit::Ok
    } else {
        Exit::Warning
    }
}

fn text(out: Out, state: &State, node: &Node, forecasts: &[Forecast], verbose: bool) -> String {
    if forecasts.is_empty() {
        return format!("{} is primary of nothing: no primary would move", node.name);
    }
    let mut grid = out.grid(&["service", "takes over", "nobody writes for", "why not"]);
    for forecast in forecasts {
        let (to, why) = match &forecast.decision {
            Ok(to) => (shape::node_name(state, *to), "-".to_owned()),
            Err(hold) => ("nobody".to_owned(), hold.to_string()),
        };
        grid.row([forecast.service.to_string(), to, outage(forecast), why]);
    }
    let mut text = grid.to_string();
    if verbose {
        for forecast in forecasts {
            text.push_str(&format!("\n\n{}", forecast.service));
            for fact in &forecast.facts {
                text.push_str(&format!("\n  {}", escape(fact)));
            }
        }
    }
    text
}

fn outage(forecast: &Forecast) -> String {
    match forecast.outage_ms {
        None => "until somebody acts".to_owned(),
        Some((least, most)) => format!("{} to {} s", seconds(least), seconds(most)),
    }
}

/// Milliseconds as seconds with one decimal.
fn seconds(ms: u64) -> String {
    let tenths = ms.saturating_add(50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::{super::receipts::wording::tests::nodes, *};
    use tenure_core::{
        NodeId, ServiceName,
        controller::{Hold, HoldCode},
    };

    const OUT: Out = Out {
        json: false,
        width: None,
    };

    fn told(forecasts: &[Forecast], verbose: bool) -> (Exit, String) {
        let state = nodes();
        let node = state.nodes().get(&NodeId(1)).unwrap();
        (exit(forecasts), text(OUT, &state, node, forecasts, verbose))
    }

    fn taken(service: &str) -> Forecast {
        Forecast {
            service: ServiceName::new(service).unwrap(),
            decision: Ok(NodeId(2)),
            facts: vec!["db-1 is primary by epoch 4".to_owned()],
            outage_ms: Some((962, 1_351)),
        }
    }

    #[test]
    fn each_service_says_who_takes_over_or_why_nobody_does() {
        let hold = Hold::new(HoldCode::NotProven, "missing: db-3");
        let held = Forecast {
            decision: Err(hold),
            outage_ms: None,
            ..taken("mysql-server")
        };
        let wanted = "\
SERVICE       TAKES OVER  NOBODY WRITES FOR    WHY NOT
mysql-server  nobody      until somebody acts  completeness not proven: missing: db-3
redis-server  db-2        1.0 to 1.4 s         -";
        let (exit, text) = told(&[held, taken("redis-server")], false);
        assert_eq!((exit, text.as_str()), (Exit::Warning, wanted));
    }

    #[test]
    fn facts_are_shown_when_asked_for() {
        let (exit, text) = told(&[taken("redis-server")], true);
        assert_eq!(exit, Exit::Ok);
        let facts = "\n\nredis-server\n  db-1 is primary by epoch 4";
        assert!(text.ends_with(facts), "{text}");
        let nothing = "db-1 is primary of nothing: no primary would move".to_owned();
        assert_eq!(told(&[], true), (Exit::Ok, nothing));
    }

    #[test]
    fn seconds_have_one_decimal() {
        let table = [
            (0, "0.0"),
            (49, "0.0"),
            (50, "0.1"),
            (949, "0.9"),
            (12_350, "12.4"),
        ];
        for (ms, text) in table {
            assert_eq!(seconds(ms), text, "{ms}");
        }
    }
}
