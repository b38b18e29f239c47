//! The order of measurements: every round begins with empty data and new processes, and suffers every fault once.

use crate::error::BenchError;
use crate::faults;
use crate::ground::Ground;
use crate::metric::{Figures, Metric};
use crate::options::{Fault, Options};
use crate::report::Report;
use crate::stack::Stack;

/// How the figures come about, for the conditions.
pub fn method(options: &Options) -> Vec<String> {
    vec![
        format!(
            "Method: {} round(s), each with new processes and empty data, and in each every fault once, begun when all three \
             are in sync",
            options.rounds
        ),
        format!(
            "Writers: {}, each with one transaction in flight, {} ms apart, acknowledged when the primary answers its COMMIT; each \
             follows the primary as Tenure's watch tells it and makes a write again until it is acknowledged",
            options.writers, options.pace_ms
        ),
        format!(
            "Old primary: with stop and cut one writer stays with it, on its side; it wakes or is reached again {} ms after the new \
             one has committed. Counted is what it acknowledged after waking, or while the new one served",
            options.frozen_ms
        ),
        "Lost: at the end of every fault everything acknowledged is read back from the last primary".to_owned(),
    ]
}

/// Runs all rounds, adding what is seen to `report`.
pub async fn run(ground: &Ground, report: &mut Report) -> Result<(), BenchError> {
    for round in 1..=ground.options.rounds {
        self::round(ground, round, report).await?;
    }
    Ok(())
}

/// Inflicts every fault once. What did not happen in time has ended the round, and the report says so.
async fn round(ground: &Ground, round: u32, report: &mut Report) -> Result<(), BenchError> {
    let rounds = ground.options.rounds;
    // Progress goes to standard error, so that the report alone is on standard output.
    let tell = |what: &str| crate::tell(&format!("round {round} of {rounds}: {what}"));
    tell("starting");
    let mut stack = Stack::start(ground).await?;
    for fault in &ground.options.only {
        if *fault == Fault::Cut && !ground.network.can_cut() {
            continue;
        }
        tell(fault.name());
        let folder = ground.folder("fault-")?;
        let label = format!("r{round}-{fault}");
        let suffered = faults::once(ground, &mut stack, *fault, &label, folder.path()).await;
        let unfinished = match suffered {
            Ok(suffered) => {
                report.add(*fault, &suffered.figures);
                for remark in suffered.remarks {
                    report.note(format!("{fault}: {remark}"));
                }
                0.0
            }
            Err(error) if error.is_finding() => {
                report.note(format!("{fault}, round {round}: {error}"));
                1.0
            }
            Err(error) => return Err(error),
        };
        report.add(*fault, &Figures::from([(Metric::Unfinished, unfinished)]));
        if unfinished > 0.0 {
            return Ok(());
        }
    }
    stack.stop().await
}
