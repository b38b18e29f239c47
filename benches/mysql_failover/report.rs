//! Samples by fault and metric, their medians and extremes, what was aimed at, for people and for programs.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::Serialize;
use tenure_benches::conditions::Machine;
use tenure_benches::summary::{median, quantile, readable, table};

use crate::metric::{Figures, Metric};
use crate::options::Fault;

/// Everything that was seen, and under which conditions.
#[derive(Debug, Serialize)]
pub struct Report {
    conditions: Conditions,
    rows: Vec<Row>,
    aims: Vec<Verdict>,
    /// What a reader must know, and how often it was so.
    notes: BTreeMap<String, u32>,
}

/// What must be known to judge the figures.
#[derive(Debug, Serialize)]
pub struct Conditions {
    pub machine: Machine,
    pub network: &'static str,
    pub settings: String,
    pub method: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    fault: &'static str,
    metric: Metric,
    unit: &'static str,
    median: Option<f64>,
    p95: Option<f64>,
    greatest: Option<f64>,
    total: f64,
    samples: Vec<f64>,
}

/// How one aim fared.
#[derive(Debug, PartialEq, Serialize)]
struct Verdict {
    aim: String,
    wanted: String,
    seen: String,
    /// None when it was not measured.
    met: Option<bool>,
}

impl Report {
    #[must_use]
    pub fn new(conditions: Conditions) -> Self {
        Self {
            conditions,
            rows: Vec::new(),
            aims: Vec::new(),
            notes: BTreeMap::new(),
        }
    }

    /// Adds what one fault showed. Rows appear in the order of their first sample.
    pub fn add(&mut self, fault: Fault, figures: &Figures) {
        for (metric, value) in figures {
            let name = fault.name();
            let is = |row: &Row| row.fault == name && row.metric == *metric;
            let at = self.rows.iter().position(is).unwrap_or_else(|| {
                self.rows.push(Row::of(name, *metric));
                self.rows.len() - 1
            });
            self.rows[at].add(*value);
        }
    }

    /// Adds something that a reader of the figures must know.
    pub fn note(&mut self, note: String) {
        *self.notes.entry(note).or_default() += 1;
    }

    fn samples(&self, fault: Fault, metric: Metric) -> &[f64] {
        let is = |row: &&Row| row.fault == fault.name() && row.metric == metric;
        let row = self.rows.iter().find(is);
        row.map(|row| row.samples.as_slice()).unwrap_or_default()
    }

    /// Judges the aims, once all samples are there.
    pub fn judge(&mut self) {
        self.aims = vec![
            self.median_of(Fault::Kill, Metric::Served, 150.0),
            self.median_of(Fault::Switchover, Metric::Pause, 100.0),
            self.none_of(&[Fault::Switchover], Metric::Unknown),
            self.none_of(&Fault::ALL, Metric::Stale),
            self.none_of(&Fault::ALL, Metric::Lost),
            self.none_of(&Fault::ALL, Metric::Unfinished),
        ];
    }

    fn median_of(&self, fault: Fault, metric: Metric, most: f64) -> Verdict {
        let middle = median(self.samples(fault, metric));
        Verdict {
            aim: format!("{fault}: {}", metric.name()),
            wanted: format!("median < {most} ms"),
            seen: middle.map_or_else(|| "not measured".to_owned(), readable),
            met: middle.map(|middle| middle < most),
        }
    }

    fn none_of(&self, faults: &[Fault], metric: Metric) -> Verdict {
        let of = |metric| {
            let all = faults.iter();
            all.flat_map(move |fault| self.samples(*fault, metric))
        };
        let (count, total) = (
            of(Metric::Unfinished).count(),
            of(metric).fold(0.0, |sum, one| sum + one),
        );
        let which = match faults {
            [one] => one.to_string(),
            _ => "all faults".to_owned(),
        };
        Verdict {
            aim: format!("{which}: {}", metric.name()),
            wanted: "0".to_owned(),
            seen: format!("{total:.0} in {count} faults"),
            met: (count > 0).then_some(total <= 0.0),
        }
    }

    /// Conditions, a table per fault, the aims, and the notes as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.conditions.text();
        for fault in Fault::ALL {
            let rows = self.rows.iter().filter(|row| row.fault == fault.name());
            let rows: Vec<Vec<String>> = rows.map(Row::cells).collect();
            if !rows.is_empty() {
                let head = [fault.name(), "unit", "n", "median", "p95", "max", "total"];
                text.push('\n');
                text.push_str(&table(&head.map(str::to_owned), &rows));
            }
        }
        let aims = self.aims.iter().map(Verdict::cells);
        let head = ["aim", "wanted", "seen", ""].map(str::to_owned);
        text.push('\n');
        text.push_str(&table(&head, &aims.collect::<Vec<_>>()));
        for (note, times) in &self.notes {
            text.push_str(&format!("\nNote: {note} ({times} times)"));
        }
        text.push('\n');
        text
    }

    /// Writes everything as JSON.
    pub fn write_json(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(path, text)
    }
}

impl Row {
    fn of(fault: &'static str, metric: Metric) -> Self {
        Self {
            fault,
            metric,
            unit: if metric.is_count() { "count" } else { "ms" },
            median: None,
            p95: None,
            greatest: None,
            total: 0.0,
            samples: Vec::new(),
        }
    }

    fn add(&mut self, sample: f64) {
        self.samples.push(sample);
        self.total += sample;
        self.median = median(&self.samples);
        self.p95 = quantile(&self.samples, 0.95);
        self.greatest = quantile(&self.samples, 1.0);
    }

    fn cells(&self) -> Vec<String> {
        let count = |value: f64| match value < 1_000.0 {
            true => format!("{value:.0}"),
            false => readable(value),
        };
        let text = |value: Option<f64>| match (value, self.metric.is_count()) {
            (None, _) => "-".to_owned(),
            (Some(value), true) => count(value),
            (Some(value), false) => readable(value),
        };
        let total = match self.metric.is_count() {
            true => count(self.total),
            false => String::new(),
        };
        vec![
            self.metric.name().to_owned(),
            self.unit.to_owned(),
            self.samples.len().to_string(),
            text(self.median),
            text(self.p95),
            text(self.greatest),
            total,
        ]
    }
}

impl Verdict {
    fn cells(&self) -> Vec<String> {
        let met = match self.met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let cells = [&self.aim, &self.wanted, &self.seen];
        cells
            .map(Clone::clone)
            .into_iter()
            .chain([met.to_owned()])
            .collect()
    }
}

impl Conditions {
    fn text(&self) -> String {
        let machine = &self.machine;
        let mut lines = vec![
            format!(
                "Machine: {} cores ({}) for everything; Linux {}; data on {}, where fdatasync takes {} ms; load average \
                 {:.2} at the start",
                machine.cores,
                machine.processor,
                machine.kernel,
                machine.file_system,
                readable(machine.fdatasync_growing_ms),
                machine.load_average
            ),
            format!("Network: {}", self.network),
            format!("Settings: {}", self.settings),
        ];
        lines.extend(self.method.iter().cloned());
        let mut text = lines.join("\n");
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Report {
        Report::new(Conditions {
            machine: Machine {
                cores: 2,
                processor: "a processor".into(),
                kernel: "6.1".into(),
                file_system: "ext4".into(),
                load_average: 0.1,
                fdatasync_growing_ms: 0.2,
                fdatasync_preallocated_ms: 0.1,
            },
            network: "all on loopback",
            settings: "defaults".into(),
            method: vec![],
        })
    }

    #[test]
    fn a_single_lost_commit_misses_the_aim() {
        let mut report = empty();
        report.add(
            Fault::Kill,
            &Figures::from([(Metric::Served, 120.0), (Metric::Unfinished, 0.0)]),
        );
        report.judge();
        let met = |report: &Report| report.aims.iter().map(|aim| aim.met).collect::<Vec<_>>();
        let whole = [Some(true), None, None, Some(true), Some(true), Some(true)];
        assert_eq!(met(&report), whole);
        report.add(
            Fault::Cut,
            &Figures::from([(Metric::Lost, 1.0), (Metric::Unfinished, 0.0)]),
        );
        report.judge();
        assert_eq!(met(&report)[4], Some(false));
        assert_eq!(report.aims[4].seen, "1 in 2 faults");
    }

    #[test]
    fn json_keeps_every_sample_and_the_text_their_middle() {
        let mut report = empty();
        for served in [1_700.0, 1_800.0, 1_600.0] {
            report.add(Fault::Stop, &Figures::from([(Metric::Served, served)]));
        }
        let text = report.text();
        assert!(text.contains("1,700  1,800  1,800"), "{text}");
        let dir = tempfile::tempdir().expect("a temp folder");
        let path = dir.path().join("report.json");
        report.write_json(&path).expect("written");
        let text = std::fs::read_to_string(path).expect("read back");
        let parsed: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
        let samples = &parsed["rows"][0]["samples"];
        assert_eq!(*samples, serde_json::json!([1_700.0, 1_800.0, 1_600.0]));
    }
}
