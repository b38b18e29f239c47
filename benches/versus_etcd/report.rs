//! Samples by metric and system, their medians and ratios, for people and for programs.

use std::io;
use std::path::Path;

use serde::Serialize;
use tenure_benches::conditions::Machine;
use tenure_benches::summary::{median, range, readable, table};

/// Everything that was seen, and under which conditions.
#[derive(Debug, Serialize)]
pub struct Report {
    conditions: Conditions,
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// What must be known to judge the figures.
#[derive(Debug, Serialize)]
pub struct Conditions {
    pub machine: Machine,
    pub systems: Vec<SystemConditions>,
    pub method: Vec<String>,
}

/// Version and settings of one system.
#[derive(Debug, Serialize)]
pub struct SystemConditions {
    pub name: &'static str,
    pub settings: String,
}

#[derive(Debug, Serialize)]
struct Row {
    metric: String,
    unit: &'static str,
    columns: Vec<Column>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: &'static str,
    median: Option<f64>,
    least: Option<f64>,
    greatest: Option<f64>,
    samples: Vec<f64>,
}

impl Column {
    fn summarise(&mut self) {
        self.median = median(&self.samples);
        let range = range(&self.samples);
        self.least = range.map(|(least, _greatest)| least);
        self.greatest = range.map(|(_least, greatest)| greatest);
    }

    fn cell(&self) -> String {
        let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), readable);
        if self.samples.len() < 2 {
            return text(self.median);
        }
        let (least, greatest) = (text(self.least), text(self.greatest));
        format!("{} ({least} to {greatest})", text(self.median))
    }
}

impl Report {
    #[must_use]
    pub fn new(conditions: Conditions) -> Self {
        Self {
            conditions,
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds one sample. Rows and columns appear in the order of their first sample.
    pub fn add(&mut self, name: &'static str, metric: &str, unit: &'static str, sample: f64) {
        let at = self
            .rows
            .iter()
            .position(|row| row.metric == metric)
            .unwrap_or_else(|| {
                self.rows.push(Row {
                    metric: metric.to_owned(),
                    unit,
                    columns: Vec::new(),
                });
                self.rows.len() - 1
            });
        let columns = &mut self.rows[at].columns;
        let at = columns
            .iter()
            .position(|column| column.name == name)
            .unwrap_or_else(|| {
                columns.push(Column {
                    name,
                    median: None,
                    least: None,
                    greatest: None,
                    samples: Vec::new(),
                });
                columns.len() - 1
            });
        columns[at].samples.push(sample);
        columns[at].summarise();
    }

    /// Adds something that a reader of the figures must know, once.
    pub fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The tables and conditions as text.
    #[must_use]
    pub fn text(&self) -> String {
        let systems: Vec<&str> = self.conditions.systems.iter().map(|s| s.name).collect();
        let mut text = self.conditions.text();
        for table in [self.table_of(&["machine"]), self.table_of(&systems)] {
            if !table.is_empty() {
                text.push('\n');
                text.push_str(&table);
            }
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

    /// Medians, with least and greatest in brackets; every later column beside the first as a ratio of medians.
    fn table_of(&self, names: &[&str]) -> String {
        let mut head = vec!["median (least to greatest)".to_owned(), "unit".to_owned()];
        head.extend(names.iter().map(|&name| name.to_owned()));
        let others = names.get(1..).unwrap_or_default();
        head.extend(others.iter().map(|name| format!("{name} / {}", names[0])));
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .filter(|row| {
                row.columns
                    .iter()
                    .any(|column| names.contains(&column.name))
            })
            .map(|row| row.cells(names))
            .collect();
        if rows.is_empty() {
            return String::new();
        }
        table(&head, &rows)
    }

    /// Writes everything as JSON.
    pub fn write_json(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(path, text)
    }
}

impl Row {
    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    fn cells(&self, names: &[&str]) -> Vec<String> {
        let mut cells = vec![self.metric.clone(), self.unit.to_owned()];
        for name in names {
            cells.push(
                self.column(name)
                    .map_or_else(|| "-".to_owned(), Column::cell),
            );
        }
        let base = names.first().and_then(|name| self.column(name)?.median);
        for name in names.iter().skip(1) {
            let own = self.column(name).and_then(|column| column.median);
            cells.push(match (own, base) {
                (Some(own), Some(base)) if base != 0.0 => format!("{:.2}", own / base),
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
                "Machine: {} cores ({}) for all members and the clients; Linux {}; data on {}; load average {:.2} at the start",
                machine.cores,
                machine.processor,
                machine.kernel,
                machine.file_system,
                machine.load_average
            ),
            format!(
                "fdatasync of 512 bytes: {} ms on a growing file, {} ms on a preallocated one",
                readable(machine.fdatasync_growing_ms),
                readable(machine.fdatasync_preallocated_ms)
            ),
        ];
        let systems = self.systems.iter();
        lines.extend(systems.map(|system| format!("{}: {}", system.name, system.settings)));
        lines.extend(self.method.iter().cloned());
        if machine.data_in_memory() {
            lines.push("WARNING: the data lies in memory; no write is durable and no write figure counts. Choose a disk with --dir.".to_owned());
        }
        let mut text = lines.join("\n");
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let machine = Machine {
            cores: 2,
            processor: "a processor".into(),
            kernel: "6.1".into(),
            file_system: "ext4".into(),
            load_average: 0.1,
            fdatasync_growing_ms: 0.2,
            fdatasync_preallocated_ms: 0.1,
        };
        let systems = ["a", "b"].map(|name| SystemConditions {
            name,
            settings: "defaults".into(),
        });
        Report::new(Conditions {
            machine,
            systems: systems.into(),
            method: vec![],
        })
    }

    #[test]
    fn ratios_are_of_medians_and_against_the_first_system() {
        let mut report = report();
        for (name, samples) in [("a", [100.0, 300.0, 200.0]), ("b", [500.0, 100.0, 900.0])] {
            for sample in samples {
                report.add(name, "writes", "per s", sample);
            }
        }
        report.add("machine", "echo", "per s", 7.0);
        let text = report.text();
        assert!(text.contains("200 (100 to 300)"), "{text}");
        assert!(text.contains("500 (100 to 900)"), "{text}");
        assert!(text.contains("2.50"), "{text}");
        assert!(text.contains("echo"), "{text}");
    }

    #[test]
    fn json_keeps_every_sample() {
        let mut report = report();
        report.add("a", "writes", "per s", 1.5);
        report.add("a", "writes", "per s", 2.5);
        let dir = tempfile::tempdir().expect("a temp folder");
        let path = dir.path().join("report.json");
        report.write_json(&path).expect("written");
        let text = std::fs::read_to_string(path).expect("read back");
        let parsed: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
        assert_eq!(
            parsed["rows"][0]["columns"][0]["samples"],
            serde_json::json!([1.5, 2.5])
        );
        assert_eq!(parsed["rows"][0]["columns"][0]["median"], 2.0);
    }
}
