//! Samples by fault, metric and system, their medians and extremes, for people and for programs.

use std::io;
use std::path::Path;

use serde::Serialize;
use tenure_benches::conditions::Machine;
use tenure_benches::summary::{median, quantile, readable, table};

use crate::aims::{self, Verdict};
use crate::metric::{Metric, Sample};
use crate::options::Fault;

/// Everything that was seen, and under which conditions.
#[derive(Debug, Serialize)]
pub struct Report {
    conditions: Conditions,
    rows: Vec<Row>,
    aims: Vec<Verdict>,
    notes: Vec<String>,
}

/// What must be known to judge the figures.
#[derive(Debug, Serialize)]
pub struct Conditions {
    pub machine: Machine,
    pub network: &'static str,
    pub systems: Vec<SystemConditions>,
    pub method: Vec<String>,
}

/// Version and settings of one system.
#[derive(Debug, Serialize)]
pub struct SystemConditions {
    pub name: String,
    pub settings: String,
}

#[derive(Debug, Serialize)]
struct Row {
    fault: &'static str,
    metric: Metric,
    unit: &'static str,
    columns: Vec<Column>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    median: Option<f64>,
    p95: Option<f64>,
    greatest: Option<f64>,
    total: f64,
    samples: Vec<f64>,
}

impl Column {
    fn add(&mut self, sample: f64) {
        self.samples.push(sample);
        self.total += sample;
        self.median = median(&self.samples);
        self.p95 = quantile(&self.samples, 0.95);
        self.greatest = quantile(&self.samples, 1.0);
    }

    /// Times as median, p95 and maximum; counts as the total and the most in one round.
    fn cell(&self, unit: &str) -> String {
        let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), readable);
        if unit == "count" {
            return format!("{} (most {})", whole(self.total), text_of(self.greatest));
        }
        [self.median, self.p95, self.greatest].map(text).join(" / ")
    }
}

fn text_of(count: Option<f64>) -> String {
    count.map_or_else(|| "-".to_owned(), whole)
}

/// A count without digits after the point.
fn whole(count: f64) -> String {
    if count < 1_000.0 {
        return format!("{count:.0}");
    }
    readable(count)
}

impl Report {
    #[must_use]
    pub fn new(conditions: Conditions) -> Self {
        Self {
            conditions,
            rows: Vec::new(),
            aims: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds what one system showed in one fault. Rows and columns appear in the order of their first sample.
    pub fn add(&mut self, system: &str, sample: Sample) {
        let row = self.row_of(&sample);
        let at = row.columns.iter().position(|column| column.name == system);
        let at = at.unwrap_or_else(|| {
            row.columns.push(Column {
                name: system.to_owned(),
                median: None,
                p95: None,
                greatest: None,
                total: 0.0,
                samples: Vec::new(),
            });
            row.columns.len() - 1
        });
        row.columns[at].add(sample.value);
    }

    fn row_of(&mut self, sample: &Sample) -> &mut Row {
        let fault = sample.fault.name();
        let is = |row: &Row| row.fault == fault && row.metric == sample.metric;
        let at = self.rows.iter().position(is).unwrap_or_else(|| {
            self.rows.push(Row {
                fault,
                metric: sample.metric,
                unit: sample.metric.unit(),
                columns: Vec::new(),
            });
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    /// Adds something that a reader of the figures must know, once.
    pub fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// All samples of one figure of one system, in the order in which they were taken.
    pub fn samples(&self, system: &str, fault: Fault, metric: Metric) -> &[f64] {
        let row = self
            .rows
            .iter()
            .find(|row| row.fault == fault.name() && row.metric == metric);
        let column = row.and_then(|row| row.columns.iter().find(|column| column.name == system));
        column
            .map(|column| column.samples.as_slice())
            .unwrap_or_default()
    }

    /// Judges the aims, once all samples are there.
    pub fn judge(&mut self) {
        let systems: Vec<String> = self.systems();
        self.aims = aims::judge(self, &systems);
    }

    fn systems(&self) -> Vec<String> {
        let systems = self.conditions.systems.iter();
        systems.map(|system| system.name.clone()).collect()
    }

    /// Conditions, a table per fault, the aims, and the notes as text.
    #[must_use]
    pub fn text(&self) -> String {
        let systems = self.systems();
        let mut text = self.conditions.text();
        for fault in Fault::ALL {
            let rows: Vec<Vec<String>> = self
                .rows
                .iter()
                .filter(|row| row.fault == fault.name())
                .map(|row| row.cells(&systems))
                .collect();
            if !rows.is_empty() {
                text.push('\n');
                text.push_str(&table(&head(fault, &systems), &rows));
            }
        }
        if !self.aims.is_empty() {
            text.push('\n');
            text.push_str(&aims::text(&self.aims, &systems));
        }
        for note in &self.notes {
            text.push_str("\nNote: ");
            text.push_str(note);
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        text
    }

    /// Writes everything as JSON.
    pub fn write_json(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(path, text)
    }
}

fn head(fault: Fault, systems: &[String]) -> Vec<String> {
    let mut head = vec![
        format!("{fault}: median / p95 / max"),
        "unit".to_owned(),
        "n".to_owned(),
    ];
    head.extend(systems.iter().cloned());
    let others = systems.get(1..).unwrap_or_default();
    head.extend(others.iter().map(|name| format!("{name} / {}", systems[0])));
    head
}

impl Row {
    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Every later system beside the first as a ratio of medians, where that says something.
    fn cells(&self, systems: &[String]) -> Vec<String> {
        let most = self.columns.iter().map(|column| column.samples.len()).max();
        let mut cells = vec![
            self.metric.name().to_owned(),
            self.unit.to_owned(),
            most.unwrap_or(0).to_string(),
        ];
        for name in systems {
            let column = self.column(name);
            cells.push(column.map_or_else(|| "-".to_owned(), |column| column.cell(self.unit)));
        }
        let median_of = |name: &String| self.column(name).and_then(|column| column.median);
        let base = systems.first().and_then(median_of);
        for name in systems.iter().skip(1) {
            cells.push(match (median_of(name), base) {
                (Some(own), Some(base)) if self.unit == "ms" && base > 0.0 => {
                    format!("{:.3}", own / base)
                }
                (_, _) => "-".to_owned(),
            });
        }
        cells
    }
}

impl Conditions {
    fn text(&self) -> String {
        let machine = &self.machine;
        let mut lines = vec![
            format!(
                "Machine: {} cores ({}) for everything; Linux {}; data on {}; load average {:.2} at the start",
                machine.cores,
                machine.processor,
                machine.kernel,
                machine.file_system,
                machine.load_average
            ),
            format!("Network: {}", self.network),
        ];
        let systems = self.systems.iter();
        lines.extend(systems.map(|system| format!("{}: {}", system.name, system.settings)));
        lines.extend(self.method.iter().cloned());
        let mut text = lines.join("\n");
        text.push('\n');
        text
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A report of two systems without samples.
    pub fn empty() -> Report {
        let machine = Machine {
            cores: 2,
            processor: "a processor".into(),
            kernel: "6.1".into(),
            file_system: "ext4".into(),
            load_average: 0.1,
            fdatasync_growing_ms: 0.2,
            fdatasync_preallocated_ms: 0.1,
        };
        let systems = ["sentinel-500", "tenure"].map(|name| SystemConditions {
            name: name.into(),
            settings: "defaults".into(),
        });
        Report::new(Conditions {
            machine,
            network: "all on loopback",
            systems: systems.into(),
            method: vec![],
        })
    }

    #[test]
    fn times_have_a_ratio_and_counts_a_total() {
        let mut report = empty();
        let mut add = |system, metric, value| {
            let fault = Fault::Kill;
            report.add(
                system,
                Sample {
                    fault,
                    metric,
                    value,
                },
            );
        };
        for ms in [1_700.0, 1_800.0, 1_600.0] {
            add("sentinel-500", Metric::Served, ms);
        }
        add("tenure", Metric::Served, 17.0);
        add("tenure", Metric::Lost, 2.0);
        add("tenure", Metric::Lost, 3.0);
        let text = report.text();
        assert!(text.contains("1,700 / 1,800 / 1,800"), "{text}");
        assert!(text.contains("0.010"), "{text}");
        assert!(text.contains("5 (most 3)"), "{text}");
    }

    #[test]
    fn json_keeps_every_sample() {
        let mut report = empty();
        for value in [1.5, 2.5] {
            let (fault, metric) = (Fault::Stop, Metric::Notice);
            report.add(
                "tenure",
                Sample {
                    fault,
                    metric,
                    value,
                },
            );
        }
        let dir = tempfile::tempdir().expect("a temp folder");
        let path = dir.path().join("report.json");
        report.write_json(&path).expect("written");
        let text = std::fs::read_to_string(path).expect("read back");
        let parsed: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
        let column = &parsed["rows"][0]["columns"][0];
        assert_eq!(column["samples"], serde_json::json!([1.5, 2.5]));
        assert_eq!(column["median"], 2.0);
    }
}
