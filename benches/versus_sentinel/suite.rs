//! The order of measurements: in every round each system gets one turn with fresh data, alone on the machine, and
//! suffers every fault once.

use std::io::Write as _;

use crate::error::BenchError;
use crate::faults::{self, Suffered};
use crate::ground::Ground;
use crate::metric::{Metric, Sample};
use crate::options::{Fault, Options, System};
use crate::report::{Report, SystemConditions};
use crate::sentinel::{self, Sentinel};
use crate::stack::Stack;
use crate::tenure::{self, Tenure};

/// The systems that take turns, with their settings.
pub fn systems(options: &Options) -> Result<Vec<SystemConditions>, BenchError> {
    let mut systems = Vec::new();
    if options.measures(System::Sentinel) {
        for down_after in &options.sentinel_down_after {
            systems.push(SystemConditions {
                name: sentinel::column(*down_after),
                settings: sentinel::describe(options, *down_after)?,
            });
        }
    }
    if options.measures(System::Tenure) {
        systems.push(SystemConditions {
            name: tenure::COLUMN.to_owned(),
            settings: tenure::describe(options)?,
        });
    }
    Ok(systems)
}

/// How the figures come about, for the conditions.
pub fn method(options: &Options) -> Vec<String> {
    vec![
        format!(
            "Method: {} round(s); in each every system in turn, alone on the machine, with fresh data, suffers every fault once; \
             one primary and two replicas",
            options.rounds
        ),
        format!(
            "Writers: {}, each with one write in flight (SET and WAIT 1 {}), {} ms apart, acknowledged when a replica has it; each \
             follows the primary as the system tells it and tries a write again until it is acknowledged",
            options.writers, options.wait_ms, options.pace_ms
        ),
        "Notice: when the writer is told of another primary that serves (+switch-master of any Sentinel, or an answer of one it asked; \
         Tenure's watch)"
            .to_owned(),
        format!(
            "Old primary: two clients stay with it, on its side of a cut, one without WAIT; it wakes or is reached again {} ms after the \
             new one has acknowledged a write. Counted is what it acknowledged after waking, or while the new one served, of what was sent after the signal or is lost",
            options.frozen_ms
        ),
        "Lost: at the end of every fault everything acknowledged is read back from the last primary. Changes of primary: one is right after \
         every fault but server-loss, more are failovers that nobody needed"
            .to_owned(),
    ]
}

/// Runs all rounds, adding what is seen to `report`.
pub async fn run(ground: &Ground, report: &mut Report) -> Result<(), BenchError> {
    let options = &ground.options;
    for round in 1..=options.rounds {
        if options.measures(System::Sentinel) {
            for down_after in &options.sentinel_down_after {
                let turn = Turn {
                    ground,
                    system: sentinel::column(*down_after),
                    round,
                };
                turn.tell("starting");
                let started = Sentinel::start(ground, *down_after).await;
                turn.take(started, report).await?;
            }
        }
        if options.measures(System::Tenure) {
            let turn = Turn {
                ground,
                system: tenure::COLUMN.to_owned(),
                round,
            };
            turn.tell("starting");
            turn.take(Tenure::start(ground).await, report).await?;
        }
    }
    Ok(())
}

/// One system in one round.
struct Turn<'a> {
    ground: &'a Ground,
    system: String,
    round: u32,
}

impl Turn<'_> {
    /// Inflicts every fault. A system that does not do in time what it should has ended its turn, and the report says
    /// so.
    async fn take<S: Stack>(
        &self,
        started: Result<S, BenchError>,
        report: &mut Report,
    ) -> Result<(), BenchError> {
        let mut stack = started?;
        for fault in &self.ground.options.only {
            if *fault == Fault::Cut && !self.ground.network.can_cut() {
                continue;
            }
            self.tell(fault.name());
            let unfinished = match self.once(&mut stack, *fault).await {
                Ok(suffered) => {
                    for sample in suffered.samples {
                        report.add(&self.system, sample);
                    }
                    for kind in suffered.failures {
                        let system = &self.system;
                        report.note(format!("{system}: {fault}: writes failed with {kind}"));
                    }
                    for remark in suffered.remarks {
                        report.note(self.line(&format!("{fault}: {remark}")));
                    }
                    self.count(*fault, 0.0)
                }
                Err(error) if error.is_finding() => {
                    report.note(format!(
                        "{}, round {}, {fault}: {error}",
                        self.system, self.round
                    ));
                    report.add(&self.system, self.count(*fault, 1.0));
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            report.add(&self.system, unfinished);
        }
        stack.stop().await
    }

    async fn once<S: Stack>(&self, stack: &mut S, fault: Fault) -> Result<Suffered, BenchError> {
        let label = format!("round{}-{fault}", self.round);
        let folder = self.ground.folder("clients-")?;
        faults::once(self.ground, stack, fault, &label, folder.path()).await
    }

    fn count(&self, fault: Fault, value: f64) -> Sample {
        Sample {
            fault,
            metric: Metric::Unfinished,
            value,
        }
    }

    fn line(&self, what: &str) -> String {
        let (round, rounds) = (self.round, self.ground.options.rounds);
        format!("round {round} of {rounds}: {}: {what}", self.system)
    }

    /// Progress goes to standard error, so that the report alone is on standard output.
    fn tell(&self, progress: &str) {
        let line = self.line(progress);
        // Nobody listening to the progress is no reason to end the bench.
        let _unheard = writeln!(std::io::stderr(), "{line}");
    }
}
