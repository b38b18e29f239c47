//! What Tenure sets out to show, and whether it was seen, for every system alike.

use serde::Serialize;
use tenure_benches::summary::{median, quantile, readable, table};

use crate::metric::Metric;
use crate::options::Fault;
use crate::report::Report;

/// The longest gap at a writer, in milliseconds, that is none: on two busy cores a writer is not always run at once.
const NO_GAP_MS: f64 = 50.0;

/// What is asked of the samples of one metric.
#[derive(Clone, Copy, Debug)]
enum Bar {
    /// Median and maximum below these, in milliseconds.
    Below { median: f64, most: f64 },
    /// The median below this.
    MedianBelow(f64),
    /// The maximum at most this.
    AtMost(f64),
    /// Nothing, in any round.
    Zero,
}

const AIMS: &[(Fault, Metric, Bar)] = &[
    (
        Fault::Kill,
        Metric::Served,
        Bar::Below {
            median: 50.0,
            most: 250.0,
        },
    ),
    (
        Fault::Stop,
        Metric::Served,
        Bar::Below {
            median: 1_300.0,
            most: 2_000.0,
        },
    ),
    (Fault::Stop, Metric::StalePlain, Bar::Zero),
    (Fault::Stop, Metric::StaleWaited, Bar::Zero),
    (
        Fault::Cut,
        Metric::Served,
        Bar::Below {
            median: 1_300.0,
            most: 2_000.0,
        },
    ),
    (Fault::Cut, Metric::StalePlain, Bar::Zero),
    (Fault::Cut, Metric::StaleWaited, Bar::Zero),
    (Fault::ServerLoss, Metric::Changes, Bar::Zero),
    (Fault::ServerLoss, Metric::GapAfter, Bar::AtMost(NO_GAP_MS)),
    (Fault::Switchover, Metric::Failed, Bar::Zero),
    (Fault::Switchover, Metric::Pause, Bar::MedianBelow(50.0)),
];

/// How one aim fared with every system.
#[derive(Debug, Serialize)]
pub struct Verdict {
    pub aim: String,
    pub wanted: String,
    /// In the order of the systems.
    pub seen: Vec<Seen>,
}

/// What one system showed.
#[derive(Debug, Serialize)]
pub struct Seen {
    pub figure: String,
    /// None when it was not measured.
    pub met: Option<bool>,
}

impl Seen {
    fn cell(&self) -> String {
        match self.met {
            Some(true) => format!("{}: met", self.figure),
            Some(false) => format!("{}: MISSED", self.figure),
            None => "not measured".to_owned(),
        }
    }
}

/// Judges every aim for every system.
pub fn judge(report: &Report, systems: &[String]) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = AIMS
        .iter()
        .map(|(fault, metric, bar)| Verdict {
            aim: format!("{fault}: {}", metric.name()),
            wanted: bar.wanted(),
            seen: systems
                .iter()
                .map(|system| bar.judge(report, system, *fault, *metric))
                .collect(),
        })
        .collect();
    for (metric, aim) in [
        (Metric::Lost, "all faults: WAIT 1 writes lost"),
        (Metric::Unfinished, "all faults: rounds that did not end"),
    ] {
        verdicts.push(Verdict {
            aim: aim.to_owned(),
            wanted: "0".to_owned(),
            seen: systems
                .iter()
                .map(|system| none_at_all(report, system, metric))
                .collect(),
        });
    }
    verdicts
}

/// The sum over all faults, with how many faults there were.
fn none_at_all(report: &Report, system: &str, metric: Metric) -> Seen {
    let of = |metric| {
        let all = Fault::ALL.iter();
        all.flat_map(move |fault| report.samples(system, *fault, metric))
    };
    let faults = of(Metric::Unfinished).count();
    let total: f64 = of(metric).sum();
    Seen {
        figure: format!("{total:.0} in {faults} faults"),
        met: (faults > 0).then_some(total <= 0.0),
    }
}

impl Bar {
    fn wanted(self) -> String {
        match self {
            Self::Below { median, most } => {
                format!("median < {median} ms, max < {most} ms")
            }
            Self::MedianBelow(median) => format!("median < {median} ms"),
            Self::AtMost(most) => format!("at most {most} ms"),
            Self::Zero => "0".to_owned(),
        }
    }

    fn judge(self, report: &Report, system: &str, fault: Fault, metric: Metric) -> Seen {
        let samples = report.samples(system, fault, metric);
        let (Some(middle), Some(greatest)) = (median(samples), quantile(samples, 1.0)) else {
            return Seen {
                figure: String::new(),
                met: None,
            };
        };
        let (figure, met) = match self {
            Self::Below { median, most } => (
                format!("{} / {}", readable(middle), readable(greatest)),
                middle < median && greatest < most,
            ),
            Self::MedianBelow(median) => (readable(middle), middle < median),
            Self::AtMost(most) => (readable(greatest), greatest <= most),
            Self::Zero => {
                let total: f64 = samples.iter().sum();
                (format!("{total:.0}"), total <= 0.0)
            }
        };
        Seen {
            figure,
            met: Some(met),
        }
    }
}

/// The aims as a table.
pub fn text(verdicts: &[Verdict], systems: &[String]) -> String {
    let mut head = vec!["aim".to_owned(), "wanted".to_owned()];
    head.extend(systems.iter().cloned());
    let row = |verdict: &Verdict| {
        let mut row = vec![verdict.aim.clone(), verdict.wanted.clone()];
        row.extend(verdict.seen.iter().map(Seen::cell));
        row
    };
    let rows: Vec<Vec<String>> = verdicts.iter().map(row).collect();
    table(&head, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Sample;
    use crate::report::tests::empty;

    fn verdict_of(samples: &[(Fault, Metric, f64)], aim: &str) -> (Option<bool>, String) {
        let mut report = empty();
        for (fault, metric, value) in samples {
            let (fault, metric, value) = (*fault, *metric, *value);
            report.add(
                "tenure",
                Sample {
                    fault,
                    metric,
                    value,
                },
            );
        }
        let systems = ["sentinel-500".to_owned(), "tenure".to_owned()];
        let verdicts = judge(&report, &systems);
        let verdict = verdicts.iter().find(|verdict| verdict.aim.contains(aim));
        let seen = &verdict.expect("there is such an aim").seen;
        assert_eq!(seen.first().and_then(|seen| seen.met), None);
        let tenure = seen.last().expect("two systems");
        (tenure.met, tenure.figure.clone())
    }

    #[test]
    fn one_slow_round_misses_the_aim() {
        let served = |ms| (Fault::Kill, Metric::Served, ms);
        let quick = [served(20.0), served(30.0), served(249.0)];
        assert_eq!(
            verdict_of(&quick, "kill: signal to the first").0,
            Some(true)
        );
        let slow = [served(20.0), served(30.0), served(250.0)];
        assert_eq!(
            verdict_of(&slow, "kill: signal to the first").0,
            Some(false)
        );
    }

    #[test]
    fn a_single_lost_write_misses_the_aim() {
        let ended = |fault| (fault, Metric::Unfinished, 0.0);
        let samples = [
            ended(Fault::Kill),
            (Fault::Kill, Metric::Lost, 0.0),
            ended(Fault::Cut),
            (Fault::Cut, Metric::Lost, 1.0),
        ];
        let (met, figure) = verdict_of(&samples, "writes lost");
        assert_eq!((met, figure.as_str()), (Some(false), "1 in 2 faults"));
        let (met, _figure) = verdict_of(&samples[..2], "writes lost");
        assert_eq!(met, Some(true));
    }
}
